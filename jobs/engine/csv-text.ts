import { visibleField } from '../base/visible.ts';
import type { SqlValue } from './index.ts';

/**
 * Rows as CSV (RFC 4180) with a header, lines ended by CR LF but for the last. Null is an empty field, an
 * empty text is `""`; control characters are shown, but for line breaks and tabs; a text that a spreadsheet
 * would run as a formula gets an apostrophe in front.
 */
export function csvText({
  columns,
  rows,
}: {
  columns: readonly { name: string }[];
  rows: readonly (readonly SqlValue[])[];
}): string {
  const field = (value: SqlValue): string => {
    if (value === null) return '';
    const text = typeof value === 'string' ? visibleField(value) : String(value);
    return text === '' || /[",;\t\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ name }) => name), ...rows].map((row) => row.map(field).join(',')).join('\r\n');
}

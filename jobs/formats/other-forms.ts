import { JobError } from '../base/errors.ts';
import { hasUtf8Mark } from './text-encoding.ts';

/**
 * The refusal of what is neither JSON nor text in rows, where the first bytes tell what it is. Archives are
 * told before.
 */
export function foreignForm(head: Buffer): JobError | undefined {
  const refuse = (code: string, what: string, hint: string) => new JobError(code, 'data', what, { hint });
  if (/^\s*<(!doctype html|html|head|body)\b/i.test(head.toString('latin1', hasUtf8Mark(head) ? 3 : 0, 512))) {
    return refuse('html_page', 'a web page, not data', 'log in and download it again');
  }
  const magic = (text: string, at = 0): boolean => head.toString('latin1', at, at + text.length) === text;
  if (magic('\xd0\xcf\x11\xe0')) return refuse('spreadsheet', 'a spreadsheet', 'save it as CSV (UTF-8)');
  if (magic('PAR1')) return refuse('kind_unknown', 'a Parquet file', 'write it as CSV or JSON lines');
  if (magic('SQLite format 3')) return refuse('kind_unknown', 'a SQLite database', 'write its tables as CSV');
  return undefined;
}

import type { Cell, Column, Figure } from '../report/figure.ts';
import { rankedLists } from '../report/rankings.ts';
import type { Question } from './desk.ts';
import type { Body } from './overview.ts';

/** Of any statement. */
export type Row = Record<string, string | number | boolean | null>;
type Field = Question<Row>['columns'][number];

/** What pages without filters say of themselves. */
export const EVERYBODY = 'all of the lake: this page has no filters';

/** A column as it is in the statement's rows. */
export function text(label: string, column: string): Field {
  return { label, kind: 'text', of: (row) => cellOf(row[column]) };
}

/** The same of a number. */
export function number(label: string, column: string, format?: Column['format']): Field {
  return { label, kind: 'number', of: (row) => cellOf(row[column]), ...(format && { format }) };
}

function cellOf(value: Row[string] | undefined): Cell {
  return typeof value === 'boolean' ? String(value) : (value ?? null);
}

/** Bars of one number, the row's first text as its label. */
export function bars(
  label: string,
  value: string,
  valueText: (value: number) => string,
  shown = 12,
): Question<Row>['chart'] {
  return (rows) => (layout) =>
    rankedLists(
      [
        {
          title: '',
          rows: rows.slice(0, shown).map((row) => ({
            label: String(row[label] ?? '(no name)'),
            value: Number(row[value]),
            valueText: valueText(Number(row[value])),
          })),
        },
      ],
      layout,
    );
}

/** A page of one section; one that says so where no model of it is there. */
export function bodyOf(title: string, id: string, section: string, figures: Figure[]): Body {
  const notices = figures.length > 0 ? [] : ['Nothing is published yet. Give listenlake run, then look again.'];
  const sections = figures.length > 0 ? [{ id, title: section, figures }] : [];
  return { title, facts: [EVERYBODY], notices, headlines: [], sections };
}

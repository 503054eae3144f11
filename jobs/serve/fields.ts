import type { Cell, Column, Section } from '../report/figure.ts';
import { rankedLists } from '../report/rankings.ts';
import type { Question } from './desk.ts';
import type { Body } from './overview.ts';

/** Of any statement. */
export type Row = Record<string, string | number | boolean | null>;
type Field = Question<Row>['columns'][number];

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

/** A page of those sections that have figures; one that says so where no model of them is there. */
export function bodyOf(title: string, sections: Section[], facts: string[], notices: string[]): Body {
  const shown = sections.filter(({ figures }) => figures.length > 0);
  const none = shown.length > 0 ? [] : ['Nothing is published yet. Give listenlake run, then look again.'];
  return { title, facts, notices: [...notices, ...none], headlines: [], sections: shown };
}

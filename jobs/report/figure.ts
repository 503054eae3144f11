import type { TopLevelSpec } from 'vega-lite';
import type { Layout } from './theme.ts';

/** A value of a table's cell as the engine gave it, numbers as numbers. */
export type Cell = string | number | null;

export interface Column {
  label: string;
  /** Text comes from the data: isolated and cut; anything else is formatted by us. */
  kind: 'text' | 'number';
  format?: (value: number) => string;
}

/** The numbers of a figure, row by row. */
export interface DataTable {
  columns: Column[];
  rows: Cell[][];
  /** What is left out, when something is. */
  remark?: string;
  /** The value of a filter that leaves what each row counts; `period` is two dates with a slash between. */
  parts?: { filter: 'country' | 'device' | 'period'; values: readonly string[] };
  /** Where cells lead to, row by row and column by column: addresses made by us, on pages that are served. */
  links?: (string | undefined)[][];
}

/** One answer of the report: a chart (or the reason why there is none), its numbers and what they mean. */
export interface Figure {
  /** Name of the PNG file and anchor in the page. */
  name: string;
  title: string;
  /** One sentence that says what the chart shows. */
  takeaway?: string;
  /** Draws the chart for a layout; absent where the data does not carry it. */
  chart?: (layout: Layout) => TopLevelSpec;
  /** Why there is no chart, and what to do to get it. */
  missing?: string;
  table?: DataTable;
  /** How the numbers are defined; plain text, one paragraph each. */
  notes: string[];
}

export interface Section {
  id: string;
  title: string;
  figures: Figure[];
}

/** One line of a person's first screen, in big type. The value may be a name from the data. */
export interface Hero {
  label: string;
  value: string;
  /** One sentence. */
  detail: string;
}

/** A person on the page that leads to each person's own. */
export interface PersonCard {
  /** Relative address of their page. */
  href: string;
  name: string;
  lines: string[];
}

/** The numbers above the charts. */
export interface Headline {
  label: string;
  value: string;
  detail?: string;
}

import type { TopLevelSpec } from 'vega-lite';
import { count } from '../base/words.ts';
import { timeBars } from '../report/charts.ts';
import type { DataTable, Figure, Section } from '../report/figure.ts';
import { cleanText, formatCount, formatShare, monthsBetween } from '../report/format.ts';
import type { Layout } from '../report/theme.ts';
import type { Finding } from './findings.ts';
import type { ColumnProfile, TableProfile } from './measure.ts';

/** Characters of a value in a table of many values, and how many of the most frequent ones are shown. */
const VALUE_CHARS = 24;
const TOP_SHOWN = 3;
/** Months that fit side by side: 20 years. */
const MONTHS_MAX = 240;

/** What stands out in all tables, one row each. */
export function findingsSection(findings: readonly Finding[], tables: number): Section {
  const table: DataTable = {
    columns: ['table', 'column', 'what was seen', 'what the pipeline does'].map((label) => ({ label, kind: 'text' })),
    rows: findings.map(({ table, column, seen, done }) => [table, column ?? 'rows', seen, done]),
  };
  const figure: Figure = {
    name: 'findings',
    title: 'What stands out',
    takeaway: `${count(findings.length, 'finding')} in ${count(tables, 'table')} that have rows.`,
    ...(findings.length > 0 ? { table } : { missing: 'Nothing stands out: no check fails, and no column is empty.' }),
    notes: [
      'A number is far out where it lies more than three times the width of the middle half beyond it.',
      'Checks are those of the contracts in warehouse/contracts; `listenlake check` runs them in every run.',
    ],
  };
  return { id: 'findings', title: 'Findings', figures: [figure] };
}

/** A table of silver: its columns in numbers, then a chart for each number and time in it. */
export function tableSection(profile: TableProfile): Section {
  const { table, description, grain, rows, duplicates, columns, correlations } = profile;
  const whole: Figure = {
    name: `${table}-columns`,
    title: `${table}: columns`,
    takeaway: `${count(rows, 'row')}, ${grain}; ${duplicates === 0 ? 'no key stands twice' : count(duplicates, 'duplicate')}.`,
    missing: description,
    table: columnsTable(columns, rows),
    notes: [
      'Quantiles are exact: the least value that at least this share of the rows with a value does not exceed.',
      ...correlations.map(({ a, b, r }) => `${a} and ${b} go together with a correlation of ${r.toFixed(2)}.`),
    ],
  };
  const charts = columns.filter(({ histogram }) => histogram.some((bar) => bar.rows > 0));
  return { id: table, title: table, figures: [whole, ...charts.map((column) => histogramOf(table, column))] };
}

function columnsTable(columns: readonly ColumnProfile[], rows: number): DataTable {
  const text = (label: string) => ({ label, kind: 'text' as const });
  const number = (label: string) => ({ label, kind: 'number' as const, format: (value: number) => formatCount(value) });
  const share = { label: 'filled', kind: 'number' as const, format: (value: number) => formatShare(value) };
  return {
    columns: [
      ...[text('column'), text('type'), share, number('distinct')],
      ...['least', 'median', 'greatest', 'most frequent'].map(text),
    ],
    rows: columns.map((column) => [
      column.name,
      column.unit === undefined ? column.type : `${column.type}, ${column.unit}`,
      rows === 0 ? null : column.filled / rows,
      column.distinct,
      short(column.least),
      short(column.quantiles?.p50 ?? null),
      short(column.greatest),
      mostFrequent(column),
    ]),
  };
}

/** Nothing where every value stands once. */
function mostFrequent({ top }: ColumnProfile): string {
  return top
    .slice(0, TOP_SHOWN)
    .filter(({ rows }) => rows > 1)
    .map(({ value, rows }) => `${short(value)} (${formatCount(rows)})`)
    .join(', ');
}

function short(value: string | null): string {
  return value === null ? '' : cleanText(value, VALUE_CHARS);
}

function histogramOf(table: string, column: ColumnProfile): Figure {
  const { name, type, unit, description, histogram, outsideBars, quantiles } = column;
  const isTime = type === 'date' || type === 'timestamp';
  const axis = unit === undefined ? name : `${name} (${unit})`;
  return {
    name: `${table}-${name.replaceAll('_', '-')}`,
    title: `${table}.${name}`,
    takeaway: description,
    chart: (layout) =>
      isTime ? timeBars(monthsOf(histogram), 'rows', 'month', layout) : numberBars(histogram, axis, layout),
    notes: [
      isTime
        ? `A bar for each month${histogram[0]!.from < monthsOf(histogram)[0]!.date ? ' of the last 20 years' : ''}.`
        : `90 % of the rows lie from ${short(quantiles!.p05)} to ${short(quantiles!.p95)}. Bars of equal width from the 1st to the 99th percentile${outsideBars > 0 ? `; ${count(outsideBars, 'row')} outside of them` : ''}.`,
    ],
  };
}

/** Every month up to the last one, also those without a row: at most `MONTHS_MAX` of them. */
function monthsOf(histogram: ColumnProfile['histogram']): { date: string; value: number }[] {
  const rows = new Map(histogram.map((bar) => [bar.from, bar.rows]));
  return monthsBetween(histogram[0]!.from, histogram.at(-1)!.from)
    .slice(-MONTHS_MAX)
    .map((date) => ({ date, value: rows.get(date) ?? 0 }));
}

/** As many labels as there is room for; whole numbers have none between them, and a year is not `2.02k`. */
function numberAxis(bars: readonly { from: number; to: number }[], layout: Layout) {
  const isWhole = bars.every(({ from, to }) => Number.isInteger(from) && Number.isInteger(to));
  return {
    tickCount: layout.kind === 'wide' ? 8 : 4,
    ...(isWhole && { tickMinStep: 1 }),
    labelExpr: `format(datum.value, abs(datum.value) < ${SHORTENED_FROM} ? '~r' : '~s')`,
    labelOverlap: 'greedy' as const,
    labelSeparation: 10,
  };
}

/** From here on a number is written as `0.1M`. */
const SHORTENED_FROM = 100_000;

/** How many rows have a number of each class. */
function numberBars(bars: ColumnProfile['histogram'], axis: string, layout: Layout): TopLevelSpec {
  const values = bars.map(({ from, to, rows }) => ({ from: Number(from), to: Number(to), rows }));
  return {
    width: layout.width,
    height: layout.kind === 'wide' ? 160 : 140,
    autosize: { type: 'fit', contains: 'padding' },
    data: { values },
    mark: { type: 'bar', binSpacing: 1 },
    encoding: {
      x: { field: 'from', type: 'quantitative', bin: { binned: true }, title: axis, axis: numberAxis(values, layout) },
      x2: { field: 'to' },
      y: { field: 'rows', type: 'quantitative', title: 'rows', axis: { format: ',~r' } },
    },
  };
}

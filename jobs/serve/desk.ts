import { AsyncLocalStorage } from 'node:async_hooks';
import { atMost } from '../base/concurrency.ts';
import type { SqlEngine, SqlValue } from '../engine/index.ts';
import { beginDrawing } from '../report/draw.ts';
import type { Cell, Column, DataTable, Figure, Section } from '../report/figure.ts';
import type { PageContent } from '../report/page.ts';
import type { PersonReading } from '../report/person.ts';
import { type Reading, reader } from '../report/reading.ts';
import { readTotals } from '../report/totals.ts';
import type { Edition } from './edition.ts';
import { type Filters, narrowingOf, searchOf } from './filters.ts';

/** A page before it is drawn, and what was asked for it. */
export interface Sheet {
  content: PageContent;
  /** Statements as they can be given to `listenlake sql`, by the name of a figure or section. */
  asked: ReadonlyMap<string, readonly string[]>;
}

/** Where a page is made: its edition, its filters, and the questions that it asks. */
export interface Desk {
  edition: Edition;
  filters: Filters;
  /** What else the address says. */
  query: URLSearchParams;
  /** Rows of gold, narrowed by the filters. */
  rows: Reading['rows'];
  /** All that the figures of the report need; its totals are those that the filters leave. */
  reading(): Promise<Reading>;
  /** The same of other filters. */
  readingOf(filters: Filters, more?: readonly [condition: string, value: string][]): Promise<Reading>;
  /** Makes several parts of a page, some at a time, and gives them in this order. */
  all<T>(makes: readonly (() => Promise<T>)[]): Promise<T[]>;
  /** Makes a figure, begins to draw it, and keeps what it has asked under its name. */
  figure<F extends Figure | undefined>(make: () => Promise<F>): Promise<F>;
  /** The same for a section whose figures were made elsewhere. */
  section<S extends Section | undefined>(make: () => Promise<S>): Promise<S>;
  asked: Map<string, string[]>;
}

/** A figure that shows the rows of one statement. */
export interface Question<Row> {
  name: string;
  title: string;
  sql: string;
  parameters?: readonly SqlValue[];
  columns: (Column & { of(row: Row): Cell; to?(row: Row): string | undefined })[];
  takeaway?(rows: Row[]): string;
  chart?(rows: Row[]): NonNullable<Figure['chart']>;
  notes: string[];
  /** Why there may be no row, and what gives some. */
  missing: string;
}

/**
 * Questions of one page that the engine has at once: it works on one while another is drawn here. More of
 * them only wait for each other.
 */
const AT_ONCE = 3;

/** @param path of the page that is made: a row of its figures leads to the page of that row's plays */
export function openDesk(
  engine: SqlEngine,
  edition: Edition,
  filters: Filters,
  { path, query }: { path: string; query: URLSearchParams },
): Desk {
  const asked = new Map<string, string[]>();
  const asking = new AsyncLocalStorage<string[]>();
  const definitionsOf = ({ isPrivateIncluded }: Filters) => ({
    ...edition.definitions,
    isIncognitoIncluded: isPrivateIncluded,
  });
  const rowsOf = (of: Filters, more: readonly [string, string][] = []): Reading['rows'] =>
    reader(engine, edition.target, definitionsOf(of), {
      userId: of.person,
      narrowing: narrowingOf(of, more),
      onAsk: (statement, values) => asking.getStore()?.push(asWritten(statement, values)),
    });
  const readingOf: Desk['readingOf'] = async (of, more) => {
    const rows = rowsOf(of, more);
    const totals = await readTotals(rows);
    const isTimed = totals.played_ms > 0;
    const person = of.person === undefined ? {} : { userId: of.person };
    return { rows, definitions: definitionsOf(of), totals, tables: edition.tables, isTimed, ...person };
  };
  const record = async <T>(make: () => Promise<T>, nameOf: (made: T) => string | undefined): Promise<T> => {
    const statements: string[] = [];
    const made = await asking.run(statements, make);
    const name = nameOf(made);
    if (name !== undefined) asked.set(name, statements);
    return made;
  };
  const finish = (figure: Figure): void => {
    if (figure.table?.parts !== undefined) figure.table.links = linksTo(figure.table.parts, path, filters, query);
    beginDrawing(figure);
  };
  return {
    ...{ edition, filters, query, asked, readingOf },
    rows: rowsOf(filters),
    reading: () => readingOf(filters),
    all: (makes) => atMost(AT_ONCE, makes, (make) => make()),
    async figure(make) {
      const figure = await record(make, (made) => made?.name);
      if (figure !== undefined) finish(figure);
      return figure;
    },
    async section(make) {
      const section = await record(make, (made) => made?.id);
      for (const figure of section?.figures ?? []) finish(figure);
      return section;
    },
  };
}

/** The address of the same page, narrowed to each row. */
function linksTo(
  { filter, values }: NonNullable<DataTable['parts']>,
  path: string,
  filters: Filters,
  query: URLSearchParams,
): string[][] {
  return values.map((value) => {
    const [from, to] = value.split('/');
    const narrowed = filter === 'period' ? { ...filters, from, to } : { ...filters, [filter]: value };
    return [path + searchOf(narrowed, query.get('key') ?? undefined)];
  });
}

/** Whether the figures of one person can be made. */
export function isOfPerson(reading: Reading): reading is PersonReading {
  return reading.userId !== undefined;
}

/** Asks, and makes a figure of the rows; without a row one that says why. */
export async function answer<Row extends Record<string, string | number | boolean | null>>(
  rows: Reading['rows'],
  question: Question<Row>,
): Promise<Figure> {
  const { name, title, columns, notes } = question;
  const found = await rows<Row>(question.sql, question.parameters);
  if (found.length === 0) return { name, title, missing: question.missing, notes: [] };
  const chart = question.chart?.(found);
  return {
    ...{ name, title, notes },
    ...(question.takeaway && { takeaway: question.takeaway(found) }),
    ...(chart && { chart }),
    table: {
      columns: columns.map(({ label, kind, format }) => ({ label, kind, ...(format && { format }) })),
      rows: found.map((row) => columns.map(({ of }) => of(row))),
      ...(columns.some(({ to }) => to !== undefined) && {
        links: found.map((row) => columns.map(({ to }) => to?.(row))),
      }),
    },
  };
}

/** The figures of those models that this version has; the others belong to newer ones. */
export async function answersOf(
  desk: Desk,
  models: readonly [table: string, make: () => Promise<Figure>][],
): Promise<Figure[]> {
  const there = models.filter(([table]) => desk.edition.tables.has(table));
  return desk.all(
    there.map(
      ([, make]) =>
        () =>
          desk.figure(make),
    ),
  );
}

/** A statement with its values in it. */
function asWritten(statement: string, values: readonly SqlValue[]): string {
  const left = [...values];
  return statement.trim().replace(/\?/g, () => {
    const value = left.shift() ?? null;
    return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
  });
}

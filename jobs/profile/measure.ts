import type { SqlEngine, SqlValue } from '../engine/index.ts';
import type { Contract, ContractColumn } from '../lake/contracts.ts';

/** A value as the engine writes it as text. */
export interface CountedValue {
  value: string;
  rows: number;
}

/** One bar: the rows from `from` (inclusive) to `to` (exclusive; the last bar includes its end). */
export interface Bar {
  from: string;
  to: string;
  rows: number;
}

export interface ColumnProfile {
  name: string;
  type: string;
  unit?: string;
  description: string;
  /** Rows with a value. */
  filled: number;
  distinct: number;
  /** As text; null where there is no value, and for what names people. */
  least: string | null;
  greatest: string | null;
  /** Of numbers. */
  mean: number | null;
  /**
   * Of numbers, dates and times: for each share the least value that at least this share of the filled rows
   * does not exceed, as text.
   */
  quantiles: Record<'p05' | 'p25' | 'p50' | 'p75' | 'p95', string> | null;
  /**
   * Of numbers: bars of equal width from the 1st to the 99th percentile; of dates and times: a bar a month.
   */
  histogram: Bar[];
  /** Numbers that lie outside of the bars. */
  outsideBars: number;
  /** The most frequent values; none of what names people. */
  top: CountedValue[];
}

export interface Correlation {
  a: string;
  b: string;
  /** Pearson's, -1 to 1, over the rows that have both. */
  r: number;
}

export interface CheckProfile {
  name: string;
  expression: string;
  severity: 'fail' | 'warn';
  /** Rows of which the expression is false. */
  rows: number;
}

export interface TableProfile {
  table: string;
  description: string;
  grain: string;
  rows: number;
  /** Rows that share their key with another one, beyond the first. */
  duplicates: number;
  columns: ColumnProfile[];
  /** From the strongest on; pairs of numbers with less than `CORRELATION_MIN` are left out. */
  correlations: Correlation[];
  checks: CheckProfile[];
}

const NUMBERS = new Set(['integer', 'bigint', 'double']);
const TIMES = new Set(['date', 'timestamp']);
const BARS = 24;
const TOP_VALUES = 5;
const CORRELATION_MIN = 0.2;
/** Every pair is an expression of one statement. */
const CORRELATED_COLUMNS_MAX = 16;
const SHARES = { p05: 0.05, p25: 0.25, p50: 0.5, p75: 0.75, p95: 0.95 } as const;

/**
 * Measures one published table of silver, column by column: exactly, and in memory that grows with the
 * distinct values of one column at most.
 *
 * @throws what `SqlEngine.query` throws
 */
export async function measureTable(engine: SqlEngine, contract: Contract): Promise<TableProfile> {
  const { table, description, grain } = contract;
  const { rows, duplicates, checks } = await wholeTable(engine, contract);
  const columns: ColumnProfile[] = [];
  const partitions = contract.partition.filter(({ name }) => !contract.columns.some((column) => column.name === name));
  for (const column of [...contract.columns, ...partitions.map(asColumn)])
    columns.push(await measureColumn(engine, table, column));
  const correlations = await correlationsOf(engine, contract);
  return { table, description, grain, rows, duplicates, columns, correlations, checks };
}

function asColumn({ name, type, description }: Contract['partition'][number]): ContractColumn {
  return { name, type, nullable: false, description };
}

async function wholeTable(
  engine: SqlEngine,
  { table, key, checks }: Contract,
): Promise<Pick<TableProfile, 'rows' | 'duplicates' | 'checks'>> {
  const failing = checks.map(({ expression }) => `count(case when not (${expression}) then 1 end)`);
  const [row] = await rowsOf(engine, `select ${['count(*)', ...failing].join(', ')} from silver.${table}`);
  const [keys] = await rowsOf(
    engine,
    `select count(*) from (select distinct ${key.map(quoted).join(', ')} from silver.${table}) as keys`,
  );
  const rows = Number(row![0]);
  return {
    rows,
    duplicates: rows - Number(keys![0]),
    checks: checks.map((check, index) => ({ ...check, rows: Number(row![index + 1]) })),
  };
}

async function measureColumn(engine: SqlEngine, table: string, column: ContractColumn): Promise<ColumnProfile> {
  const { name, type, unit, description, privacy } = column;
  const isNumber = NUMBERS.has(type);
  const isOrdered = isNumber || TIMES.has(type);
  const counted = `with counted as (
    select ${quoted(name)} as value, count(*) as n from silver.${table} where ${quoted(name)} is not null group by 1
)`;
  const mean = isNumber ? 'sum(cast(value as double) * n) / nullif(sum(n), 0)' : 'cast(null as double)';
  const [whole] = await rowsOf(
    engine,
    `${counted} select count(*), coalesce(sum(n), 0), cast(min(value) as varchar), cast(max(value) as varchar), ${mean} from counted`,
  );
  const [distinct, filled, least, greatest, average] = whole!;
  const isShown = privacy === undefined;
  const profile = {
    ...{ name, type, description, ...(unit !== undefined && { unit }) },
    ...{ filled: Number(filled), distinct: Number(distinct) },
    ...{ least: isShown ? textOf(least!) : null, greatest: isShown ? textOf(greatest!) : null },
    mean: average === null ? null : Number(average),
  };
  const isEmpty = profile.filled === 0;
  const bars = isOrdered && !isEmpty ? await barsOf(engine, counted, type) : { histogram: [], outsideBars: 0 };
  return {
    ...profile,
    quantiles: isOrdered && !isEmpty ? await quantilesOf(engine, counted) : null,
    ...bars,
    top: isShown && !isEmpty ? await topOf(engine, counted) : [],
  };
}

async function quantilesOf(engine: SqlEngine, counted: string): Promise<ColumnProfile['quantiles']> {
  const names = Object.keys(SHARES) as (keyof typeof SHARES)[];
  const [row] = await rowsOf(engine, quantileSql(counted, Object.values(SHARES)));
  return Object.fromEntries(names.map((name, index) => [name, String(row![index])])) as ColumnProfile['quantiles'];
}

/** The least value that at least each share of the rows does not exceed. */
function quantileSql(counted: string, shares: readonly number[]): string {
  const columns = shares.map((share) => `cast(min(case when upto >= ${share} * total then value end) as varchar)`);
  return `${counted},
ranked as (
    select
        value,
        sum(n) over (order by value rows between unbounded preceding and current row) as upto,
        sum(n) over () as total
    from counted
)
select ${columns.join(', ')} from ranked`;
}

async function topOf(engine: SqlEngine, counted: string): Promise<CountedValue[]> {
  const rows = await rowsOf(
    engine,
    `${counted} select cast(value as varchar), n from counted order by n desc, value limit ${TOP_VALUES}`,
  );
  return rows.map(([value, n]) => ({ value: String(value), rows: Number(n) }));
}

async function barsOf(
  engine: SqlEngine,
  counted: string,
  type: string,
): Promise<Pick<ColumnProfile, 'histogram' | 'outsideBars'>> {
  if (TIMES.has(type)) {
    const rows = await rowsOf(
      engine,
      `${counted} select cast(cast(date_trunc('month', value) as date) as varchar), cast(sum(n) as bigint)
       from counted group by 1 order by 1`,
    );
    const histogram = rows.map(([month, n]) => ({
      from: String(month),
      to: monthAfter(String(month)),
      rows: Number(n),
    }));
    return { histogram, outsideBars: 0 };
  }
  const [ends] = await rowsOf(engine, quantileSql(counted, [0.01, 0.99]));
  const [low, high] = ends!.map(Number) as [number, number];
  if (low === high) return { histogram: [], outsideBars: 0 };
  const width = (high - low) / BARS;
  const rows = await rowsOf(
    engine,
    `${counted},
placed as (
    select
        case
            when value < ${low} or value > ${high} then -1
            when value = ${high} then ${BARS - 1}
            else cast(floor((cast(value as double) - ${low}) / ${width}) as integer)
        end as bar,
        n
    from counted
)
select bar, cast(sum(n) as bigint) from placed group by bar`,
  );
  const found = new Map(rows.map(([bar, n]) => [Math.min(Number(bar), BARS - 1), Number(n)]));
  const end = (bar: number): string => String(Number((low + bar * width).toPrecision(6)));
  const histogram = Array.from({ length: BARS }, (_, bar) => ({
    from: end(bar),
    to: end(bar + 1),
    rows: found.get(bar) ?? 0,
  }));
  return { histogram, outsideBars: found.get(-1) ?? 0 };
}

async function correlationsOf(engine: SqlEngine, { table, columns, key }: Contract): Promise<Correlation[]> {
  const names = columns
    .filter(({ name, type }) => NUMBERS.has(type) && !key.includes(name) && name !== 'source_row')
    .map(({ name }) => name)
    .slice(0, CORRELATED_COLUMNS_MAX);
  const pairs = names.flatMap((a, index) => names.slice(index + 1).map((b) => ({ a, b })));
  if (pairs.length === 0) return [];
  const selects = pairs.map(({ a, b }) => `corr(cast(${quoted(a)} as double), cast(${quoted(b)} as double))`);
  const [row] = await rowsOf(engine, `select ${selects.join(', ')} from silver.${table}`);
  return pairs
    .map((pair, index) => ({ ...pair, r: Number(row![index] ?? Number.NaN) }))
    .filter(({ r }) => Math.abs(r) >= CORRELATION_MIN)
    .sort((x, y) => Math.abs(y.r) - Math.abs(x.r));
}

async function rowsOf(engine: SqlEngine, sql: string): Promise<SqlValue[][]> {
  return (await engine.query(sql)).rows;
}

/** Some columns have the name of a word of SQL (`key`, `position`). */
function quoted(name: string): string {
  return `"${name}"`;
}

function textOf(value: SqlValue): string | null {
  return value === null ? null : String(value);
}

/** `2026-12-01` of `2026-11-01`. */
function monthAfter(month: string): string {
  const [year, number] = month.split('-').map(Number) as [number, number];
  return new Date(Date.UTC(year, number, 1)).toISOString().slice(0, 10);
}

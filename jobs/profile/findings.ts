import { count } from '../base/words.ts';
import type { ColumnProfile, TableProfile } from './measure.ts';

/** Something in a table that a reader should know, and what the pipeline does about it. */
export interface Finding {
  table: string;
  /** Undefined where it is about whole rows. */
  column?: string;
  /** What was seen, with its number. */
  seen: string;
  /** What the pipeline does about it. */
  done: string;
}

/** A value is far out where it lies this many times the middle half's width beyond the middle half. */
const FAR_OUT = 3;
/** A share of nulls from which on a column is mostly empty. */
const MOSTLY = 0.5;

/** What stands out in a table. In the order of its columns; of whole rows first. */
export function findingsOf(profile: TableProfile): Finding[] {
  const { table, rows } = profile;
  if (rows === 0) return [];
  return [...ofRows(profile), ...profile.columns.flatMap((column) => ofColumn(column, rows))].map((finding) => ({
    table,
    ...finding,
  }));
}

type FindingOfTable = Omit<Finding, 'table'>;

function ofRows({ duplicates, checks }: TableProfile): FindingOfTable[] {
  return [
    ...(duplicates > 0
      ? [
          {
            seen: `${count(duplicates, 'row')} with the key of another row`,
            done: '`check` fails, and nothing is promoted',
          },
        ]
      : []),
    ...checks
      .filter((check) => check.rows > 0)
      .map(({ name, expression, severity, rows }) => ({
        seen: `${count(rows, 'row')} of which ${expression} does not hold (check ${name})`,
        done: severity === 'fail' ? '`check` fails, and nothing is promoted' : '`check` warns; the rows stay',
      })),
  ];
}

function ofColumn(column: ColumnProfile, rows: number): FindingOfTable[] {
  const { name, filled, distinct } = column;
  const nulls = rows - filled;
  if (filled === 0)
    return [
      { column: name, seen: 'no row has a value', done: 'the column stays null: no source that was loaded tells it' },
    ];
  const findings: FindingOfTable[] = [];
  if (nulls / rows >= MOSTLY)
    findings.push({
      column: name,
      seen: `${percent(nulls, rows)} of the rows have no value`,
      done: 'it stays null and is never guessed; numbers that need it are of the rows that have it',
    });
  if (distinct === 1 && rows > 1)
    findings.push({ column: name, seen: 'every value is the same', done: 'kept as it is' });
  const far = farOut(column);
  if (far !== undefined)
    findings.push({
      column: name,
      seen: far,
      done: 'kept as the source gave it; what is beyond the bounds of a reading is refused into `silver.quarantine`',
    });
  return findings;
}

/** Whether the extremes lie far beyond the middle half of the numbers. */
function farOut({ type, quantiles, least, greatest, unit }: ColumnProfile): string | undefined {
  if (quantiles === null || type === 'date' || type === 'timestamp') return undefined;
  const [low, high] = [Number(quantiles.p25), Number(quantiles.p75)];
  const width = high - low;
  if (width === 0) return undefined;
  const suffix = unit === undefined ? '' : ` ${unit}`;
  const ends = [
    ...(Number(greatest) > high + FAR_OUT * width ? [`up to ${Number(greatest).toLocaleString('en')}${suffix}`] : []),
    ...(Number(least) < low - FAR_OUT * width ? [`down to ${Number(least).toLocaleString('en')}${suffix}`] : []),
  ];
  if (ends.length === 0) return undefined;
  return `values ${ends.join(' and ')}, where half of them lie from ${low.toLocaleString('en')} to ${high.toLocaleString('en')}${suffix}`;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

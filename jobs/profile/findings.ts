import { count } from '../base/words.ts';
import type { ColumnProfile, TableProfile } from './measure.ts';

/** Something in a table that a reader should know, and what the pipeline does about it. */
export interface Finding {
  table: string;
  /** Its column, or several with commas between them; undefined where it is about whole rows. */
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

/** What stands out in a table: rows first, then numbers that are far out, then columns that say little. */
export function findingsOf(profile: TableProfile): Finding[] {
  const { table, rows, columns } = profile;
  if (rows === 0) return [];
  return [...ofRows(profile), ...columns.flatMap(farOut), ...ofSilence(columns, rows)].map((finding) => ({
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

/** Columns that say nothing, little, or always the same: a finding for each kind, not for each column. */
function ofSilence(columns: readonly ColumnProfile[], rows: number): FindingOfTable[] {
  const empty = columns.filter(({ filled }) => filled === 0);
  const mostlyEmpty = columns.filter(({ filled }) => filled > 0 && (rows - filled) / rows >= MOSTLY);
  const constant = columns.filter(({ filled, distinct }) => filled > 1 && distinct === 1);
  const kinds = [
    {
      columns: empty,
      seen: 'no row has a value',
      done: 'they stay null: no source that was loaded tells them',
    },
    {
      columns: mostlyEmpty,
      seen: 'most rows have no value',
      done: 'they stay null and are never guessed; numbers that need them are of the rows that have one',
    },
    { columns: constant, seen: 'every value is the same', done: 'kept as they are' },
  ];
  return kinds
    .filter((kind) => kind.columns.length > 0)
    .map(({ columns: found, ...kind }) => ({ column: found.map(({ name }) => name).join(', '), ...kind }));
}

/** Numbers whose extremes lie far beyond their middle half. */
function farOut({ name, type, quantiles, least, greatest, unit }: ColumnProfile): FindingOfTable[] {
  if (quantiles === null || type === 'date' || type === 'timestamp') return [];
  const [low, high] = [Number(quantiles.p25), Number(quantiles.p75)];
  const width = high - low;
  if (width === 0) return [];
  const suffix = unit === undefined ? '' : ` ${unit}`;
  const ends = [
    ...(Number(greatest) > high + FAR_OUT * width ? [`up to ${Number(greatest).toLocaleString('en')}${suffix}`] : []),
    ...(Number(least) < low - FAR_OUT * width ? [`down to ${Number(least).toLocaleString('en')}${suffix}`] : []),
  ];
  if (ends.length === 0) return [];
  const middle = `half of them lie from ${low.toLocaleString('en')} to ${high.toLocaleString('en')}${suffix}`;
  return [
    {
      column: name,
      seen: `values ${ends.join(' and ')}, where ${middle}`,
      done: 'kept as the source gave it; what is beyond the bounds of a reading is refused into `silver.quarantine`',
    },
  ];
}

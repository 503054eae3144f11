import { DAY_MS } from '../base/time.ts';

/**
 * The months (`YYYY-MM`, ascending) of the dates (`YYYY-MM-DD`) and of the days before and after them: a
 * correction of times may move a play that far.
 */
export function monthsAround(days: Iterable<string>): string[] {
  const months = new Set<string>();
  for (const day of days) {
    const ms = Date.parse(`${day}T00:00:00Z`);
    for (const near of [ms - DAY_MS, ms, ms + DAY_MS]) months.add(new Date(near).toISOString().slice(0, 7));
  }
  return [...months].sort();
}

/**
 * SQL of the instant (`timestamp`, UTC) that a text column says, null where it says none. It reads what
 * `parse_instant` of silver reads: ISO with or without a zone, `YYYY-MM-DD HH:MM` (both UTC unless they say
 * otherwise), and an epoch number.
 */
export function instantSql(column: string): string {
  const zoned = `try_cast(${column} as timestamptz)::timestamp`;
  return `coalesce(${zoned}, try_cast(rtrim(${column}, 'Z') as timestamp), ${epochSql(column)})`;
}

/**
 * SQL of the instant that a number of seconds, milliseconds or microseconds since 1970 says. The unit is told
 * by the size, as `instant_of_epoch` of silver does; zero and negative numbers are no time.
 */
export function epochSql(column: string): string {
  const number = `try_cast(${column} as bigint)`;
  return `case when ${number} between 1 and 99999999999 then epoch_ms(${number} * 1000)
    when ${number} between 100000000000 and 99999999999999 then epoch_ms(${number})
    when ${number} between 100000000000000 and 99999999999999999 then make_timestamp(${number}) end`;
}

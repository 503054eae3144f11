import { JobError } from '../../base/errors.ts';
import { type CsvEncoding, type CsvHeader, readCsv } from '../../formats/csv.ts';

/** More than anybody travels; all of them are compared with each other. */
const ROWS_MAX = 10_000;
/** A name of the IANA database. An offset (`+02:00`) is none: clocks change. */
const ZONE_NAME = /^(UTC|[A-Za-z]+(\/[A-Za-z0-9_+-]+)+)$/;

/** Half-open dates; `to` undefined is open. `row` is 1-based, the header not counted. */
interface Journey {
  row: number;
  from: string;
  to: string | undefined;
  zone: string;
}

/**
 * The rows of a person's table of time zones, in the columns of bronze.time_zones_csv. The whole table is
 * checked before its first row is given.
 *
 * @throws `time_zone_unknown`, `time_zone_date_invalid`, `time_zone_dates_reversed`, `time_zones_overlap`,
 *   `time_zones_too_many`, and what `readCsv` throws (65), with the row
 */
export async function* journeysOf(
  path: string,
  encoding: CsvEncoding,
  header: CsvHeader,
): AsyncGenerator<Record<string, string>> {
  const journeys: Journey[] = [];
  for await (const record of readCsv(path, encoding, header)) {
    const row = journeys.length + 1;
    if (row > ROWS_MAX) throw refused('time_zones_too_many', `more than ${ROWS_MAX} rows`, 'give one table', row);
    journeys.push(journeyOf(record, row));
  }
  refuseOverlap(journeys);
  for (const { from, to, zone } of journeys)
    yield { valid_from: from, ...(to !== undefined && { valid_to: to }), time_zone: zone };
}

function journeyOf(record: Readonly<Record<string, string>>, row: number): Journey {
  const [from = '', to = '', zone = ''] = ['from', 'to', 'time_zone'].map((name) => record[name]?.trim());
  for (const [name, date] of Object.entries({ from, ...(to !== '' && { to }) })) {
    if (isDate(date)) continue;
    const what = `${name} is ${shown(date)}, not a date from 1900 to 2100 like 2025-03-10`;
    throw refused('time_zone_date_invalid', what, 'write dates as YYYY-MM-DD; only `to` may be empty', row);
  }
  if (!isZone(zone)) {
    const what = `${shown(zone)} is not a time zone of the IANA database`;
    throw refused('time_zone_unknown', what, 'write it like Europe/Berlin', row);
  }
  if (to !== '' && from >= to) {
    const what = `from ${from} is not before to ${to}, which is the first day after`;
    throw refused('time_zone_dates_reversed', what, 'exchange them, or take the row out', row);
  }
  return { row, from, to: to === '' ? undefined : to, zone };
}

/** In the order of their starts each one ends before the next begins. */
function refuseOverlap(journeys: readonly Journey[]): void {
  const sorted = journeys.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : a.row - b.row));
  for (const [index, next] of sorted.entries()) {
    const before = sorted[index - 1];
    if (before === undefined || (before.to !== undefined && before.to <= next.from)) continue;
    const what = `rows ${before.row} and ${next.row} overlap: both say where the clock was on ${next.from}`;
    throw refused('time_zones_overlap', what, 'let one end where the next begins', next.row);
  }
}

function isDate(text: string): boolean {
  if (!/^(19|20)\d{2}-\d{2}-\d{2}$/.test(text)) return false;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 10) === text;
}

function isZone(name: string): boolean {
  if (!ZONE_NAME.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function shown(text: string): string {
  return text === '' ? 'nothing' : JSON.stringify(text.slice(0, 40));
}

function refused(code: string, what: string, hint: string, row: number): JobError {
  return new JobError(code, 'data', what, { hint, place: { row } });
}

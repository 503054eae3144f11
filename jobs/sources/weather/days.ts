import { JobError } from '../../base/errors.ts';
import { type CsvEncoding, type CsvHeader, malformedCsv, readCsvTables } from '../../formats/csv.ts';

/** What is read of a day: column of bronze to the variable of Open-Meteo and the units that it may have. */
const MEASURES = [
  { column: 'temperature', variable: 'temperature_2m_mean', units: ['°C', '°F'] },
  { column: 'precipitation', variable: 'precipitation_sum', units: ['mm', 'inch'] },
  { column: 'sunshine', variable: 'sunshine_duration', units: ['s'] },
  { column: 'weather_code', variable: 'weather_code', units: ['wmo code'] },
] as const;
/** At least one of these makes a table of weather. */
const NEEDED = MEASURES.slice(0, 3).map(({ variable }) => variable);
/** One answer of Open-Meteo has up to 1,000 places. */
const PLACES_MAX = 1_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const AGAIN = 'download it again with daily variables, and with ISO 8601 as its time format';

type Day = Record<string, string>;

/** A table of the file: what to take of each row; undefined for one that is not of days. */
interface Table {
  names: readonly string[];
  takes: readonly { key: string; index: number }[] | undefined;
  /** Columns that are the same for all rows. */
  units: Day;
}

/**
 * The days of a CSV file of Open-Meteo, in the columns of bronze.weather_csv, as given.
 *
 * Such a file is several tables below one another, parted by empty lines: the places, then those of the
 * current weather, of hours and of days, as far as they were asked for. The header of each has the time, and
 * the unit of a column behind its name. Several places have a number in the column `location_id` of all
 * tables. Only the table of days is read (https://open-meteo.com/en/docs/historical-weather-api).
 *
 * @throws `weather_not_daily`, `weather_measure_missing`, `weather_unit_unknown`, `weather_zone_missing`,
 *   `weather_place_unknown`, `weather_too_many_places`, `csv_malformed` (65)
 */
export async function* daysOf(path: string, encoding: CsvEncoding, { delimiter }: CsvHeader): AsyncGenerator<Day> {
  const places = new Map<string, Day>();
  let placeNames: readonly string[] | undefined;
  let header: readonly string[] | undefined;
  let table: Table | undefined;
  let days = 0;
  for await (const { cells, row } of readCsvTables(path, encoding, delimiter)) {
    if (placeNames === undefined) placeNames = cells;
    else if (isHeader(cells)) [header, table] = [cells, undefined];
    else if (header === undefined) addPlace(places, placeNames, cells);
    else {
      table ??= tableOf(header, cells);
      if (table.takes === undefined) continue;
      const fields = Math.min(cells.length, Math.max(table.names.length, withoutEmptyEnd(cells).length));
      if (fields !== table.names.length) throw malformedCsv(fields, table.names.length, row);
      days += 1;
      const place = places.get(cellOf(table.names, cells, 'location_id') ?? '');
      if (place === undefined) throw placeUnknown(row);
      const own = table.takes.flatMap(({ key, index }) => (cells[index] === '' ? [] : [[key, cells[index]]]));
      yield { ...place, ...table.units, ...Object.fromEntries(own) };
    }
  }
  if (days > 0) return;
  throw new JobError('weather_not_daily', 'data', 'weather without a table of days (dates like 2025-01-31)', {
    hint: AGAIN,
  });
}

/** The header of every table but the first has the time as its first column, or behind that of the place. */
function isHeader(cells: readonly string[]): boolean {
  return cells.slice(0, 2).some((cell) => /^(\w+_)?time$/.test(cell.trim()));
}

function cellOf(names: readonly string[], cells: readonly string[], name: string): string | undefined {
  return cells[names.findIndex((each) => each.trim().toLowerCase() === name)]?.trim();
}

function addPlace(places: Map<string, Day>, names: readonly string[], cells: readonly string[]): void {
  const value = (name: string): string => cellOf(names, cells, name) ?? '';
  const zone = value('timezone');
  if (['', 'GMT', 'UTC', 'Etc/UTC', 'Etc/GMT'].includes(zone)) {
    throw new JobError('weather_zone_missing', 'data', 'its days are those of UTC and not of the place', {
      hint: 'download it again with the time zone of the place (timezone=auto)',
    });
  }
  if (places.size >= PLACES_MAX) {
    throw new JobError('weather_too_many_places', 'data', `weather of more than ${PLACES_MAX} places`, {
      hint: 'download the places that you listen at',
    });
  }
  places.set(value('location_id'), {
    latitude: value('latitude'),
    longitude: value('longitude'),
    time_zone: zone,
  });
}

/** What a table is, by its header and the time in its first row. */
function tableOf(header: readonly string[], first: readonly string[]): Table {
  const names = withoutEmptyEnd(header);
  const columns = names.map((name) => {
    const [, variable = '', unit = ''] = /^([^(]*)(?:\((.*)\))?\s*$/.exec(name.trim()) ?? [];
    return { name: name.trim(), variable: variable.trim(), unit: unit.trim() };
  });
  const timeAt = columns.findIndex(({ variable }) => variable === 'time');
  if (!DATE.test(first[timeAt] ?? '')) return { names, takes: undefined, units: {} };
  const known = MEASURES.flatMap((measure) => {
    const index = columns.findIndex(({ variable }) => variable === measure.variable);
    return index < 0 ? [] : [{ ...measure, index, unit: knownUnit(measure, columns[index]!.unit) }];
  });
  if (!known.some(({ variable }) => NEEDED.includes(variable as (typeof NEEDED)[number]))) {
    throw new JobError('weather_measure_missing', 'data', `days with none of the columns ${NEEDED.join(', ')}`, {
      hint: 'download it again with one of these daily variables or more',
    });
  }
  const indexes = new Set([timeAt, ...known.map(({ index }) => index)]);
  const others = columns.flatMap(({ name, variable }, index) =>
    indexes.has(index) || variable === 'location_id' ? [] : [{ key: name, index }],
  );
  return {
    names,
    takes: [{ key: 'date', index: timeAt }, ...known.map(({ column, index }) => ({ key: column, index })), ...others],
    units: Object.fromEntries(
      known.flatMap(({ column, unit, units }) => (units.length > 1 ? [[`${column}_unit`, unit]] : [])),
    ),
  };
}

/** @throws `weather_unit_unknown` (65): a number in another unit would be a wrong one */
function knownUnit({ variable, units }: (typeof MEASURES)[number], unit: string): string {
  if ((units as readonly string[]).includes(unit)) return unit;
  const given = unit === '' ? 'has no unit' : `is in ${JSON.stringify(unit.slice(0, 20))}`;
  throw new JobError('weather_unit_unknown', 'data', `${variable} ${given}, not in ${units.join(' or ')}`, {
    hint: 'download it again in one of these units, and leave its header as it is',
  });
}

/** Spreadsheets give all rows as many cells as the longest one has. */
function withoutEmptyEnd(cells: readonly string[]): readonly string[] {
  return cells.slice(0, cells.findLastIndex((cell) => cell.trim() !== '') + 1);
}

function placeUnknown(row: number): JobError {
  return new JobError('weather_place_unknown', 'data', 'a day of a place that the head of the file does not have', {
    hint: AGAIN,
    place: { row },
  });
}

/** Weather of Open-Meteo: what its files may be, what becomes of them, and what is refused. */
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture, outcome } from '../bronze/load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const HEAD = 'latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation';
const BERLIN = '52.548331,13.407822,38.0,3600,Europe/Berlin,GMT+1';
const COLUMNS =
  'temperature_2m_mean (°C),precipitation_sum (mm),sunshine_duration (s),weather_code (wmo code),wind_speed_10m_max (km/h)';

const file = (columns: string, rows: readonly string[], place = BERLIN): string =>
  `${HEAD}\n${place}\n\ntime,${columns}\n${rows.map((row) => `${row}\n`).join('')}`;

/** Silver's rows, after everything that was given is loaded. */
async function days(
  columns = 'place, time_zone, weather_date, temperature_c, precipitation_mm, sunshine_s, weather_code',
) {
  await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  const names = columns.split(', ').map((name) => (name === 'weather_date' ? `cast(${name} as varchar)` : name));
  return lake.query(`select ${names.join(', ')} from silver.weather_days order by place, time_zone, weather_date`);
}

test('a day that the file leaves out, or has no number for, is not 0', async () => {
  await lake.give({
    'open-meteo-52.55N13.41E38m.csv': file(COLUMNS, [
      '2025-01-01,-1.25,0.00,25200.4,3,20.5',
      '2025-01-02,NaN,,,,',
      '2025-01-04,3.1,NaN,0.00,61,12.0',
    ]),
  });
  const loaded = await lake.load();
  expect(outcome(loaded, 'open-meteo-52.55N13.41E38m.csv')).toMatchObject({
    status: 'loaded',
    kind: 'weather',
    rows: 3,
  });
  expect(await days()).toEqual([
    ['52.55,13.41', 'Europe/Berlin', '2025-01-01', -1.25, 0, 25200, 3],
    ['52.55,13.41', 'Europe/Berlin', '2025-01-02', null, null, null, null],
    ['52.55,13.41', 'Europe/Berlin', '2025-01-04', 3.1, null, 0, 61],
  ]);
  const [[latitude, zone, temperature, unit, extra]] = (await lake.query(
    `select latitude, time_zone, temperature, temperature_unit, extra from bronze.weather_csv where row_number = 1`,
  )) as [string[]];
  expect([latitude, zone, temperature, unit]).toEqual(['52.548331', 'Europe/Berlin', '-1.25', '°C']);
  expect(JSON.parse(extra!)).toEqual({ 'wind_speed_10m_max (km/h)': '20.5' });
  expect((await lake.index()).map(({ userId, periods }) => [userId, periods])).toEqual([
    [null, ['2024-12', '2025-01']],
  ]);
});

test('°F and inch are converted, spreadsheets and several tables and places are read', async () => {
  await lake.give({
    'american.csv': file(
      'temperature_2m_mean (°F),precipitation_sum (inch)',
      ['2025-01-01,32.0,1.000', '2025-01-02,-40.0,0.004'],
      '40.71,-74.006,32.0,-18000,America/New_York,GMT-5',
    ),
    // Saved again: semicolons, decimal commas, as many cells in each row as the longest has.
    'spreadsheet.csv': [
      '\ufefflatitude;longitude;elevation;utc_offset_seconds;timezone;timezone_abbreviation',
      '48,85;2,35;30;3600;Europe/Paris;GMT+1',
      ';;;;;',
      'time;temperature_2m_mean (°C);sunshine_duration (s);;;',
      '2025-01-01;7,5;3600;;;',
    ].join('\r\n'),
    // The hours come before the days, and the places have numbers.
    'two-places.csv': [
      `location_id,${HEAD}`,
      `0,50.45,30.52,170,7200,Europe/Kyiv,GMT+2`,
      `1,19.08,72.88,10,19800,Asia/Kolkata,GMT+5:30`,
      '',
      'location_id,time,sunshine_duration (s)',
      '0,2025-01-01T00:00,0.0',
      '',
      'location_id,time,precipitation_sum (mm)',
      '0,2025-01-01,0.5',
      '1,2025-01-01,12.25',
    ].join('\n'),
  });
  expect((await lake.load()).exit).toBe('ok');
  const found = await days('place, time_zone, temperature_c, precipitation_mm, sunshine_s');
  expect(found).toEqual([
    ['19.08,72.88', 'Asia/Kolkata', null, 12.25, null],
    ['40.71,-74.01', 'America/New_York', 0, 25.4, null],
    ['40.71,-74.01', 'America/New_York', -40, 0.1, null],
    ['48.85,2.35', 'Europe/Paris', 7.5, null, 3600],
    ['50.45,30.52', 'Europe/Kiev', null, 0.5, null],
  ]);
});

test('files of one place complete each other: of one value that counts which reaches furthest', async () => {
  await lake.give({
    'first.csv': file('temperature_2m_mean (°C)', ['2025-01-01,1.0', '2025-01-02,2.0']),
    'sun.csv': file('sunshine_duration (s)', ['2025-01-01,60']),
  });
  await lake.load();
  const columns = 'weather_date, temperature_c, sunshine_s';
  expect(await days(columns)).toEqual([
    ['2025-01-01', 1, 60],
    ['2025-01-02', 2, null],
  ]);
  const later = {
    'later.csv': file('temperature_2m_mean (°C)', ['2025-01-01,NaN', '2025-01-02,2.5', '2025-01-03,3.0']),
  };
  await lake.load([`${await lake.give(later)}/later.csv`]);
  const { accounts } = await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  expect(accounts).toEqual({ read: 3, new: 1, duplicate: 2, quarantined: 0 });
  expect(await days(columns)).toEqual([
    ['2025-01-01', 1, 60],
    ['2025-01-02', 2.5, null],
    ['2025-01-03', 3, null],
  ]);
});

test('rows that say what cannot be are in quarantine, the others are read', async () => {
  await lake.give({
    'rows.csv': file(COLUMNS, [
      '2025-01-01,warm,0.0,0,3,1',
      '2025-01-02,400,0.0,0,3,1',
      '2025-01-03,4.0,-1.0,0,3,1',
      '2025-01-04,4.0,0.0,100000,3,1',
      '2025-02-30,4.0,0.0,0,3,1',
      '2025-01-05,4.0,0.0,0,rain,1',
      '2025-01-06,4.0,0.0,0,3,1',
    ]),
    'nowhere.csv': file('temperature_2m_mean (°C)', ['2025-01-01,1.0'], '95.0,13.4,38.0,3600,Europe/Berlin,GMT+1'),
  });
  await lake.load();
  expect(await days('weather_date')).toEqual([['2025-01-06']]);
  expect(await lake.query(`select code, reason from silver.quarantine order by reason`)).toEqual([
    ['time_invalid', 'not a date: "2025-02-30"'],
    ['place_invalid', 'not a latitude and a longitude: "95.0,13.4"'],
    ['value_invalid', 'not understood: precipitation "-1.0"'],
    ['value_invalid', 'not understood: sunshine "100000"'],
    ['value_invalid', 'not understood: temperature "400"'],
    ['value_invalid', 'not understood: temperature "warm"'],
    ['value_invalid', 'not understood: weather code "rain"'],
  ]);
});

test('a file that cannot be understood is refused whole, with what to do', async () => {
  const one = '2025-01-01,1.0';
  const REFUSED: Record<string, [content: string, code: string, reason: RegExp]> = {
    'kelvin.csv': [
      file('temperature_2m_mean (K)', [one]),
      'weather_unit_unknown',
      /^temperature_2m_mean is in "K", not in °C or °F/,
    ],
    'no-unit.csv': [
      file('precipitation_sum', [one]),
      'weather_unit_unknown',
      /precipitation_sum has no unit, not in mm/,
    ],
    'hours.csv': [
      file('temperature_2m (°C)', ['2025-01-01T00:00,1.0']),
      'weather_not_daily',
      /without a table of days.*download it again with daily variables/,
    ],
    'seconds.csv': [file('temperature_2m_mean (°C)', ['1735689600,1.0']), 'weather_not_daily', /ISO 8601/],
    'head-only.csv': [`${HEAD}\n${BERLIN}\n`, 'weather_not_daily', /without a table of days/],
    'wind.csv': [
      file('wind_speed_10m_max (km/h)', [one]),
      'weather_measure_missing',
      /none of the columns temperature/,
    ],
    'gmt.csv': [
      file('temperature_2m_mean (°C)', [one], '52.55,13.41,38.0,0,GMT,GMT'),
      'weather_zone_missing',
      /days are those of UTC.*timezone=auto/,
    ],
    'cut.csv': [
      file('temperature_2m_mean (°C)', [one, '2025-01-02']),
      'csv_malformed',
      /1 fields where the header has 2/,
    ],
    'long.csv': [file('temperature_2m_mean (°C)', [`${one},2`]), 'csv_malformed', /3 fields where the header has 2/],
    'quotes.csv': [file('temperature_2m_mean (°C)', [one, '"2025-01-02']), 'csv_malformed', /not a whole CSV file/],
    'stranger.csv': [
      `location_id,${HEAD}\n0,${BERLIN}\n\nlocation_id,time,precipitation_sum (mm)\n7,2025-01-01,1\n`,
      'weather_place_unknown',
      /a place that the head of the file does not have/,
    ],
    'world.csv': [
      `location_id,${HEAD}\n${Array.from({ length: 1001 }, (_, id) => `${id},${BERLIN}\n`).join('')}`,
      'weather_too_many_places',
      /more than 1000 places/,
    ],
  };
  await lake.give(Object.fromEntries(Object.entries(REFUSED).map(([name, [content]]) => [name, content])));
  const loaded = await lake.load();
  expect(loaded.exit).toBe('data');
  for (const [name, [, code, reason]] of Object.entries(REFUSED)) {
    const line = outcome(loaded, name);
    expect([name, line.status, line.code]).toEqual([name, 'refused', code]);
    expect(line.reason).toMatch(reason);
    expect(line.reason).not.toContain('\n');
  }
  expect(await days()).toEqual([]);
  expect(await lake.query('select count(*) from silver.quarantine')).toEqual([[BigInt(Object.keys(REFUSED).length)]]);
});

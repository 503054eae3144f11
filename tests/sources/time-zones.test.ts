/**
 * A person's own table of time zones: what it may say, what takes its place, and that it goes with the
 * person.
 */
import { forget } from '../../jobs/forget.ts';
import { load } from '../../jobs/load.ts';
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture, outcome } from '../bronze/load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const file = (...rows: string[]): string => `from,to,time_zone\n${rows.map((row) => `${row}\n`).join('')}`;

async function loadOne(name: string, text: string): Promise<ReturnType<typeof outcome>> {
  return outcome(await lake.load([`${await lake.give({ [name]: text })}/${name}`]), name);
}

async function zones(): Promise<unknown[][]> {
  await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  return lake.query(
    `select user_id, cast(valid_from as varchar), cast(valid_to as varchar), time_zone
     from silver.time_zones order by user_id, valid_from`,
  );
}

test('rows may come in any order and spelling, and last until further notice', async () => {
  const text =
    'City;To;From;Time Zone\r\nPerth;;2025-10-01;Australia/Perth\r\nKyiv;2025-10-01;2024-02-29;Europe/Kyiv\r\n';
  expect(await loadOne('time_zones.csv', text)).toMatchObject({ status: 'loaded', kind: 'time_zones', rows: 2 });
  expect(await zones()).toEqual([
    ['me', '2024-02-29', '2025-10-01', 'Europe/Kiev'],
    ['me', '2025-10-01', null, 'Australia/Perth'],
  ]);
  expect(await lake.query('select distinct extra from bronze.time_zones_csv')).toEqual([[null]]);
});

test('the newest file of a person takes the place of the one before; a header alone takes all back', async () => {
  await loadOne('first.csv', file('2024-01-01,2024-02-01,Asia/Tokyo', '2024-03-01,2024-04-01,Europe/Paris'));
  expect(await zones()).toHaveLength(2);
  await loadOne('second.csv', file('2024-01-01,2024-02-01,Asia/Tokyo', '2024-03-01,2024-05-01,Europe/Paris'));
  const { accounts } = await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  expect(accounts).toEqual({ read: 2, new: 1, duplicate: 1, quarantined: 0 });
  expect(await zones()).toEqual([
    ['me', '2024-01-01', '2024-02-01', 'Asia/Tokyo'],
    ['me', '2024-03-01', '2024-05-01', 'Europe/Paris'],
  ]);
  // Of two at once the last by name.
  await lake.load([
    await lake.give({ 'a.csv': file('2020-01-01,,Asia/Tokyo'), 'b.csv': file('2021-01-01,,Asia/Seoul') }),
  ]);
  expect(await zones()).toEqual([['me', '2021-01-01', null, 'Asia/Seoul']]);
  expect(await loadOne('none.csv', file())).toMatchObject({ status: 'loaded', rows: 0 });
  expect(await zones()).toEqual([]);
  await transform({ runId: 'test', loadedOn: '2026-11-21', rebuild: true }, lake.effects);
  expect(await zones()).toEqual([]);
});

test('a table that cannot be true is refused whole, in one line, and what was there stays', async () => {
  await loadOne('good.csv', file('2024-01-01,2024-02-01,Asia/Tokyo'));
  const before = await zones();
  const fine = '2024-01-01,2024-02-01,Asia/Tokyo';
  const REFUSED: Record<string, [content: string, code: string, reason: RegExp]> = {
    'unknown.csv': [
      file(fine, '2024-03-01,,Europe/Berlim'),
      'time_zone_unknown',
      /"Europe\/Berlim" is not a time zone.*Europe\/Berlin/,
    ],
    'offset.csv': [file('2024-03-01,,+02:00'), 'time_zone_unknown', /"\+02:00" is not a time zone/],
    'nothing.csv': [file('2024-03-01,,'), 'time_zone_unknown', /nothing is not a time zone/],
    'overlap.csv': [
      file('2024-03-01,2024-03-10,Europe/Paris', fine, '2024-03-09,2024-03-12,Europe/Rome'),
      'time_zones_overlap',
      /rows 1 and 3 overlap: both say where the clock was on 2024-03-09/,
    ],
    'open.csv': [file('2024-01-01,,Europe/Paris', '2025-01-01,,Europe/Rome'), 'time_zones_overlap', /rows 1 and 2/],
    'twice.csv': [file(fine, fine), 'time_zones_overlap', /rows 1 and 2 overlap/],
    'reversed.csv': [
      file('2024-02-01,2024-01-01,Asia/Tokyo'),
      'time_zone_dates_reversed',
      /from 2024-02-01 is not before to 2024-01-01/,
    ],
    'empty-interval.csv': [file('2024-02-01,2024-02-01,Asia/Tokyo'), 'time_zone_dates_reversed', /is not before to/],
    'date.csv': [file('03/10/2025,,Asia/Tokyo'), 'time_zone_date_invalid', /from is "03\/10\/2025", not a date/],
    'no-day.csv': [file('2025-01-01,2025-02-29,Asia/Tokyo'), 'time_zone_date_invalid', /to is "2025-02-29"/],
    'no-start.csv': [file(',2025-02-01,Asia/Tokyo'), 'time_zone_date_invalid', /from is nothing/],
    'whose.csv': [
      'from,to,time_zone,user\n2024-01-01,,Asia/Tokyo,bob\n',
      'kind_unknown',
      /its column user gives its rows another meaning/,
    ],
  };
  await lake.give(Object.fromEntries(Object.entries(REFUSED).map(([name, [content]]) => [`bad/${name}`, content])));
  const loaded = await lake.load([`${lake.source}/bad`]);
  expect(loaded.exit).toBe('data');
  for (const [name, [, code, reason]] of Object.entries(REFUSED)) {
    const line = outcome(loaded, name);
    expect([name, line.status, line.code]).toEqual([name, 'refused', code]);
    expect(line.reason).toMatch(reason);
    expect(line.reason).not.toContain('\n');
  }
  expect(await zones()).toEqual(before);
});

test('a person takes their table along; the weather of a place stays', async () => {
  await loadOne('mine.csv', file('2024-01-01,2024-02-01,Asia/Tokyo'));
  await lake.give({
    'anna/theirs.csv': file('2024-01-01,,Europe/Rome'),
    'anna/weather.csv':
      'latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation\n41.9,12.5,20,3600,Europe/Rome,GMT+1\n\ntime,precipitation_sum (mm)\n2024-01-01,1.5\n',
  });
  const paths = [`${lake.source}/anna`];
  await load({ runId: 'anna', paths, userId: 'anna', keepLanding: false }, lake.effects);
  expect((await zones()).map(([user]) => user)).toEqual(['anna', 'me']);
  const confirm = async (): Promise<boolean> => true;
  const input = { runId: 'forget', userId: 'anna', dryRun: false, unloaded: 'stop', confirm } as const;
  expect(await forget(input, lake.effects)).toMatchObject({ status: 'forgotten' });
  expect(await zones()).toEqual([['me', '2024-01-01', '2024-02-01', 'Asia/Tokyo']]);
  expect(await lake.query('select place, precipitation_mm from silver.weather_days')).toEqual([['41.90,12.50', 1.5]]);
});

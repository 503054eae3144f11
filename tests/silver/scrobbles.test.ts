import fc from 'fast-check';
import { pairOff } from '../../jobs/silver/tables/play-pairs.ts';
import {
  account,
  extended,
  listens,
  makeTestLake,
  pages,
  playedItem,
  scrobbles,
  type TestFile,
  type TestLake,
} from './transform-lake.ts';

const MBID = '0a1b2c3d-0000-4000-8000-00000000000f';
const LIVE = { track: 'Blue Door - Live' };
const LINK = 'https://open.spotify.com/track/0000000000000000000001?si=x';

type Files = (at: (time: string) => string) => TestFile[];

const item = (at: string, given?: Record<string, unknown>): TestFile =>
  pages({ kind: 'recently_played', body: { items: [playedItem(at, given)] } });
/** Another song until ten seconds before ten, then a play from ten to three past ten. */
const play = (at: (time: string) => string, previous = '09:59:50Z'): TestFile =>
  extended(
    { ts: at(previous), spotify_track_uri: 'spotify:track:x', master_metadata_track_name: 'Before' },
    { ts: at('10:03:00Z') },
  );
const repeated = (at: (time: string) => string, make: typeof scrobbles | typeof listens): TestFile =>
  make([at('10:00:00Z')], [at('10:03:00Z')], [at('10:06:00Z')]);
/** An exporter's time without seconds. */
const minute = (time: string): string => time.slice(0, 16).replace('T', ' ');

/**
 * What several sources tell on a day of its own, and its plays in the order of their ends: source and
 * number of rows.
 */
const DAYS: Record<string, [files: Files, plays: string[]]> = {
  'at its start': [(at) => [play(at), scrobbles([at('10:00:00Z')])], ['export_extended 1', 'export_extended 2']],
  'in a pause before it': [
    (at) => [play(at), scrobbles([at('09:59:48Z')])],
    ['export_extended 1', 'export_extended 2'],
  ],
  'before the end of the play before': [
    (at) => [play(at), scrobbles([at('09:59:47Z')])],
    ['lastfm 1', 'export_extended 1', 'export_extended 1'],
  ],
  'in the middle of it': [(at) => [play(at), scrobbles([at('10:01:40Z')])], ['export_extended 1', 'export_extended 2']],
  'at its end': [(at) => [play(at), scrobbles([at('10:03:02Z')])], ['export_extended 1', 'export_extended 2']],
  'after it': [
    (at) => [play(at), scrobbles([at('10:03:03Z')])],
    ['export_extended 1', 'export_extended 1', 'lastfm 1'],
  ],
  'in a crossfade with the play before': [
    (at) => [play(at, '10:00:09Z'), scrobbles([at('10:00:00Z')])],
    ['export_extended 1', 'export_extended 2'],
  ],
  'another song': [
    (at) => [play(at), scrobbles([at('10:00:00Z'), LIVE])],
    ['export_extended 1', 'lastfm 1', 'export_extended 1'],
  ],
  'another person': [
    (at) => [play(at), { ...scrobbles([at('10:00:00Z')]), userId: 'you' }],
    ['export_extended 1', 'lastfm 1', 'export_extended 1'],
  ],
  'the name in another form': [
    (at) => [play(at), scrobbles([at('10:00:00Z'), { track: 'BLUE  door', artist: 'the example' }])],
    ['export_extended 1', 'export_extended 2'],
  ],
  'the URI and another name': [
    (at) => [play(at), listens([at('10:00:00Z'), { spotify_id: LINK, track_name: 'Blue Door (2024)' }])],
    ['export_extended 1', 'export_extended 2'],
  ],
  'account data': [
    (at) => [
      account({ end_time: minute(at('10:03:00Z')), artist_name: 'The Example', track_name: 'Blue Door' }),
      scrobbles([at('10:00:30Z')]),
    ],
    ['export_account 2'],
  ],
  'an item of the end': [(at) => [item(at('10:03:00.123Z')), scrobbles([at('10:00:00Z')])], ['api 2']],
  'an item of the start': [(at) => [item(at('10:00:00.123Z')), scrobbles([at('10:00:00Z')])], ['api 2']],
  'scrobble and listen': [(at) => [scrobbles([at('10:00:00Z')]), listens([at('10:00:01Z')])], ['listenbrainz 2']],
  'scrobble, listen and item': [
    (at) => [scrobbles([at('10:00:00Z')]), listens([at('10:00:01Z')]), item(at('10:03:00.123Z'))],
    ['api 3'],
  ],
  'all four': [
    (at) => [scrobbles([at('10:00:00Z')]), listens([at('10:00:01Z')]), item(at('10:03:00.123Z')), play(at)],
    ['export_extended 1', 'export_extended 4'],
  ],
  'the item by its URI, and the scrobble by the name of the item': [
    (at) => [play(at), item(at('10:03:00Z'), { name: 'Blue Door - Live' }), scrobbles([at('10:00:00Z'), LIVE])],
    ['export_extended 1', 'export_extended 3'],
  ],
  'a song on repeat, told by both services': [
    (at) => [
      extended(...['10:03', '10:06', '10:09'].map((time) => ({ ts: at(`${time}:00Z`) }))),
      repeated(at, scrobbles),
      repeated(at, listens),
    ],
    ['export_extended 3', 'export_extended 3', 'export_extended 3'],
  ],
  'two scrobbles of one service in one play': [
    (at) => [play(at), scrobbles([at('10:00:00Z')], [at('10:01:00Z')])],
    ['export_extended 1', 'lastfm 1', 'export_extended 2'],
  ],
  'the same scrobble in three files, by name or by MusicBrainz id': [
    (at) => [
      scrobbles([at('10:00:00Z'), { track_mbid: MBID }]),
      scrobbles([at('10:00:00Z')], [at('10:04:00Z')]),
      scrobbles([at('10:00:00Z'), { ...LIVE, track_mbid: MBID }]),
    ],
    ['lastfm 3', 'lastfm 1'],
  ],
  'two seconds apart': [(at) => [scrobbles([at('10:00:00Z')]), scrobbles([at('10:00:02Z')])], ['lastfm 2']],
  'three seconds apart': [
    (at) => [scrobbles([at('10:00:00Z')]), scrobbles([at('10:00:03Z')])],
    ['lastfm 1', 'lastfm 1'],
  ],
  'the minute, and its first second': [
    (at) => [scrobbles([minute(at('10:00:00Z'))]), scrobbles([at('10:00:00Z')])],
    ['lastfm 2'],
  ],
  'the minute, and its last second': [
    (at) => [scrobbles([minute(at('10:00:00Z'))]), scrobbles([at('10:00:59Z')])],
    ['lastfm 2'],
  ],
  'the minute, and the second after it': [
    (at) => [scrobbles([minute(at('10:00:00Z'))]), scrobbles([at('10:01:00Z')])],
    ['lastfm 1', 'lastfm 1'],
  ],
  'the minute in three files, and a play that begins in it': [
    (at) => [
      ...[{}, { album: '' }, { album: null }].map((given) => scrobbles([minute(at('10:00:00Z')), given])),
      extended({ ts: at('10:03:42Z') }),
    ],
    ['export_extended 4'],
  ],
};

const dateOf = (index: number): string => new Date(Date.UTC(2023, 11, 20 + index)).toISOString().slice(0, 10);

/**
 * The first files of all days as one for each kind and person, the second ones as another, ...: few to
 * read.
 */
function filesOf(): TestFile[] {
  const merged = new Map<string, TestFile>();
  for (const [index, [files]] of Object.values(DAYS).entries()) {
    const seen: Record<string, number> = {};
    for (const { periods: _, ...file } of files((time) => `${dateOf(index)}T${time}`)) {
      const kind = `${file.table} ${file.userId ?? 'me'}`;
      seen[kind] = (seen[kind] ?? 0) + 1;
      const [key, rows] = [`${kind} ${seen[kind]}`, file.readRows ?? file.rows.length];
      const other = merged.get(key);
      if (other === undefined) merged.set(key, { ...file, readRows: rows });
      else Object.assign(other, { rows: [...other.rows, ...file.rows], readRows: other.readRows! + rows });
    }
  }
  // Times in Unix seconds: the times are asked of the rows.
  return [...merged.values()].map((file) => (/scrobble|listen/.test(file.table) ? { ...file, periods: [] } : file));
}

async function playsByDay(lake: TestLake): Promise<Record<string, string[]>> {
  const rows = await lake.rows('plays', 'ended_at, source, copies');
  rows.sort((a, b) => (`${a.ended_at} ${a.source}` < `${b.ended_at} ${b.source}` ? -1 : 1));
  const days = Object.keys(DAYS).map((name, index): [string, string[]] => [
    name,
    rows.flatMap(({ ended_at, source, copies }) =>
      String(ended_at).startsWith(dateOf(index)) ? [`${source} ${copies}`] : [],
    ),
  ]);
  return Object.fromEntries(days);
}

let lake: TestLake;
beforeEach(async () => {
  lake = await makeTestLake();
});
afterEach(() => lake.close());

const EXPECTED = Object.fromEntries(Object.entries(DAYS).map(([name, [, plays]]) => [name, plays]));

test('a scrobble is the play of the best source that tells it', async () => {
  const files = filesOf();
  await lake.add(...files);
  const { accounts } = await lake.transform();
  expect(await playsByDay(lake)).toEqual(EXPECTED);
  const rows = files.reduce((sum, file) => sum + file.readRows!, 0);
  const plays = Object.values(EXPECTED).flat().length;
  expect(accounts).toEqual({ read: rows, new: plays, duplicate: rows - plays, quarantined: 0 });
});

test('whatever order the files are loaded in', async () => {
  const files = filesOf();
  const ranks = ['lastfm_scrobbles', 'listenbrainz_listens', 'api_pages', 'export_account', 'export_extended'];
  for (const table of ranks) {
    await lake.add(...files.filter((file) => file.table === table).reverse());
    await lake.transform();
  }
  expect(await playsByDay(lake)).toEqual(EXPECTED);
  const other = await makeTestLake();
  for (const isOdd of [1, 0]) {
    await other.add(...files.filter((_, index) => index % 2 === isOdd));
    await other.transform();
  }
  expect(await other.hashes()).toEqual(await lake.hashes());
  await other.close();
});

test('a play of its own is at its start, of unknown length', async () => {
  await lake.add(scrobbles(['2024-05-01T10:00:00Z', { track_mbid: MBID.toUpperCase() }]));
  await lake.transform();
  expect(await lake.rows('plays')).toMatchObject([
    {
      source: 'lastfm',
      content_type: 'track',
      content_uri: `https://musicbrainz.org/recording/${MBID}`,
      track_id: null,
      track_name: 'Blue Door',
      artist_name: 'The Example',
      album_name: 'Doors',
      started_at: '2024-05-01T10:00:00.000Z',
      ended_at: '2024-05-01T10:00:00.000Z',
      reported_at: '2024-05-01T10:00:00.000Z',
      played_ms: null,
      duration_ms: null,
      time_quality: 'start',
      copies: 1,
    },
  ]);
  // It does not tell that nothing else was heard.
  expect(await lake.rows('export_files')).toEqual([]);
  expect(await lake.rows('capture_polls')).toEqual([]);
});

test('ListenBrainz may say the Spotify track and its length; of several artists the first one counts', async () => {
  const rest = { artist_name: 'The Example', track_id: null };
  await lake.add(
    listens(
      [
        '2024-05-01T10:00:00Z',
        { spotify_id: LINK, duration: 181, artist_name: 'The Example, Cat', first_artist_name: 'The Example' },
      ],
      ['2024-05-01T11:00:00Z', { recording_mbid: MBID, duration_ms: '0' }],
      ['2024-05-01T12:00:00Z', { recording_mbid: 'no id', duration_ms: 200_000.4 }],
    ),
  );
  await lake.transform();
  expect(await lake.rows('plays', 'content_uri, track_id, artist_name, duration_ms')).toEqual([
    {
      ...rest,
      content_uri: 'spotify:track:0000000000000000000001',
      track_id: '0000000000000000000001',
      duration_ms: 181_000,
    },
    { ...rest, content_uri: `https://musicbrainz.org/recording/${MBID}`, duration_ms: null },
    { ...rest, content_uri: null, duration_ms: 200_000 },
  ]);
});

test('times as exporters write them; rows without one, or without a name, are refused with the reason', async () => {
  await lake.add(
    scrobbles(
      ['01 Jan 2002 00:00'],
      ['31 Dec 2001 23:59'],
      ['31 May 2024, 21:38'],
      ['01 May 2024 21:38'],
      ['2024-05-02 21:38'],
      ['2024-05-03 21:38:07'],
      [null, { played_at: '2024-05-04T21:38:07Z' }],
      [null, { uts: '1714945087000' }],
      [null, { now_playing: 'true' }],
      [null, { uts: '0' }],
      [null, { uts: '1e30' }],
      [null, { uts: 'x', played_at: '01 May 2024 21:38' }],
      ['2024-05-01T10:00:00Z', { track: ' ' }],
    ),
    listens(['2024-05-01T10:00:00Z', { artist_name: null }], ['2024-05-01T11:00:00Z', { listened_at: null }]),
  );
  const { quarantined, accounts } = await lake.transform();
  expect(quarantined).toEqual({ time_missing: 1, time_invalid: 4, name_missing: 2 });
  expect(accounts).toEqual({ read: 14, new: 7, duplicate: 0, quarantined: 7 });
  expect(await lake.rows('plays', 'ended_at, time_quality')).toEqual([
    { ended_at: '2002-01-01T00:00:00.000Z', time_quality: 'minute' },
    { ended_at: '2024-05-01T21:38:00.000Z', time_quality: 'minute' },
    { ended_at: '2024-05-02T21:38:00.000Z', time_quality: 'minute' },
    { ended_at: '2024-05-03T21:38:07.000Z', time_quality: 'start' },
    { ended_at: '2024-05-04T21:38:07.000Z', time_quality: 'start' },
    { ended_at: '2024-05-05T21:38:07.000Z', time_quality: 'start' },
    { ended_at: '2024-05-31T21:38:00.000Z', time_quality: 'minute' },
  ]);
  expect(await lake.rows('quarantine', 'source, row_number, code, reason')).toContainEqual({
    ...{ source: 'lastfm', row_number: 12, code: 'time_invalid' },
    reason: 'not a time from 2002 to 2040: "x"',
  });
});

test('a play at the turn of the year takes the scrobble of the year before, whichever comes first', async () => {
  const files = [scrobbles(['2023-12-31T23:58:30Z']), extended({ ts: '2024-01-01T00:01:30Z' })];
  for (const order of [files, files.toReversed()]) {
    const own = await makeTestLake();
    for (const file of order) {
      await own.add(file);
      await own.transform();
    }
    expect(await own.rows('plays', 'source, copies')).toEqual([{ source: 'export_extended', copies: 2 }]);
    await own.close();
  }
});

describe('pairs', () => {
  const pair = (item: string, rank: number, play: string) => ({ item, rank, play, itemMs: 10, playMs: 20 });

  test('an item that found its play stands for it, once for each rank', () => {
    const candidates = [pair('a', 3, 'p'), pair('s', 5, 'a'), pair('t', 5, 'p'), pair('l', 4, 'p')];
    expect(pairOff(candidates, 0, 100, 0)).toEqual(
      ['a', 'l', 's'].map((item) => ({ item, play: 'p', isOfItem: true, isOfPlay: true })),
    );
  });

  test('no play is an item of another one, and no item has two plays', () => {
    const rankOf = (number: number): number => Math.floor(number / 2);
    const some = fc.record({
      item: fc.integer({ min: 4, max: 9 }),
      play: fc.integer({ min: 0, max: 8 }),
      itemMs: fc.nat(200),
      playMs: fc.nat(200),
    });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 40 }), (pairs) => {
        const candidates = pairs
          .filter(({ item, play }) => rankOf(play) < rankOf(item))
          .map((each) => ({ ...each, item: `${each.item}`, play: `${each.play}`, rank: rankOf(each.item) }));
        const matches = pairOff(candidates, -50, 250, 0);
        const items = matches.map(({ item }) => item);
        expect(new Set(items).size).toBe(items.length);
        for (const { play } of matches) expect(items).not.toContain(play);
        const taken = matches.map(({ item, play }) => `${rankOf(Number(item))} ${play}`);
        expect(new Set(taken).size).toBe(taken.length);
      }),
    );
  });
});

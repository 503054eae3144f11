import { join } from 'node:path';
import { generateSeams } from '../../jobs/sources/synthetic/seams.ts';
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture } from '../bronze/load-fixture.ts';
import { fieldInputsOrSkip } from '../fixtures/layers.ts';
import { memorySink } from '../sources/synthetic-sink.ts';
import { account, extended, makeTestLake, pages, playedItem, type TestFile, type TestLake } from './transform-lake.ts';

const inputs = fieldInputsOrSkip();

describe('rows that are one play', () => {
  let lake: TestLake;
  beforeEach(async () => {
    lake = await makeTestLake();
  });
  afterEach(() => lake.close());

  const unnamed = {
    master_metadata_track_name: null,
    master_metadata_album_artist_name: null,
    master_metadata_album_album_name: null,
    spotify_track_uri: null,
  };
  const named = { artist_name: 'The Example', track_name: 'Blue Door' };
  const unknown = { artist_name: 'Unknown Artist', track_name: 'Unknown Track' };
  const blue = { track_name: 'Blue Door', content_type: 'track' };

  async function plays(...files: TestFile[]): Promise<Record<string, unknown>[]> {
    await lake.add(...files);
    await lake.transform();
    return lake.rows('plays', 'source, track_name, content_type, content_uri, copies');
  }

  test('an older export without URIs: the row with the URI stays', async () => {
    expect(await plays(extended({ spotify_track_uri: null }), extended({}))).toEqual([
      { ...blue, source: 'export_extended', content_uri: 'spotify:track:0000000000000000000001', copies: 2 },
    ]);
  });

  test('the song has got another URI, and a third export has only the URI', async () => {
    const files = [
      extended({ spotify_track_uri: 'spotify:track:other', platform: null }),
      extended({ ...unnamed, spotify_track_uri: 'spotify:track:other' }),
      extended({}),
    ];
    expect(await plays(...files)).toMatchObject([{ ...blue, copies: 3 }]);
  });

  // Labels are hashes, and of two the lesser one wins: whichever of them that is, the chain must hold.
  test('a chain of URIs and names is one play, whichever end it is taken by', async () => {
    const songs = Array.from({ length: 12 }, (_, k) => ({
      ts: `2024-05-01T10:03:${String(k).padStart(2, '0')}Z`,
      master_metadata_track_name: `Song ${k}`,
    }));
    const only = (uri: string): object => ({ ...unnamed, spotify_track_uri: uri });
    const chains = [
      // URI and name, name only, URI only.
      songs.flatMap((song, k) => [
        { ...song, spotify_track_uri: `spotify:track:a${k}` },
        { ...song, spotify_track_uri: null },
        { ts: song.ts, ...only(`spotify:track:a${k}`) },
      ]),
      // The song has two URIs, and each of them stands alone as well.
      songs.flatMap(({ ts, ...song }, k) => {
        const later = ts.replace('10:03', '11:03');
        return ['b', 'c'].flatMap((uri) => [
          { ...song, ts: later, spotify_track_uri: `spotify:track:${uri}${k}` },
          { ts: later, ...only(`spotify:track:${uri}${k}`) },
        ]);
      }),
    ];
    for (const [index, size] of [3, 4].entries()) {
      const found = await plays(extended(...chains[index]!));
      expect(found.filter(({ copies }) => copies === size)).toHaveLength(12);
      expect(found).toHaveLength(12 * (index + 1));
    }
  });

  test('another length, another second or another name is another play', async () => {
    const files = [
      extended({}, { ms_played: 180_001 }, { ts: '2024-05-01T10:03:01Z' }),
      extended({ spotify_track_uri: null, master_metadata_track_name: 'Blue Door - Remix' }),
    ];
    expect(await plays(...files)).toHaveLength(4);
  });

  test('a row with neither name nor URI is the named one of its second', async () => {
    expect(await plays(extended(unnamed), extended({ spotify_track_uri: null }))).toMatchObject([
      { ...blue, copies: 2 },
    ]);
  });

  test('account data names what the extended export does not, one to one', async () => {
    const rows = await plays(extended(unnamed), account(named, named));
    expect(rows).toEqual([
      { ...blue, source: 'export_account', content_uri: null, copies: 2 },
      { ...blue, source: 'export_account', content_uri: null, copies: 1 },
    ]);
  });

  test('the extended export names what account data calls unknown', async () => {
    expect(await plays(extended({}), account(unknown))).toMatchObject([
      { source: 'export_extended', ...blue, copies: 2 },
    ]);
  });

  test('another account export names what one calls unknown', async () => {
    expect(await plays(account(unknown), account(named))).toMatchObject([{ ...blue, copies: 2 }]);
  });

  test('unknown by unknown is nothing', async () => {
    const rows = await plays(account(unknown, { artist_name: 'Unknown Artist', track_name: 'Known' }));
    expect(rows.map(({ track_name, content_type }) => `${content_type} ${track_name}`).sort()).toEqual([
      'track Known',
      'unknown null',
    ]);
  });

  test('equal rows of one account file are plays; the largest count over files holds', async () => {
    const rows = await plays(account(named, named, named), account(named, named));
    expect(rows.map(({ copies }) => copies).sort()).toEqual([1, 2, 2]);
  });

  describe('of two accounts', () => {
    const of = (account: string | null, ...rows: Record<string, unknown>[]): TestFile =>
      extended(...rows.map((row) => ({ ...row, username_pseudonym: account })));
    const old = (...rows: Record<string, unknown>[]): TestFile => ({
      ...extended(...rows),
      lacks: ['username_pseudonym'],
    });
    const copies = async (...files: TestFile[]): Promise<unknown[]> =>
      (await plays(...files)).map((row) => row.copies).sort();

    test('equal rows are a play of each, and copies within each', async () => {
      expect(await copies(of('u_a', {}, {}), of('u_b', {}), of('u_b', { platform: null }))).toEqual([2, 2]);
    });

    test('a row without an account is of any of them; files of older versions have none', async () => {
      expect(await copies(of('u_a', {}), of(null, {}), old({ platform: 'ios 1' }), of('u_b', {}))).toEqual([1, 3]);
    });

    test('where all files are of older versions there are none', async () => {
      expect(await copies(old({}), old({ platform: 'ios 1' }))).toEqual([2]);
    });

    test('a row with neither name nor URI is of the one that has its account', async () => {
      const other = { spotify_track_uri: 'spotify:track:other', master_metadata_track_name: 'Other' };
      const rows = await plays(of('u_a', {}), of('u_b', { ...other, platform: null }), of('u_b', unnamed));
      expect(rows.map(({ track_name, copies: n }) => [track_name, n]).sort()).toEqual([
        ['Blue Door', 1],
        ['Other', 2],
      ]);
    });

    test('one row of account data is a play of one of them', async () => {
      expect(await copies(of('u_a', {}), of('u_b', {}), account(named))).toEqual([1, 2]);
    });
  });

  test('equal rows of one extended file are copies', async () => {
    expect(await plays(extended({}, {}, {}))).toMatchObject([{ copies: 3 }]);
  });

  test.each([
    ['2024-05-01T10:03:01.999Z', 1],
    ['2024-05-01T10:03:02.000Z', 1],
    ['2024-05-01T10:03:02.001Z', 2],
  ])('API items of 10:03:00.000 and %s are %d', async (later, count) => {
    const items = [playedItem('2024-05-01T10:03:00.000Z'), playedItem(later)];
    expect(await plays(pages({ kind: 'recently_played', body: { items } }))).toHaveLength(count);
  });

  test('a play that was paused for minutes is the item of its start', async () => {
    const rows = await plays(
      extended(
        { ts: '2024-05-01T09:58:00Z', spotify_track_uri: 'spotify:track:before', master_metadata_track_name: 'Before' },
        { ts: '2024-05-01T10:20:00Z' },
      ),
      pages({ kind: 'recently_played', body: { items: [playedItem('2024-05-01T09:58:01Z')] } }),
    );
    expect(rows.map(({ track_name, copies }) => [track_name, copies])).toEqual([
      ['Before', 1],
      ['Blue Door', 2],
    ]);
  });

  test('the play before ends the window', async () => {
    const rows = await plays(
      extended(
        { ts: '2024-05-01T10:10:00Z', spotify_track_uri: 'spotify:track:before', master_metadata_track_name: 'Before' },
        { ts: '2024-05-01T10:20:00Z' },
      ),
      pages({ kind: 'recently_played', body: { items: [playedItem('2024-05-01T10:09:57Z')] } }),
    );
    expect(rows).toHaveLength(3);
  });

  test('the nearest end wins', async () => {
    await lake.add(
      extended({ ts: '2024-05-01T10:03:00Z' }, { ts: '2024-05-01T10:06:00Z' }),
      pages({ kind: 'recently_played', body: { items: [playedItem('2024-05-01T10:03:01.500Z')] } }),
    );
    await lake.transform();
    expect(await lake.rows('plays', 'ended_at, copies')).toEqual([
      { ended_at: '2024-05-01T10:03:00.000Z', copies: 2 },
      { ended_at: '2024-05-01T10:06:00.000Z', copies: 1 },
    ]);
  });

  test('play_id tells equal plays of account data apart', async () => {
    await lake.add(account(named, named, named));
    await lake.transform();
    const ids = (await lake.rows('plays', 'play_id')).map(({ play_id }) => play_id);
    expect(new Set(ids).size).toBe(3);
  });
});

describe('files with every seam', () => {
  let lake: LoadFixture;
  beforeEach(async () => {
    lake = await openLoadFixture();
  });
  afterEach(() => lake.close());

  test.each([1, 2, 9])('give the plays of the truth, seed %d', async (seed) => {
    const { files, sink } = memorySink();
    const truth = await generateSeams(seed, 600, Date.UTC(2024, 5, 1), sink);
    await lake.give(Object.fromEntries(files));
    const loaded = await lake.load();
    const { accounts } = await transform({ runId: 'seams', loadedOn: '2026-11-21' }, lake.effects);
    expect(loaded.exit).toBe('ok');
    const counted = await lake.query(
      "select coalesce(artist_name || '|' || track_name, '') as song, count(*), sum(copies) from silver.plays group by 1",
    );
    const bySong = new Map(counted.map(([song, plays]) => [String(song), Number(plays)]));
    expect([...bySong].sort()).toEqual([...truth.playsBySong].sort());
    expect(counted.reduce((sum, [, , rows]) => sum + Number(rows), 0)).toBe(truth.rows);
    expect(accounts).toEqual({
      read: truth.rows,
      new: truth.plays,
      duplicate: truth.rows - truth.plays,
      quarantined: 0,
    });
    const sources = await lake.query('select distinct source from silver.plays order by 1');
    expect(sources.flat()).toEqual(['export_account', 'export_extended', 'lastfm', 'listenbrainz']);
  });
});

describe('what a row says of itself', () => {
  let lake: TestLake;
  beforeEach(async () => {
    lake = await makeTestLake();
  });
  afterEach(() => lake.close());

  test.each([
    ['true', true],
    ['True', true],
    ['1', true],
    ['1.0', true],
    ['false', false],
    ['0', false],
    ['0.0', false],
    ['', null],
    [null, null],
  ])('a flag of %p is %p', async (text, value) => {
    await lake.add(extended({ incognito_mode: text, skipped: text, shuffle: text, offline: text }));
    await lake.transform();
    expect(await lake.rows('plays', 'is_incognito, is_skipped, is_shuffle, is_offline')).toEqual([
      { is_incognito: value, is_skipped: value, is_shuffle: value, is_offline: value },
    ]);
  });

  test.each(['incognito_mode', 'skipped', 'shuffle', 'offline'])('%s that says neither yes nor no', async (flag) => {
    await lake.add(extended({ [flag]: 'maybe' }, { ts: '2024-05-01T10:09:00Z' }));
    const { quarantined } = await lake.transform();
    expect(quarantined).toEqual({ flag_invalid: 1 });
    expect(await lake.rows('quarantine', 'row_number, reason')).toEqual([
      { row_number: 1, reason: 'neither true nor false: "maybe"' },
    ]);
    expect(await lake.rows('plays', 'play_id')).toHaveLength(1);
  });
});

describe('a time after the day of the load', () => {
  test('is refused, whatever tells it; one within a day of it is a clock in another zone', async () => {
    const lake = await openLoadFixture();
    const at = (hours: number): string => new Date(lake.effects.now() + hours * 3_600_000).toISOString();
    const minute = (hours: number): string => at(hours).slice(0, 16).replace('T', ' ');
    const row = (ts: string) => ({ ts, ms_played: 60_000, spotify_track_uri: 'spotify:track:1', platform: 'ios' });
    const heard = (endTime: string) => ({ endTime, msPlayed: 61_000, artistName: 'A', trackName: 'B' });
    const event = (id: string, occurredAt: string) => ({
      ...{ event_id: id, user_id: 'u', action: 'play', occurred_at: occurredAt, track_id: 't' },
    });
    const items = [playedItem(at(22)), playedItem('2038-01-19T03:14:07Z')];
    await lake.give({
      'Streaming_History_Audio_2026_0.json': JSON.stringify([row(at(23)), row(at(25))]),
      'StreamingHistory_music_0.json': JSON.stringify([heard(minute(21)), heard(minute(26))]),
      'events.ndjson': [event('a', at(20)), event('b', '2038-01-19T03:14:07Z')]
        .map((each) => JSON.stringify(each))
        .join('\n'),
      'poll.json': JSON.stringify({
        polled_at: at(0),
        body: { href: 'https://api.spotify.com/v1/me/player/recently-played', items, limit: 50 },
      }),
    });
    await lake.load();
    const { quarantined, accounts } = await transform({ runId: 'future', loadedOn: '2026-11-21' }, lake.effects);
    expect(quarantined).toEqual({ time_future: 4 });
    expect(accounts).toEqual({ read: 8, new: 4, duplicate: 0, quarantined: 4 });
    const reasons = await lake.query('select distinct left(reason, 42) from silver.quarantine');
    expect(reasons).toEqual([['later than the day on which it was loaded:']]);
    expect(await lake.query('select count(*) from silver.plays')).toEqual([[3n]]);
    expect(await lake.query('select event_id from silver.listening_events')).toEqual([['a']]);
    await lake.close();
  });
});

const EXPECTED: Record<string, [source: string, track: string | null, plays: number, rows: number][]> = {
  '04-account-loop': [['export_account', 'White Noise 30s', 10, 10]],
  '05-account-loop-both': [['export_extended', 'White Noise 30s', 10, 20]],
  '16-old-endsong': [['export_extended', 'Old Flowers', 3, 6]],
  '21-api-export': ['Ended', 'Live', 'Offline', 'Paused', 'PausedStart', 'Relinked'].map((track) => [
    'export_extended',
    track,
    1,
    track === 'Ended' || track === 'Live' ? 3 : 2,
  ]),
  '26-unknown-extended': [
    ['export_account', 'Hidden', 1, 2],
    ['export_extended', 'Known', 1, 2],
  ],
};

if (inputs !== undefined) {
  describe('field inputs', () => {
    test.each(Object.keys(EXPECTED))('%s', async (folder) => {
      const lake = await openLoadFixture();
      await lake.load([join(inputs, folder)]);
      await transform({ runId: 'field', loadedOn: '2026-11-21' }, lake.effects);
      const rows = await lake.query(
        'select source, track_name, count(*), sum(copies) from silver.plays group by 1, 2 order by 1, 2',
      );
      expect(rows.map(([source, track, ...counts]) => [source, track, ...counts.map(Number)])).toEqual(
        EXPECTED[folder],
      );
      await lake.close();
    });
  });
}

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TransformResult } from '../../jobs/transform.ts';
import { account, extended, makeTestLake, pages, playedItem, type TestFile, type TestLake } from './transform-lake.ts';

let lake: TestLake;
beforeEach(async () => {
  lake = await makeTestLake();
});
afterEach(async () => {
  await lake.close();
});

/** One file for each case, whose rows have a track of their own: one transform shows what becomes of each. */
function casesOf(cases: readonly (readonly Record<string, unknown>[])[]): TestFile[] {
  return cases.map((rows, n) => ({
    ...extended(
      ...rows.map((row) => ({
        spotify_track_uri: `spotify:track:${String(n).padStart(22, '0')}`,
        master_metadata_track_name: `Song ${n}`,
        ...row,
      })),
    ),
    name: `case-${String(n).padStart(2, '0')}.json`,
  }));
}

/** Rows of plays for each of `count` cases, in their order. */
async function playsOfCases(count: number, columns: string): Promise<Record<string, unknown>[][]> {
  const rows = await lake.rows('plays', `track_name, ${columns}`);
  return Array.from({ length: count }, (_, n) =>
    rows.filter(({ track_name }) => track_name === `Song ${n}`).map(({ track_name: _name, ...row }) => row),
  );
}

/** What a transform counted of each case, in their order. */
function accountsOfCases({ files }: TransformResult): object[] {
  return files
    .toSorted((a, b) => (a.fileName < b.fileName ? -1 : 1))
    .map(({ read, new: first, duplicate, quarantined }) => ({ read, new: first, duplicate, quarantined }));
}

describe('times of extended exports', () => {
  const SAME = [
    ['Z', '2024-05-01T10:03:00Z'],
    ['no zone', '2024-05-01T10:03:00'],
    ['an offset', '2024-05-01T12:03:00+02:00'],
    ['a negative offset', '2024-05-01T05:03:00-0500'],
    ['minutes only', '2024-05-01 10:03'],
    ['fractions', '2024-05-01T10:03:00.000Z'],
    ['milliseconds since 1970', '1714557780000'],
    ['seconds since 1970', '1714557780'],
  ];
  test('F28: however it is written, it gives the same UTC instant', async () => {
    await lake.add(...casesOf(SAME.map(([, ts]) => [{ ts }])));
    await lake.transform();
    const plays = await playsOfCases(SAME.length, 'started_at, ended_at, reported_at, time_quality');
    for (const [n, [name]] of SAME.entries())
      expect([name, plays[n]]).toEqual([
        name,
        [
          {
            started_at: '2024-05-01T10:00:00.000Z',
            ended_at: '2024-05-01T10:03:00.000Z',
            reported_at: '2024-05-01T10:03:00.000Z',
            time_quality: 'exact',
          },
        ],
      ]);
  });

  test('F28: the zone of the machine changes nothing', () => {
    const run = (zone: string): string => {
      const child = spawnSync(process.execPath, [fileURLToPath(new URL('./transform-zone.ts', import.meta.url))], {
        env: { ...process.env, TZ: zone, NODE_OPTIONS: '' },
        encoding: 'utf8',
      });
      expect(child.stderr).not.toMatch(/Error/);
      return child.stdout;
    };
    const [utc, ...others] = ['UTC', 'America/New_York', 'Asia/Kathmandu'].map(run);
    expect(JSON.parse(utc ?? '').ended_at).toEqual([
      '2024-03-10 02:30:00',
      '2024-03-31 01:30:00',
      '2024-05-01 04:18:00',
      '2024-05-01 23:59:59.999',
    ]);
    for (const other of others) expect(other).toBe(utc);
  });

  const NO_TIMES = [
    'nope',
    '1970-01-01T00:00:00Z',
    '2099-01-01T00:00:00Z',
    '2016-12-31T23:59:60Z',
    '2023-02-30T00:00:00Z',
    '',
    null,
    '0',
    '2024-05-01',
    'infinity',
  ];
  test('F28, F29: what is no time of a play goes to quarantine', async () => {
    await lake.add(...casesOf(NO_TIMES.map((ts) => [{ ts }, {}])));
    const result = await lake.transform();
    expect(result.quarantined).toEqual({ time_invalid: NO_TIMES.length });
    const quarantine = await lake.rows('quarantine', 'file_name, row_number, code, reason');
    const plays = await playsOfCases(NO_TIMES.length, 'ended_at');
    for (const [n, ts] of NO_TIMES.entries()) {
      expect([ts, accountsOfCases(result)[n]]).toEqual([ts, { read: 2, new: 1, duplicate: 0, quarantined: 1 }]);
      expect([ts, plays[n]]).toEqual([ts, [{ ended_at: '2024-05-01T10:03:00.000Z' }]]);
      const file_name = `case-${String(n).padStart(2, '0')}.json`;
      const reason = expect.stringContaining(ts === null ? 'nothing' : `"${ts}"`);
      expect([ts, quarantine.filter((row) => row.file_name === file_name)]).toEqual([
        ts,
        [{ file_name, row_number: 1, code: 'time_invalid', reason }],
      ]);
    }
  });

  test('F29: an offline play starts at offline_timestamp, in seconds, milliseconds or microseconds', async () => {
    const start = Date.UTC(2024, 3, 29, 8);
    const offline = (name: string, stamp: unknown) => ({
      ts: '2024-05-02T20:00:00Z',
      offline: true,
      offline_timestamp: stamp,
      master_metadata_track_name: name,
      spotify_track_uri: `spotify:track:${name}`,
    });
    await lake.add(extended(offline('s', start / 1000), offline('ms', start), offline('us', start * 1000)));
    await lake.transform();
    const rows = await lake.rows('plays', 'started_at, ended_at, reported_at, offline_at, time_quality, is_offline');
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row).toEqual({
        started_at: '2024-04-29T08:00:00.000Z',
        ended_at: '2024-04-29T08:03:00.000Z',
        reported_at: '2024-05-02T20:00:00.000Z',
        offline_at: '2024-04-29T08:00:00.000Z',
        time_quality: 'offline',
        is_offline: true,
      });
    }
    expect(Object.keys(await lake.hashes()).filter((key) => key.includes('/plays/'))).toEqual([
      'silver/plays/v/year=2024/',
    ]);
  });

  const NO_STARTS = [
    ['zero', 0],
    ['null', null],
    ['in the 1900s', -1_000_000_000],
    ['after ts', Date.UTC(2024, 4, 3) / 1000],
    ['46 days before ts', Date.UTC(2024, 2, 17, 19) / 1000],
  ] as const;
  test('F29: an offline_timestamp that cannot be the start leaves the sync moment', async () => {
    const ts = '2024-05-02T20:00:00Z';
    await lake.add(...casesOf(NO_STARTS.map(([, offline_timestamp]) => [{ ts, offline: true, offline_timestamp }])));
    await lake.transform();
    const plays = await playsOfCases(NO_STARTS.length, 'started_at, ended_at, time_quality');
    for (const [n, [name]] of NO_STARTS.entries())
      expect([name, plays[n]]).toEqual([
        name,
        [{ started_at: '2024-05-02T19:57:00.000Z', ended_at: '2024-05-02T20:00:00.000Z', time_quality: 'sync' }],
      ]);
  });

  test('an offline_timestamp of a play that was not offline is kept and not used', async () => {
    await lake.add(extended({ offline: false, offline_timestamp: 1_714_550_000 }));
    await lake.transform();
    expect(await lake.rows('plays', 'ended_at, offline_at, time_quality')).toEqual([
      { ended_at: '2024-05-01T10:03:00.000Z', offline_at: '2024-05-01T07:53:20.000Z', time_quality: 'exact' },
    ]);
  });
});

describe('lengths', () => {
  const NO_LENGTHS = ['-5', '1.5', 'NaN', '"x"', null, '1000000000000', 'true', '1e400'];
  test('F30: what is no length goes to quarantine, and sums are those of the other rows', async () => {
    await lake.add(...casesOf(NO_LENGTHS.map((ms_played) => [{}, { ms_played, ts: '2024-05-01T11:00:00Z' }])));
    const result = await lake.transform();
    expect(result.quarantined).toEqual({ length_invalid: NO_LENGTHS.length });
    const plays = await playsOfCases(NO_LENGTHS.length, 'played_ms');
    for (const [n, ms] of NO_LENGTHS.entries()) {
      expect([ms, accountsOfCases(result)[n]]).toEqual([ms, { read: 2, new: 1, duplicate: 0, quarantined: 1 }]);
      expect([ms, plays[n]]).toEqual([ms, [{ played_ms: 180_000 }]]);
    }
  });

  const LENGTHS = [
    ['0', 0],
    ['29999', 29_999],
    ['3.0', 3],
    ['3e2', 300],
  ] as const;
  test('whole numbers are kept, however they are written', async () => {
    await lake.add(...casesOf(LENGTHS.map(([ms_played]) => [{ ms_played }])));
    await lake.transform();
    expect(await playsOfCases(LENGTHS.length, 'played_ms')).toEqual(LENGTHS.map(([, played_ms]) => [{ played_ms }]));
  });
});

describe('content', () => {
  test('F32: tracks, episodes, chapters, videos, local files and rows without anything are told apart', async () => {
    const none = {
      master_metadata_track_name: null,
      master_metadata_album_artist_name: null,
      master_metadata_album_album_name: null,
      spotify_track_uri: null,
    };
    await lake.add(
      extended(
        { ms_played: 1 },
        {
          ...none,
          ms_played: 2,
          episode_name: 'Nine',
          episode_show_name: 'Numbers',
          spotify_episode_uri: 'spotify:episode:e',
        },
        {
          ...none,
          ms_played: 3,
          audiobook_title: 'A Book',
          audiobook_uri: 'spotify:show:b',
          audiobook_chapter_uri: 'spotify:episode:c',
          audiobook_chapter_title: 'Two',
        },
        { ...none, ms_played: 4 },
        { ms_played: 5, spotify_track_uri: 'spotify:local:The+Example:::180' },
        { ms_played: 6, spotify_track_uri: null },
        { ms_played: 7, spotify_track_uri: 'spotify:weird:1' },
      ),
      { ...extended({ ms_played: 8 }), name: 'Streaming_History_Video_2024.json' },
    );
    await lake.transform();
    const rows = await lake.rows(
      'plays',
      'played_ms, content_type, content_uri, audiobook_uri, track_id, track_name, artist_name, album_name',
    );
    expect(rows.filter((row) => row.audiobook_uri !== null).map((row) => [row.played_ms, row.audiobook_uri])).toEqual([
      [3, 'spotify:show:b'],
    ]);
    const others = rows.map(({ audiobook_uri: _, ...rest }) => rest);
    expect(others.sort((a, b) => Number(a.played_ms) - Number(b.played_ms))).toEqual([
      {
        ...{ played_ms: 1, content_type: 'track', content_uri: 'spotify:track:0000000000000000000001' },
        ...{
          track_id: '0000000000000000000001',
          track_name: 'Blue Door',
          artist_name: 'The Example',
          album_name: 'Doors',
        },
      },
      {
        ...{ played_ms: 2, content_type: 'episode', content_uri: 'spotify:episode:e', track_id: null },
        ...{ track_name: 'Nine', artist_name: 'Numbers', album_name: 'Numbers' },
      },
      {
        ...{ played_ms: 3, content_type: 'chapter', content_uri: 'spotify:episode:c', track_id: null },
        ...{ track_name: 'Two', artist_name: null, album_name: 'A Book' },
      },
      {
        ...{ played_ms: 4, content_type: 'unknown', content_uri: null, track_id: null },
        ...{ track_name: null, artist_name: null, album_name: null },
      },
      expect.objectContaining({ played_ms: 5, content_type: 'track', track_id: 'spotify:local:The+Example:::180' }),
      expect.objectContaining({
        played_ms: 6,
        content_type: 'track',
        content_uri: null,
        track_id: null,
        track_name: 'Blue Door',
      }),
      expect.objectContaining({
        played_ms: 7,
        content_type: 'unknown',
        content_uri: 'spotify:weird:1',
        track_id: null,
      }),
      expect.objectContaining({ played_ms: 8, content_type: 'video', track_id: '0000000000000000000001' }),
    ]);
  });

  test('country ZZ, empty reasons and flags that are null become null; devices are coarse', async () => {
    await lake.add(
      extended(
        {
          ms_played: 1,
          conn_country: 'ZZ',
          reason_start: '',
          reason_end: '',
          shuffle: null,
          skipped: null,
          platform: 'iOS 11.2 (iPhone8,1)',
        },
        { ms_played: 2, platform: 'Partner google cast_tv;Chromecast;;' },
        { ms_played: 3, platform: 'Windows 10 (10.0.19041; x64)' },
        { ms_played: 4, platform: 'web_player linux undefined;firefox 89.0;desktop' },
        { ms_played: 5, platform: 'Android-tablet OS 9 API 28' },
        { ms_played: 6, platform: 'OS X 10.15.7 [x86 8]' },
        { ms_played: 7, platform: 'Partner sonos_ppc Sonos' },
        { ms_played: 8, platform: 'Partner scei_ps4 playstation 4' },
        { ms_played: 9, platform: 'toaster' },
        { ms_played: 10, platform: null },
      ),
    );
    await lake.transform();
    const rows = await lake.rows(
      'plays',
      'played_ms, device, country, reason_start, reason_end, is_shuffle, is_skipped',
    );
    rows.sort((a, b) => Number(a.played_ms) - Number(b.played_ms));
    expect(rows[0]).toEqual({
      ...{
        played_ms: 1,
        device: 'ios',
        country: null,
        reason_start: null,
        reason_end: null,
        is_shuffle: null,
        is_skipped: null,
      },
    });
    expect(rows.map(({ device }) => device)).toEqual([
      'ios',
      'tv',
      'windows',
      'web',
      'android',
      'macos',
      'speaker',
      'console',
      'other',
      null,
    ]);
  });

  test('F31: hostile names come out as they went in', async () => {
    const names = [
      '👩‍👩‍👧‍👦 🎵',
      'abc\u202Edef',
      '</script><script>alert(1)</script>',
      '=HYPERLINK("x")',
      "'; DROP TABLE plays; --",
      '${{7*7}}',
      'x'.repeat(65_536),
      'a\u0000b',
    ];
    await lake.add(
      extended(...names.map((name, index) => ({ master_metadata_track_name: name, ms_played: index + 1 }))),
    );
    await lake.transform();
    const rows = await lake.rows('plays', 'track_name, played_ms');
    expect(rows.sort((a, b) => Number(a.played_ms) - Number(b.played_ms)).map(({ track_name }) => track_name)).toEqual(
      names,
    );
  });
});

describe('the same play', () => {
  test('F26, F27: copies inside one file and across files are one play, counted', async () => {
    await lake.add(extended({}, {}, { ms_played: 999 }), { ...extended({ platform: null }), name: 'later.json' });
    const result = await lake.transform();
    const rows = await lake.rows('plays', 'played_ms, copies, platform');
    expect(rows.sort((a, b) => Number(a.played_ms) - Number(b.played_ms))).toEqual([
      { played_ms: 999, copies: 1, platform: 'ios' },
      { played_ms: 180_000, copies: 3, platform: 'ios' },
    ]);
    const sums = result.files.map(({ read, new: fresh, duplicate }) => [read, fresh, duplicate]);
    expect(sums).toContainEqual([3, expect.any(Number), expect.any(Number)]);
    expect(result.accounts).toEqual({ read: 4, new: 2, duplicate: 2, quarantined: 0 });
  });

  test('the fullest row stands for a play', async () => {
    await lake.add(
      extended({ master_metadata_track_name: null, platform: null, reason_end: null }),
      extended({ conn_country: 'DE' }),
    );
    await lake.transform();
    expect(await lake.rows('plays', 'track_name, country, copies')).toEqual([
      { track_name: 'Blue Door', country: 'DE', copies: 2 },
    ]);
  });

  test('plays a second apart, or of one user and another, are two', async () => {
    await lake.add(extended({}, { ts: '2024-05-01T10:03:01Z' }), { ...extended({}), userId: 'you' });
    await lake.transform();
    const rows = await lake.rows('plays', 'user_id, ended_at, copies');
    expect(rows.map(({ user_id }) => user_id)).toEqual(['me', 'me', 'you']);
    expect(new Set((await lake.rows('plays', 'play_id')).map(({ play_id }) => play_id)).size).toBe(3);
  });

  test('F26: a newer export that holds less deletes nothing', async () => {
    await lake.add(extended({}, { ts: '2017-02-01T00:00:00Z' }));
    await lake.transform();
    await lake.add(extended({}));
    const result = await lake.transform();
    expect(await lake.rows('plays', 'ended_at, copies')).toEqual([
      { ended_at: '2017-02-01T00:00:00.000Z', copies: 1 },
      { ended_at: '2024-05-01T10:03:00.000Z', copies: 2 },
    ]);
    expect(result.accounts).toEqual({ read: 1, new: 0, duplicate: 1, quarantined: 0 });
  });
});

describe('sources beat each other', () => {
  test('F26: an extended export beats account data: same names, minute and length', async () => {
    await lake.add(
      extended({ ts: '2024-05-01T10:03:59Z' }),
      account(
        { artist_name: 'the  EXAMPLE', track_name: 'Blue Door ' },
        { artist_name: 'The Example', track_name: 'Blue Door', ms_played: 1 },
        { artist_name: 'The Example', track_name: 'Blue Door', end_time: '2024-05-01 10:05' },
      ),
    );
    const result = await lake.transform();
    expect(await lake.rows('plays', 'source, ended_at, played_ms, time_quality, copies')).toEqual([
      {
        source: 'export_account',
        ended_at: '2024-05-01T10:03:00.000Z',
        played_ms: 1,
        time_quality: 'minute',
        copies: 1,
      },
      {
        source: 'export_extended',
        ended_at: '2024-05-01T10:03:59.000Z',
        played_ms: 180_000,
        time_quality: 'exact',
        copies: 2,
      },
      {
        source: 'export_account',
        ended_at: '2024-05-01T10:05:00.000Z',
        played_ms: 180_000,
        time_quality: 'minute',
        copies: 1,
      },
    ]);
    expect(result.accounts).toEqual({ read: 4, new: 3, duplicate: 1, quarantined: 0 });
  });

  test('account data of an offline play goes by the minute of the sync', async () => {
    await lake.add(
      extended({ ts: '2024-05-02T20:00:00Z', offline: true, offline_timestamp: Date.UTC(2024, 3, 10) / 1000 }),
      account({ end_time: '2024-05-02 20:00', artist_name: 'The Example', track_name: 'Blue Door' }),
    );
    await lake.transform();
    expect(await lake.rows('plays', 'source, ended_at, copies')).toEqual([
      { source: 'export_extended', ended_at: '2024-04-10T00:03:00.000Z', copies: 2 },
    ]);
  });

  test('podcasts and audiobooks match across both exports', async () => {
    const none = {
      master_metadata_track_name: null,
      master_metadata_album_artist_name: null,
      master_metadata_album_album_name: null,
      spotify_track_uri: null,
    };
    await lake.add(
      extended(
        { ...none, episode_name: 'Nine', episode_show_name: 'Numbers', spotify_episode_uri: 'spotify:episode:e' },
        {
          ...none,
          audiobook_title: 'A Book',
          audiobook_uri: 'spotify:show:b',
          audiobook_chapter_uri: 'spotify:episode:c',
          audiobook_chapter_title: 'Two',
        },
      ),
      account(
        { podcast_name: 'Numbers', episode_name: 'Nine' },
        { author_name: 'Somebody', audiobook_name: 'A Book', chapter_name: 'Two' },
      ),
    );
    await lake.transform();
    expect(await lake.rows('plays', 'source, copies')).toEqual([
      { source: 'export_extended', copies: 2 },
      { source: 'export_extended', copies: 2 },
    ]);
  });

  test.each([
    ['its end', '2024-05-01T10:03:00.500Z', true],
    ['its start', '2024-05-01T10:00:00Z', true],
    ['two seconds after the end', '2024-05-01T10:03:02Z', true],
    ['more than two seconds after the end', '2024-05-01T10:03:02.001Z', false],
    ['hours before the end, where nothing was played meanwhile', '2024-05-01T04:02:58Z', true],
    ['more than six hours before the end', '2024-05-01T04:02:57.999Z', false],
    ['between start and end', '2024-05-01T10:01:30Z', true],
  ])('an export beats the API where played_at is %s', async (_name, playedAt, isSame) => {
    await lake.add(
      extended({}),
      pages({ kind: 'recently_played', observed_at: '2024-05-01T11:00:00Z', body: { items: [playedItem(playedAt)] } }),
    );
    const result = await lake.transform();
    const rows = await lake.rows('plays', 'source, copies');
    expect(rows.filter(({ source }) => source === 'api')).toHaveLength(isSame ? 0 : 1);
    expect(rows.find(({ source }) => source === 'export_extended')).toEqual({
      source: 'export_extended',
      copies: isSame ? 2 : 1,
    });
    expect(result.accounts).toEqual({ read: 2, new: isSame ? 1 : 2, duplicate: isSame ? 1 : 0, quarantined: 0 });
  });

  test('the API names another id of the same recording: names decide', async () => {
    await lake.add(
      extended({}),
      pages({
        kind: 'recently_played',
        body: { items: [playedItem('2024-05-01T10:03:00Z', { id: 'other', uri: 'spotify:track:other' })] },
      }),
    );
    await lake.transform();
    expect(await lake.rows('plays', 'source, copies')).toEqual([{ source: 'export_extended', copies: 2 }]);
  });

  test('an account export beats the API within the minute that it knows', async () => {
    await lake.add(
      account({ artist_name: 'The Example', track_name: 'Blue Door' }),
      pages({
        kind: 'recently_played',
        body: { items: [playedItem('2024-05-01T10:04:02Z'), playedItem('2024-05-01T10:04:05Z')] },
      }),
    );
    await lake.transform();
    expect(await lake.rows('plays', 'source, ended_at, copies')).toEqual([
      { source: 'export_account', ended_at: '2024-05-01T10:03:00.000Z', copies: 2 },
      { source: 'api', ended_at: '2024-05-01T10:04:05.000Z', copies: 1 },
    ]);
  });

  test.each(['start', 'end'])('a song on repeat: each item is one play, whether played_at is the %s', async (side) => {
    const end = (n: number): number => Date.UTC(2024, 4, 1, 23, 50) + n * 180_000;
    const iso = (ms: number): string => new Date(ms).toISOString();
    const plays = Array.from({ length: 8 }, (_, n) => ({ ts: iso(end(n)) }));
    const items = Array.from({ length: 8 }, (_, n) => playedItem(iso(end(side === 'start' ? n - 1 : n))));
    await lake.add(extended(...plays), pages({ kind: 'recently_played', body: { items } }));
    const result = await lake.transform();
    expect(await lake.rows('plays', 'source, copies')).toEqual(
      plays.map(() => ({ source: 'export_extended', copies: 2 })),
    );
    expect(result.accounts).toEqual({ read: 16, new: 8, duplicate: 8, quarantined: 0 });
  });

  test('deliveries of one play over many polls are one, with and without milliseconds', async () => {
    const poll = (at: string, ...played: string[]) => ({
      kind: 'recently_played',
      observed_at: at,
      body: { items: played.map((each) => playedItem(each)) },
    });
    await lake.add(
      pages(
        poll('2024-05-01T11:00:00Z', '2024-05-01T10:03:00.250Z', '2024-05-01T10:30:00Z'),
        poll('2024-05-01T12:00:00Z', '2024-05-01T10:03:00Z', '2024-05-01T10:30:00Z', '2024-05-01T11:30:00Z'),
        poll('2024-05-01T13:00:00Z'),
      ),
    );
    const result = await lake.transform();
    expect(
      await lake.rows('plays', 'source, started_at, ended_at, played_ms, duration_ms, time_quality, copies'),
    ).toHaveLength(3);
    expect(result.accounts).toEqual({ read: 5, new: 3, duplicate: 2, quarantined: 0 });
    expect(await lake.rows('capture_polls', 'items, new_items, is_overflow')).toEqual([
      { items: 2, new_items: 2, is_overflow: false },
      { items: 3, new_items: 1, is_overflow: false },
      { items: 0, new_items: 0, is_overflow: false },
    ]);
  });

  test('F11: a full page that does not reach back to the last play seen is an overflow', async () => {
    const minute = (n: number): string => new Date(Date.UTC(2024, 4, 1) + n * 60_000).toISOString();
    const poll = (at: number, from: number, count: number) => ({
      kind: 'recently_played',
      observed_at: minute(at),
      body: {
        items: Array.from({ length: count }, (_, n) =>
          playedItem(minute(from + n), { id: `t${from + n}`, uri: `spotify:track:t${from + n}` }),
        ),
      },
    });
    await lake.add(pages(poll(60, 0, 50), poll(120, 49, 50), poll(300, 150, 50), poll(400, 250, 20)));
    await lake.transform();
    expect(await lake.rows('capture_polls', 'new_items, is_overflow')).toEqual([
      { new_items: 50, is_overflow: false },
      { new_items: 49, is_overflow: false },
      { new_items: 50, is_overflow: true },
      { new_items: 20, is_overflow: false },
    ]);
  });
});

describe('export files', () => {
  const NAME = 'Spotify Extended Streaming History/Streaming_History_Audio_2024_7.json';
  const COLUMNS = 'source, file_number, is_music, plays, first_at, last_at';

  test('a row for each file: from the start of its first play to its last report, refused rows left out', async () => {
    await lake.add(
      {
        ...extended(
          { ts: '2024-05-03T10:00:00Z', ms_played: '60000' },
          { ts: '2024-05-01T10:00:00Z', ms_played: '60000' },
          { ts: '1970-01-01T00:00:00Z' },
          { ts: '2024-04-01T00:00:00Z', ms_played: 'many' },
        ),
        name: NAME,
      },
      {
        ...account({ podcast_name: 'The Example Hour', episode_name: 'One', track_name: null, artist_name: null }),
        name: 'StreamingHistory2.json',
      },
      {
        ...extended({ ts: '2024-05-09T10:00:00Z', ms_played: '10000000000' }),
        name: 'Streaming_History_Audio_2024.json',
      },
      { ...extended({ ts: 'nope' }), name: 'endsong_0.json' },
    );
    await lake.transform();
    expect(await lake.rows('export_files', COLUMNS)).toEqual([
      {
        ...{ source: 'export_extended', file_number: 7, is_music: true, plays: 2 },
        ...{ first_at: '2024-05-01T09:59:00.000Z', last_at: '2024-05-03T10:00:00.000Z' },
      },
      {
        ...{ source: 'export_account', file_number: 2, is_music: false, plays: 1 },
        ...{ first_at: '2024-05-01T10:00:00.000Z', last_at: '2024-05-01T10:03:00.000Z' },
      },
      {
        ...{ source: 'export_extended', file_number: null, is_music: true, plays: 1 },
        ...{ first_at: '2024-05-08T10:00:00.000Z', last_at: '2024-05-09T10:00:00.000Z' },
      },
    ]);
  });

  test('files that come later are added, whatever silver has of the others', async () => {
    await lake.add({ ...extended({ ts: '2024-05-01T10:00:00Z' }), name: NAME });
    await lake.transform();
    await lake.add({ ...extended({ ts: '2024-05-01T10:00:00Z' }, { ts: '2024-06-02T10:00:00Z' }), name: NAME });
    await lake.transform();
    const rows = await lake.rows('export_files', 'plays, last_at');
    // A month without a play in the second file makes two stretches of it.
    expect(rows).toHaveLength(3);
    await lake.transform({ rebuild: true });
    expect(await lake.rows('export_files', 'plays, last_at')).toEqual(rows);
  });
});

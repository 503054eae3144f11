import { account, extended, listens, pages, playedItem, scrobbles, type TestFile } from './transform-lake.ts';

/**
 * Files that overlap in every way: exports of two kinds, polls, scrobbles, events, tracks, charts, refused
 * ones.
 */
export function world(): TestFile[] {
  const end = (n: number): number => Date.UTC(2024, 3, 28, 20) + n * 3_600_000 * 5;
  const iso = (ms: number): string => new Date(ms).toISOString().replace('.000', '');
  const uri = (n: number): string => `spotify:track:${String(n % 4).padStart(22, '0')}`;
  const name = (n: number): string => `Song ${n % 4}`;
  const play = (n: number, given: Record<string, unknown> = {}) => ({
    ts: iso(end(n)),
    ms_played: 60_000 + n,
    spotify_track_uri: uri(n),
    master_metadata_track_name: name(n),
    ...given,
  });
  const item = (n: number, shiftMs = 0) =>
    playedItem(iso(end(n) + shiftMs), { id: uri(n).slice(14), uri: uri(n), name: name(n) });
  const poll = (n: number, ...items: unknown[]) => ({
    kind: 'recently_played',
    observed_at: iso(end(n)),
    body: { items },
  });
  /** A scrobble or listen of the play: its start, to the second, and its name. */
  const heard = (n: number, given: Record<string, unknown> = {}): [string, Record<string, unknown>] => [
    iso(Math.floor(end(n) / 1000 - 60) * 1000),
    { track: name(n), track_name: name(n), ...given },
  ];
  const minuteOf = (n: number): [string, Record<string, unknown>] => {
    const [at, given] = heard(n);
    return [at.slice(0, 16).replace('T', ' '), given];
  };
  const event = (n: number, given: Record<string, unknown> = {}) => ({
    event_id: `e${n}`,
    user_id: `u${n % 3}`,
    action: 'play',
    occurred_at: iso(end(n)),
    ...given,
  });
  return [
    extended(...[0, 1, 2, 3, 4, 5].map((n) => play(n)), play(3), { ts: 'nope' }),
    extended(...[4, 5, 6, 7, 8, 9, 10, 11].map((n) => play(n, n === 5 ? { platform: null } : {}))),
    // An offline play of April that was reported in May, and one more row of April.
    extended(play(20, { offline: true, offline_timestamp: end(1) / 1000 + 7 }), play(2, { conn_country: 'ZZ' })),
    account(
      ...[8, 9, 12, 20].map((n) => ({
        end_time: iso(end(n)).slice(0, 16).replace('T', ' '),
        ms_played: 60_000 + n,
        artist_name: 'The Example',
        track_name: name(n),
      })),
    ),
    pages(poll(6, item(5), item(4, -65_000)), poll(12, item(11, 30_000), item(12), item(5))),
    pages(poll(13, item(12), item(13)), { kind: 'tracks', observed_at: iso(end(30)), body: item(1).track }),
    pages({
      kind: 'saved_tracks',
      observed_at: iso(end(13)),
      body: { items: [{ added_at: iso(end(0)), track: item(2).track }, null] },
    }),
    scrobbles(heard(8), heard(9), heard(12), heard(13), heard(14), [null]),
    scrobbles(heard(13), heard(14, { track_mbid: '0a1b2c3d-0000-4000-8000-00000000000f' }), minuteOf(9), minuteOf(15)),
    listens(heard(8), heard(14), heard(15), heard(16)),
    { table: 'listening_events', rows: [event(0), event(1), event(1), event(7)] },
    {
      table: 'listening_events',
      rows: [event(1, { occurred_at: iso(end(9)), device: 'ios' }), event(12), event(13, { action: 'x' })],
    },
    {
      table: 'tracks_csv',
      kind: 'kaggle',
      rows: [1, 2, 2].map((n) => ({
        shape: 'kaggle',
        record: JSON.stringify({
          track_id: uri(n).slice(14),
          artists: 'The Example;Cat',
          track_name: `Csv ${n}`,
          popularity: String(n),
          track_genre: 'Pop',
        }),
      })),
    },
    {
      table: 'charts_csv',
      kind: 'charts_daily',
      rows: [1, 2].map((n) => ({
        ...{
          shape: 'charts_daily',
          chart: 'top200_daily',
          region: 'global',
          period_start: '2024-05-01',
          period_end: '2024-05-02',
        },
        record: JSON.stringify({
          Position: String(n),
          'Track Name': name(n),
          Artist: 'The Example',
          Streams: n === 2 ? 'many' : '1',
        }),
      })),
    },
    // Two files tell of one day.
    ...[1, 2].map((last) => ({
      table: 'weather_csv',
      kind: 'weather',
      userId: null,
      rows: [1, last, 40].map((day) => ({
        ...{
          latitude: '52.5',
          longitude: '13.4',
          time_zone: 'Europe/Berlin',
          date: `2024-05-${String(day).padStart(2, '0')}`,
        },
        ...{ temperature: `${last}.5`, temperature_unit: '°C' },
      })),
    })),
    {
      table: 'refused',
      rows: [
        {
          source: 'unknown',
          file_name: 'x.json',
          byte_offset: 12,
          code: 'json_truncated',
          reason: 'ends too early',
          sample: null,
        },
      ],
    },
    // What is said of a song changes, and changes back, in files of which none has all of it.
    pages(
      { kind: 'tracks', observed_at: iso(end(31)), body: { ...(item(1).track as object), popularity: 60 } },
      { kind: 'tracks', observed_at: iso(end(33)), body: { ...(item(1).track as object), popularity: 60 } },
    ),
    pages({ kind: 'tracks', observed_at: iso(end(32)), body: { ...(item(1).track as object), popularity: 61 } }),
  ];
}

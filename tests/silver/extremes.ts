/** Rows of every bronze table in which one value after the other is replaced by what no source should say. */
import { account, extended, pages, playedItem, type TestFile } from './transform-lake.ts';

/** JSON as it is to stand in a text of JSON, which JavaScript could not write: numbers beyond its own. */
const raw = (json: string): string => `@raw:${json}:raw@`;
const withRaw = (json: string): string =>
  json.replaceAll(/"@raw:(.*?):raw@"/g, (_, text: string) => JSON.parse(`"${text}"`));

/** The ends of every type that a text is read as, and one step beyond them. */
export const EXTREME_TEXTS = [
  ...['9223372036854775807', '-9223372036854775808', '9223372036854775808', '18446744073709551616', '9.3e18'],
  ...['1e308', '-1e308', '1e400', '-1e400', '4.9e-324', '-0.0', '-1', '0.5', '9007199254740993'],
  ...[
    '2147483647',
    '2147483648',
    '99999999999999999',
    '10000000000',
    '10000000001',
    '100000000000',
    '1000000000000',
    '10000000',
  ],
  ...['NaN', 'Infinity', '-Infinity', '1_000', '0x7f', '1,000,000,000,000,000,000,000', '9'.repeat(400)],
  ...['', ' ', '\0', 'a\0b', 'x'.repeat(5_000), '\u{10ffff}\u0301', 'true', 'null', '{}', '[]', '[1]', '"'],
  ...[
    '0000-01-01',
    '9999-12-31',
    '10000-01-01',
    '5881580-07-10',
    '-4713-01-01',
    '2024-02-30',
    '2024-01-01 (BC)',
    'epoch',
  ],
  ...['0000-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '9999-12-31T23:59:59-23:59', '0000-01-01T00:00:00+14:00'],
  ...[
    '9999-12-31 23:59',
    '290000-01-01 0:00:0Z',
    '99999-12-31 00:00:0Z',
    'infinity',
    '-infinity',
    '0000',
    '0000-00',
    '9999',
  ],
];

const EXTREME_JSON: unknown[] = [
  ...['', '\0', 'a\0b', 'x'.repeat(5_000), 'NaN', '-Infinity', '1e308', '9223372036854775807', '99999999999999999'],
  ...['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59', '290000-01-01 0:00:0Z', 'infinity', '5881580-07-10', '0000'],
  ...[
    '9223372036854775807',
    '-9223372036854775808',
    '18446744073709551616',
    '9.3e18',
    '1e308',
    '-1e308',
    '1e400',
    '-0.0',
  ].map(raw),
  ...['10000000000', '10000000001', '100000000000', '10000000', '10000001', '2147483648', '0.5', '-1'].map(raw),
  ...[null, true, {}, [], [1], [null], { id: {} }],
];

/** `base` once for each of its leaves and each value, the leaf replaced by it. */
function variants(base: unknown, values: readonly unknown[]): unknown[] {
  if (typeof base !== 'object' || base === null) return [...values];
  return Object.entries(base).flatMap(([name, child]) =>
    [
      ...variants(child, values),
      ...(typeof child === 'object' && child !== null ? [null, 'text', raw('1e308')] : []),
    ].map((value) =>
      Array.isArray(base)
        ? base.map((each, index) => (String(index) === name ? value : each))
        : { ...base, [name]: value },
    ),
  );
}

const rowsOf = (base: Record<string, unknown>): Record<string, unknown>[] =>
  variants(base, EXTREME_TEXTS) as Record<string, unknown>[];

const PERSON = { id: 'artist1', name: 'The Example', external_urls: { spotify: 'https://example.org/a' } };
const ALBUM = {
  ...{ id: 'album1', name: 'Doors', album_type: 'album', release_date: '2020-01-01', total_tracks: 9 },
  ...{ external_urls: { spotify: 'https://example.org/l' }, artists: [PERSON] },
};
const TRACK = {
  ...{
    id: 'track1',
    uri: 'spotify:track:track1',
    name: 'Blue Door',
    type: 'track',
    duration_ms: 180_000,
    explicit: true,
  },
  ...{ popularity: 50, track_number: 3, is_local: false, external_ids: { isrc: 'NLA000000001' } },
  ...{ external_urls: { spotify: 'https://example.org/t' }, artists: [PERSON] },
};
const LISTED = { added_at: '2024-05-01T00:00:00Z', is_local: false, track: { ...TRACK, album: ALBUM } };
const PLAYLIST = {
  ...{ id: 'list1', name: 'Mix', snapshot_id: 's1', owner: { id: 'u' }, tracks: { total: 3 } },
  ...{ external_urls: { spotify: 'https://example.org/p' } },
};
const ELEMENTS: Record<string, unknown> = {
  recently_played: {
    ...playedItem('2024-05-01T10:00:00Z', { ...TRACK, album: ALBUM }),
    context: { uri: 'spotify:album:x' },
  },
  playlist_items: LISTED,
  saved_tracks: LISTED,
  saved_albums: { added_at: '2024-05-01T00:00:00Z', album: { ...ALBUM, tracks: { items: [TRACK] } } },
  playlists: PLAYLIST,
  top_tracks: { ...TRACK, album: ALBUM },
  top_artists: { ...PERSON, popularity: 3, genres: ['pop'], followers: { total: 5 } },
};

/** Items of one song within two seconds are one play: these are minutes apart. */
function apart(items: unknown[]): unknown[] {
  const at = Date.parse('2024-05-01T10:00:00Z');
  return items.map((item, index) => {
    const isPlayed = (item as { played_at?: unknown } | null)?.played_at === '2024-05-01T10:00:00Z';
    return isPlayed ? { ...(item as object), played_at: new Date(at + index * 60_000).toISOString() } : item;
  });
}

/** One file of answers of all kinds. */
function answers(): TestFile {
  const at = '2024-05-09T00:00:00Z';
  const answer = (kind: string, body: unknown, observed_at = at) => ({ kind, observed_at, playlist_id: 'list1', body });
  const described = {
    tracks: { ...TRACK, album: ALBUM },
    albums: { ...ALBUM, tracks: { items: [TRACK] } },
    artists: ELEMENTS.top_artists,
  };
  const made = pages(
    ...Object.entries(ELEMENTS).map(([kind, element]) =>
      answer(kind, { items: apart(variants(element, EXTREME_JSON)) }),
    ),
    ...Object.entries(described).map(([kind, element]) => answer(kind, { [kind]: variants(element, EXTREME_JSON) })),
    // What stands beside the elements: length and place of a list, what a playlist says of itself, when an
    // answer came.
    ...['total', 'offset'].flatMap((name) =>
      EXTREME_JSON.map((value) => answer('playlist_items', { total: 3, offset: 0, [name]: value, items: [LISTED] })),
    ),
    ...variants(PLAYLIST, EXTREME_JSON).map((list) =>
      answer('playlist', { ...(list as object), items: { total: 1, items: [LISTED] } }),
    ),
    ...EXTREME_TEXTS.flatMap((time) => [
      answer('saved_tracks', { items: [LISTED] }, time),
      answer('recently_played', { items: [ELEMENTS.recently_played] }, time),
    ]),
  );
  // Each describes something of its own: of one track the newest description alone would be seen.
  let ids = 0;
  const distinct = (body: string): string =>
    body.replaceAll(/(track|artist|album|list)1"/g, (_, kind) => `${kind}${(ids += 1)}"`);
  return { ...made, rows: made.rows.map((row) => ({ ...row, body: withRaw(distinct(String(row.body))) })) };
}

const RECORDS: Record<string, Record<string, string>> = {
  charts_daily: {
    Position: '1',
    'Track Name': 'Blue Door',
    Artist: 'The Example',
    Streams: '100',
    URL: 'https://x/track/1',
  },
  charts_weekly: {
    rank: '1',
    uri: 'spotify:track:1',
    artist_names: 'A',
    track_name: 'T',
    previous_rank: '2',
    streams: '100',
  },
  charts_top50_daily: {
    Date: '2024-05-01',
    Position: '1',
    Song: 'T',
    Artist: 'A',
    Popularity: '5',
    Duration_MS: '1000',
    Release_Date: '2020-01-01',
  },
  spotify_2023: {
    track_name: 'T',
    'artist(s)_name': 'A',
    released_year: '2020',
    released_month: '1',
    released_day: '1',
    streams: '5',
  },
  top50_2019: { TrackName: 'T', ArtistName: 'A', Genre: 'pop', Popularity: '5', Length: '200' },
  top10s: { title: 'T', artist: 'A', 'top genre': 'pop', year: '2015', pop: '5', dur: '200' },
  charts_artists: { rank: '1', uri: 'spotify:artist:1', artist_name: 'A', previous_rank: '2' },
  charts_by_region: {
    ...{ title: 'T', rank: '1', date: '2024-05-01', artist: 'A', url: 'https://x/track/1' },
    ...{ region: 'Argentina', chart: 'top200', streams: '100.0' },
  },
  charts_top50_countries: {
    ...{ spotify_id: '1', name: 'T', artists: 'A', daily_rank: '1', country: 'NL', snapshot_date: '2024-05-01' },
    ...{ popularity: '5', duration_ms: '1000', album_release_date: '2020-01-01' },
  },
  most_streamed_2024: {
    ...{ Track: 'T', Artist: 'A', 'Release Date': '4/26/2024', 'All Time Rank': '1', 'Spotify Streams': '1,000' },
  },
  top50_by_country: {
    ...{ title: 'T', artist: 'A', 'top genre': 'pop', year: '2015', added: '2020-01-01', pop: '5', dur: '200' },
    country: 'world',
  },
};

function charts(): TestFile[] {
  return Object.entries(RECORDS).map(([shape, record]) => {
    const place = { shape, chart: shape, region: 'global', period_start: '2024-05-01', period_end: '2024-05-02' };
    return {
      table: 'charts_csv',
      kind: shape,
      rows: [
        ...rowsOf(record).map((each) => ({ ...place, record: JSON.stringify(each) })),
        ...['period_start', 'period_end'].flatMap((name) =>
          EXTREME_TEXTS.map((value) => ({ ...place, record: JSON.stringify(record), [name]: value })),
        ),
        { ...place, record: '{"Position":"\\ud800"}' },
        { ...place, record: '' },
      ],
    };
  });
}

const NUMBERS = [
  'danceability',
  'energy',
  'key',
  'loudness',
  'mode',
  'speechiness',
  'acousticness',
  'instrumentalness',
  'liveness',
];

function tracks(): TestFile[] {
  const numbers = Object.fromEntries([...NUMBERS, 'valence', 'tempo', 'time_signature'].map((name) => [name, '1']));
  const kaggle = {
    track_id: 'k1',
    artists: 'A;B',
    track_name: 'T',
    album_name: 'L',
    popularity: '5',
    duration_ms: '1000',
    explicit: 'true',
    track_genre: 'pop',
  };
  const tidy = {
    track_id: 't1',
    track_artist: 'A',
    track_name: 'T',
    track_album_id: 'l1',
    track_album_name: 'L',
    track_album_release_date: '2020',
    track_popularity: '5',
    duration_ms: '1000',
    playlist_genre: 'pop',
  };
  // A track for each record: of records of one track all features are taken from one of them.
  const listed = { id: 'p1', name: 'T', artists: "['A', 'B']", id_artists: "['a', 'b']", release_date: '2020' };
  const words = { track_id: 'w1', track_name: 'T', artist_name: 'A', genre: 'pop', popularity: '5', explicit: '1' };
  const records: Record<string, Record<string, string>> = {
    kaggle: { ...kaggle, ...numbers },
    tidytuesday: { ...tidy, ...numbers },
    kaggle_tracks: { ...listed, ...numbers },
    kaggle_features: { ...words, ...numbers, key: 'C#', mode: 'Major', time_signature: '4/4' },
  };
  const idOf = (record: Record<string, string>): string => (record.track_id === undefined ? 'id' : 'track_id');
  return Object.entries(records).map(([shape, record]) => ({
    table: 'tracks_csv',
    kind: shape,
    rows: [
      ...rowsOf(record).map((each, n) => ({
        shape,
        record: JSON.stringify({
          ...each,
          ...(each[idOf(record)] === record[idOf(record)] && { [idOf(record)]: `${shape}${n}` }),
        }),
      })),
      { shape, record: '{"track_id":"\\ud800"}' },
    ],
  }));
}

/** Files of every table; each row is accounted for, whatever it says. */
export function extremeFiles(): TestFile[] {
  const play = {
    ...{ ts: '2024-05-01T10:03:00Z', platform: 'ios', ms_played: '180000', conn_country: 'NL' },
    ...{
      master_metadata_track_name: 'T',
      master_metadata_album_artist_name: 'A',
      master_metadata_album_album_name: 'L',
    },
    ...{ spotify_track_uri: 'spotify:track:1', episode_name: null, episode_show_name: null, spotify_episode_uri: null },
    ...{ audiobook_title: null, audiobook_uri: null, audiobook_chapter_uri: null, audiobook_chapter_title: null },
    ...{ reason_start: 'trackdone', reason_end: 'trackdone', shuffle: 'false', skipped: 'false', offline: 'true' },
    ...{ offline_timestamp: '1714557600', incognito_mode: 'false' },
  };
  const old = {
    ...{ end_time: '2024-05-01 10:03', artist_name: 'A', track_name: 'T', podcast_name: null, episode_name: null },
    ...{ author_name: null, audiobook_name: null, chapter_name: null, ms_played: '180000' },
  };
  const event = {
    ...{
      event_id: 'e',
      user_id: 'u',
      session_id: 's',
      track_id: 't',
      track_name: 'T',
      artist_name: 'A',
      action: 'play',
    },
    ...{ is_skipped: 'false', occurred_at: '2024-05-01T10:00:00Z', played_ms: '1000', device: 'ios', country: 'NL' },
    ...{ source: 'kafka', topic: 'plays', partition_number: '0', record_offset: '7' },
  };
  const events = rowsOf(event).map((row, n) => ({ ...row, ...(row.event_id === 'e' && { event_id: `e${n}` }) }));
  const scrobble = {
    ...{ uts: '1714557600', played_at: '01 May 2024, 10:00', artist: 'A', artist_mbid: '', album: 'L', album_mbid: '' },
    ...{ track: 'T', track_mbid: '0a1b2c3d-0000-4000-8000-00000000000f', now_playing: null },
  };
  const listen = {
    ...{ listened_at: '1714557600', inserted_at: '1714557700', artist_name: 'A, B', first_artist_name: 'A' },
    ...{ track_name: 'T', release_name: 'L', recording_mbid: '0a1b2c3d-0000-4000-8000-00000000000f' },
    ...{ release_mbid: null, artist_mbids: null, isrc: null, spotify_id: null, duration_ms: '180000', duration: null },
    ...{ music_service: 'spotify.com', submission_client: 'x' },
  };
  const weather = {
    ...{ latitude: '52.5', longitude: '13.4', time_zone: 'Europe/Berlin', date: '2024-05-01', temperature: '59' },
    ...{ temperature_unit: '°F', precipitation: '1', precipitation_unit: 'inch', sunshine: '3600', weather_code: '3' },
  };
  const journey = { valid_from: '2024-05-01', valid_to: '2024-06-01', time_zone: 'Asia/Tokyo' };
  // Without any time a track was still playing, and is not counted.
  const timed = rowsOf({ ...scrobble, uts: '' }).filter((row) => `${row.uts}${row.played_at}`.trim() !== '');
  const files = [
    extended(...rowsOf(play)),
    account(...rowsOf(old)),
    { table: 'lastfm_scrobbles', rows: [...rowsOf(scrobble), ...timed] },
    { table: 'listenbrainz_listens', rows: [...rowsOf(listen), ...rowsOf({ ...listen, duration_ms: null })] },
    { table: 'listening_events', rows: events },
    { table: 'weather_csv', kind: 'weather', userId: null, rows: rowsOf(weather) },
    { table: 'time_zones_csv', kind: 'time_zones', rows: rowsOf(journey) },
    ...charts(),
    ...tracks(),
    answers(),
  ];
  // The index says nothing of their times: every file is asked.
  return files.map((file) => ({ ...file, periods: [] }));
}

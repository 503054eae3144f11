import { makeTestLake, pages, playedItem, type TestFile, type TestLake } from './transform-lake.ts';

let lake: TestLake;
beforeEach(async () => {
  lake = await makeTestLake();
});
afterEach(async () => {
  await lake.close();
});

const AT = '2024-05-01T12:00:00Z';
const LATER = '2024-06-01T12:00:00Z';

function track(id: string, given: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id,
    uri: `spotify:track:${id}`,
    name: `Track ${id}`,
    type: 'track',
    artists: [
      { id: 'a1', name: 'Ann' },
      { id: 'a2', name: 'Bob' },
    ],
    album: {
      id: 'al1',
      name: 'Album',
      album_type: 'ALBUM',
      release_date: '1999',
      release_date_precision: 'year',
      total_tracks: 12.0,
      artists: [{ id: 'a1', name: 'Ann' }],
      external_urls: { spotify: 'https://open.spotify.com/album/al1' },
    },
    duration_ms: 201_000.0,
    explicit: true,
    popularity: 55,
    external_ids: { isrc: 'nlabc1234567' },
    external_urls: { spotify: `https://open.spotify.com/track/${id}` },
    track_number: 3,
    is_local: false,
    ...given,
  };
}

function kaggle(...rows: Record<string, string>[]): TestFile {
  return {
    table: 'tracks_csv',
    kind: 'kaggle',
    rows: rows.map((row) => ({
      shape: 'kaggle',
      record: JSON.stringify({
        ...{
          '': '0',
          track_id: 'k1',
          artists: 'Ann;Cat',
          album_name: 'Hits',
          track_name: 'Song',
          popularity: '40',
          duration_ms: '200000',
        },
        ...{
          explicit: 'False',
          danceability: '0.5',
          energy: '0.6',
          key: '-1',
          loudness: '-5.5',
          mode: '1',
          speechiness: '0.1',
        },
        ...{
          acousticness: '0.2',
          instrumentalness: '0',
          liveness: '0.3',
          valence: '0.4',
          tempo: '0',
          time_signature: '0',
          track_genre: 'pop',
        },
        ...row,
      }),
    })),
  };
}

function chart(shape: string, rows: Record<string, string>[], place: Record<string, string | null> = {}): TestFile {
  return {
    table: 'charts_csv',
    kind: shape,
    rows: rows.map((record) => ({
      shape,
      chart: 'top200_daily',
      region: 'global',
      period_start: null,
      period_end: null,
      ...place,
      record: JSON.stringify(record),
    })),
  };
}

describe('tracks, artists, albums', () => {
  test('the newest value of each attribute, null or not, in whatever order files come', async () => {
    const old = pages({ kind: 'tracks', observed_at: AT, body: track('t1') });
    const young = pages({
      kind: 'tracks',
      observed_at: LATER,
      body: { tracks: [track('t1', { name: 'Renamed', popularity: null, explicit: undefined })] },
    });
    const hashes: unknown[] = [];
    for (const order of [
      [old, young],
      [young, old],
    ]) {
      const own = await makeTestLake();
      for (const file of order) {
        await own.add(file);
        await own.transform();
      }
      expect(await own.rows('tracks')).toEqual([
        {
          ...{
            track_id: 't1',
            track_name: 'Renamed',
            album_id: 'al1',
            album_name: 'Album',
            primary_artist_id: 'a1',
            primary_artist_name: 'Ann',
          },
          ...{
            duration_ms: 201_000,
            is_explicit: true,
            popularity: 55,
            isrc: 'NLABC1234567',
            url: 'https://open.spotify.com/track/t1',
          },
          ...{
            track_number: 3,
            is_local: false,
            first_seen_at: '2024-05-01T12:00:00.000Z',
            last_seen_at: '2024-06-01T12:00:00.000Z',
            source: 'api',
          },
        },
      ]);
      hashes.push(await own.hashes());
      await own.close();
    }
    expect(hashes[1]).toEqual(hashes[0]);
    await lake.add(old, young);
    expect((await lake.transform()).accounts).toEqual({ read: 2, new: 1, duplicate: 1, quarantined: 0 });
    expect(await lake.rows('albums')).toEqual([
      {
        ...{
          album_id: 'al1',
          album_name: 'Album',
          album_type: 'album',
          primary_artist_id: 'a1',
          release_date: '1999-01-01T00:00:00.000Z',
        },
        ...{
          release_precision: 'year',
          total_tracks: 12,
          url: 'https://open.spotify.com/album/al1',
          last_seen_at: '2024-06-01T12:00:00.000Z',
          source: 'api',
        },
      },
    ]);
    expect(await lake.rows('track_artists')).toEqual([
      { track_id: 't1', artist_id: 'a1', artist_name: 'Ann', position: 1 },
      { track_id: 't1', artist_id: 'a2', artist_name: 'Bob', position: 2 },
    ]);
  });

  test('null elements, episodes, local files and both generations of field names', async () => {
    const local = track('x', {
      id: null,
      uri: 'spotify:local:Ann::Tape:100',
      is_local: true,
      artists: [{ id: null, name: 'Ann' }],
      album: { id: null, name: 'Tape' },
    });
    await lake.add(
      pages({
        kind: 'playlist_items',
        observed_at: AT,
        playlist_id: 'p1',
        body: {
          offset: 100,
          items: [
            { added_at: '2020-01-01T00:00:00Z', track: track('t1', { type: 'Track' }) },
            { added_at: null, track: null },
            { added_at: '2020-01-01T00:00:00Z', is_local: true, track: local },
            { item: { id: 'ep', uri: 'spotify:episode:ep', name: 'Nine', type: 'episode' } },
            { added_at: '2020-01-02T00:00:00Z', item: track('t2') },
            null,
          ],
        },
      }),
    );
    const result = await lake.transform();
    expect(result.accounts).toEqual({ read: 6, new: 6, duplicate: 0, quarantined: 0 });
    expect(
      await lake.rows('playlist_items', 'playlist_id, position, item_type, track_id, item_name, added_at'),
    ).toEqual([
      {
        playlist_id: 'p1',
        position: 101,
        item_type: 'track',
        track_id: 't1',
        item_name: 'Track t1',
        added_at: '2020-01-01T00:00:00.000Z',
      },
      { playlist_id: 'p1', position: 102, item_type: 'unavailable', track_id: null, item_name: null, added_at: null },
      {
        playlist_id: 'p1',
        position: 103,
        item_type: 'local',
        track_id: 'spotify:local:Ann::Tape:100',
        item_name: 'Track x',
        added_at: '2020-01-01T00:00:00.000Z',
      },
      { playlist_id: 'p1', position: 104, item_type: 'episode', track_id: null, item_name: 'Nine', added_at: null },
      {
        playlist_id: 'p1',
        position: 105,
        item_type: 'track',
        track_id: 't2',
        item_name: 'Track t2',
        added_at: '2020-01-02T00:00:00.000Z',
      },
      { playlist_id: 'p1', position: 106, item_type: 'unavailable', track_id: null, item_name: null, added_at: null },
    ]);
    expect((await lake.rows('tracks', 'track_id, primary_artist_id')).map((row) => Object.values(row))).toEqual([
      ['spotify:local:Ann::Tape:100', 'name:ann'],
      ['t1', 'a1'],
      ['t2', 'a1'],
    ]);
  });

  test('albums with their tracks, artists with genres and followers', async () => {
    await lake.add(
      pages(
        {
          kind: 'albums',
          observed_at: AT,
          body: {
            ...(track('t').album as object),
            release_date: '1999-05',
            tracks: {
              items: [
                {
                  id: 't9',
                  uri: 'spotify:track:t9',
                  name: 'Nine',
                  duration_ms: 1,
                  artists: [{ id: 'a1', name: 'Ann' }],
                },
              ],
            },
          },
        },
        {
          kind: 'artists',
          observed_at: AT,
          body: {
            artists: [
              {
                id: 'a1',
                name: 'Ann',
                genres: ['Pop', 'Art Rock'],
                followers: { total: 5_000_000_000 },
                popularity: 70.0,
              },
              null,
            ],
          },
        },
        {
          kind: 'saved_albums',
          observed_at: AT,
          body: { items: [{ added_at: AT, album: { id: 'al2', name: 'Two', release_date: 'soon', artists: [] } }] },
        },
      ),
    );
    const result = await lake.transform();
    expect(result.accounts).toEqual({ read: 4, new: 3, duplicate: 0, quarantined: 1 });
    expect(result.quarantined).toEqual({ item_empty: 1 });
    expect(await lake.rows('albums', 'album_id, release_date, release_precision')).toEqual([
      { album_id: 'al1', release_date: '1999-05-01T00:00:00.000Z', release_precision: 'month' },
      { album_id: 'al2', release_date: null, release_precision: null },
    ]);
    expect(await lake.rows('tracks', 'track_id, album_id, album_name')).toEqual([
      { track_id: 't9', album_id: 'al1', album_name: 'Album' },
    ]);
    expect(await lake.rows('artists', 'artist_id, genres, followers, popularity')).toEqual([
      { artist_id: 'a1', genres: 'art rock;pop', followers: 5_000_000_000, popularity: 70 },
    ]);
    expect(await lake.rows('track_genres')).toEqual([
      { track_id: 't9', genre: 'art rock', source: 'artist' },
      { track_id: 't9', genre: 'pop', source: 'artist' },
    ]);
  });

  test('a tracks file: repeats under other genres collapse, artists are split, zeros of tempo are unknown', async () => {
    await lake.add(
      kaggle(
        {},
        { track_genre: 'Rock', popularity: '60' },
        { track_genre: 'pop', danceability: '0.51' },
        { track_id: '' },
        { track_id: 'k2', artists: '', album_name: '', track_name: '' },
      ),
    );
    const result = await lake.transform();
    expect(result.accounts).toEqual({ read: 5, new: 3, duplicate: 1, quarantined: 1 });
    expect(result.quarantined).toEqual({ track_id_missing: 1 });
    expect(
      await lake.rows(
        'tracks',
        'track_id, track_name, album_id, primary_artist_id, popularity, is_explicit, last_seen_at, source',
      ),
    ).toEqual([
      {
        track_id: 'k1',
        track_name: 'Song',
        album_id: 'name:ann|hits',
        primary_artist_id: 'name:ann',
        popularity: 60,
        is_explicit: false,
        last_seen_at: null,
        source: 'tracks_csv',
      },
      {
        track_id: 'k2',
        track_name: null,
        album_id: null,
        primary_artist_id: null,
        popularity: 40,
        is_explicit: false,
        last_seen_at: null,
        source: 'tracks_csv',
      },
    ]);
    expect(await lake.rows('track_genres', 'track_id, genre')).toEqual([
      { track_id: 'k1', genre: 'pop' },
      { track_id: 'k1', genre: 'rock' },
      { track_id: 'k2', genre: 'pop' },
    ]);
    expect(await lake.rows('artists', 'artist_id, artist_name')).toEqual([
      { artist_id: 'name:ann', artist_name: 'Ann' },
      { artist_id: 'name:cat', artist_name: 'Cat' },
    ]);
    const [features] = await lake.rows('track_features');
    expect(features).toMatchObject({
      track_id: 'k1',
      danceability: 0.5,
      key: null,
      tempo_bpm: null,
      time_signature: null,
      popularity: 60,
      has_conflict: true,
    });
  });

  test('the API knows a track better than a file: its artists and album, and none by name beside them', async () => {
    await lake.add(
      kaggle({ track_id: 't1' }),
      pages({ kind: 'tracks', observed_at: null, body: track('t1', { popularity: null }) }),
    );
    await lake.transform();
    expect(await lake.rows('tracks', 'track_id, track_name, album_id, primary_artist_id, popularity, source')).toEqual([
      {
        track_id: 't1',
        track_name: 'Track t1',
        album_id: 'al1',
        primary_artist_id: 'a1',
        popularity: 40,
        source: 'api',
      },
    ]);
    expect((await lake.rows('artists', 'artist_id')).map(({ artist_id }) => artist_id)).toEqual(['a1', 'a2']);
    expect((await lake.rows('albums', 'album_id')).map(({ album_id }) => album_id)).toEqual(['al1']);
  });
});

describe('track_observations', () => {
  const seen = (at: string | null, given: Record<string, unknown>, id = 't1') =>
    pages({ kind: 'tracks', observed_at: at, body: track(id, given) });
  const ROW = 'track_id, seen_at, source, track_name, popularity, duration_ms';
  const values = async (of: TestLake): Promise<unknown[][]> =>
    (await of.rows('track_observations', ROW)).map((row) => Object.values(row));

  test('a row where a value differs from the one before, also where it comes back, in whatever order files come', async () => {
    const files = [
      seen('2024-05-01T12:00:00Z', { popularity: 50 }),
      seen('2024-05-08T12:00:00Z', { popularity: 50 }),
      seen('2024-05-15T12:00:00Z', { popularity: 55 }),
      seen('2024-05-22T12:00:00Z', { popularity: 50 }),
      seen('2024-05-29T12:00:00Z', { popularity: 50, name: 'Renamed' }),
      seen('2024-06-05T12:00:00Z', { popularity: 50, name: 'Renamed', duration_ms: 1 }),
      // Nothing that is observed here changes: the explicit flag is another description of the same.
      seen('2024-06-12T12:00:00Z', { popularity: 50, name: 'Renamed', duration_ms: 1, explicit: false }),
      seen('2024-05-20T12:00:00Z', { popularity: 7 }, 't2'),
      seen('2024-05-19T12:00:00Z', { popularity: 7, explicit: false }, 't2'),
    ];
    const expected = [
      ['t1', '2024-05-01T12:00:00.000Z', 'api', 'Track t1', 50, 201_000],
      ['t1', '2024-05-15T12:00:00.000Z', 'api', 'Track t1', 55, 201_000],
      ['t1', '2024-05-22T12:00:00.000Z', 'api', 'Track t1', 50, 201_000],
      ['t1', '2024-05-29T12:00:00.000Z', 'api', 'Renamed', 50, 201_000],
      ['t1', '2024-06-05T12:00:00.000Z', 'api', 'Renamed', 50, 1],
      ['t2', '2024-05-19T12:00:00.000Z', 'api', 'Track t2', 7, 201_000],
    ];
    await lake.add(...files);
    await lake.transform();
    expect(await values(lake)).toEqual(expected);
    const hashes = await lake.hashes();
    const own = await makeTestLake();
    for (const file of files.toReversed()) {
      await own.add(file);
      await own.transform();
    }
    const other = await own.hashes();
    await own.close();
    const prefix = 'silver/track_observations/v/';
    expect(Object.keys(other).filter((key) => key.startsWith(prefix))).toHaveLength(1);
    for (const key of Object.keys(other).filter((key) => key.startsWith(prefix))) expect(other[key]).toBe(hashes[key]);
  });

  test('a description that leaves a value out does not take it back; of several at one time the highest', async () => {
    const albums = (at: string) => ({
      kind: 'albums',
      observed_at: at,
      body: {
        ...(track('t').album as object),
        tracks: { items: [{ id: 't1', uri: 'spotify:track:t1', name: 'Track t1', duration_ms: 201_000 }] },
      },
    });
    await lake.add(
      pages(albums('2024-05-01T12:00:00Z'), albums('2024-05-03T12:00:00Z'), albums('2024-05-05T12:00:00Z')),
      seen('2024-05-02T12:00:00Z', { popularity: 50 }),
      seen('2024-05-04T12:00:00Z', { popularity: 51 }),
      seen('2024-05-04T12:00:00Z', { popularity: 49 }),
      // Nothing is said of it.
      seen('2024-05-04T12:00:00Z', { name: '', popularity: null, duration_ms: null }, 't2'),
    );
    await lake.transform();
    expect(await values(lake)).toEqual([
      ['t1', '2024-05-01T12:00:00.000Z', 'api', 'Track t1', null, 201_000],
      ['t1', '2024-05-02T12:00:00.000Z', 'api', 'Track t1', 50, 201_000],
      ['t1', '2024-05-04T12:00:00.000Z', 'api', 'Track t1', 51, 201_000],
    ]);
  });

  test('tracks files have no time, and what they say is not compared with the API', async () => {
    await lake.add(
      kaggle({}, { track_genre: 'rock', popularity: '60' }, { track_id: 't1', popularity: '' }),
      seen(null, { popularity: 1 }),
      seen('2024-05-02T12:00:00Z', { popularity: 1 }),
      seen('2024-05-03T12:00:00Z', { popularity: 2 }),
    );
    await lake.transform();
    expect(await values(lake)).toEqual([
      ['k1', null, 'tracks_csv', 'Song', 60, 200_000],
      ['t1', '2024-05-02T12:00:00.000Z', 'api', 'Track t1', 1, 201_000],
      ['t1', '2024-05-03T12:00:00.000Z', 'api', 'Track t1', 2, 201_000],
      ['t1', null, 'tracks_csv', 'Song', null, 200_000],
    ]);
  });

  test('plays alone make no observation', async () => {
    await lake.add({
      table: 'listening_events',
      rows: [{ event_id: 'e', user_id: 'u', action: 'play', track_id: 't1' }],
    });
    await lake.transform();
    expect(await values(lake)).toEqual([]);
  });
});

describe('snapshots', () => {
  test('the library and top lists on their dates; a second look on one day counts once', async () => {
    const saved = (at: string) => ({
      kind: 'saved_tracks',
      observed_at: at,
      body: {
        items: [
          { added_at: AT, track: track('t1') },
          { added_at: AT, track: null },
        ],
      },
    });
    const top = (at: string, id: string) => ({
      kind: 'top_tracks',
      observed_at: at,
      time_range: 'short_term',
      body: { offset: 0, items: [track(id)] },
    });
    await lake.add(
      pages(saved(AT), saved('2024-05-01T18:00:00Z'), saved(LATER)),
      pages(top(AT, 't1'), top('2024-05-01T18:00:00Z', 't2')),
      pages({ kind: 'top_artists', observed_at: AT, body: { items: [{ id: 'a1', name: 'Ann', type: 'artist' }] } }),
      pages({ kind: 'top_artists', observed_at: null, body: { items: [{ id: 'a9', name: 'Late', type: 'artist' }] } }),
    );
    const result = await lake.transform();
    expect(result.quarantined).toEqual({ item_empty: 3, snapshot_time_missing: 1 });
    expect(result.accounts).toEqual({ read: 10, new: 4, duplicate: 2, quarantined: 4 });
    expect(await lake.rows('saved_tracks', 'user_id, track_id')).toEqual([
      { user_id: 'me', track_id: 't1' },
      { user_id: 'me', track_id: 't1' },
    ]);
    expect(await lake.rows('top_items', 'item_type, time_range, rank, item_id')).toEqual([
      { item_type: 'artist', time_range: 'unknown', rank: 1, item_id: 'a1' },
      { item_type: 'track', time_range: 'short_term', rank: 1, item_id: 't2' },
    ]);
  });

  test('a playlist that shrank during the day has its last length', async () => {
    const page = (at: string, total: number) => ({
      kind: 'playlist_items',
      observed_at: at,
      playlist_id: 'p1',
      body: {
        offset: 0,
        total,
        items: Array.from({ length: total }, (_, n) => ({ added_at: AT, track: track(`t${n}`) })),
      },
    });
    await lake.add(pages(page(AT, 3), page('2024-05-01T18:00:00Z', 1)));
    await lake.transform();
    expect(await lake.rows('playlist_items', 'position, track_id')).toEqual([{ position: 1, track_id: 't0' }]);
  });

  test('playlists in their newest snapshot, from a whole playlist of either generation and from a list of them', async () => {
    await lake.add(
      pages(
        {
          kind: 'playlist',
          observed_at: AT,
          body: {
            id: 'p1',
            name: 'Old',
            snapshot_id: 's1',
            owner: { id: 'u_1' },
            tracks: { total: 1, items: [{ track: track('t1') }] },
          },
        },
        {
          kind: 'playlist',
          observed_at: LATER,
          body: {
            id: 'p1',
            name: 'New',
            snapshot_id: 's2',
            owner: { id: 'u_1' },
            items: { total: 2.0, items: [{ item: track('t1') }, { item: track('t2') }] },
          },
        },
        {
          kind: 'playlists',
          observed_at: AT,
          body: { items: [{ id: 'p2', name: 'Other', tracks: { total: 0 } }, null] },
        },
      ),
    );
    const result = await lake.transform();
    expect(result.accounts).toEqual({ read: 5, new: 4, duplicate: 0, quarantined: 1 });
    expect(await lake.rows('playlists', 'playlist_id, playlist_name, snapshot_id, owner_id, item_count')).toEqual([
      { playlist_id: 'p1', playlist_name: 'New', snapshot_id: 's2', owner_id: 'u_1', item_count: 2 },
      { playlist_id: 'p2', playlist_name: 'Other', snapshot_id: null, owner_id: null, item_count: 0 },
    ]);
  });

  test('one file can hold plays and other responses', async () => {
    await lake.add(
      pages(
        {
          kind: 'recently_played',
          observed_at: AT,
          body: { items: [playedItem('2024-05-01T10:03:00Z'), playedItem('2024-05-01T10:03:00Z')] },
        },
        { kind: 'saved_tracks', observed_at: AT, body: { items: [{ added_at: AT, track: track('t1') }] } },
      ),
    );
    const result = await lake.transform();
    expect(result.files).toMatchObject([{ kind: 'api_mixed', read: 3, new: 2, duplicate: 1, quarantined: 0 }]);
  });
});

describe('charts', () => {
  test('every shape', async () => {
    await lake.add(
      chart(
        'charts_daily',
        [
          {
            Position: '1',
            'Track Name': 'One',
            Artist: 'Ann',
            Streams: '3,135,625',
            URL: 'https://open.spotify.com/track/0000000000000000000001',
          },
        ],
        { period_start: '2017-01-01', period_end: '2017-01-02' },
      ),
      chart(
        'charts_weekly',
        [
          {
            rank: '1',
            uri: 'spotify:track:0000000000000000000002',
            artist_names: 'Ann, Bob',
            track_name: 'Two',
            previous_rank: '-1',
            streams: '5000000000',
          },
          {
            rank: '2',
            uri: 'spotify:track:0000000000000000000003',
            artist_names: 'Ann',
            track_name: 'Three',
            previous_rank: '1',
            streams: '10',
          },
        ],
        { chart: 'top200_weekly', period_start: '2022-12-02', period_end: '2022-12-09' },
      ),
      chart(
        'charts_top50_daily',
        [
          {
            Date: '2025-12-14',
            Position: '1',
            Song: 'Four',
            Artist: 'Ann',
            Popularity: '0',
            Duration_MS: '200000',
            Release_Date: '2020-02-30',
          },
        ],
        { chart: 'top50_daily' },
      ),
      chart(
        'spotify_2023',
        [
          {
            track_name: 'Five',
            'artist(s)_name': 'Ann',
            released_year: '2023',
            released_month: '7',
            released_day: '4',
            streams: '141381703',
          },
          {
            track_name: 'Six',
            'artist(s)_name': 'Ann',
            released_year: '2023',
            released_month: '1',
            released_day: '1',
            streams: 'BPM110KeyAModeMajor',
          },
        ],
        { chart: 'spotify_2023', period_start: '2023-01-01', period_end: '2024-01-01' },
      ),
      chart(
        'top50_2019',
        [{ '': '1', TrackName: 'Señorita', ArtistName: 'Ann', Genre: 'pop', Length: '191', Popularity: '79' }],
        { chart: 'top50_2019', period_start: '2019-01-01', period_end: '2020-01-01' },
      ),
      chart(
        'top10s',
        [
          { title: 'A', artist: 'Ann', 'top genre': 'NA', year: '2010', dur: '217', pop: '83' },
          { title: 'B', artist: 'Ann', 'top genre': 'pop', year: '2010', dur: '200', pop: 'NA' },
          { title: 'C', artist: 'Ann', 'top genre': 'pop', year: '2011', dur: '', pop: '1' },
        ],
        { chart: 'top10s' },
      ),
    );
    const result = await lake.transform();
    expect(result.accounts).toEqual({ read: 10, new: 9, duplicate: 0, quarantined: 1 });
    const rows = await lake.rows('chart_entries', '* exclude (source_key, source_row, region)');
    const date = (text: string): string => `${text}T00:00:00.000Z`;
    const empty = {
      track_id: null,
      streams: null,
      previous_rank: null,
      popularity: null,
      duration_ms: null,
      release_date: null,
      genre: null,
      artist_name: 'Ann',
    };
    const inYear = (year: number) => ({
      chart: 'top_songs_by_year',
      period_start: date(`${year}-01-01`),
      period_end: date(`${year + 1}-01-01`),
    });
    expect(rows).toEqual([
      { ...empty, ...inYear(2010), rank: 1, track_name: 'A', popularity: 83, duration_ms: 217_000 },
      { ...empty, ...inYear(2010), rank: 2, track_name: 'B', genre: 'pop', duration_ms: 200_000 },
      { ...empty, ...inYear(2011), rank: 1, track_name: 'C', genre: 'pop', popularity: 1 },
      {
        ...empty,
        chart: 'top200_daily',
        period_start: date('2017-01-01'),
        period_end: date('2017-01-02'),
        rank: 1,
        track_name: 'One',
        streams: 3_135_625,
        track_id: '0000000000000000000001',
      },
      {
        ...empty,
        chart: 'top50_2019',
        period_start: date('2019-01-01'),
        period_end: date('2020-01-01'),
        rank: 1,
        track_name: 'Señorita',
        genre: 'pop',
        popularity: 79,
        duration_ms: 191_000,
      },
      {
        ...empty,
        chart: 'top200_weekly',
        period_start: date('2022-12-02'),
        period_end: date('2022-12-09'),
        rank: 1,
        track_name: 'Two',
        artist_name: 'Ann, Bob',
        streams: 5_000_000_000,
        track_id: '0000000000000000000002',
      },
      {
        ...empty,
        chart: 'top200_weekly',
        period_start: date('2022-12-02'),
        period_end: date('2022-12-09'),
        rank: 2,
        track_name: 'Three',
        previous_rank: 1,
        streams: 10,
        track_id: '0000000000000000000003',
      },
      {
        ...empty,
        chart: 'most_streamed_2023',
        period_start: date('2023-01-01'),
        period_end: date('2024-01-01'),
        rank: 1,
        track_name: 'Five',
        streams: 141_381_703,
        release_date: date('2023-07-04'),
      },
      {
        ...empty,
        chart: 'top50_daily',
        period_start: date('2025-12-14'),
        period_end: date('2025-12-15'),
        rank: 1,
        track_name: 'Four',
        popularity: 0,
        duration_ms: 200_000,
      },
    ]);
    expect(await lake.rows('quarantine', 'source, code, reason')).toEqual([
      { source: 'spotify_2023', code: 'streams_invalid', reason: 'not a whole number: "BPM110KeyAModeMajor"' },
    ]);
  });

  test('the same chart in two files is one chart', async () => {
    const place = { period_start: '2017-01-01', period_end: '2017-01-02' };
    const row = { Position: '1', 'Track Name': 'One', Artist: 'Ann', Streams: '1', URL: '' };
    await lake.add(chart('charts_daily', [row], place));
    await lake.transform();
    await lake.add(chart('charts_daily', [row, { ...row, Position: '2' }], place));
    expect((await lake.transform()).accounts).toEqual({ read: 2, new: 1, duplicate: 1, quarantined: 0 });
    expect(await lake.rows('chart_entries', 'rank')).toEqual([{ rank: 1 }, { rank: 2 }]);
  });
});

test('a large file of answers is read in parts: each answer once, as if each had a file of its own', async () => {
  const at = (n: number): string => `2024-05-01T${String(n + 5).padStart(2, '0')}:00:00Z`;
  const polls = Array.from({ length: 12 }, (_, n) => ({
    kind: 'recently_played',
    observed_at: at(n),
    body: { items: [playedItem(at(n - 1)), playedItem(at(n - 2))], padding: 'x'.repeat(700_000) },
  }));
  const told = async () => [
    await lake.rows('capture_polls', 'polled_at, items, new_items, oldest_at, newest_at, is_overflow'),
    await lake.rows('plays', 'ended_at, copies'),
    await lake.rows('tracks', 'track_id, track_name'),
  ];
  await lake.add(pages(...polls));
  expect((await lake.transform()).accounts).toEqual({ read: 24, new: 13, duplicate: 11, quarantined: 0 });
  const together = await told();
  expect(together.map((rows) => rows.length)).toEqual([12, 13, 1]);
  await lake.close();
  lake = await makeTestLake();
  for (const poll of polls) await lake.add(pages(poll));
  await lake.transform();
  expect(await told()).toEqual(together);
});

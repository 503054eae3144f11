import { gzipSync } from 'node:zlib';
import { loadText } from '../../jobs/commands/summary.ts';
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture, outcome, zipOf } from '../bronze/load-fixture.ts';

const IDS = ['0a1b2c3d-0000-4000-8000-00000000000a', '0a1b2c3d-0000-4000-8000-00000000000b'];
/** The person's name at the service: in no table. */
const USER = 'somebody-at-lastfm';

let lake: LoadFixture;
beforeAll(async () => {
  lake = await openLoadFixture();
});
afterAll(() => lake.close());

/** A track as `user.getRecentTracks` answers. */
function track(uts: number | undefined, name: string, given: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    artist: { mbid: IDS[0], '#text': 'The Example' },
    streamable: '0',
    image: [{ size: 'small', '#text': `https://images.example/${USER}.png` }],
    mbid: '',
    album: { mbid: IDS[1], '#text': 'Doors' },
    name,
    url: `https://www.last.fm/user/${USER}/library/music/_/${name}`,
    ...(uts === undefined
      ? { '@attr': { nowplaying: 'true' } }
      : { date: { uts: String(uts), '#text': 'as text, which is not read' } }),
    ...given,
  };
}

const page = (...tracks: unknown[]): Record<string, unknown> => ({
  recenttracks: {
    track: tracks,
    '@attr': { user: USER, totalPages: '1', page: '1', perPage: '200', total: String(tracks.length) },
  },
});

function listen(at: number, name: string, given: Record<string, unknown> = {}, mapping?: object): object {
  return {
    inserted_at: at + 60,
    listened_at: at,
    user_name: USER,
    recording_msid: IDS[0],
    track_metadata: {
      artist_name: 'The Example',
      track_name: name,
      release_name: 'Doors',
      additional_info: { recording_msid: IDS[0], tags: [USER], ...given },
      ...(mapping && { mbid_mapping: mapping }),
    },
  };
}

const lines = (...values: unknown[]): string => `${values.map((value) => JSON.stringify(value)).join('\n')}\n`;

test('exports of Last.fm, page by page or as CSV, become rows of one table', async () => {
  const csv = 'uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid';
  const folder = await lake.give({
    'recenttracks-1.csv': `\ufeff${csv}\r\n"1714557600","01 May 2024, 10:00","The Example","${IDS[0]}","Doors, and ""more""","","Csv","${IDS[1]}"\r\n`,
    'lastfm-to-csv.csv': 'The Example,Doors,Still Playing,\nThe Example,"Doors, II",Headless,01 May 2024 11:00\n',
    'with-header.csv': 'Artist;Album;Track;Date\nThe Example;;Header;02 Mar 2003 11:00\n',
    'page.json': JSON.stringify(page(track(undefined, 'Playing Now'), track(1_714_568_400, 'Page')), null, 2),
    // One track is no list; with `extended` the artist is told otherwise.
    'pages.jsonl': lines(
      { recenttracks: { track: track(1_714_572_000, 'Alone', { artist: { name: 'The Example', url: 'x' } }) } },
      page(),
      page(track(1_714_575_600, 'Last')),
    ),
    'list of pages.json': JSON.stringify([page(track(1_714_579_200, 'Lïst "1"')), page(track(1_714_582_800, '}],[{'))]),
    'tracks.json.gz': gzipSync(JSON.stringify([track(1_714_586_400, 'Flat', { artist: 'The Example', album: '' })])),
  });
  const loaded = await lake.load([folder]);
  for (const [name, rows] of Object.entries({
    ...{ 'recenttracks-1.csv': 1, 'lastfm-to-csv.csv': 1, 'with-header.csv': 1, 'page.json': 1, 'pages.jsonl': 2 },
    ...{ 'list of pages.json': 2, 'tracks.json.gz': 1 },
  }))
    expect(outcome(loaded, name)).toMatchObject({ status: 'loaded', kind: 'lastfm', rows });
  const { accounts } = await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  const why = 'a track that was still playing is no scrobble yet';
  expect(outcome(loaded, 'page.json')).toMatchObject({ passedOver: { rows: 1, why } });
  expect(loadText(loaded)).toContain(`2 rows passed over: ${why}`);
  expect(accounts).toEqual({ read: 9, new: 9, duplicate: 0, quarantined: 0 });
  const plays = await lake.query(
    `select strftime(ended_at, '%d %H:%M'), source, track_name, artist_name, album_name, time_quality, content_uri
     from silver.plays order by ended_at`,
  );
  const uri = `https://musicbrainz.org/recording/${IDS[1]}`;
  const example = (at: string, name: string, album: string | null = 'Doors', quality = 'start', content = null) => [
    ...[at, 'lastfm', name, 'The Example', album, quality, content],
  ];
  expect(plays).toEqual([
    example('02 11:00', 'Header', null, 'minute'),
    ['01 10:00', 'lastfm', 'Csv', 'The Example', 'Doors, and "more"', 'start', uri],
    example('01 11:00', 'Headless', 'Doors, II', 'minute'),
    example('01 13:00', 'Page'),
    example('01 14:00', 'Alone'),
    example('01 15:00', 'Last'),
    example('01 16:00', 'Lïst "1"'),
    example('01 17:00', '}],[{'),
    example('01 18:00', 'Flat', null),
  ]);
});

test('exports of ListenBrainz, its archive and lists of other tools, become rows of another', async () => {
  const spotify = { spotify_id: 'https://open.spotify.com/track/0000000000000000000001', duration_ms: 180_000 };
  const archive = await zipOf({
    'user.json': JSON.stringify({ user_id: 1, username: USER }),
    'feedback.jsonl': lines({ recording_mbid: IDS[0], score: 1 }),
    'pinned_recording.jsonl': lines({ blurb_content: USER }),
    'listens/2024/5.jsonl': lines(
      listen(
        1_714_903_200,
        'Mapped',
        {},
        { recording_mbid: IDS[0], artists: [{ artist_credit_name: 'Example, The' }] },
      ),
      listen(1_714_906_800, 'Sent', { recording_mbid: IDS[1] }, { recording_mbid: IDS[0] }),
    ),
    'listens/2024/6.jsonl': lines(listen(1_717_236_000, 'Spotify', { ...spotify, artist_names: ['Ann', 'Bob'] })),
  });
  const folder = await lake.give({
    'listens/export.zip': archive,
    'listens/old.json': JSON.stringify([
      listen(
        1_714_910_400,
        'Old',
        { artist_mbids: IDS },
        { artists: ['Cat', 'Dog'].map((artist_credit_name) => ({ artist_credit_name })) },
      ),
      { listened_at: 1_714_914_000, track_metadata: { artist_name: 'The Example', track_name: null } },
    ]),
    'listens/one.json': JSON.stringify(listen(1_714_917_600, 'One'), null, 1),
  });
  const loaded = await lake.load([`${folder}/listens`]);
  expect(loaded.exit).toBe('ok');
  const reasons = loaded.files.filter(({ status }) => status === 'ignored').map(({ reason }) => reason);
  expect(reasons).toEqual(Array(3).fill('data of ListenBrainz without listening'));
  expect(outcome(loaded, 'old.json')).toMatchObject({ status: 'loaded', kind: 'listenbrainz', rows: 2 });
  const { accounts, quarantined } = await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  expect(accounts).toEqual({ read: 6, new: 5, duplicate: 0, quarantined: 1 });
  expect(quarantined).toEqual({ name_missing: 1 });
  const plays = await lake.query(
    `select strftime(ended_at, '%m-%d %H:%M'), track_name, artist_name, content_uri, duration_ms
     from silver.plays where source = 'listenbrainz' order by ended_at`,
  );
  const recording = (id: string | undefined): string => `https://musicbrainz.org/recording/${id}`;
  expect(plays).toEqual([
    ['05-05 10:00', 'Mapped', 'The Example', recording(IDS[0]), null],
    ['05-05 11:00', 'Sent', 'The Example', recording(IDS[1]), null],
    ['05-05 12:00', 'Old', 'Cat', null, null],
    ['05-05 14:00', 'One', 'The Example', null, null],
    ['06-01 10:00', 'Spotify', 'Ann', 'spotify:track:0000000000000000000001', 180_000n],
  ]);
});

test('nothing of the person but the scrobbles is kept, and the same files again are nothing new', async () => {
  const again = await lake.load();
  expect(again.files.filter(({ status }) => status !== 'known' && status !== 'ignored')).toEqual([]);
  const index = await lake.index();
  expect([...new Set(index.map(({ table, userId }) => `${table} ${userId}`))].sort()).toEqual([
    'lastfm_scrobbles me',
    'listenbrainz_listens me',
  ]);
  for (const table of ['lastfm_scrobbles', 'listenbrainz_listens']) {
    const [[text] = []] = await lake.query(`select string_agg(cast(each as varchar)) from bronze.${table} as each`);
    expect(text).toContain('The Example');
    expect(text).not.toContain(USER);
  }
});

test('a file that is nearly one is refused with a reason', async () => {
  const folder = await lake.give({
    'bad/track.json': JSON.stringify(page(track(1_714_568_400, 'Good'), 'no track')),
    'bad/five.csv': 'The Example,Doors,Blue Door,01 May 2024 11:00,x\n',
    'bad/dates.csv': 'The Example,Doors,Blue Door,yesterday\n',
    'bad/cut.jsonl': lines(listen(1_714_903_200, 'Cut')).slice(0, -20),
  });
  const loaded = await lake.load([`${folder}/bad`]);
  const code = (name: string): unknown => outcome(loaded, name).code;
  expect(['track.json', 'five.csv', 'dates.csv', 'cut.jsonl'].map(code)).toEqual([
    ...['row_not_object', 'kind_unknown', 'kind_unknown', 'json_truncated'],
  ]);
});

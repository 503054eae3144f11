/**
 * Plants 30 forms of personal data in every kind of file, and looks for them in every byte that is left or
 * shown. Parquet, gzip and the catalog's own texts are decoded. Of pictures, the page has the SVG as text.
 * The pixels of a PNG are drawn from the same SVG and hold no text that could be read back; the chunks in
 * which a PNG carries text (tEXt, zTXt, iTXt, eXIf) are unpacked and read.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { isPersonalKey, isPersonalSql, isPersonalValue, withoutPersonal } from '../../jobs/base/personal-fields.ts';
import { openEmbedded } from '../../jobs/engine/duckdb/database.ts';
import { play, zipOf } from '../bronze/load-fixture.ts';
import { listenlake } from '../fixtures/command-line.ts';

/** Fields whose names say that they are personal: any value goes. */
const FIELDS: Record<string, string> = {
  ip: 'canary-field-ip',
  ip_addr_decrypted: 'canary-field-ipaddr',
  email: 'canary-field-email',
  password: 'canary-field-password',
  accessToken: 'canary-field-token',
  street: 'canary-field-street',
  displayName: 'canary-field-display',
  username: 'canary-field-user',
  user_agent_decrypted: 'canary-field-agent',
  phoneNumber: 'canary-field-phone',
  birthdate: 'canary-field-birth',
  city: 'canary-field-city',
  metro_area: 'canary-field-metro',
  latitude: 'canary-field-latitude',
  postalCode: 'canary-field-zip',
};
/** Texts that hold something personal, and the part of each that must not be found. */
const TEXTS: readonly [text: string, trace: string][] = [
  ['canary01@example.org', 'canary01'],
  ['write to Canary02+x@mail.example.org.', 'Canary02'],
  ['canary03%40example.org', 'canary03'],
  ['192.0.2.211', '192.0.2.211'],
  ['from 198.51.100.211:443, 203.0.113.211', '.211'],
  ['2001:db8::ca0a:5', 'ca0a:5'],
  ['[2001:db8:0:0:0:0:ca0a:6]', 'ca0a:6'],
  ['spotify:user:canary08:playlist:x', 'canary08'],
  ['spotify%3Auser%3Acanary09%3Aplaylist%3Ax', 'canary09'],
  ['https://open.spotify.com/users/canary10?x=1', 'canary10'],
  ['https://open.spotify.com/intl-de/user/canary11', 'canary11'],
  ['https%3A%2F%2Fopen.spotify.com%2Fuser%2Fcanary12%2Fplaylist', 'canary12'],
  ['https://example.org/cb?access_token=canary13&x=1', 'canary13'],
  ['https://canary14:canary14@example.org/', 'canary14'],
  ['{"password":"canary15"}', 'canary15'],
];
const FORMS = TEXTS.length + Object.keys(FIELDS).length;
const TRACES = [...TEXTS.map(([, trace]) => trace), ...Object.values(FIELDS), 'canary'];
/** The name of a file that names a person, by their address. */
const PERSON = 'canary16@example.org';
/** Where a file lies in a zip of somebody's whole home, as macOS, Linux and Windows name it. */
const HOMES = ['Users/canary17', 'home/canary18', 'Users\\canary19'];
/** What a file or folder can be called. */
const NAMES = TEXTS.map(([text]) => text).filter((text) => !text.includes('/'));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-forms-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/**
 * A row with every form: in fields that no contract knows, nested, as names, and as the values of `columns`.
 * One row for each text.
 */
function rowsWith(row: (number: number) => Record<string, unknown>, columns: readonly string[]) {
  return TEXTS.map(([text], number) => ({
    ...row(number),
    ...FIELDS,
    note: text,
    more: { ...FIELDS, deep: [{ ...FIELDS, note: text }] },
    list: [text],
    [text]: 1,
    ...Object.fromEntries(columns.map((column) => [column, text])),
    nestedColumn: JSON.stringify({ note: text }),
  }));
}

/**
 * A column of one of these names makes a CSV of tracks or charts another kind of file: with it nothing of the
 * file is read.
 */
const NOT_IN_KNOWN_CSV = ['username', 'user_agent_decrypted', 'city'];

/**
 * A CSV with a column for each name that a file of its kind may have, and a column for the texts. One row for
 * each text.
 */
function csvOf(
  columns: readonly string[],
  record: (text: string, number: number) => Record<string, string>,
  left: readonly string[] = NOT_IN_KNOWN_CSV,
): string {
  const header = [...columns, ...Object.keys(FIELDS).filter((name) => !left.includes(name)), 'note'];
  const lines = TEXTS.map(([text], number) => {
    const values: Record<string, string> = { ...record(text, number), ...FIELDS, note: text };
    return header.map((column) => `"${(values[column] ?? '1').replaceAll('"', '""')}"`).join(',');
  });
  return `${header.join(',')}\n${lines.join('\n')}\n`;
}

const FEATURES = [
  ...['danceability', 'energy', 'key', 'loudness', 'mode', 'speechiness'],
  ...['acousticness', 'instrumentalness', 'liveness', 'valence', 'tempo'],
];
const id = (number: number): string => `${String(number).padStart(2, '0')}abcdefghijklmnopqrst`;
const moment = (number: number): string => `2026-10-${String(number + 1).padStart(2, '0')}T10:00:00Z`;

function filesWithCanaries(): Record<string, string | Buffer> {
  const extended = rowsWith(
    (number) => play({ ts: moment(number), spotify_track_uri: `spotify:track:${id(number)}` }),
    ['platform', 'master_metadata_track_name', 'master_metadata_album_artist_name', 'episode_name', 'reason_end'],
  );
  // A scalar's place taken by an object, and a URI by a link to a user.
  const odd = { ...extended[0], ts: '2026-09-01T10:00:00Z', skipped: FIELDS, spotify_track_uri: TEXTS[9]![0] };
  const account = rowsWith(
    (number) => ({ endTime: `2026-09-${String(number + 1).padStart(2, '0')} 10:00`, msPlayed: 60_000 }),
    ['artistName', 'trackName'],
  );
  const events = rowsWith(
    (number) => ({ event_id: `e${number}`, user_id: TEXTS[number]![0], action: 'play', occurred_at: moment(number) }),
    ['session_id', 'track_name', 'artist_name', 'device', 'source', 'topic', 'country'],
  );
  const user = { ...FIELDS, id: 'canary-user', type: 'user', uri: 'spotify:user:canary-user' };
  const track = (text: string, number: number) => ({
    ...{ type: 'track', id: id(number), uri: `spotify:track:${id(number)}`, name: text, note: text, ...FIELDS },
    ...{ [text]: text, artists: [{ type: 'artist', id: id(20 + number), name: text, ...FIELDS }], duration_ms: 60_000 },
    album: { type: 'album', id: id(40 + number), name: text, more: { deep: [{ ...FIELDS, note: text }] } },
  });
  const tracks = TEXTS.map(([text], number) => track(text, number));
  const page = (path: string, items: unknown[]) => ({
    href: `https://api.spotify.com/v1/${path}`,
    items,
    limit: 50,
    ...FIELDS,
  });
  const polled = (body: unknown) => `${JSON.stringify({ polled_at: '2026-11-01T12:00:00Z', body })}\n`;
  const api = [
    page(
      'me/player/recently-played',
      tracks.map((each, number) => ({
        track: each,
        played_at: moment(number),
        context: { type: 'playlist', uri: TEXTS[7]![0], href: TEXTS[9]![0], external_urls: { spotify: TEXTS[10]![0] } },
      })),
    ),
    {
      ...page('playlists/3cEYpjA9oz9GiPac4AsH4n', []),
      type: 'playlist',
      id: '3cEYpjA9oz9GiPac4AsH4n',
      name: TEXTS[0]![0],
      description: 'canary-free-text',
      owner: user,
      tracks: page(
        'playlists/3cEYpjA9oz9GiPac4AsH4n/tracks',
        tracks.map((each) => ({ added_at: moment(1), added_by: user, track: each })),
      ),
    },
    page(
      'me/tracks',
      tracks.map((each) => ({ added_at: moment(2), track: each })),
    ),
    page('me/top/tracks?time_range=short_term', tracks),
    { tracks },
  ];
  const kaggle = [
    'track_id',
    'artists',
    'album_name',
    'track_name',
    'popularity',
    'duration_ms',
    'explicit',
    ...FEATURES,
    'time_signature',
    'track_genre',
  ];
  const tidytuesday = [
    ...[
      'track_id',
      'track_name',
      'track_artist',
      'track_popularity',
      'track_album_id',
      'track_album_name',
      'track_album_release_date',
    ],
    ...['playlist_name', 'playlist_id', 'playlist_genre', 'playlist_subgenre', ...FEATURES, 'duration_ms'],
  ];
  const plays = (columns: readonly string[], fixed: (number: number) => Record<string, string>): string =>
    csvOf(columns, (text, number) => ({
      ...Object.fromEntries(columns.map((column) => [column, text])),
      ...fixed(number),
    }));
  /** A day of that month of 2026. */
  const unix = (month: number, number: number): string => String(Date.UTC(2026, month - 1, number + 1, 10) / 1000);
  const scrobbled = TEXTS.map(([text], number) => ({
    ...{ ...FIELDS, [text]: text, name: text, mbid: text, url: text, image: [{ size: 'small', '#text': text }] },
    ...{ artist: { ...FIELDS, '#text': text, mbid: text }, album: { ...FIELDS, '#text': text, mbid: text } },
    date: { ...FIELDS, uts: unix(2, number), '#text': text },
  }));
  const listened = TEXTS.map(([text], number) => ({
    ...{ ...FIELDS, [text]: text, user_name: 'canary', listened_at: Number(unix(1, number)), inserted_at: text },
    track_metadata: {
      ...{ ...FIELDS, artist_name: text, track_name: text, release_name: text },
      additional_info: {
        ...{ ...FIELDS, [text]: text, artist_names: [text], recording_mbid: text, artist_mbids: [text], isrc: text },
        ...{ spotify_id: text, origin_url: text, duration: text, music_service: text, submission_client: text },
      },
      mbid_mapping: { ...FIELDS, release_mbid: text, artists: [{ ...FIELDS, artist_credit_name: text }] },
    },
  }));
  const library = { ...FIELDS, items: TEXTS.map(([text]) => ({ track: { trackName: text, ...FIELDS } })) };
  return {
    'Streaming_History_Audio_2026_1.json': JSON.stringify([...extended, odd]),
    'Streaming_History_Video_2026.json': JSON.stringify(
      extended.map((row, number) => ({ ...row, ts: `2026-08-${String(number + 1).padStart(2, '0')}T10:00:00Z` })),
    ),
    [`history of ${PERSON}.json.gz`]: gzipWithName(
      JSON.stringify(
        extended.map((row, number) => ({ ...row, ts: `2026-07-${String(number + 1).padStart(2, '0')}T10:00:00Z` })),
      ),
      `${PERSON}.json`,
    ),
    'spotify_history.csv': plays(
      [
        ...['spotify_track_uri', 'ts', 'platform', 'ms_played', 'track_name', 'artist_name', 'album_name'],
        ...['reason_start', 'reason_end', 'shuffle', 'skipped'],
      ],
      (number) => ({
        ...{ spotify_track_uri: id(number), ts: `2026-06-${String(number + 1).padStart(2, '0')} 10:00:00` },
        ...{ ms_played: '60000', shuffle: 'FALSE', skipped: 'TRUE' },
      }),
    ),
    'StreamingHistory.csv': plays(['endTime', 'artistName', 'trackName', 'msPlayed'], (number) => ({
      ...{ endTime: `2026-05-${String(number + 1).padStart(2, '0')} 10:00`, msPlayed: '60000' },
    })),
    'streams.csv': plays(['user_id', 'track_id', 'listen_time', 'device'], (number) => ({
      ...{ track_id: id(number), listen_time: moment(number) },
    })),
    'lastfm.csv': plays(['uts', 'artist', 'album', 'track', 'track_mbid'], (number) => ({ uts: unix(2, number) })),
    'recenttracks.json': JSON.stringify({ recenttracks: { track: scrobbled, '@attr': { ...FIELDS, user: 'canary' } } }),
    'listens.jsonl': listened.map((each) => JSON.stringify(each)).join('\n'),
    'data.csv': plays(['id', 'name', 'artists', ...FEATURES], (number) => ({
      ...Object.fromEntries(FEATURES.map((feature) => [feature, '0.5'])),
      ...{
        id: id(60 + number),
        key: '1',
        mode: '1',
        artists: JSON.stringify([TEXTS[number]![0]]).replaceAll('"', "'"),
      },
    })),
    ...Object.fromEntries(
      NAMES.map((name, number) => [
        `named ${number}/${name}.json`,
        JSON.stringify([play({ ts: `2026-04-${String(number + 1).padStart(2, '0')}T10:00:00Z` })]),
      ]),
    ),
    [`${PERSON}/StreamingHistory_music_0.json`]: JSON.stringify(account),
    [`events-${PERSON}.ndjson`]: events.map((event) => JSON.stringify(event)).join('\n'),
    'answers.ndjson': api.map(polled).join(''),
    [`kaggle ${PERSON}.csv`]: csvOf(kaggle, (text, number) => ({
      track_id: id(number),
      artists: text,
      album_name: text,
      track_name: text,
      explicit: 'False',
      track_genre: text,
    })),
    'tidytuesday.csv': csvOf(tidytuesday, (text, number) => ({
      track_id: id(number),
      track_name: text,
      track_artist: text,
      playlist_name: text,
      playlist_id: text,
      track_album_release_date: '2020-01-01',
    })),
    'regional-de-daily-2026-10-01.csv': csvOf(
      ['Position', 'Track Name', 'Artist', 'Streams', 'URL'],
      (text, number) => ({ Position: String(number + 1), 'Track Name': text, Artist: text, URL: text }),
    ),
    'regional-de-weekly-2026-10-01.csv': csvOf(
      ['rank', 'uri', 'artist_names', 'track_name', 'peak_rank', 'previous_rank', 'weeks_on_chart', 'streams'],
      (text, number) => ({
        rank: String(number + 1),
        uri: `spotify:track:${id(number)}`,
        artist_names: text,
        track_name: text,
      }),
    ),
    // Refused as a whole, each for a reason of its own.
    [`broken ${PERSON}.json`]: `${JSON.stringify(extended).slice(0, -1)},{"username":"canary`,
    'drift.json': JSON.stringify(extended.map((row) => ({ ...row, ts: undefined }))),
    // The columns that no known CSV may have, with all the others.
    'plays of a user.csv': csvOf(
      ['endTime', 'artistName', 'trackName', 'msPlayed'],
      (text) => ({ trackName: text }),
      [],
    ),
    'regional-de-daily-2026-10-02.csv': csvOf(
      ['Position', 'Track Name', 'Artist', 'Streams', 'URL'],
      (text) => ({ Artist: text }),
      [],
    ),
    'tracks of a city.csv': csvOf(['id', 'name', 'artists', ...FEATURES], (text) => ({ name: text }), []),
    'unknown.csv': `${[...Object.keys(FIELDS), ...TEXTS.map(([text]) => JSON.stringify(text).replaceAll('\\"', '""'))].join(',')}\n1\n`,
    'unknown.json': JSON.stringify({ ...FIELDS, note: TEXTS.map(([text]) => text) }),
    'canary@example.org.bin': Buffer.from(`\0${TRACES.join('\0')}`),
    'damaged.json.gz': gzipSync(JSON.stringify(extended)).subarray(0, -9),
    // Never opened, in whatever number and copy.
    'Userdata.json': JSON.stringify({ ...FIELDS, list: TEXTS }),
    'Userdata(1).json': JSON.stringify({ ...FIELDS, list: TEXTS }),
    'Playlist1.json': JSON.stringify({ playlists: [{ ...library, collaborators: ['canary'] }] }),
    'YourLibrary.json': JSON.stringify({ tracks: [library], other: TEXTS }),
    'Follow.json': JSON.stringify({ userIsFollowing: TEXTS.map(([text]) => text) }),
    'SearchQueries.json': JSON.stringify(TEXTS.map(([text]) => ({ searchQuery: text, ...FIELDS }))),
    // The same under names that say nothing, so that they are opened.
    'my playlists.json': JSON.stringify({ playlists: [{ ...library, collaborators: ['canary'] }] }),
    'my library.json': JSON.stringify({ tracks: [library], other: TEXTS }),
    'searches.json': JSON.stringify(TEXTS.map(([text]) => ({ searchQuery: text, ...FIELDS }))),
  };
}

/** A gzip file that says what it was called before (RFC 1952, 2.3: FNAME). */
function gzipWithName(content: string, name: string): Buffer {
  const packed = gzipSync(content);
  const header = Buffer.from(packed.subarray(0, 10));
  header[3] = 8;
  return Buffer.concat([header, Buffer.from(`${name}\0`, 'latin1'), packed.subarray(10)]);
}

/**
 * Every byte below a folder by file name; what is packed, of Parquet, or in the catalog is there decoded as
 * well.
 */
async function everythingBelow(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const db = await openEmbedded({ memoryMb: 256, threads: 1, tempDir: join(folder, 'spill'), folders: [root] });
  try {
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      found.set(`name of ${path}`, path.slice(root.length));
      if (!entry.isFile()) continue;
      const bytes = await readFile(path);
      found.set(path, bytes.toString('latin1'));
      const form = bytes.toString('latin1', 0, 4);
      if (form === 'PAR1') {
        const rows = await db.rows(
          `select to_json(t)::varchar as row from read_parquet('${path}', hive_partitioning = false) t`,
        );
        found.set(`rows of ${path}`, rows.map(({ row }) => String(row)).join('\n'));
      }
      if (form.startsWith('\x1f\x8b')) found.set(`content of ${path}`, gunzipSync(bytes).toString('latin1'));
      if (form === '\x89PNG') found.set(`texts of ${path}`, textsOfPng(bytes).join('\n'));
      if (bytes.toString('latin1', 8, 12) === 'DUCK') found.set(`texts of ${path}`, await textsOfCatalog(path));
    }
  } finally {
    db.close();
  }
  return found;
}

/**
 * What a PNG says in words (PNG specification, 11.3.4): tEXt is plain, zTXt is deflated after its keyword,
 * iTXt is either. Whatever chunk is none of a picture's own is given as it is.
 */
function textsOfPng(png: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 8; at + 12 <= png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const data = png.subarray(at + 8, at + 8 + length);
    at += 12 + length;
    if (['IHDR', 'PLTE', 'IDAT', 'IEND'].includes(type)) continue;
    texts.push(`${type} ${data.toString('latin1')}`);
    const keyword = data.indexOf(0);
    if (type === 'zTXt') texts.push(inflateSync(data.subarray(keyword + 2)).toString('latin1'));
    if (type === 'iTXt' && data[keyword + 1] === 1) {
      const language = data.indexOf(0, keyword + 3);
      texts.push(inflateSync(data.subarray(data.indexOf(0, language + 1) + 1)).toString('utf8'));
    }
  }
  return texts;
}

/** Names, columns, comments and statements of everything in a DuckDB file, and the rows of its tables. */
async function textsOfCatalog(path: string): Promise<string> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    const read = async (sql: string): Promise<string> => {
      const rows = (await connection.runAndReadAll(sql)).getRows();
      return JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value));
    };
    const parts = ['schemas', 'tables', 'views', 'columns', 'types', 'functions'].map((kind) =>
      read(`select to_json(t)::varchar from duckdb_${kind}() t where not internal`),
    );
    const tables = (
      await connection.runAndReadAll('select sql, schema_name, table_name from duckdb_tables()')
    ).getRows();
    for (const [, schema, table] of tables)
      parts.push(read(`select to_json(t)::varchar from "${schema}"."${table}" t`));
    return (await Promise.all(parts)).join('\n');
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function tracesIn(texts: Map<string, string>): string[] {
  return [...texts].flatMap(([place, text]) =>
    TRACES.flatMap((trace) => {
      const at = text.toLowerCase().indexOf(trace.toLowerCase());
      return at < 0 ? [] : [`${trace} in ${place}: ${text.slice(Math.max(0, at - 60), at + 60)}`];
    }),
  );
}

describe('personal fields', () => {
  it('S9: 30 forms, in every kind of file, are nowhere in the lake, the logs, the words on the screen, the report', async () => {
    expect(FORMS).toBe(30);
    const [source, lake] = [join(folder, 'source'), join(folder, 'lake')];
    const files = filesWithCanaries();
    const inHomes = HOMES.map((home, number): [string, string] => [
      `${home}/Downloads/Streaming_History_Audio_2025_${number}.json`,
      JSON.stringify([play({ ts: `2026-03-0${number + 1}T10:00:00Z` })]),
    ]);
    const packed = await zipOf(
      Object.fromEntries([
        ...Object.entries(files).map(([name, content]): [string, string | Buffer] => [`MyData/${name}`, content]),
        ...inHomes,
      ]),
      { fileComment: `from ${PERSON}` },
    );
    // In folders one name stands between two slashes, in a zip Windows may write others.
    const onDisk = [...Object.entries(files), ...inHomes, [`my_spotify_data ${PERSON}.zip`, packed] as const];
    for (const [name, content] of onDisk) {
      await mkdir(join(source, name, '..'), { recursive: true });
      await writeFile(join(source, name), content);
    }
    const environment = { LISTENLAKE_LOG_LEVEL: 'debug', XDG_CACHE_HOME: join(folder, 'cache') };
    const run = await listenlake(['run', source, '--lake', lake, '--on-quarantine', 'warn'], environment);
    expect([run.code, run.stderr]).toEqual([0, expect.any(String)]);
    const index = (run.json.accounts ?? {}) as Record<string, number>;
    expect(index.new).toBeGreaterThan(100);
    const pictures = await listenlake(['report', '--lake', lake, '--png', '--json'], environment);
    expect([pictures.code, pictures.json.charts]).toEqual([0, expect.any(Number)]);
    const again = await listenlake(['load', source, '--lake', lake, '--json'], environment);
    const said = { run, pictures, again, doctor: await listenlake(['doctor', '--lake', lake], environment) };
    const texts = await everythingBelow(lake);
    for (const [name, { stdout, stderr }] of Object.entries(said)) texts.set(`words of ${name}`, `${stdout}${stderr}`);
    for (const entry of await readdir(join(folder, 'cache'), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) texts.set(entry.name, await readFile(join(entry.parentPath, entry.name), 'latin1'));
    // What is no person's is there, so that this looks where the data is.
    const all = [...texts.values()].join('\n');
    const kept = [id(3), '[address]', '[user]', '3cEYpjA9oz9GiPac4AsH4n', 'StreamingHistory_music_0.json'];
    expect(kept.filter((text) => !all.includes(text))).toEqual([]);
    // Each kind was understood as what it is: none of them keeps its secrets by being refused.
    const kinds = [
      ...['export_extended', 'export_account', 'listening_events', 'recently_played', 'playlist', 'saved_tracks'],
      ...['top_tracks', 'tracks', 'kaggle', 'kaggle_tracks', 'tidytuesday', 'charts_daily', 'charts_weekly'],
      ...['lastfm', 'listenbrainz'],
    ];
    expect(kinds.filter((kind) => !all.includes(`"kind":"${kind}"`))).toEqual([]);
    const rows = await listenlake([
      ...['sql', '--lake', lake, '--target', 'prod', '--json'],
      'select year(ended_at) * 100 + month(ended_at) as month, count(*) as plays from silver.plays group by 1 order by 1',
    ]);
    // A month for each kind of file with plays; the one of October has those of the Web API as well.
    const months = JSON.parse(rows.stdout).map(({ month }: { month: number }) => month);
    const from = 202601;
    expect(months).toEqual(expect.arrayContaining(Array.from({ length: 10 }, (_, number) => from + number)));
    expect(all.includes('report.html')).toBe(true);
    expect([...texts.keys()].filter((name) => /^texts of .*\.png$/.test(name)).length).toBeGreaterThan(5);
    expect([...texts.keys()].filter((name) => /^texts of .*lake\.duckdb$/.test(name))).toHaveLength(1);
    expect(tracesIn(texts)).toEqual([]);
  });

  it('looks into each form of file: what is planted in one is found in it', async () => {
    const root = join(folder, 'planted');
    await mkdir(root);
    const chunk = (type: string, data: Buffer): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(data.length);
      return Buffer.concat([length, Buffer.from(type, 'latin1'), data, Buffer.alloc(4)]);
    };
    const png = (...chunks: Buffer[]): Buffer =>
      Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...chunks, chunk('IEND', Buffer.alloc(0))]);
    // Long enough that it is packed, and that none of it is left as it was.
    const text = 'canary01 '.repeat(200);
    const packed = deflateSync(text);
    expect(packed.toString('latin1')).not.toContain('canary');
    await Promise.all([
      writeFile(join(root, 'a.png'), png(chunk('tEXt', Buffer.from(`Title\0${text}`)))),
      writeFile(join(root, 'b.png'), png(chunk('zTXt', Buffer.concat([Buffer.from('Title\0\0'), packed])))),
      writeFile(join(root, 'c.png'), png(chunk('iTXt', Buffer.concat([Buffer.from('Title\0\x01\0en\0T\0'), packed])))),
      writeFile(join(root, 'd.png'), png(chunk('eXIf', Buffer.from(text)))),
      writeFile(join(root, 'e.gz'), gzipSync(text)),
    ]);
    const instance = await DuckDBInstance.create(join(root, 'f.duckdb'));
    const connection = await instance.connect();
    await connection.run(`create table t as select repeat('canary01 ', 200) as v from range(5000)`);
    await connection.run(`copy t to '${join(root, 'g.parquet')}' (format parquet, compression zstd)`);
    connection.closeSync();
    instance.closeSync();
    const texts = await everythingBelow(root);
    const where = (name: string): string[] => tracesIn(texts).filter((line) => line.includes(`/${name}`));
    for (const name of ['a.png', 'b.png', 'c.png', 'd.png', 'e.gz', 'f.duckdb', 'g.parquet'])
      expect([name, where(name)]).toEqual([name, expect.arrayContaining([expect.stringContaining('canary01')])]);
    expect(where('g.parquet').some((line) => line.includes('rows of '))).toBe(true);
    // None of these is found in the bytes as they lie there.
    for (const name of ['b.png', 'c.png', 'e.gz'])
      expect([name, where(name).filter((line) => line.includes(` in ${join(root, name)}:`))]).toEqual([name, []]);
  });

  it("finds each form by its name or its value, and leaves what is no person's byte by byte", () => {
    for (const name of Object.keys(FIELDS)) expect([name, isPersonalKey(name)]).toEqual([name, true]);
    for (const [text, trace] of TEXTS) {
      expect([text, isPersonalValue(text)]).toEqual([text, true]);
      expect(withoutPersonal(text)).not.toContain(trace);
    }
    const kept = [
      ...[
        'AC/DC',
        'P!nk',
        'M@rc',
        'Live @ Wembley',
        'Re::Creation',
        '12:30:45',
        [1, 2, 3, 4].join('.'),
        '127.0.0.1',
        'Secret: a story',
      ],
      ...[
        'chrome 79.0.3945.130',
        'spotify:track:6rqhFgbbKwnb9MLmUQDhG6',
        'Track [Remix] (feat. A)',
        '2026-10-01T10:00:00Z',
      ],
    ];
    expect(kept.map((text) => withoutPersonal(text))).toEqual(kept);
  });

  it('finds a name in whatever language and script, and leaves what names music', () => {
    const personal = [
      ...[
        'Vorname',
        'benutzer_id',
        'Straße',
        'PLZ',
        'nom_utilisateur',
        'prénom',
        'mot_de_passe',
        'contraseña',
        'Correo',
      ],
      ...['senha', 'endereço', 'utente', 'città', 'gebruikersnaam', 'wachtwoord', 'imię', 'имя', '住所', 'ｌｏｇｉｎ'],
      ...[
        'accountId',
        'deviceName',
        'hostName',
        'given_name',
        'x_forwarded_for',
        'sp_dc',
        'serial_number',
        'customerNo',
      ],
    ];
    expect(personal.filter((name) => !isPersonalKey(name))).toEqual([]);
    const kept = [
      'titre',
      'título',
      'nombre',
      'nome',
      'canción',
      'artiste',
      'Künstler',
      'country',
      'connection_type',
      'episode_name',
    ];
    expect(kept.filter((name) => isPersonalKey(name))).toEqual([]);
  });

  it('finds the same in any column of a row as in a text of its own', async () => {
    const texts = [
      ...TEXTS.map(([text]) => text),
      ...[
        '/Users/canary20/Music',
        '%2Fhome%2Fcanary21',
        String.raw`\\host\Users\canary22\x`,
        'canary23&#64;example.org',
      ],
      ...[String.raw`canary24\u0040example.org`, 'https://example.org/?api-key=canary25', 'sessionid=canary26'],
      'Authorization: Basic canary27=',
    ];
    expect(texts.filter((text) => /canary/.test(withoutPersonal(text)))).toEqual([]);
    const engine = await openEmbedded({ memoryMb: 256, threads: 1, tempDir: join(folder, 'spill'), folders: [folder] });
    try {
      const rows = texts.map((text) => `('a', '${text.replaceAll("'", "''")}')`).join(', ');
      const missed = await engine.rows(
        `select b from (values ${rows}) as t (a, b) where not (${isPersonalSql(['a', 'b'])})`,
      );
      expect(missed).toEqual([]);
    } finally {
      engine.close();
    }
  });
});

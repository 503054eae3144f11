import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openEmbedded } from '../jobs/engine/embedded.ts';
import { isPersonalKey, isPersonalValue, withoutPersonal } from '../jobs/sources/personal-fields.ts';
import { listenlake } from './command-line.ts';
import { play, zipOf } from './load-fixture.ts';

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

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-forms-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A row with every form: in fields that no contract knows, nested, as names, and as the values of `columns`. One row for each text. */
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

function csvOf(columns: readonly string[], record: (text: string, number: number) => Record<string, string>): string {
  const header = [...columns, ...Object.keys(FIELDS), 'note'];
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
  return {
    'Streaming_History_Audio_2026_1.json': JSON.stringify([...extended, odd]),
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
    'unknown.csv': `${[...Object.keys(FIELDS), ...TEXTS.map(([text]) => JSON.stringify(text).replaceAll('\\"', '""'))].join(',')}\n1\n`,
    'unknown.json': JSON.stringify({ ...FIELDS, note: TEXTS.map(([text]) => text) }),
    'canary@example.org.bin': Buffer.from(`\0${TRACES.join('\0')}`),
    'damaged.json.gz': gzipSync(JSON.stringify(extended)).subarray(0, -9),
    // Never opened.
    'Userdata.json': JSON.stringify({ ...FIELDS, list: TEXTS }),
  };
}

/** Every byte below a folder by file name, Parquet and the catalog's tables also decoded. */
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
      if (bytes.toString('latin1', 0, 4) !== 'PAR1') continue;
      const rows = await db.rows(
        `select to_json(t)::varchar as row from read_parquet('${path}', hive_partitioning = false) t`,
      );
      found.set(`rows of ${path}`, rows.map(({ row }) => String(row)).join('\n'));
    }
  } finally {
    db.close();
  }
  return found;
}

function tracesIn(texts: Map<string, string>): string[] {
  return [...texts].flatMap(([place, text]) =>
    TRACES.filter((trace) => text.toLowerCase().includes(trace.toLowerCase())).map((trace) => `${trace} in ${place}`),
  );
}

describe('personal fields', () => {
  it('S9: 30 forms, in every kind of file, are nowhere in the lake, the logs, the words on the screen, the report', async () => {
    expect(FORMS).toBe(30);
    const [source, lake] = [join(folder, 'source'), join(folder, 'lake')];
    const files = filesWithCanaries();
    const packed = await zipOf(
      Object.fromEntries(Object.entries(files).map(([name, content]) => [`MyData/${name}`, content])),
    );
    for (const [name, content] of [...Object.entries(files), [`my_spotify_data ${PERSON}.zip`, packed] as const]) {
      await mkdir(join(source, name, '..'), { recursive: true });
      await writeFile(join(source, name), content);
    }
    const environment = { LISTENLAKE_LOG_LEVEL: 'debug', XDG_CACHE_HOME: join(folder, 'cache') };
    const run = await listenlake(['run', source, '--lake', lake, '--on-quarantine', 'warn'], environment);
    expect([run.code, run.stderr]).toEqual([0, expect.any(String)]);
    const index = (run.json.accounts ?? {}) as Record<string, number>;
    expect(index.new).toBeGreaterThan(100);
    const again = await listenlake(['load', source, '--lake', lake, '--json'], environment);
    const said = { run, again, doctor: await listenlake(['doctor', '--lake', lake], environment) };
    const texts = await everythingBelow(lake);
    for (const [name, { stdout, stderr }] of Object.entries(said)) texts.set(`words of ${name}`, `${stdout}${stderr}`);
    for (const entry of await readdir(join(folder, 'cache'), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) texts.set(entry.name, await readFile(join(entry.parentPath, entry.name), 'latin1'));
    // What is no person's is there, so that this looks where the data is.
    const all = [...texts.values()].join('\n');
    for (const kept of [id(3), '[address]', '[user]', '3cEYpjA9oz9GiPac4AsH4n', 'StreamingHistory_music_0.json'])
      expect(all).toContain(kept);
    expect(all).toMatch(/report\.html/);
    expect(tracesIn(texts)).toEqual([]);
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
});

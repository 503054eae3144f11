import { generateDataset, type SyntheticSummary } from '../../jobs/sources/synthetic/index.ts';
import { memorySink, SMALL } from './synthetic-sink.ts';

const EXTENDED = 'export/Spotify Extended Streaming History/';
const KEYS =
  'ts,platform,ms_played,conn_country,ip_addr,master_metadata_track_name,master_metadata_album_artist_name,master_metadata_album_album_name,spotify_track_uri,episode_name,episode_show_name,spotify_episode_uri,audiobook_title,audiobook_uri,audiobook_chapter_uri,audiobook_chapter_title,reason_start,reason_end,shuffle,skipped,offline,offline_timestamp,incognito_mode';
const OLDER_KEYS =
  'ts,username,platform,ms_played,conn_country,ip_addr_decrypted,user_agent_decrypted,master_metadata_track_name,master_metadata_album_artist_name,master_metadata_album_album_name,spotify_track_uri,episode_name,episode_show_name,spotify_episode_uri,reason_start,reason_end,shuffle,skipped,offline,offline_timestamp,incognito_mode';

// biome-ignore lint/suspicious/noExplicitAny: rows of a foreign format, looked at key by key
type Row = any;

interface Made {
  summary: SyntheticSummary;
  files: Map<string, string>;
  /** Rows of the extended history by the file's own name, in the order of writing. */
  extended: Map<string, Row[]>;
  all: Row[];
}

async function make(faults: boolean): Promise<Made> {
  const { files, sink } = memorySink();
  const summary = await generateDataset({ ...SMALL, users: 0, exportPlays: 45_000, faults }, sink);
  const extended = new Map<string, Row[]>();
  for (const [name, text] of files) {
    if (name.startsWith(EXTENDED)) extended.set(name.slice(EXTENDED.length), JSON.parse(text));
  }
  return { summary, files, extended, all: [...extended.values()].flat() };
}

function keyOf(row: Row): string {
  const uri = row.spotify_track_uri ?? row.spotify_episode_uri ?? row.audiobook_chapter_uri;
  return `${uri} ${row.ts} ${row.ms_played}`;
}

function startMs(row: Row): number {
  return Date.parse(row.ts) - row.ms_played;
}

let faulty: Made;
let clean: Made;

beforeAll(async () => {
  faulty = await make(true);
  clean = await make(false);
});

describe('shape', () => {
  test('audio files are named by year and number, in the order of time', () => {
    const names = [...clean.extended.keys()].filter((name) => name.includes('Audio'));
    expect(names.length).toBeGreaterThan(1);
    for (const [index, name] of names.entries()) {
      const [, first, last, number] = /^Streaming_History_Audio_(\d{4})(?:-(\d{4}))?_(\d+)\.json$/.exec(name)!;
      expect(Number(number)).toBe(index);
      const years = clean.extended.get(name)!.map((row) => Number(row.ts.slice(0, 4)));
      expect([Math.min(...years), Math.max(...years)]).toEqual([Number(first), Number(last ?? first)]);
      expect(years.length).toBeLessThanOrEqual(16_500);
    }
    const stamps = names.flatMap((name) => clean.extended.get(name)!.map((row) => row.ts));
    expect(stamps).toEqual(stamps.toSorted());
    expect(
      [...clean.extended.keys()].filter((name) => /^Streaming_History_Video_2020-2026\.json$/.test(name)),
    ).toHaveLength(1);
  });

  test('rows have the 23 keys of today, the older file its 21', () => {
    for (const [name, rows] of [...faulty.extended, ...clean.extended]) {
      const keys = name === 'endsong_0.json' ? OLDER_KEYS : KEYS;
      const isSound = (row: Row) =>
        Object.keys(row).join() === keys &&
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(row.ts) &&
        Number.isInteger(row.ms_played) &&
        row.ms_played >= 0;
      expect(rows.filter((row) => !isSound(row))).toEqual([]);
    }
  });

  test('every play lies before the end, and the number of distinct ones is what was asked for', () => {
    for (const { all, summary } of [faulty, clean]) {
      expect(all.every((row) => row.ts < '2026-11-01' && row.ts >= '2020-10-31')).toBe(true);
      expect(new Set(all.map(keyOf)).size).toBe(45_000);
      expect(summary.exportDistinctPlays).toBe(45_000);
      expect(summary.exportRows).toBe(all.length);
    }
  });

  test('the account data tells the plays of the last year by the minute', () => {
    for (const { files, all } of [faulty, clean]) {
      const music: Row[] = [...files]
        .filter(([name]) => name.includes('StreamingHistory_music_'))
        .flatMap(([, text]) => JSON.parse(text));
      expect(music.length).toBeGreaterThan(4_000);
      const minutes = (row: Row) =>
        `${row.ts.slice(0, 10)} ${row.ts.slice(11, 16)} ${row.master_metadata_track_name} ${row.ms_played}`;
      const extended = new Set(all.map(minutes));
      for (const row of music) {
        const hasKeys = Object.keys(row).join() === 'endTime,artistName,trackName,msPlayed';
        if (!hasKeys || !extended.has(`${row.endTime} ${row.trackName} ${row.msPlayed}`))
          throw new Error(JSON.stringify(row));
      }
      expect([...files.keys()]).toContain('export/Spotify Account Data/StreamingHistory_podcast_0.json');
    }
  });

  test('podcasts, audiobooks and video are in it', () => {
    for (const { all, extended } of [faulty, clean]) {
      expect(all.some((row) => row.spotify_episode_uri?.startsWith('spotify:episode:'))).toBe(true);
      expect(all.some((row) => row.audiobook_uri?.startsWith('spotify:show:') && row.audiobook_chapter_title)).toBe(
        true,
      );
      const video = [...extended].find(([name]) => name.includes('Video'))![1];
      const audio = new Set(
        [...extended].filter(([name]) => !name.includes('Video')).flatMap(([, rows]) => rows.map(keyOf)),
      );
      expect(video.length).toBeGreaterThan(50);
      expect(video.filter((row) => audio.has(keyOf(row)))).toEqual([]);
    }
  });
});

describe('known anomalies: there with faults, absent without', () => {
  const anomalies: [string, (row: Row) => boolean][] = [
    ['ms_played 0', (row) => row.ms_played === 0],
    [
      'offline plays with their start in seconds',
      (row) => row.offline && row.offline_timestamp > 1e9 && row.offline_timestamp < 1e10,
    ],
    ['offline plays with their start in milliseconds', (row) => row.offline && row.offline_timestamp > 1e12],
    ['offline plays with 0 for their start', (row) => row.offline && row.offline_timestamp === 0],
    ['offline plays without a start', (row) => row.offline && row.offline_timestamp === null],
    ['an offline start long ago', (row) => row.offline && row.offline_timestamp > 0 && row.offline_timestamp < 2_000],
    ['skipped null', (row) => row.skipped === null],
    ['skipped though the track was done', (row) => row.skipped === true && row.reason_end === 'trackdone'],
    [
      'nothing known of what was played',
      (row) =>
        !row.spotify_track_uri &&
        !row.spotify_episode_uri &&
        !row.audiobook_uri &&
        !row.username &&
        row.master_metadata_track_name === null,
    ],
    [
      'a cluster of these in late 2022',
      (row) => !row.spotify_track_uri && !row.spotify_episode_uri && !row.audiobook_uri && /^2022-1[012]/.test(row.ts),
    ],
    ['private sessions', (row) => row.incognito_mode],
    ['country ZZ', (row) => row.conn_country === 'ZZ'],
    ['platform as free text', (row) => /[ (]/.test(row.platform)],
    [
      'user name, user agent and address under their older names',
      (row) => 'username' in row && 'user_agent_decrypted' in row,
    ],
    ['an empty reason', (row) => row.reason_end === ''],
  ];

  test.each(anomalies)('%s', (_, test) => {
    expect(faulty.all.filter(test).length).toBeGreaterThan(0);
    expect(clean.all.filter(test)).toEqual([]);
  });

  test('the same row again, within a file and across files', () => {
    const repeats = (made: Made) => {
      let within = 0;
      let across = 0;
      const earlier = new Set<string>();
      for (const rows of made.extended.values()) {
        const here = new Set<string>();
        for (const row of rows) {
          if (here.has(keyOf(row))) within++;
          else if (earlier.has(keyOf(row))) across++;
          here.add(keyOf(row));
        }
        for (const key of here) earlier.add(key);
      }
      return { within, across };
    };
    const { within, across } = repeats(faulty);
    expect(within).toBeGreaterThan(100);
    expect(across).toBeGreaterThan(20);
    expect(within + across).toBe(faulty.summary.exportRows - 45_000);
    expect(repeats(clean)).toEqual({ within: 0, across: 0 });
  });

  test('plays that overlap by more than the second that ts cuts off', () => {
    const overlaps = (made: Made) => {
      const rows = made.all.filter((row) => !row.offline).toSorted((a, b) => Date.parse(a.ts) - Date.parse(b.ts));
      return rows
        .slice(1)
        .filter((row, index) => startMs(row) < Date.parse(rows[index]!.ts) - 1_000 && keyOf(row) !== keyOf(rows[index]))
        .length;
    };
    expect(overlaps(faulty)).toBeGreaterThan(200);
    expect(overlaps(clean)).toBe(0);
  });

  test('offline sessions share the moment of their sync', () => {
    const offline = faulty.all.filter((row) => row.offline);
    const stamps = new Map<string, number>();
    for (const row of offline) stamps.set(row.ts, (stamps.get(row.ts) ?? 0) + 1);
    expect(Math.max(...stamps.values())).toBeGreaterThan(5);
    const delays = offline
      .filter((row) => row.offline_timestamp > 1e9 && row.offline_timestamp < 1e10)
      .map((row) => Date.parse(row.ts) / 1_000 - row.offline_timestamp);
    expect(delays.some((delay) => delay > 86_400)).toBe(true);
    expect(clean.all.some((row) => row.offline)).toBe(false);
  });

  test('skipped is false for every row between the oldest file and October 2022, then it means something', () => {
    const rows = faulty.all.filter((row) => !('username' in row));
    expect(rows.filter((row) => row.ts < '2022-10-16' && row.skipped)).toEqual([]);
    const later = rows.filter((row) => row.ts > '2022-10-17');
    const right = later.filter(
      (row) => row.skipped === (row.reason_end === 'fwdbtn' || row.reason_end === 'backbtn'),
    ).length;
    expect(right / later.length).toBeGreaterThan(0.95);
    expect(clean.all.some((row) => row.ts < '2022-10-16' && row.skipped)).toBe(true);
  });

  test('one song under two ids', () => {
    const alternates = (made: Made) => {
      const ids = new Map<string, Set<string>>();
      for (const row of made.all) {
        if (!row.spotify_track_uri) continue;
        const song = `${row.master_metadata_track_name}|${row.master_metadata_album_artist_name}|${row.master_metadata_album_album_name}`;
        ids.set(song, (ids.get(song) ?? new Set()).add(row.spotify_track_uri));
      }
      return [...ids.values()].filter((set) => set.size > 1).length;
    };
    // Two titles of one album can be alike by chance, which is why the clean count is not always 0.
    expect(alternates(faulty)).toBeGreaterThan(alternates(clean) + 20);
  });

  test('short plays are about a seventh, platforms are coarse from October 2023 on', () => {
    const short = faulty.all.filter((row) => row.ms_played < 30_000).length / faulty.all.length;
    expect(short).toBeGreaterThan(0.08);
    expect(short).toBeLessThan(0.25);
    // A day's play can be told days later, when its device is online again.
    expect(faulty.all.filter((row) => row.ts > '2023-10-04' && /[ (]/.test(row.platform))).toEqual([]);
  });
});

describe('the Web API', () => {
  function polls(made: Made): Row[] {
    return made.files
      .get('api/recently-played.ndjson')!
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  test('polls overlap, some are empty, and once a full page does not reach back', () => {
    for (const made of [faulty, clean]) {
      const lines = polls(made);
      const delivered = lines.flatMap((line) =>
        line.body.items.map((item: Row) => `${item.played_at} ${item.track.uri}`),
      );
      expect(delivered.length).toBe(made.summary.deliveries);
      expect(new Set(delivered).size).toBe(made.summary.distinctDeliveries);
      expect(delivered.length).toBeGreaterThan(new Set(delivered).size * 1.5);
      expect(lines.some((line) => line.body.items.length === 0 && line.body.cursors === null)).toBe(true);
      let newest = Number.POSITIVE_INFINITY;
      let overflows = 0;
      for (const { polled_at, body } of lines) {
        const times = body.items.map((item: Row) => Date.parse(item.played_at));
        expect(times).toEqual(times.toSorted((a: number, b: number) => b - a));
        expect(times.length).toBeLessThanOrEqual(50);
        if (times.length === 50 && times.at(-1) > newest) overflows++;
        if (times.length > 0) {
          expect(times[0]).toBeLessThanOrEqual(Date.parse(polled_at));
          newest = newest === Number.POSITIVE_INFINITY ? times[0] : Math.max(newest, times[0]);
          expect(body.cursors).toEqual({ after: String(times[0]), before: String(times.at(-1)) });
        }
      }
      expect(overflows).toBe(1);
      expect(made.summary.planted.poll_overflow).toBe(1);
    }
  });

  test('each delivered play is in the export: most by their end, a few by their start', () => {
    for (const made of [faulty, clean]) {
      const byUri = new Map<string, Row[]>();
      for (const row of made.all) byUri.set(row.spotify_track_uri, [...(byUri.get(row.spotify_track_uri) ?? []), row]);
      const seen = new Map<string, 'start' | 'end'>();
      for (const item of polls(made).flatMap((line) => line.body.items)) {
        const playedMs = Date.parse(item.played_at);
        const rows = byUri.get(item.track.uri) ?? [];
        const isEnd = rows.some((row) => Math.abs(Date.parse(row.ts) - playedMs) <= 3_000);
        const isStart = rows.some((row) => Math.abs(startMs(row) - playedMs) <= 4_000);
        if (!isEnd && !isStart) throw new Error(`${item.track.uri} at ${item.played_at} is not in the export`);
        seen.set(`${item.track.uri} ${item.played_at}`, isEnd ? 'end' : 'start');
      }
      const starts = [...seen.values()].filter((kind) => kind === 'start').length / seen.size;
      expect(starts).toBeGreaterThan(0.02);
      expect(starts).toBeLessThan(0.2);
      const stamps = [...seen.keys()];
      expect(stamps.some((key) => /:\d\d\.\d{3}Z$/.test(key))).toBe(true);
      expect(stamps.some((key) => /:\d\d:\d\dZ$/.test(key))).toBe(true);
    }
  });

  test('tracks are whole objects without the fields that are gone, contexts may be null', () => {
    const items = polls(faulty).flatMap((line) => line.body.items);
    for (const { track } of items) {
      expect(track).toMatchObject({
        type: 'track',
        is_local: false,
        external_ids: { isrc: expect.stringMatching(/^ZZ[A-Z0-9]{3}\d{7}$/) },
      });
      expect(track).not.toHaveProperty('popularity');
      expect(track.uri).toBe(`spotify:track:${track.id}`);
      expect(track.album.artists[0].id).toBe(track.artists[0].id);
    }
    expect(items.some((item) => item.context === null)).toBe(true);
    expect(items.some((item) => item.context?.type === 'album')).toBe(true);
  });

  test('one playlist has the old field names, one the new; both hold a null, an episode and a local file', () => {
    const playlists = [...clean.files]
      .filter(([name]) => name.startsWith('api/playlist-'))
      .map(([, text]) => JSON.parse(text));
    expect(playlists.map((playlist) => ['tracks' in playlist, 'items' in playlist])).toEqual([
      [true, false],
      [false, true],
    ]);
    for (const playlist of playlists) {
      const page = playlist.tracks ?? playlist.items;
      const contents = page.items.map((item: Row) => ('track' in item ? item.track : item.item));
      expect(page.total).toBe(contents.length);
      expect(contents).toContain(null);
      expect(contents.some((content: Row) => content?.type === 'episode')).toBe(true);
      expect(page.items.some((item: Row) => item.is_local)).toBe(true);
      expect(contents.filter((content: Row) => content?.type === 'track').length).toBeGreaterThan(10);
    }
    expect(JSON.parse(clean.files.get('api/saved-tracks.json')!).items).toHaveLength(40);
    const top = JSON.parse(clean.files.get('api/top-tracks.json')!);
    expect(top.body.items).toHaveLength(50);
    expect(top.polled_at).toMatch(/Z$/);
    const { artists } = JSON.parse(clean.files.get('api/artists.json')!);
    expect(new Set(artists.map((artist: Row) => artist.genres.length))).toEqual(new Set([0, 1]));
    expect(JSON.parse(clean.files.get('api/albums.json')!).albums).toHaveLength(20);
  });
});

import type { Row } from '../fixtures/effects.ts';

/** Names that would do harm if they were taken for anything but text. */
export const HOSTILE = {
  script: `</script><script>globalThis.hit=1</script>`,
  image: `<img src="x" onerror="globalThis.hit=1">`,
  attribute: `"><svg onload=globalThis.hit=1>`,
  style: `</style><base href="x:y">`,
  formula: `=HYPERLINK("x:y")`,
  template: "${{ secrets }} '; DROP TABLE plays --",
  override: 'abc\u202egnp.exe',
  family: '👩‍👩‍👧‍👦 🎧',
  long: `long ${'x'.repeat(65_536)}`,
  nul: 'a\u0000b',
} as const;

const NAMES = [...Object.values(HOSTILE), 'Glass Harbour', 'Night Bus', 'Éclair', '夜の道', 'טיול'];
const GENRES = ['ambient', 'folk', 'jazz', 'metal', 'pop', 'rock', 'soul', 'blues', 'latin', 'dub', '<b>odd</b>'];
const MINUTE = 60_000;

export const AS_OF = '2026-07-01';

/**
 * A person's plays over six months, on and off: every name, skips, private sessions, plays without a track
 * and one without a country.
 */
export function ownPlays(): Row[] {
  const rows: Row[] = [];
  for (let day = 0; day < 180; day++) {
    if (day % 7 === 3) continue;
    let at = Date.UTC(2026, 0, 1 + day, 7 + (day % 13), (day * 17) % 60);
    for (let place = 0; place < 3 + (day % 4); place++) {
      // The smaller of two: early names, the hostile ones, are played most.
      const track = Math.min((day * 7 + place * place) % NAMES.length, (day * 11 + place) % NAMES.length);
      const isSkipped = (day + place * track) % 4 === 0;
      const playedMs = isSkipped ? 9_000 : (2 + (track % 3)) * MINUTE + day * 10;
      at += playedMs;
      rows.push({
        play_id: `p${day}-${place}`,
        user_id: 'me',
        source: 'export_extended',
        ...(place === 5 ? spokenOf(day) : trackOf(track)),
        started_at: text(at - playedMs),
        ended_at: text(at),
        reported_at: text(at),
        played_ms: playedMs,
        device: ['ios', 'macos', 'speaker'][day % 3]!,
        country: day % 50 === 0 ? null : 'DE',
        reason_end: isSkipped ? 'fwdbtn' : place === 2 ? 'endplay' : 'trackdone',
        is_incognito: day % 30 === 11,
        time_quality: 'exact',
      });
    }
  }
  return rows;
}

/** The same plays as recently played tells them: no length, no device, no verdict. */
export function recentlyPlayed(): Row[] {
  return ownPlays().map((row) => ({
    ...row,
    source: 'api',
    started_at: row.ended_at,
    played_ms: null,
    device: null,
    country: null,
    reason_end: null,
    is_incognito: null,
    time_quality: 'api',
  }));
}

/** Plays and skips of two users on ten days of June. */
export function events(): Row[] {
  const rows: Row[] = [];
  for (let user = 1; user <= 2; user++) {
    for (let day = 0; day < 10; day++) {
      for (let place = 0; place < 3 * user; place++) {
        const at = Date.UTC(2026, 5, 10 + day, 18, place * 5);
        const id = `e${user}-${day}-${place}`;
        const row = {
          user_id: `user-${user}`,
          session_id: `s${user}-${day}`,
          ...eventTrack((day + place) % NAMES.length),
          device: 'web',
          country: 'JP',
          source: 'file',
        };
        rows.push({ ...row, event_id: id, action: 'play', occurred_at: text(at), played_ms: 3 * MINUTE });
        if (place % 3 === 1)
          rows.push({
            ...row,
            event_id: `${id}-s`,
            action: 'skip',
            occurred_at: text(at + 5),
            is_skipped: true,
            played_ms: null,
          });
      }
    }
  }
  return rows;
}

/** Genres of most tracks: one to three each; the last two tracks have none. */
export function trackGenres(): Row[] {
  return NAMES.slice(0, -2).flatMap((_, track) =>
    Array.from({ length: 1 + (track % 3) }, (_, place) => ({
      track_id: trackId(track),
      genre: GENRES[(track + place * 4) % GENRES.length]!,
      source: 'tracks_csv',
    })),
  );
}

/** Chapters of a book of two, and episodes of more podcasts than the report lists. */
function spokenOf(day: number): Row {
  if (day % 5 === 0)
    return {
      content_type: 'chapter',
      content_uri: `spotify:episode:c${day % 2}`,
      audiobook_uri: 'spotify:show:b1',
      track_name: `Chapter ${day % 2}`,
      album_name: HOSTILE.override,
    };
  const show = day % 13 === 0 ? HOSTILE.script : `Show ${day % 13}`;
  return {
    content_type: 'episode',
    content_uri: `spotify:episode:e${day}`,
    track_name: `Episode ${day}`,
    artist_name: show,
    album_name: show,
  };
}

function trackOf(track: number): Row {
  return { content_type: 'track', content_uri: `spotify:track:${trackId(track)}`, ...eventTrack(track) };
}

function eventTrack(track: number): Row {
  return {
    track_id: trackId(track),
    track_name: sqlText(NAMES[track]!),
    artist_name: sqlText(track % 4 === 0 ? NAMES[(track + 1) % NAMES.length]! : `Artist ${track % 4}`),
  };
}

function trackId(track: number): string {
  return `track${String(track).padStart(17, '0')}`;
}

/** A text value; NUL cannot stand in SQL text, so it comes as an expression. */
function sqlText(name: string): unknown {
  if (!name.includes('\u0000')) return name;
  const parts = name.split('\u0000').map((part) => `'${part.replaceAll("'", "''")}'`);
  return { toString: () => parts.join(' || chr(0) || ') };
}

function text(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 23);
}

/** Two exports with April between them, and polls from the middle of June on, one of which came too late. */
export function sources(): { export_files: Row[]; capture_polls: Row[] } {
  const file = (number: number, first: string, last: string): Row => ({
    user_id: 'me',
    source: 'export_extended',
    file_number: number,
    stretch: 1,
    is_music: true,
    plays: 100,
    first_at: `${first}T00:00:00.000Z`,
    last_at: `${last}T00:00:00.000Z`,
    source_key: `file-${number}`,
  });
  const poll = (at: string, oldest: string, isOverflow: boolean): Row => ({
    user_id: 'me',
    polled_at: `${at}:00.000Z`,
    items: 50,
    new_items: 50,
    oldest_at: `${oldest}:00.000Z`,
    newest_at: `${at}:00.000Z`,
    is_overflow: isOverflow,
    source_key: `poll-${at}`,
    source_row: 1,
  });
  return {
    export_files: [file(0, '2026-01-01', '2026-04-01'), file(3, '2026-05-01', '2026-06-20')],
    capture_polls: [
      poll('2026-06-18T12:00', '2026-06-18T00:00', false),
      poll('2026-06-25T06:00', '2026-06-18T12:00', false),
      poll('2026-06-27T06:00', '2026-06-26T18:00', true),
      poll('2026-06-30T23:00', '2026-06-27T06:00', false),
    ],
  };
}

/** A person who hears podcasts alone, over ten years of which three are empty. */
export function podcasts(): Row[] {
  const years = [2016, 2017, 2018, 2019, 2023, 2024, 2025];
  return years.flatMap((year) =>
    Array.from({ length: 6 }, (_, n) => {
      const at = Date.UTC(year, 2 * n, 3, 18);
      const moment = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
      return {
        ...{ play_id: `pod-${year}-${n}`, user_id: 'podcaster', source: 'export_extended', content_type: 'episode' },
        ...{ content_uri: `spotify:episode:${year}${n}`, track_name: `Episode ${n}`, artist_name: `Show ${n % 2}` },
        ...{ album_name: `Show ${n % 2}`, started_at: moment(at), ended_at: moment(at + 1_200_000) },
        ...{ reported_at: moment(at + 1_200_000), played_ms: 1_200_000, device: 'ios', country: 'DE' },
        ...{ reason_end: 'trackdone', is_incognito: false, time_quality: 'exact' },
      };
    }),
  );
}

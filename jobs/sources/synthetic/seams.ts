import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/time.ts';
import { isoMillisecond, isoSecond, minuteText } from './calendar.ts';
import { type Catalogue, createCatalogue, mainArtistName } from './catalogue.ts';
import { base62Id, createRandom, pick, type Random } from './random.ts';
import { type Heard, scrobbleFiles } from './scrobbles.ts';
import { createFileSet, type FileSink } from './text-file.ts';

/** What one person really played, whatever the files say of it. */
export interface SeamTruth {
  plays: number;
  /** Rows of exports, items of answers, and scrobbles. */
  rows: number;
  /** `<artist>|<title>` to its plays; the empty text stands for plays that no file names. */
  playsBySong: Map<string, number>;
}

/** How the files tell a play. `unnamed`: the extended export has neither name nor URI. */
type Telling = 'plain' | 'relinked' | 'unnamed' | 'unknown' | 'nowhere' | 'loop';

interface SeamPlay {
  telling: Telling;
  track: number;
  startMs: number;
  endMs: number;
  playedMs: number;
}

const LOOP_PLAYS = 10;
const LOOP_MS = 30 * SECOND_MS;
/**
 * Shares of the time line: the older export ends, account data begins, an earlier account export ends,
 * polls begin.
 */
const OLDER_UNTIL = 0.6;
const ACCOUNT_FROM = 0.4;
const EARLIER_UNTIL = 0.7;
const POLLED_FROM = 0.5;
const POLL_ITEMS = 20;
/** Items that a poll gives again. */
const POLL_OVERLAP = 5;
/** What was heard elsewhere, before any export: one for so many plays. */
const ELSEWHERE = 10;
/** Plays that are scrobbled. */
const SCROBBLED = 0.8;
const TOLD = ['plain', 'plain', 'relinked', 'unnamed', 'unknown', 'nowhere'] as const;
const UNNAMED = { track: null, artist: null, album: null };

/**
 * Writes one person's listening as several exports and polls tell it, with every seam between them: an
 * older export without URIs, songs that have got another URI, rows without name and URI beside account data
 * that has the name, and the other way round, a song of 30 seconds on repeat in account data, paused plays,
 * and items that two polls give with times a second apart. Most of it was scrobbled (see `scrobbleFiles`),
 * and some plays of another player were nothing but scrobbled.
 *
 * A pure function of its arguments. Every play but those of a loop has a length of its own.
 *
 * @param count plays, loops included; at least 100
 * @param endMs exclusive, Unix milliseconds
 */
export async function generateSeams(seed: number, count: number, endMs: number, sink: FileSink): Promise<SeamTruth> {
  const random = createRandom(seed, 'seams');
  const catalogue = createCatalogue(seed, 40, endMs);
  const plays = drawPlays(random, catalogue, count, endMs);
  const part = (from: number, to: number): SeamPlay[] =>
    plays.slice(Math.floor(from * plays.length), Math.floor(to * plays.length));
  const otherIds = catalogue.ids.map(() => base62Id(random));
  const polls = pollsOf(part(POLLED_FROM, 1).flatMap((play) => itemsOf(random, catalogue, play)));
  const elsewhere = heardElsewhere(seed, catalogue, Math.floor(count / ELSEWHERE), plays[0]!.startMs);
  const scrobbles = scrobbleFiles(createRandom(seed, 'scrobbles'), catalogue, [
    ...elsewhere,
    ...scrobbled(createRandom(seed, 'scrobbled'), plays),
  ]);
  const documents: [name: string, rows: unknown[]][] = [
    ['older/endsong_0.json', part(0, OLDER_UNTIL).map((play) => olderRow(catalogue, play))],
    ['newer/Streaming_History_Audio_2024_0.json', plays.map((play) => newerRow(catalogue, otherIds, play))],
    [
      'account/StreamingHistory_music_0.json',
      part(ACCOUNT_FROM, 1).map((play) => accountRow(catalogue, play, ['unknown', 'nowhere'])),
    ],
    [
      'earlier account/StreamingHistory_music_0.json',
      part(ACCOUNT_FROM, EARLIER_UNTIL).map((play) => accountRow(catalogue, play, ['nowhere'])),
    ],
  ];
  const files = createFileSet(sink);
  try {
    for (const [name, rows] of documents) {
      await files.writeWhole(name, `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`);
    }
    for (const [name, text] of scrobbles.documents) await files.writeWhole(name, text);
    await files.writeWhole('api/recently-played.ndjson', polls.map((poll) => `${JSON.stringify(poll)}\n`).join(''));
  } catch (error) {
    await files.abandon();
    throw error;
  }
  return {
    plays: plays.length + elsewhere.length,
    rows:
      scrobbles.rows +
      documents.reduce((sum, [, rows]) => sum + rows.length, 0) +
      polls.reduce((sum, { body }) => sum + body.items.length, 0),
    playsBySong: countSongs(catalogue, [...elsewhere, ...plays]),
  };
}

function drawPlays(random: Random, catalogue: Catalogue, count: number, endMs: number): SeamPlay[] {
  const plays: SeamPlay[] = [];
  const lengths = new Set([LOOP_MS]);
  const accountFrom = Math.ceil(ACCOUNT_FROM * count);
  let nowMs = endMs - count * 20 * MINUTE_MS;
  while (plays.length < count) {
    const track = random.int(catalogue.size);
    const isTold = plays.length >= accountFrom;
    nowMs += 5 * SECOND_MS + random.int(2 * MINUTE_MS);
    if (isTold && random.chance(0.01) && count - plays.length >= LOOP_PLAYS) {
      // From a full minute on, so that two of them end in each.
      nowMs += MINUTE_MS - (nowMs % MINUTE_MS) + 7 * SECOND_MS;
      for (let play = 0; play < LOOP_PLAYS; play += 1) {
        plays.push({ telling: 'loop', track, startMs: nowMs, endMs: nowMs + LOOP_MS, playedMs: LOOP_MS });
        nowMs += LOOP_MS;
      }
      continue;
    }
    const telling = isTold ? pick(random, TOLD) : 'relinked';
    let playedMs = 31 * SECOND_MS + random.int(3 * MINUTE_MS);
    while (lengths.has(playedMs)) playedMs += 1;
    lengths.add(playedMs);
    const pausedMs = random.chance(0.2) ? random.int(10 * MINUTE_MS) : 0;
    plays.push({ telling, track, startMs: nowMs, endMs: nowMs + playedMs + pausedMs, playedMs });
    nowMs += playedMs + pausedMs;
  }
  return plays;
}

/** An export before URIs were in it, with fields that have gone since. */
function olderRow(catalogue: Catalogue, play: SeamPlay): unknown {
  const { track, artist, album } = play.telling === 'nowhere' ? UNNAMED : namesOf(catalogue, play.track);
  return {
    ts: isoSecond(play.endMs),
    username: 'synthetic-listener',
    platform: 'iOS 11.2 (iPhone8,1)',
    ms_played: play.playedMs,
    conn_country: 'DE',
    ip_addr_decrypted: '192.0.2.7',
    user_agent_decrypted: null,
    master_metadata_track_name: track,
    master_metadata_album_artist_name: artist,
    master_metadata_album_album_name: album,
    reason_start: 'trackdone',
    reason_end: 'trackdone',
    shuffle: false,
    skipped: null,
    offline: false,
    offline_timestamp: 0,
    incognito_mode: false,
  };
}

function newerRow(catalogue: Catalogue, otherIds: readonly string[], play: SeamPlay): unknown {
  const isUnnamed = play.telling === 'unnamed' || play.telling === 'nowhere';
  const { track, artist, album } = isUnnamed ? UNNAMED : namesOf(catalogue, play.track);
  const id = play.telling === 'relinked' ? otherIds[play.track] : catalogue.ids[play.track];
  return {
    ts: isoSecond(play.endMs),
    platform: 'ios',
    ms_played: play.playedMs,
    conn_country: 'DE',
    ip_addr: '192.0.2.7',
    master_metadata_track_name: track,
    master_metadata_album_artist_name: artist,
    master_metadata_album_album_name: album,
    spotify_track_uri: isUnnamed ? null : `spotify:track:${id}`,
    episode_name: null,
    episode_show_name: null,
    spotify_episode_uri: null,
    reason_start: 'trackdone',
    reason_end: 'trackdone',
    shuffle: false,
    skipped: false,
    offline: false,
    offline_timestamp: null,
    incognito_mode: false,
  };
}

/** @param unknown plays that this export has no names for */
function accountRow(catalogue: Catalogue, play: SeamPlay, unknown: readonly Telling[]): unknown {
  const isUnknown = unknown.includes(play.telling);
  const { track, artist } = namesOf(catalogue, play.track);
  return {
    endTime: minuteText(play.endMs),
    artistName: isUnknown ? 'Unknown Artist' : artist,
    trackName: isUnknown ? 'Unknown Track' : track,
    msPlayed: play.playedMs,
  };
}

interface PlayedItem {
  played_at: string;
  track: unknown;
  context: null;
}

/** At the start or the end of the play; one in five a second time, a little later. */
function itemsOf(random: Random, catalogue: Catalogue, play: SeamPlay): PlayedItem[] {
  if (play.telling === 'nowhere') return [];
  const atMs = (random.chance(0.5) ? play.startMs : play.endMs) + random.int(100);
  const times = random.chance(0.2) ? [atMs, atMs + 1_000 + random.int(900)] : [atMs];
  const { track, artist, album } = namesOf(catalogue, play.track);
  const id = catalogue.ids[play.track];
  return times.map((ms) => ({
    played_at: isoMillisecond(ms),
    track: {
      id,
      uri: `spotify:track:${id}`,
      type: 'track',
      name: track,
      duration_ms: play.playedMs,
      artists: [{ name: artist }],
      album: { name: album, artists: [{ name: artist }] },
    },
    context: null,
  }));
}

function pollsOf(items: readonly PlayedItem[]): { polled_at: string; body: { items: PlayedItem[] } }[] {
  const sorted = items.toSorted((a, b) => (a.played_at < b.played_at ? -1 : 1));
  const polls: { polled_at: string; body: { items: PlayedItem[] } }[] = [];
  for (let start = 0; start < sorted.length; start += POLL_ITEMS - POLL_OVERLAP) {
    const some = sorted.slice(start, start + POLL_ITEMS);
    const last = Date.parse(some.at(-1)!.played_at);
    polls.push({ polled_at: isoMillisecond(last + MINUTE_MS), body: { items: some.reverse() } });
  }
  return polls;
}

/**
 * Plays of which there is nothing but the scrobbles, all so long before the moment that they cannot be what
 * was played then.
 */
function heardElsewhere(seed: number, catalogue: Catalogue, count: number, beforeMs: number): Heard[] {
  const random = createRandom(seed, 'elsewhere');
  return Array.from({ length: count }, (_, number) => ({
    track: random.int(catalogue.size),
    startMs: beforeMs - 7 * HOUR_MS - (count - number) * 20 * MINUTE_MS + random.int(MINUTE_MS),
  }));
}

/** Songs on repeat are scrobbled each time; what no file can name is not. */
function scrobbled(random: Random, plays: readonly SeamPlay[]): Heard[] {
  return plays.filter(({ telling }) => telling === 'loop' || (telling !== 'nowhere' && random.chance(SCROBBLED)));
}

function countSongs(catalogue: Catalogue, plays: readonly (Heard & { telling?: Telling })[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const play of plays) {
    const { track, artist } = namesOf(catalogue, play.track);
    const song = play.telling === 'nowhere' ? '' : `${artist}|${track}`;
    counts.set(song, (counts.get(song) ?? 0) + 1);
  }
  return counts;
}

function namesOf(catalogue: Catalogue, track: number): { track: string; artist: string; album: string } {
  return {
    track: catalogue.names[track]!,
    artist: mainArtistName(catalogue, track),
    album: catalogue.albums.names[catalogue.trackAlbums[track]!]!,
  };
}

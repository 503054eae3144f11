import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../base/time.ts';
import { isoMillisecond, isoSecond } from './calendar.ts';
import type { Catalogue } from './catalogue.ts';
import type { OwnPlay } from './own-listening.ts';
import { createRandom, type Random } from './random.ts';
import type { FileSet, TextFile } from './text-file.ts';
import { API, reference, trackObject } from './web-api.ts';

/** What the endpoint gives at most, and what it remembers. */
const PAGE = 50;
/** Plays that pass while nobody polls: more than a page, so that the oldest are lost. */
const OUTAGE_PLAYS = 64;

export interface PollCounts {
  polls: number;
  /** Items of all responses. */
  deliveries: number;
  /** Plays that at least one response holds. */
  distinctDeliveries: number;
  /** Full pages whose oldest play is newer than the newest one known before. */
  overflows: number;
  emptyPolls: number;
}

/** True for a play that the endpoint tells: tracks only, no private session, not much of what was skipped. */
export function isTold(play: OwnPlay): boolean {
  if (play.kind !== 'track' || play.session.isIncognito || play.session.isOffline || play.playedMs === 0) return false;
  return play.playedMs >= 30_000 || play.startMs % 4 === 0;
}

/** How somebody polls. */
export interface Polling {
  /** Inclusive, Unix milliseconds. */
  fromMs: number;
  everyMs: number;
  /** A poll asks for what came after the poll before it, and this much earlier: rows may come late. */
  lookBackMs: number;
  /**
   * Tracks with their markets and pictures, answers indented, as the API sends them: about 10 KB a play. A
   * file a month.
   */
  isFull: boolean;
}

/** The data set's own polls: two weeks before the end, every half hour. */
export function usualPolling(endMs: number): Polling {
  return { fromMs: endMs - 14 * DAY_MS, everyMs: 30 * MINUTE_MS, lookBackMs: 120 * MINUTE_MS, isFull: false };
}

/**
 * So many polls before the end, one every ten minutes, each of which asks for what was asked for before: a
 * play comes some 20 times.
 */
export function densePolling(polls: number, endMs: number): Polling {
  const everyMs = 10 * MINUTE_MS;
  return { fromMs: endMs - polls * everyMs, everyMs, lookBackMs: 220 * MINUTE_MS, isFull: true };
}

/**
 * Writes `api/recently-played.ndjson` (`api/recently-played-YYYY-MM.ndjson` with full answers): one line
 * `{polled_at, body}` for each poll of `GET /me/player/recently-played`, body as the API answers. Polls
 * overlap; once, if there are plays enough, nobody polls for so long that a full page does not reach back to
 * what was known. Without plays there is no file.
 *
 * `played_at` is within two seconds of the play's end for nine in ten and of its start for the others; one in
 * twenty has no milliseconds.
 *
 * @param plays told plays of the time, in the order of their end
 * @param endMs exclusive
 */
export async function writeRecentlyPlayed(
  seed: number,
  catalogue: Catalogue,
  plays: OwnPlay[],
  polling: Polling,
  endMs: number,
  files: FileSet,
): Promise<PollCounts> {
  const counts: PollCounts = { polls: 0, deliveries: 0, distinctDeliveries: 0, overflows: 0, emptyPolls: 0 };
  if (plays.length === 0) return counts;
  const { fromMs, everyMs, lookBackMs, isFull } = polling;
  const random = createRandom(seed, 'polls');
  const deliveries = plays
    .map((play) => createDelivery(catalogue, random, play))
    .sort((a, b) => a.playedMs - b.playedMs);
  const outage = isFull ? { fromMs: 0, toMs: 0 } : outageOf(deliveries);
  let file: TextFile | undefined;
  let fileName = '';
  let knownMs = fromMs;
  let polledMs = fromMs;
  let distinct = 0;
  // Plays before `past` happened before the poll.
  let past = 0;
  for (let pollMs = fromMs; pollMs < endMs; pollMs += everyMs + (isFull ? 0 : random.int(8) * SECOND_MS)) {
    if (pollMs > outage.fromMs && pollMs < outage.toMs) continue;
    while (past < deliveries.length && deliveries[past]!.playedMs <= pollMs) past++;
    const afterMs = polledMs - lookBackMs;
    polledMs = pollMs;
    const items: Delivery[] = [];
    for (let index = past - 1; index >= 0 && items.length < PAGE && deliveries[index]!.playedMs > afterMs; index--) {
      if (deliveries[index]!.readyMs <= pollMs) items.push(deliveries[index]!);
    }
    const newestMs = items[0]?.playedMs;
    counts.polls++;
    counts.deliveries += items.length;
    if (newestMs === undefined) counts.emptyPolls++;
    else {
      // The first poll knows nothing before it, so it cannot have lost anything.
      if (items.length === PAGE && items.at(-1)!.playedMs > knownMs && distinct > 0) counts.overflows++;
      for (const item of items) if (!item.isTaken) distinct++;
      for (const item of items) item.isTaken = true;
      knownMs = Math.max(knownMs, newestMs);
    }
    const name = `api/recently-played${isFull ? `-${isoSecond(pollMs).slice(0, 7)}` : ''}.ndjson`;
    if (file === undefined || name !== fileName) {
      await file?.close();
      [file, fileName] = [files.create(name), name];
    }
    const texts = items.map(({ item }) => (isFull ? indented(asSent(item)) : JSON.stringify(item)));
    const line = `{"polled_at":"${isoSecond(pollMs)}","body":${pollBody(items, texts, afterMs)}}\n`;
    if (file.add(line)) await file.flush();
  }
  await file?.close();
  counts.distinctDeliveries = distinct;
  return counts;
}

interface PlayedItem {
  track: object;
  played_at: string;
  context: object | null;
}

interface Delivery {
  playedMs: number;
  /** From when on the endpoint gives it. */
  readyMs: number;
  item: PlayedItem;
  isTaken: boolean;
}

function createDelivery(catalogue: Catalogue, random: Random, play: OwnPlay): Delivery {
  const id = play.isAlternate ? catalogue.alternateIds[play.item]! : catalogue.ids[play.item]!;
  const isStart = random.chance(0.1);
  const playedMs = (isStart ? play.startMs : play.endMs) - 2_000 + random.int(4_001);
  const hasMilliseconds = !random.chance(0.05);
  const context = random.chance(0.3)
    ? null
    : reference('album', catalogue.albums.ids[catalogue.trackAlbums[play.item]!]!, 'albums');
  const item = {
    track: trackObject(catalogue, play.item, id),
    played_at: hasMilliseconds ? isoMillisecond(playedMs) : isoSecond(playedMs),
    context,
  };
  // Cursors are as exact as the text of `played_at`.
  const statedMs = hasMilliseconds ? playedMs : playedMs - (playedMs % SECOND_MS);
  const lateMs = random.chance(0.03) ? random.int(100 * MINUTE_MS) : 0;
  return {
    playedMs: statedMs,
    readyMs: Math.max(play.endMs, playedMs) + lateMs,
    item,
    isTaken: false,
  };
}

/**
 * The time between two plays with more than a page of others between them; none if there are too few plays.
 */
function outageOf(deliveries: Delivery[]): { fromMs: number; toMs: number } {
  if (deliveries.length < 2 * OUTAGE_PLAYS) return { fromMs: 0, toMs: 0 };
  const first = Math.floor((deliveries.length - OUTAGE_PLAYS) / 2);
  return { fromMs: deliveries[first]!.playedMs, toMs: deliveries[first + OUTAGE_PLAYS]!.playedMs };
}

function pollBody(items: Delivery[], texts: readonly string[], afterMs: number): string {
  const href = `${API}/me/player/recently-played?after=${afterMs}&limit=${PAGE}`;
  const newest = items[0];
  const oldest = items.at(-1);
  if (newest === undefined || oldest === undefined) {
    return `{"items":[],"next":null,"cursors":null,"limit":${PAGE},"href":"${href}"}`;
  }
  const next = `${API}/me/player/recently-played?after=${newest.playedMs}&limit=${PAGE}`;
  const cursors = `{"after":"${newest.playedMs}","before":"${oldest.playedMs}"}`;
  return `{"items":[${texts.join(',')}],"next":"${next}","cursors":${cursors},"limit":${PAGE},"href":"${href}"}`;
}

/** Countries of the alphabet's letters: as many as the service says a track can be heard in. */
const MARKETS = Array.from({ length: 184 }, (_, n) => String.fromCharCode(65 + (n >> 3), 65 + ((n * 3) % 26)));

/** The item with what a real answer has besides: most of its bytes, and of no use to any table. */
function asSent(item: PlayedItem): object {
  const track = item.track as { id: string; album: { id: string } };
  const images = [640, 300, 64].map((size) => ({
    height: size,
    url: `https://images.example/${track.album.id}${track.album.id}${size}`,
    width: size,
  }));
  return {
    ...item,
    track: {
      ...track,
      album: { ...track.album, available_markets: MARKETS, images },
      available_markets: MARKETS,
      popularity: track.id.charCodeAt(0) % 100,
      preview_url: `https://previews.example/${track.id}${track.id}`,
    },
  };
}

/** As the API sends it, two levels deep in the answer, but on one line. */
function indented(item: object): string {
  return JSON.stringify(item, null, 2).replaceAll('\n', '     ');
}

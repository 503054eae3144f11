import { isoMillisecond, isoSecond, MINUTE_MS, SECOND_MS } from './calendar.ts';
import { artistsOf, type Catalogue, GENRES, releaseDate } from './catalogue.ts';
import type { OwnPlay } from './own-listening.ts';
import { base62Id, createRandom, type Random } from './random.ts';
import { createSpokenContent, type SpokenContent } from './spoken-content.ts';
import type { FileSet } from './text-file.ts';

const API = 'https://api.spotify.com/v1';
const OWNER = 'synthetic-listener';
/** What the endpoint gives at most, and what it remembers. */
const PAGE = 50;
/** A poll asks for what came after the poll before it, and this much earlier: rows may come late. */
const LOOK_BACK_MS = 2 * 60 * MINUTE_MS;
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

/**
 * Writes `api/recently-played.ndjson`: one line `{polled_at, body}` for each poll of `GET /me/player/recently-played`, about every
 * half hour from `fromMs` on, body as the API answers. Polls overlap by two hours of plays; once, if there are plays enough, nobody
 * polls for so long that a full page does not reach back to what was known. Without plays there is no file.
 *
 * `played_at` is within two seconds of the play's end for nine in ten and of its start for the others; one in twenty has no
 * milliseconds.
 *
 * @param plays told plays of the time, in the order of their end
 * @param fromMs inclusive, Unix milliseconds
 * @param endMs exclusive
 */
export async function writeRecentlyPlayed(
  seed: number,
  catalogue: Catalogue,
  plays: OwnPlay[],
  fromMs: number,
  endMs: number,
  files: FileSet,
): Promise<PollCounts> {
  const counts: PollCounts = { polls: 0, deliveries: 0, distinctDeliveries: 0, overflows: 0, emptyPolls: 0 };
  if (plays.length === 0) return counts;
  const random = createRandom(seed, 'polls');
  const deliveries = plays
    .map((play) => createDelivery(catalogue, random, play))
    .sort((a, b) => a.playedMs - b.playedMs);
  const outage = outageOf(deliveries);
  const file = files.create('api/recently-played.ndjson');
  let knownMs = fromMs;
  let polledMs = fromMs;
  let distinct = 0;
  // Plays before `past` happened before the poll.
  let past = 0;
  for (let pollMs = fromMs; pollMs < endMs; pollMs += 30 * MINUTE_MS + random.int(8) * SECOND_MS) {
    if (pollMs > outage.fromMs && pollMs < outage.toMs) continue;
    while (past < deliveries.length && deliveries[past]!.playedMs <= pollMs) past++;
    const afterMs = polledMs - LOOK_BACK_MS;
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
    const line = `{"polled_at":"${isoSecond(pollMs)}","body":${pollBody(items, afterMs)}}\n`;
    if (file.add(line)) await file.flush();
  }
  await file.close();
  counts.distinctDeliveries = distinct;
  return counts;
}

/** Writes playlists (one with the field names of before 2026, one with the new), saved and top tracks, artists and albums. */
export async function writeLibrary(seed: number, catalogue: Catalogue, endMs: number, files: FileSet): Promise<void> {
  const random = createRandom(seed, 'library');
  const spoken = createSpokenContent(seed);
  const popular = [...catalogue.ranks.keys()].filter((track) => catalogue.ranks[track]! < 120);
  popular.sort((a, b) => catalogue.ranks[a]! - catalogue.ranks[b]!);
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

  for (const [number, keys] of [
    { list: 'tracks', entry: 'track' },
    { list: 'items', entry: 'item' },
  ].entries()) {
    const id = base62Id(random);
    const chosen = popular.filter(() => random.chance(0.5)).slice(0, 40);
    const playlist = playlistObject(catalogue, spoken, random, { id, number, keys, chosen, endMs });
    await files.writeWhole(`api/playlist-${id}.json`, json(playlist));
  }
  const saved = popular.filter((_, index) => index % 3 === 0).slice(0, PAGE);
  const savedItems = saved.map((track, index) => ({
    added_at: isoSecond(endMs - (index + 1) * 9_973_000),
    track: trackObject(catalogue, track, catalogue.ids[track]!),
  }));
  await files.writeWhole('api/saved-tracks.json', json(page(`${API}/me/tracks`, savedItems)));
  const top = popular.slice(0, PAGE).map((track) => trackObject(catalogue, track, catalogue.ids[track]!));
  // Nothing inside says when it was answered: it is kept in an envelope, as a capture keeps it.
  const answer = { polled_at: isoSecond(endMs - 7_200_000), body: page(`${API}/me/top/tracks`, top) };
  await files.writeWhole('api/top-tracks.json', `${JSON.stringify(answer)}\n`);

  const artists = [...new Set(popular.flatMap((track) => artistsOf(catalogue, track)))].slice(0, PAGE);
  await files.writeWhole(
    'api/artists.json',
    json({
      artists: artists.map((artist, index) => ({
        ...artistObject(catalogue, artist),
        // Genres are deprecated: mostly empty, sometimes still there.
        genres: index % 3 === 0 ? [GENRES[catalogue.artists.genres[artist]!]] : [],
        images: [],
      })),
    }),
  );
  const albums = [...new Set(popular.map((track) => catalogue.trackAlbums[track]!))].slice(0, 20);
  await files.writeWhole(
    'api/albums.json',
    json({
      albums: albums.map((album) => ({
        ...albumObject(catalogue, album),
        copyrights: [{ text: 'Synthetic Records', type: 'P' }],
        external_ids: { upc: String(900_000_000_000 + album) },
        genres: [],
      })),
    }),
  );
}

interface Delivery {
  playedMs: number;
  /** From when on the endpoint gives it. */
  readyMs: number;
  json: string;
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
    json: JSON.stringify(item),
    isTaken: false,
  };
}

/** The time between two plays with more than a page of others between them; none if there are too few plays. */
function outageOf(deliveries: Delivery[]): { fromMs: number; toMs: number } {
  if (deliveries.length < 2 * OUTAGE_PLAYS) return { fromMs: 0, toMs: 0 };
  const first = Math.floor((deliveries.length - OUTAGE_PLAYS) / 2);
  return { fromMs: deliveries[first]!.playedMs, toMs: deliveries[first + OUTAGE_PLAYS]!.playedMs };
}

function pollBody(items: Delivery[], afterMs: number): string {
  const href = `${API}/me/player/recently-played?after=${afterMs}&limit=${PAGE}`;
  const newest = items[0];
  const oldest = items.at(-1);
  if (newest === undefined || oldest === undefined) {
    return `{"items":[],"next":null,"cursors":null,"limit":${PAGE},"href":"${href}"}`;
  }
  const next = `${API}/me/player/recently-played?after=${newest.playedMs}&limit=${PAGE}`;
  const cursors = `{"after":"${newest.playedMs}","before":"${oldest.playedMs}"}`;
  return `{"items":[${items.map((item) => item.json).join(',')}],"next":"${next}","cursors":${cursors},"limit":${PAGE},"href":"${href}"}`;
}

interface PlaylistPlan {
  id: string;
  number: number;
  keys: { list: string; entry: string };
  chosen: number[];
  endMs: number;
}

function playlistObject(catalogue: Catalogue, spoken: SpokenContent, random: Random, plan: PlaylistPlan): object {
  const { list, entry } = plan.keys;
  const owner = { ...reference('user', OWNER, 'users'), id: OWNER };
  const entries: { is_local: boolean; content: object | null }[] = plan.chosen.map((track) => ({
    is_local: false,
    content: trackObject(catalogue, track, catalogue.ids[track]!),
  }));
  // A track that the service withdrew, a podcast's episode, and a file from the owner's disk.
  entries.splice(Math.min(3, entries.length), 0, { is_local: false, content: null });
  entries.push(
    { is_local: false, content: episodeObject(spoken, plan.endMs) },
    { is_local: true, content: localFile() },
  );
  const items = entries.map(({ is_local, content }, index) => ({
    added_at: isoSecond(plan.endMs - (entries.length - index) * 8_641_000),
    added_by: owner,
    is_local,
    primary_color: null,
    [entry]: content,
  }));
  return {
    collaborative: false,
    description: '',
    ...reference('playlist', plan.id, 'playlists'),
    id: plan.id,
    images: [],
    name: plan.number === 0 ? 'Synthetic Mornings' : 'Synthetic & Loud 🔊',
    owner: { ...owner, display_name: 'Synthetic listener' },
    primary_color: null,
    public: false,
    snapshot_id: base62Id(random),
    [list]: page(`${API}/playlists/${plan.id}/${list}`, items, 100),
  };
}

function trackObject(catalogue: Catalogue, track: number, id: string): object {
  return {
    album: albumObject(catalogue, catalogue.trackAlbums[track]!),
    artists: artistsOf(catalogue, track).map((artist) => artistObject(catalogue, artist)),
    disc_number: 1,
    duration_ms: catalogue.durationMs[track]!,
    explicit: catalogue.isExplicit[track] === 1,
    external_ids: { isrc: catalogue.isrcs[track]! },
    ...reference('track', id, 'tracks'),
    id,
    is_local: false,
    name: catalogue.names[track]!,
    track_number: catalogue.trackNumbers[track]!,
  };
}

function albumObject(catalogue: Catalogue, album: number): object {
  const { albums } = catalogue;
  const id = albums.ids[album]!;
  const { date, precision } = releaseDate(catalogue, album);
  return {
    album_type: albums.totalTracks[album] === 1 ? 'single' : 'album',
    artists: [artistObject(catalogue, albums.artists[album]!)],
    ...reference('album', id, 'albums'),
    id,
    images: [],
    name: albums.names[album]!,
    release_date: date,
    release_date_precision: precision,
    total_tracks: albums.totalTracks[album]!,
  };
}

function artistObject(catalogue: Catalogue, artist: number): object {
  const id = catalogue.artists.ids[artist]!;
  return { ...reference('artist', id, 'artists'), id, name: catalogue.artists.names[artist]! };
}

function episodeObject(spoken: SpokenContent, endMs: number): object {
  const episode = spoken.episodes[0]!;
  return {
    duration_ms: episode.durationMs,
    episode: true,
    explicit: false,
    ...reference('episode', episode.id, 'episodes'),
    id: episode.id,
    is_playable: true,
    name: episode.name,
    release_date: isoSecond(endMs - 864_000_000).slice(0, 10),
    release_date_precision: 'day',
    show: { ...reference('show', episode.showId, 'shows'), id: episode.showId, name: episode.showName },
    track: false,
  };
}

/** A file of the owner's own: no id, only a uri made of its tags. */
function localFile(): object {
  return {
    album: {
      album_type: null,
      artists: [],
      href: null,
      id: null,
      images: [],
      name: 'Synthetic Tapes',
      type: 'album',
      uri: null,
    },
    artists: [{ external_urls: {}, href: null, id: null, name: 'Garage Synthetics', type: 'artist', uri: null }],
    disc_number: 0,
    duration_ms: 187_000,
    explicit: false,
    external_ids: {},
    external_urls: {},
    href: null,
    id: null,
    is_local: true,
    name: 'Rehearsal 4',
    track_number: 0,
    type: 'track',
    uri: 'spotify:local:Garage+Synthetics:Synthetic+Tapes:Rehearsal+4:187',
  };
}

function reference(type: string, id: string, collection: string): object {
  return {
    external_urls: { spotify: `https://open.spotify.com/${type}/${id}` },
    href: `${API}/${collection}/${id}`,
    type,
    uri: `spotify:${type}:${id}`,
  };
}

function page(href: string, items: object[], limit = PAGE): object {
  return {
    href: `${href}?offset=0&limit=${limit}`,
    items,
    limit,
    next: null,
    offset: 0,
    previous: null,
    total: items.length,
  };
}

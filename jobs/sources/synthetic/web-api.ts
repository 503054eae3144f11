import { isoSecond } from './calendar.ts';
import { artistsOf, type Catalogue, GENRES, releaseDate } from './catalogue.ts';
import { base62Id, createRandom, type Random } from './random.ts';
import { createSpokenContent, type SpokenContent } from './spoken-content.ts';
import type { FileSet } from './text-file.ts';

export const API = 'https://api.spotify.com/v1';
const OWNER = 'synthetic-listener';
/** Entries of one page of the API. */
const PAGE = 50;

/**
 * Writes playlists (one with the field names of before 2026, one with the new), saved and top tracks, artists
 * and albums.
 */
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

/** A track as it stands in an answer, with its album and artists. */
export function trackObject(catalogue: Catalogue, track: number, id: string): object {
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

/** What every object of an answer has: its links and its kind. */
export function reference(type: string, id: string, collection: string): object {
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

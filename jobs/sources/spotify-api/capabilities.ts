import { JobError } from '../../base/errors.ts';
import { DAY_MS } from '../../base/time.ts';
import type { Capability, Ledger } from './ledger.ts';
import type { Scope } from './session.ts';

/** One thing of the Web API that an app may or may not read. */
interface EndpointFacts {
  /** What to call to find out; `{id}` stands for something that the lake or an earlier answer knows. */
  probe: string;
  /** Where an `{id}` comes from. */
  idOf?: 'track' | 'album' | 'artist';
  scope?: Scope;
  /** Tables that have rows from it. */
  feeds: string;
  /** What listenlake offers where it is closed. */
  instead: string;
}

/**
 * What listenlake calls, and two things it does not call because new apps may not (they are probed so that
 * people know).
 */
export const ENDPOINTS = {
  recently_played: {
    ...{ probe: '/v1/me/player/recently-played?limit=1', scope: 'user-read-recently-played' },
    ...{ feeds: 'plays, capture_polls', instead: 'an account export (listenlake run my_spotify_data.zip)' },
  },
  my_playlists: {
    ...{ probe: '/v1/me/playlists?limit=1', scope: 'playlist-read-private' },
    ...{ feeds: 'playlists, playlist_items', instead: 'the ids of your playlists in LISTENLAKE_SPOTIFY_PLAYLISTS' },
  },
  saved_tracks: {
    probe: '/v1/me/tracks?limit=1',
    scope: 'user-library-read',
    feeds: 'saved_tracks',
    instead: 'a playlist of your own',
  },
  top_tracks: {
    probe: '/v1/me/top/tracks?limit=1',
    scope: 'user-top-read',
    feeds: 'top_items',
    instead: 'your own play counts (top_tracks)',
  },
  top_artists: {
    probe: '/v1/me/top/artists?limit=1',
    scope: 'user-top-read',
    feeds: 'top_items',
    instead: 'your own play counts (daily_artist_metrics)',
  },
  followed_artists: {
    probe: '/v1/me/following?type=artist&limit=1',
    scope: 'user-follow-read',
    feeds: 'artists',
    instead: 'nothing: artists come with your plays',
  },
  tracks: { probe: '/v1/tracks/{id}', idOf: 'track', feeds: 'tracks, albums, artists', instead: 'a tracks CSV' },
  albums: { probe: '/v1/albums/{id}', idOf: 'album', feeds: 'albums', instead: 'what comes with tracks' },
  artists: { probe: '/v1/artists/{id}', idOf: 'artist', feeds: 'artists', instead: 'what comes with tracks' },
  audio_features: {
    probe: '/v1/audio-features/{id}',
    idOf: 'track',
    feeds: 'track_features',
    instead: 'a tracks CSV with audio features',
  },
  several_tracks: {
    probe: '/v1/tracks?ids={id}',
    idOf: 'track',
    feeds: 'nothing',
    instead: 'one call a track, most played first (extract metadata)',
  },
} as const satisfies Record<string, EndpointFacts>;

export type Endpoint = keyof typeof ENDPOINTS;

/** What was closed is tried again after this time: apps and rules change. */
const CLOSED_FOR_MS = 7 * DAY_MS;

/** How an endpoint was found closed, where that is known and not too long ago. */
export function closedAs(ledger: Ledger, endpoint: Endpoint, now: number): Capability | undefined {
  const known = ledger.capabilities[endpoint];
  if (known === undefined || known.status === 200) return undefined;
  return Math.abs(now - Date.parse(known.seenAt)) < CLOSED_FOR_MS ? known : undefined;
}

/** One line: what is closed, which tables get nothing from it, and what to use instead. */
export function closedText(endpoint: Endpoint, { status, seenAt }: Capability): string {
  const { feeds, instead } = ENDPOINTS[endpoint];
  const effect = feeds === 'nothing' ? '' : `; ${feeds} get nothing from it`;
  return `${endpoint.replaceAll('_', ' ')}: closed to this app (status ${status} on ${seenAt.slice(0, 10)})${effect}. Instead: ${instead}`;
}

/** The status behind an error of the client that says "not for you": 403, 404 or 410. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof JobError)) return undefined;
  return { source_forbidden: 403, source_missing: 404, source_gone: 410 }[error.code];
}

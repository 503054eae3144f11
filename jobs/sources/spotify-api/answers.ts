import { JobError } from '../../base/errors.ts';
import { isPersonalKey, withoutPersonal } from '../../base/personal-fields.ts';
import { monthsAround } from '../../bronze/periods.ts';
import { shownColumns } from '../../formats/csv.ts';

/** Web API responses that a table is made of. */
export type ApiKind =
  | 'recently_played'
  | 'playlist'
  | 'playlist_items'
  | 'playlists'
  | 'saved_tracks'
  | 'saved_albums'
  | 'top_tracks'
  | 'top_artists'
  | 'tracks'
  | 'albums'
  | 'artists';

/** A response and what load must know of it. */
export interface ApiAnswer {
  kind: ApiKind;
  observedAt: string | null;
  timeRange: string | null;
  playlistId: string | null;
  /** The response as received, personal fields included: see `withoutPeople`. */
  body: Json;
  /** Where in the body its list stands; undefined: it is a single thing. */
  listAt: readonly string[] | undefined;
  /** Things in it that must be accounted for: plays, playlist items, tracks, ... */
  items: readonly Json[];
  /** `YYYY-MM` (recently played) or `YYYY-MM-DD` (snapshots) of the times it holds. */
  periods: string[];
}

export interface ApiReader {
  /**
   * Reads one line of a file, or the whole file.
   *
   * @throws `kind_unsupported`, `kind_unknown`, `envelope_invalid` (65)
   */
  read(text: string, fileName: string): ApiAnswer;
  /** A response or a part of one, without what is personal. */
  withoutPeople(value: Json): Json;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Numbers as they were written; TypeScript's library does not know these two yet. */
const rawJson = JSON as unknown as { rawJSON(text: string): unknown; isRawJSON(value: unknown): boolean };

/** Spotify's field names changed in February 2026 (`tracks` to `items`, `track` to `item`); both are read. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/;
/** Moments outside are mistakes (see `is_possible` of silver). */
const [FIRST_MS, END_MS] = [Date.UTC(2006, 0, 1), Date.UTC(2041, 0, 1)];

/**
 * Recognises responses of the Spotify Web API by what they hold (not by the file's name) and takes out what
 * is personal: user objects keep only a pseudonym, ids of users in URIs and links are replaced by it, names,
 * e-mail, descriptions (free text of people) and addresses go. Accepts a bare response, or `{polled_at,
 * body}` with the UTC instant at which it was received.
 *
 * @param pseudonym see `createPseudonyms`
 */
export function createApiReader(pseudonym: (id: string) => string): ApiReader {
  return {
    read(text, fileName) {
      const value = parseJson(text);
      const isEnvelope = isObject(value) && 'polled_at' in value && 'body' in value;
      if (isEnvelope && !(typeof value.polled_at === 'string' && INSTANT.test(value.polled_at))) {
        throw new JobError('envelope_invalid', 'data', 'polled_at is not a UTC instant', {
          hint: 'write it like 2026-11-01T12:00:00Z',
        });
      }
      const body = isEnvelope ? (value.body ?? null) : value;
      const { kind, items } = classify(body);
      const observedAt = isEnvelope ? (value.polled_at as string) : newestTime(items);
      const href = isObject(body) && typeof body.href === 'string' ? body.href : '';
      return {
        kind,
        observedAt,
        timeRange:
          /(?:short|medium|long)_term/.exec(href)?.[0] ??
          /(?:short|medium|long)_term/.exec(fileName.slice(fileName.lastIndexOf('/') + 1))?.[0] ??
          null,
        playlistId:
          kind === 'playlist_items'
            ? (/\/playlists\/([A-Za-z0-9]{1,64})\/(?:tracks|items)/.exec(href)?.[1] ?? null)
            : null,
        body,
        ...listOf(kind, body),
        periods: periodsOf(kind, items, observedAt),
      };
    },
    withoutPeople: (value) => withoutPeople(value, pseudonym, ''),
  };
}

/** JSON whose numbers beyond 2^53 keep their digits: they are written back as they were read. */
export function parseJson(text: string): Json {
  // Looking at every value costs five times as much as parsing, and few answers have such a number.
  return JSON.parse(text, /\d{16}/.test(text) ? keepDigits : undefined) as Json;
}

/**
 * Where the list of a response of this kind stands, and what is in it; a single thing is its own only item.
 */
export function listOf(kind: string, body: Json): Pick<ApiAnswer, 'listAt' | 'items'> {
  const listAt = listAtOf(kind, body);
  if (listAt === undefined) return { listAt, items: [body] };
  const list = listAt.reduce<Json | undefined>(
    (value, key) => (isObject(value ?? null) ? (value as JsonObject)[key] : undefined),
    body,
  );
  return { listAt, items: Array.isArray(list) ? list : [] };
}

function listAtOf(kind: string, body: Json): readonly string[] | undefined {
  const parts = isObject(body) ? body : {};
  if (kind === 'playlist') return pageOf(parts.items) === undefined ? ['tracks', 'items'] : ['items', 'items'];
  if (kind !== 'tracks' && kind !== 'albums' && kind !== 'artists') return ['items'];
  // Followed artists stand one level deeper.
  if (kind === 'artists' && pageOf(parts.artists) !== undefined) return ['artists', 'items'];
  return Array.isArray(parts[kind]) ? [kind] : undefined;
}

/** The kind of a response and its items. */
function classify(body: Json): { kind: ApiKind; items: Json[] } {
  if (!isObject(body))
    throw unsupported(Array.isArray(body) ? 'a list of answers (contains, follows)' : 'a bare value');
  const type = typeof body.type === 'string' ? body.type.toLowerCase() : '';
  if ('error' in body) throw unsupported('an error answer of the Web API');
  if ('is_playing' in body || 'currently_playing' in body) throw unsupported('the player state or queue');
  if ('audio_features' in body || 'danceability' in body || 'segments' in body)
    throw unsupported('audio features or analysis (closed to new apps)');
  if ('seeds' in body) throw unsupported('recommendations (closed to new apps)');
  if (type === 'track') return { kind: 'tracks', items: [body] };
  if (type === 'album') return { kind: 'albums', items: [body] };
  if (type === 'artist') return { kind: 'artists', items: [body] };
  if (type === 'episode' || type === 'show' || type === 'audiobook' || type === 'chapter' || type === 'user')
    throw unsupported(`one ${type}`);

  const page = pageOf(body.items) ?? pageOf(body.tracks);
  if ((type === 'playlist' || 'snapshot_id' in body || 'owner' in body) && page !== undefined)
    return { kind: 'playlist', items: page };
  if ('snapshot_id' in body) throw unsupported('the answer to a change of a playlist');
  if (Array.isArray(body.items)) return { kind: classifyPage(body, body.items), items: body.items };
  // Followed artists stand one level deeper than other lists.
  const followed = pageOf(body.artists);
  if (followed !== undefined && isObject(body.artists ?? null) && 'cursors' in (body.artists as JsonObject))
    return { kind: 'artists', items: followed };
  for (const kind of ['tracks', 'albums', 'artists'] as const) {
    if (!Array.isArray(body[kind])) continue;
    if (Object.keys(body).length > 1) throw unsupported('recommendations or several lists at once');
    return { kind, items: body[kind] };
  }
  for (const other of [
    'tracks',
    'albums',
    'artists',
    'playlists',
    'shows',
    'episodes',
    'audiobooks',
    'categories',
    'chapters',
  ]) {
    if (isObject(body[other] ?? null)) throw unsupported(`search results or browse pages (${other})`);
    if (Array.isArray(body[other])) throw unsupported(`a list of ${other}`);
  }
  if ('genres' in body || 'icons' in body || 'media_type' in body)
    throw unsupported('categories, genre seeds or shows');
  const keys = shownColumns(Object.keys(body));
  throw new JobError('kind_unknown', 'data', `none of the kinds of files that are known; its keys: ${keys}`, {
    hint: 'see docs/your-data.md for what can be loaded',
  });
}

/** The kind of one page of a list: by its items, and where it has none by its address. */
function classifyPage(page: JsonObject, items: Json[]): ApiKind {
  const href = typeof page.href === 'string' ? page.href.split('?', 1)[0]! : '';
  const item = items.find((element): element is JsonObject => isObject(element));
  if (item === undefined) {
    if ('cursors' in page || href.endsWith('/recently-played')) return 'recently_played';
    if (/\/playlists\/[^/]+\/(tracks|items)$/.test(href)) return 'playlist_items';
    if (href.endsWith('/me/tracks')) return 'saved_tracks';
    if (href.endsWith('/me/albums')) return 'saved_albums';
    if (href.endsWith('/top/tracks')) return 'top_tracks';
    if (href.endsWith('/top/artists')) return 'top_artists';
    if (href.endsWith('/playlists')) return 'playlists';
    throw unsupported('an empty page that does not say of what');
  }
  const type = typeof item.type === 'string' ? item.type.toLowerCase() : '';
  if ('played_at' in item) return 'recently_played';
  if ('added_at' in item) {
    if ('album' in item) return 'saved_albums';
    if ('episode' in item || 'show' in item) throw unsupported('saved episodes or shows');
    if ('added_by' in item || 'is_local' in item || 'item' in item) return 'playlist_items';
    if ('track' in item) return /\/playlists\//.test(href) ? 'playlist_items' : 'saved_tracks';
  }
  if (type === 'playlist' || 'snapshot_id' in item) return 'playlists';
  if (type === 'artist') return 'top_artists';
  if (type === 'track' && 'album' in item) return 'top_tracks';
  throw unsupported(
    type === ''
      ? 'a page of something else'
      : `a page of ${type}s that no table is made of (tracks of an album, albums of an artist, episodes)`,
  );
}

function unsupported(what: string): JobError {
  return new JobError('kind_unsupported', 'data', `a Web API response that no table is made of: ${what}`, {
    hint: 'nothing to do; see docs/your-data.md for what can be loaded',
  });
}

/** The items of the page inside a playlist. */
function pageOf(value: Json | undefined): Json[] | undefined {
  return value !== undefined && isObject(value) && Array.isArray(value.items) ? value.items : undefined;
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !rawJson.isRawJSON(value);
}

/**
 * The newest `played_at` or `added_at` of the items. Both are UTC in one notation, so that the order of texts
 * is the order of times.
 */
function newestTime(items: Json[]): string | null {
  let newest: string | null = null;
  for (const time of timesOf(items)) if (newest === null || time > newest) newest = time;
  return newest;
}

function timesOf(items: Json[]): string[] {
  return items.flatMap((item) => {
    const time = timeOf(item);
    return typeof time === 'string' && INSTANT.test(time) ? [time] : [];
  });
}

function timeOf(item: Json): Json | undefined {
  return isObject(item) ? (item.played_at ?? item.added_at) : undefined;
}

/**
 * Dates of the items, also of times in the other notations that silver reads: with an offset, as a number. A
 * day wrong at most.
 */
function datesOf(items: Json[]): string[] {
  return items.flatMap((item) => {
    const text = JSON.stringify(timeOf(item) ?? null).replaceAll('"', '');
    const number = Number(text);
    const epochMs = number < 1e11 ? number * 1000 : number < 1e14 ? number : number / 1000;
    const ms = /^\d{9,17}$/.test(text) ? epochMs : Date.parse(text);
    return ms >= FIRST_MS && ms < END_MS ? [new Date(ms).toISOString().slice(0, 10)] : [];
  });
}

function periodsOf(kind: ApiKind, items: Json[], observedAt: string | null): string[] {
  const observed = observedAt === null ? [] : [observedAt.slice(0, 10)];
  return kind === 'recently_played' ? monthsAround([...datesOf(items), ...observed]) : observed;
}

const USER_KEYS = new Set(['owner', 'added_by', 'user']);
/** Free text of people, and what only user objects have. */
const DROPPED_KEYS = new Set([
  'description',
  'html_description',
  'birthdate',
  'account_id',
  'product',
  'explicit_content',
]);

function withoutPeople(value: Json, pseudonym: (id: string) => string, key: string): Json {
  if (typeof value === 'string') return withoutPersonal(value, pseudonym);
  if (Array.isArray(value)) return value.map((element) => withoutPeople(element, pseudonym, key));
  if (!isObject(value)) return value;
  const isUser =
    USER_KEYS.has(key) ||
    value.type === 'user' ||
    (typeof value.uri === 'string' && /^spotify:user:[^:]+$/.test(value.uri));
  if (isUser) {
    const id = typeof value.id === 'string' && value.id !== '' ? pseudonym(value.id) : null;
    return { id, type: 'user', uri: id === null ? null : `spotify:user:${id}` };
  }
  const kept: JsonObject = {};
  for (const [name, child] of Object.entries(value)) {
    // A user who stands as a bare id, not as an object.
    if ((USER_KEYS.has(name) || name === 'user_id') && typeof child === 'string') {
      define(kept, name, child === '' ? null : pseudonym(child));
    } else if (USER_KEYS.has(name) || !(DROPPED_KEYS.has(name) || isPersonalKey(name))) {
      define(kept, name, withoutPeople(child, pseudonym, name));
    }
  }
  return kept;
}

/** As an own property even where the name is `__proto__`. */
function define(target: JsonObject, name: string, value: Json): void {
  Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}

function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined) return value;
  return Number.isInteger(value) && /^-?\d+$/.test(context.source) ? rawJson.rawJSON(context.source) : value;
}

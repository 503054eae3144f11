/**
 * A Spotify of our own: accounts and Web API over HTTPS on loopback, under the real host names, with its own
 * clock and with faults on demand.
 */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { STUB_HOSTS } from './names.ts';

export interface Clock {
  ms: number;
}

/** What happens to one request instead of its answer (or to its answer). */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string }
  | { kind: 'html' | 'cut_json' | 'cut_gzip' | 'reset' | 'hang' | 'expired' | 'drip' }
  /** The answer as it would be, changed. */
  | { kind: 'edit'; edit: (body: Record<string, unknown>) => unknown };

export interface StubRequest {
  host: string;
  method: string;
  path: string;
  query: URLSearchParams;
  authorization: string;
  form: URLSearchParams;
  /** By the stub's clock. */
  at: number;
}

export interface StubPlay {
  playedAt: string;
  item: Record<string, unknown>;
  /** From when on it is told; default: when it was played. */
  readyMs?: number;
}

export interface StubPlaylist {
  id: string;
  name: string;
  owner: string;
  snapshotId: string;
  /** Entries with `added_at`, and the track under `entryKey`. */
  entries: Record<string, unknown>[];
  /** Field names of before February 2026, or since. */
  generation: 'tracks' | 'items';
  /** What somebody else gets: 200 (metadata without entries), 403 or 404. */
  status?: 200 | 403 | 404;
}

export interface Stub {
  readonly port: number;
  readonly caFile: string;
  readonly clock: Clock;
  /** Every request, in order. */
  readonly requests: StubRequest[];
  /** Called when an answer begins that will never end (`hang`, `drip`). */
  onEndless: () => void;
  /** Asked before each answer. */
  fault: (request: StubRequest) => Fault | undefined;
  /** The account behind the login. */
  world: World;
  app: { id: string; secret: string };
  /** Every token that was ever given out. */
  readonly issued: string[];
  refreshToken: string;
  /** Gives a new refresh token with each refresh, and takes the old one back. */
  isRotating: boolean;
  /** Makes a valid access token that ends after `seconds`. */
  issueAccessToken(seconds?: number): string;
  /** What the consent page's redirect carries instead of the state it was given. */
  stateOverride: string | undefined;
  isDenying: boolean;
  env(): Record<string, string>;
  close(): Promise<void>;
}

export interface World {
  userId: string;
  plays: StubPlay[];
  playlists: StubPlaylist[];
  savedTracks: Record<string, unknown>[];
  topTracks: Record<string, unknown>[];
  topArtists: Record<string, unknown>[];
  followed: Record<string, unknown>[];
  /** `<collection>/<id>` to its object. */
  objects: Map<string, Record<string, unknown>>;
}

const API = 'https://api.spotify.com';
const PLAYS_KEPT = 50;

export function emptyWorld(): World {
  return {
    userId: 'stub-owner',
    plays: [],
    playlists: [],
    savedTracks: [],
    topTracks: [],
    topArtists: [],
    followed: [],
    objects: new Map(),
  };
}

export async function startStub(clock: Clock): Promise<Stub> {
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-stub-'));
  const [caFile, keyFile] = [join(folder, 'ca.pem'), join(folder, 'key.pem')];
  const names = STUB_HOSTS.map((host) => `DNS:${host}`).join(',');
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=listenlake test',
  ];
  execFileSync('openssl', [...request, '-addext', `subjectAltName=${names}`, '-keyout', keyFile, '-out', caFile], {
    stdio: 'ignore',
  });

  const validUntil = new Map<string, number>();
  const codes = new Map<string, { redirectUri: string; scope: string; challenge: string }>();
  const server: Server = createServer({ key: readFileSync(keyFile), cert: readFileSync(caFile) });
  const stub: Stub = {
    port: 0,
    caFile,
    clock,
    requests: [],
    onEndless: () => {},
    fault: () => undefined,
    world: emptyWorld(),
    app: { id: 'stubclient00000000000000000000id', secret: 'CANARYsecret00000000000000000000' },
    issued: [],
    refreshToken: `CANARY-refresh-${randomBytes(12).toString('hex')}`,
    isRotating: false,
    issueAccessToken(seconds = 3600) {
      const token = `CANARY-access-${randomBytes(12).toString('hex')}`;
      validUntil.set(token, clock.ms + seconds * 1000);
      stub.issued.push(token);
      return token;
    },
    stateOverride: undefined,
    isDenying: false,
    env: () => ({
      NODE_OPTIONS: `--import ${new URL('./names.ts', import.meta.url).href}`,
      LISTENLAKE_TEST_SPOTIFY_PORT: String(stub.port),
      LISTENLAKE_TEST_SPOTIFY_CA: caFile,
      LISTENLAKE_SPOTIFY_CLIENT_ID: stub.app.id,
      LISTENLAKE_SPOTIFY_CLIENT_SECRET: stub.app.secret,
    }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      rmSync(folder, { recursive: true, force: true });
    },
  };
  stub.issued.push(stub.refreshToken, stub.app.secret);

  server.on('request', (incoming, response) => {
    void respond(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  (stub as { port: number }).port = (server.address() as AddressInfo).port;
  return stub;

  async function respond(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const host = incoming.headers.host ?? '';
    const url = new URL(incoming.url ?? '/', `https://${host}`);
    const asked: StubRequest = {
      host,
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      authorization: incoming.headers.authorization ?? '',
      form: new URLSearchParams(Buffer.concat(chunks).toString('utf8')),
      at: clock.ms,
    };
    stub.requests.push(asked);
    const fault = stub.fault(asked);
    if (fault?.kind === 'reset') incoming.socket.destroy();
    else if (fault?.kind === 'drip') {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
      stub.onEndless();
    } else if (fault?.kind === 'hang') stub.onEndless();
    else answer(asked, fault, incoming, response);
  }

  function answer(
    asked: StubRequest,
    fault: Fault | undefined,
    incoming: IncomingMessage,
    response: ServerResponse,
  ): void {
    const reply = replyTo(asked, fault);
    // An answer with a rotated token that never arrives ends a login for good: that is a test of its own, not
    // a passing fault.
    const isCut = asked.host === 'api.spotify.com' && reply.status === 200;
    if (fault?.kind === 'cut_gzip' && isCut) {
      const packed = gzipSync(reply.text);
      response.writeHead(200, { ...reply.headers, 'content-encoding': 'gzip', 'content-length': packed.length });
      response.write(packed.subarray(0, packed.length >> 1), () => incoming.socket.destroy());
    } else if (fault?.kind === 'cut_json' && isCut)
      response.writeHead(200).end(reply.text.slice(0, reply.text.length >> 1));
    else if (reply.status === 200) {
      response.writeHead(200, { ...reply.headers, 'content-encoding': 'gzip' }).end(gzipSync(reply.text));
    } else response.writeHead(reply.status, reply.headers).end(reply.text);
  }

  function replyTo(asked: StubRequest, fault: Fault | undefined): Reply {
    const { host, authorization } = asked;
    const token = authorization.replace('Bearer ', '');
    if (fault?.kind === 'status') {
      const { status, headers, body = JSON.stringify({ error: { status, message: authorization } }) } = fault;
      return plain(status, body, headers);
    }
    if (fault?.kind === 'html') {
      return plain(200, '<!doctype html><title>Sign in to the network</title>', { 'content-type': 'text/html' });
    }
    if (host === 'accounts.spotify.com') return accounts(asked);
    if (host !== 'api.spotify.com') return json(200, { items: [], next: null });
    if (fault?.kind === 'expired') validUntil.delete(token);
    if (!((validUntil.get(token) ?? 0) > clock.ms)) {
      return json(401, { error: { status: 401, message: 'The access token expired' } });
    }
    const found = webApi(asked);
    if ('status' in found && 'error' in found) return json(Number(found.status), { error: found.error });
    // Laid out over many lines, as the real one is.
    return plain(200, JSON.stringify(fault?.kind === 'edit' ? fault.edit(found) : found, null, 2));
  }

  function accounts(asked: StubRequest): Reply {
    const { form, query } = asked;
    if (asked.path === '/authorize') {
      const code = randomBytes(12).toString('hex');
      const redirectUri = query.get('redirect_uri') ?? '';
      if (query.get('code_challenge_method') !== 'S256' || !query.get('code_challenge'))
        return json(400, { error: 'invalid_request', error_description: 'code_challenge_method must be S256' });
      const challenge = query.get('code_challenge')!;
      codes.set(code, { redirectUri, scope: query.get('scope') ?? '', challenge });
      const state = stub.stateOverride ?? query.get('state') ?? '';
      const back = (values: Record<string, string>): string =>
        `${redirectUri}?${new URLSearchParams(values)}`.replaceAll('&', '&amp;');
      return plain(
        200,
        `<!doctype html><link rel="icon" href="data:,"><title>Stub</title><a id="agree" href="${back({ code, state })}">Agree</a> <a id="cancel" href="${back({ error: 'access_denied', state })}">Cancel</a>`,
        { 'content-type': 'text/html' },
      );
    }
    if (asked.path !== '/api/token' || asked.method !== 'POST') return json(404, { error: 'not_found' });
    const basic = `Basic ${Buffer.from(`${stub.app.id}:${stub.app.secret}`).toString('base64')}`;
    const isApp =
      asked.authorization === basic ||
      (form.get('client_id') === stub.app.id && form.get('client_secret') === stub.app.secret);
    if (!isApp)
      return json(400, {
        error: 'invalid_client',
        error_description: `Invalid client secret ${form.get('client_secret')}`,
      });
    const grant = { token_type: 'Bearer', expires_in: 3600, access_token: '' };
    if (form.get('grant_type') === 'authorization_code') {
      const code = codes.get(form.get('code') ?? '');
      codes.delete(form.get('code') ?? '');
      const verifier = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      if (code === undefined || code.redirectUri !== form.get('redirect_uri') || verifier !== code.challenge)
        return json(400, { error: 'invalid_grant', error_description: 'Invalid authorization code' });
      return json(200, {
        ...grant,
        access_token: stub.issueAccessToken(),
        refresh_token: stub.refreshToken,
        scope: code.scope,
      });
    }
    if (form.get('refresh_token') !== stub.refreshToken)
      return json(400, { error: 'invalid_grant', error_description: 'Refresh token revoked' });
    if (stub.isRotating) {
      stub.refreshToken = `CANARY-refresh-${randomBytes(12).toString('hex')}`;
      stub.issued.push(stub.refreshToken);
    }
    return json(200, {
      ...grant,
      access_token: stub.issueAccessToken(),
      ...(stub.isRotating ? { refresh_token: stub.refreshToken } : {}),
    });
  }

  function webApi({ path, query }: StubRequest): Record<string, unknown> {
    const { world } = stub;
    if (path === '/v1/me') return { id: world.userId, type: 'user', uri: `spotify:user:${world.userId}` };
    if (path === '/v1/me/player/recently-played') return recentlyPlayed(query);
    if (path === '/v1/me/tracks') return paged(path, query, world.savedTracks);
    if (path === '/v1/me/top/tracks') return paged(path, query, world.topTracks);
    if (path === '/v1/me/top/artists') return paged(path, query, world.topArtists);
    if (path === '/v1/me/following')
      return { artists: { ...paged(path, query, world.followed), cursors: { after: null } } };
    if (path === '/v1/me/playlists') {
      return paged(
        path,
        query,
        world.playlists
          .filter(({ status }) => status === undefined)
          .map((playlist) => playlistHead(playlist, { href: '', total: playlist.entries.length })),
      );
    }
    const playlist = /^\/v1\/playlists\/([0-9A-Za-z]+)(\/(?:items|tracks))?$/.exec(path);
    if (playlist !== null) return playlistAnswer(playlist[1]!, playlist[2] ?? '', path, query);
    const found = world.objects.get(path.replace('/v1/', ''));
    return found ?? { status: 404, error: { status: 404, message: 'Resource not found' } };
  }

  function recentlyPlayed(query: URLSearchParams): Record<string, unknown> {
    const limit = Number(query.get('limit') ?? 20);
    const after = query.has('after') ? Number(query.get('after')) : Number.NEGATIVE_INFINITY;
    const before = query.has('before') ? Number(query.get('before')) : Number.POSITIVE_INFINITY;
    const path = '/v1/me/player/recently-played';
    const told = stub.world.plays
      .map((play) => ({ ...play, ms: Date.parse(play.playedAt) }))
      .filter(({ ms, readyMs }) => (readyMs ?? ms) <= clock.ms)
      .sort((a, b) => b.ms - a.ms)
      .slice(0, PLAYS_KEPT)
      .filter(({ ms }) => ms > after && ms < before)
      .slice(0, limit);
    const [newest, oldest] = [told[0]?.ms, told.at(-1)?.ms];
    const direction = query.has('after') ? `after=${newest}` : `before=${oldest}`;
    return {
      items: told.map(({ item, playedAt }) => ({ ...item, played_at: playedAt })),
      next: newest === undefined ? null : `${API}${path}?${direction}&limit=${limit}`,
      cursors: newest === undefined ? null : { after: String(newest), before: String(oldest) },
      limit,
      href: `${API}${path}?${query}`,
    };
  }

  function playlistAnswer(id: string, part: string, path: string, query: URLSearchParams): Record<string, unknown> {
    const playlist = stub.world.playlists.find((each) => each.id === id);
    const status = playlist === undefined ? 404 : (playlist.status ?? 200);
    if (status !== 200 || playlist === undefined) return { status, error: { status, message: 'no' } };
    const isOwn = playlist.owner === stub.world.userId;
    const entriesPath = `/v1/playlists/${id}/${playlist.generation}`;
    if (part === '') {
      if (!isOwn) return playlistHead(playlist, undefined);
      return playlistHead(playlist, paged(entriesPath, new URLSearchParams({ limit: '100' }), playlist.entries));
    }
    if (!isOwn) return { status: 403, error: { status: 403, message: 'Forbidden' } };
    return path === entriesPath
      ? paged(path, query, playlist.entries)
      : { status: 404, error: { status: 404, message: 'no' } };
  }

  function playlistHead(playlist: StubPlaylist, entries: Record<string, unknown> | undefined): Record<string, unknown> {
    const { id, name, owner, snapshotId, generation } = playlist;
    return {
      ...{
        id,
        name,
        type: 'playlist',
        uri: `spotify:playlist:${id}`,
        href: `${API}/v1/playlists/${id}`,
        snapshot_id: snapshotId,
        collaborative: false,
      },
      ...{ external_urls: { spotify: `https://open.spotify.com/playlist/${id}` } },
      owner: { id: owner, type: 'user', display_name: 'Stub owner', uri: `spotify:user:${owner}` },
      ...(entries === undefined ? {} : { [generation]: entries }),
    };
  }
}

/** A 22-character id made of a text. */
export function stubId(text: string): string {
  return createHash('sha256')
    .update(text)
    .digest('base64')
    .replaceAll(/[^0-9A-Za-z]/g, '')
    .slice(0, 22)
    .padEnd(22, '0');
}

/** A track object of the Web API. */
export function stubTrack(name: string, artist = 'Stub Artist'): Record<string, unknown> {
  const [id, artistId, albumId] = [stubId(`track ${name}`), stubId(`artist ${artist}`), stubId(`album of ${artist}`)];
  const artists = [
    {
      id: artistId,
      name: artist,
      type: 'artist',
      uri: `spotify:artist:${artistId}`,
      href: `${API}/v1/artists/${artistId}`,
    },
  ];
  return {
    album: {
      id: albumId,
      name: `Album of ${artist}`,
      type: 'album',
      album_type: 'album',
      artists,
      release_date: '2024-05',
      release_date_precision: 'month',
      total_tracks: 12,
      uri: `spotify:album:${albumId}`,
    },
    artists,
    ...{
      id,
      name,
      type: 'track',
      uri: `spotify:track:${id}`,
      href: `${API}/v1/tracks/${id}`,
      duration_ms: 200_000,
      explicit: false,
      is_local: false,
    },
    external_ids: { isrc: `ZZ${id.slice(0, 10).toUpperCase()}` },
    external_urls: { spotify: `https://open.spotify.com/track/${id}` },
  };
}

function paged(path: string, query: URLSearchParams, all: Record<string, unknown>[]): Record<string, unknown> {
  const limit = Number(query.get('limit') ?? 20);
  const offset = Number(query.get('offset') ?? 0);
  const others = [...query]
    .filter(([name]) => name !== 'limit' && name !== 'offset')
    .map(([name, value]) => `${name}=${value}&`)
    .join('');
  const address = (at: number): string => `${API}${path}?${others}offset=${at}&limit=${limit}`;
  const end = offset + limit;
  return {
    href: address(offset),
    items: all.slice(offset, end),
    limit,
    next: end < all.length ? address(end) : null,
    offset,
    previous: null,
    total: all.length,
  };
}

interface Reply {
  status: number;
  text: string;
  headers: Record<string, string>;
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Reply {
  return { status, text, headers: { 'content-type': 'application/json', ...headers } };
}

function json(status: number, body: unknown): Reply {
  return plain(status, JSON.stringify(body));
}

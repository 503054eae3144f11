import { describeError, JobError } from '../../base/errors.ts';
import { count } from '../../base/words.ts';
import type { Effects } from '../../effects/index.ts';
import { statusOf } from './capabilities.ts';
import { type Capture, withCapture } from './capture.ts';
import { openWeb, type Web } from './transport.ts';

export interface PlaylistsResult {
  /** Playlists whose items were read whole. */
  read: number;
  /** Same version as in an earlier snapshot of the day: nothing to read. */
  unchanged: number;
  items: number;
  /** One line for each playlist that could not be read. */
  refused: string[];
  calls: number;
  notices: string[];
}

interface Listed {
  id: string;
  snapshotId: string | null;
}

const LIST = '/v1/me/playlists?limit=50';
const ITEMS_LIMIT = 50;

/**
 * A snapshot of the day of each own or collaborative playlist and of those in LISTENLAKE_SPOTIFY_PLAYLISTS,
 * page by page into landing. What was read whole on this day in the same version is passed over, so that an
 * interrupted run goes on where it stopped. Both generations of the API are read (`tracks`/`track` and
 * `items`/`item`). One playlist that cannot be read (403, 404) costs no other.
 *
 * @throws as `withCapture`; 403 and 404 of single playlists are in the result
 */
export async function extractPlaylists(
  input: { runId: string },
  effects: Effects,
  web: Web = openWeb(effects),
): Promise<PlaylistsResult> {
  const options = { job: 'extract playlists', runId: input.runId, scopes: ['playlist-read-private'] as const };
  return withCapture(options, effects, web, async (capture) => {
    const { client, ledger } = capture;
    const result: PlaylistsResult = {
      read: 0,
      unchanged: 0,
      items: 0,
      refused: [],
      calls: 0,
      notices: capture.notices,
    };
    const listed = await listOwn(capture);
    const followed = effects.config.spotify.playlists.filter((id) => !listed.some((each) => each.id === id));
    const wanted: Listed[] = [...listed, ...followed.map((id) => ({ id, snapshotId: null }))];
    effects.progress.start('playlists', wanted.length);
    for (const [index, playlist] of wanted.entries()) {
      effects.progress.update(index, `${result.items} items`);
      const startedMs = web.now();
      const date = new Date(startedMs).toISOString().slice(0, 10);
      const before = ledger.playlists[playlist.id];
      const isSame = (snapshotId: string | null): boolean =>
        snapshotId !== null && before?.date === date && before.snapshotId === snapshotId;
      try {
        const found = isSame(playlist.snapshotId)
          ? undefined
          : await readPlaylist(capture, playlist.id, startedMs, isSame);
        if (found === undefined) result.unchanged += 1;
        else {
          result.read += 1;
          result.items += found.items;
          ledger.playlists[playlist.id] = { date, snapshotId: found.snapshotId };
        }
      } catch (error) {
        if (
          statusOf(error) === undefined &&
          !(error instanceof JobError && (error.code === 'paging_loop' || error.code === 'answer_invalid'))
        )
          throw error;
        result.refused.push(`playlist ${playlist.id}: ${describeError(error as JobError)}`);
      }
    }
    result.calls = client.calls;
    effects.progress.end(
      `${count(result.items, 'item')} of ${count(result.read, 'playlist')}, ${result.refused.length} refused`,
    );
    return result;
  });
}

/** Own and collaborative playlists; only these may be read by a new app. */
async function listOwn(capture: Capture): Promise<Listed[]> {
  if (capture.isClosed('my_playlists')) return [];
  const { client } = capture;
  const listed: Listed[] = [];
  try {
    // Who the person is stays in memory: it is compared with the owners, and never kept.
    const me = (await client.get('/v1/me')).body.id;
    for await (const page of client.pages(LIST)) {
      await capture.keep('playlists.json', [page]);
      for (const item of Array.isArray(page.body.items) ? page.body.items : []) {
        const { id, owner, collaborative, snapshot_id: snapshotId } = (item ?? {}) as Record<string, unknown>;
        const isOwn = (owner as { id?: unknown } | undefined)?.id === me || collaborative === true;
        if (typeof id === 'string' && isOwn)
          listed.push({ id, snapshotId: typeof snapshotId === 'string' ? snapshotId : null });
      }
    }
  } catch (error) {
    capture.close('my_playlists', error);
  }
  return listed;
}

/** Undefined where the version is one that was read today. */
async function readPlaylist(
  capture: Capture,
  id: string,
  startedMs: number,
  isSame: (snapshotId: string | null) => boolean,
): Promise<{ items: number; snapshotId: string | null } | undefined> {
  const { client } = capture;
  const head = await client.get(`/v1/playlists/${id}`);
  const snapshotId = typeof head.body.snapshot_id === 'string' ? head.body.snapshot_id : null;
  if (isSame(snapshotId)) return undefined;
  const first = pageIn(head.body.items) ?? pageIn(head.body.tracks);
  let items = first?.items.length ?? 0;
  if (first !== undefined) {
    // Not without its items: alone it says nothing that the list of playlists does not say.
    await capture.keep('playlist.json', [head], startedMs);
    if (typeof first.next !== 'string') return { items, snapshotId };
  }
  const addresses =
    typeof first?.next === 'string'
      ? [first.next]
      : ['items', 'tracks'].map((name) => `/v1/playlists/${id}/${name}?limit=${ITEMS_LIMIT}`);
  for (const [index, address] of addresses.entries()) {
    try {
      for await (const page of client.pages(address)) {
        await capture.keep('playlist-items.json', [page], startedMs);
        items += Array.isArray(page.body.items) ? page.body.items.length : 0;
      }
      return { items, snapshotId };
    } catch (error) {
      // The other generation's name may be the one that is served.
      const isUnknown = statusOf(error) === 404 || statusOf(error) === 410;
      if (!isUnknown || index === addresses.length - 1) throw error;
    }
  }
  throw new Error('a playlist has at least one address');
}

function pageIn(value: unknown): { items: unknown[]; next?: unknown } | undefined {
  return typeof value === 'object' && value !== null && 'items' in value && Array.isArray(value.items)
    ? (value as { items: unknown[] })
    : undefined;
}

import type { Effects } from '../../effects/index.ts';
import type { Endpoint } from './capabilities.ts';
import { withCapture } from './capture.ts';
import { openWeb, type Web } from './transport.ts';

export interface LibraryResult {
  /** Entries that were read, by list. */
  items: Record<string, number>;
  /** Lists whose snapshot of the day is there already. */
  unchanged: number;
  calls: number;
  notices: string[];
}

interface List {
  name: string;
  endpoint: Endpoint;
  address: string;
  file: string;
  /** Where the answer holds its page. */
  pageOf?: (body: Record<string, unknown>) => unknown;
}

const RANGES = ['short_term', 'medium_term', 'long_term'] as const;
const LISTS: readonly List[] = [
  { name: 'saved tracks', endpoint: 'saved_tracks', address: '/v1/me/tracks?limit=50', file: 'saved-tracks.json' },
  ...RANGES.map((range) => topList('top_tracks', 'tracks', range)),
  ...RANGES.map((range) => topList('top_artists', 'artists', range)),
  {
    ...{
      name: 'followed artists',
      endpoint: 'followed_artists',
      address: '/v1/me/following?type=artist&limit=50',
      file: 'followed-artists.json',
    },
    pageOf: (body) => body.artists,
  },
];

/**
 * A snapshot of the day of the library: saved tracks, top tracks and artists over three ranges of time,
 * followed artists; page by page into landing. A list that was read whole on this day is passed over. A list
 * that is closed to this app (403, 404, 410) costs no other; it is remembered and told.
 *
 * @throws as `withCapture`
 */
export async function extractLibrary(
  input: { runId: string },
  effects: Effects,
  web: Web = openWeb(effects),
): Promise<LibraryResult> {
  const scopes = ['user-library-read', 'user-top-read', 'user-follow-read'] as const;
  return withCapture({ job: 'extract library', runId: input.runId, scopes }, effects, web, async (capture) => {
    const { client, ledger } = capture;
    const result: LibraryResult = { items: {}, unchanged: 0, calls: 0, notices: capture.notices };
    const closed = new Set<Endpoint>();
    effects.progress.start('library', LISTS.length);
    for (const [index, list] of LISTS.entries()) {
      effects.progress.update(index, list.name);
      const startedMs = web.now();
      const date = new Date(startedMs).toISOString().slice(0, 10);
      const key = `${effects.config.userId}/${list.name}`;
      if (closed.has(list.endpoint)) continue;
      if (capture.isClosed(list.endpoint)) {
        closed.add(list.endpoint);
        continue;
      }
      if (ledger.lists[key] === date) {
        result.unchanged += 1;
        continue;
      }
      try {
        let items = 0;
        for await (const page of client.pages(list.address, list.pageOf)) {
          await capture.keep(list.file, [page], startedMs);
          const { items: found } = ((list.pageOf ?? ((body: unknown) => body))(page.body) ?? {}) as { items?: unknown };
          items += Array.isArray(found) ? found.length : 0;
        }
        result.items[list.name] = items;
        ledger.lists[key] = date;
      } catch (error) {
        capture.close(list.endpoint, error);
        closed.add(list.endpoint);
      }
    }
    result.calls = client.calls;
    effects.progress.end(
      `${Object.values(result.items).reduce((sum, count) => sum + count, 0)} entries of ${Object.keys(result.items).length} lists`,
    );
    return result;
  });
}

function topList(
  endpoint: 'top_tracks' | 'top_artists',
  what: 'tracks' | 'artists',
  range: (typeof RANGES)[number],
): List {
  return {
    name: `top ${what}, ${range.replace('_', ' ')}`,
    endpoint,
    address: `/v1/me/top/${what}?time_range=${range}&limit=50`,
    file: `top-${what}-${range}.json`,
  };
}

import { DAY_MS } from '../../base/time.ts';
import type { Effects } from '../../effects/index.ts';
import { type Collection, getState, type LookUps, latestManifest } from '../../lake/manifest.ts';
import { statusOf } from './capabilities.ts';
import { type Capture, withCapture } from './capture.ts';
import type { Page } from './client.ts';
import { addLookedUp, readLookedUp } from './ledger.ts';
import { openWeb, type Web } from './transport.ts';

export interface MetadataInput {
  runId: string;
  /** Calls that this run may make. */
  callBudget: number;
}

export interface MetadataResult {
  /** Things that were looked up, by collection. */
  lookedUp: Record<Collection, number>;
  /** Not found; asked for again after a month. */
  missing: number;
  /** Still waiting in the queue. */
  left: number;
  /** Plays whose track is described, of all plays with a track id, before and after. */
  plays: { total: number; before: number; after: number };
  calls: number;
  notices: string[];
}

interface Wanted {
  collection: Collection;
  id: string;
  /** Plays that it would describe. */
  plays: number;
}

const COLLECTIONS: readonly Collection[] = ['tracks', 'albums', 'artists'];
/**
 * Answers are put into landing, and the ledger committed, after so many: what a kill may cost is this many
 * calls, never a play.
 */
const BATCH_CALLS = 50;
const MISSING_FOR_MS = 30 * DAY_MS;
/** So many in a row that are not found, and none found: then it is not the ids, the endpoint is gone. */
const MISSING_IN_ROW_MAX = 10;
const SPOTIFY_ID = /^[0-9A-Za-z]{22}$/;

const NOTHING: LookUps = { plays: 0, wanted: { tracks: [], albums: [], artists: [] } };

/**
 * Looks up what the lake has heard of and no answer of the Web API has described, as the last `transform`
 * left it: tracks, then albums and artists, most played first, one call each, up to a budget. Resumable: what
 * was looked up is remembered with every batch. What is not found is asked for again after a month.
 *
 * @throws as `withCapture`
 */
export async function extractMetadata(
  input: MetadataInput,
  effects: Effects,
  web: Web = openWeb(effects),
): Promise<MetadataResult> {
  return withCapture({ job: 'extract metadata', runId: input.runId, scopes: [] }, effects, web, async (capture) => {
    const { ledger, client } = capture;
    const seen = await readLookedUp(effects.store, ledger);
    for (const [name, until] of Object.entries(ledger.missing))
      if (Date.parse(until) <= web.now()) delete ledger.missing[name];
    const { plays: total, wanted } = await readLookUps(effects, capture.notices);
    const queue: Wanted[] = [];
    let undescribed = 0;
    for (const collection of COLLECTIONS) {
      for (const [id, plays] of wanted[collection]) {
        const name = `${collection}/${id}`;
        const isWaiting = !seen.has(name);
        if (collection === 'tracks' && isWaiting) undescribed += plays;
        if (isWaiting && !(name in ledger.missing) && SPOTIFY_ID.test(id)) queue.push({ collection, id, plays });
      }
    }
    const closed = new Set(
      COLLECTIONS.filter(
        (collection) => queue.some((wanted) => wanted.collection === collection) && capture.isClosed(collection),
      ),
    );
    const result: MetadataResult = {
      lookedUp: { tracks: 0, albums: 0, artists: 0 },
      missing: 0,
      left: 0,
      plays: { total, before: total - undescribed, after: total - undescribed },
      calls: 0,
      notices: capture.notices,
    };
    effects.progress.start('metadata', Math.min(queue.length, input.callBudget));
    const remaining = await lookUp(capture, queue, closed, input.callBudget, effects, result);
    result.left = remaining;
    result.calls = client.calls;
    effects.progress.end(`${covered(result)} have a described track, ${remaining} look-ups are left`);
    return result;
  });
}

/** The queue that the last `transform` left. */
async function readLookUps({ store }: Effects, notices: string[]): Promise<LookUps> {
  const state = (await latestManifest(store))?.state;
  if (state?.lookUps !== undefined) return getState<LookUps>(store, state.lookUps);
  if (Object.keys(state?.silver ?? {}).length > 0)
    notices.push('silver was made before there was a queue of look-ups: run `listenlake transform --rebuild` once');
  return NOTHING;
}

/** Share of the plays whose track is described, with the number that it is of: `34.5 % of 1,234 plays`. */
export function covered({ plays }: MetadataResult): string {
  const share = plays.total === 0 ? 0 : (100 * plays.after) / plays.total;
  return `${share.toFixed(1)} % of ${plays.total.toLocaleString('en')} ${plays.total === 1 ? 'play' : 'plays'}`;
}

/** @returns how many are left */
async function lookUp(
  capture: Capture,
  queue: readonly Wanted[],
  closed: Set<Collection>,
  callBudget: number,
  effects: Effects,
  result: MetadataResult,
): Promise<number> {
  const { client, ledger } = capture;
  let batch: { wanted: Wanted; page: Page }[] = [];
  let missingInRow: string[] = [];
  const handled: Record<Collection, number> = { tracks: 0, albums: 0, artists: 0 };

  async function flush(): Promise<void> {
    for (const collection of COLLECTIONS) {
      const found = batch.filter(({ wanted }) => wanted.collection === collection);
      if (found.length > 0)
        await capture.keep(
          `${collection}-looked-up.ndjson`,
          found.map(({ page }) => page),
        );
    }
    await addLookedUp(
      effects.store,
      ledger,
      batch.map(({ wanted }) => `${wanted.collection}/${wanted.id}`),
    );
    batch = [];
    await capture.commit();
  }

  let collection: Collection | undefined;
  try {
    for (const wanted of queue) {
      if (closed.has(wanted.collection)) continue;
      if (client.calls >= callBudget) break;
      if (wanted.collection !== collection) [collection, missingInRow] = [wanted.collection, []];
      const name = `${wanted.collection}/${wanted.id}`;
      try {
        batch.push({ wanted, page: await client.get(`/v1/${name}`) });
        result.lookedUp[wanted.collection] += 1;
        if (wanted.collection === 'tracks') result.plays.after += wanted.plays;
      } catch (error) {
        const status = statusOf(error);
        if (status === undefined) throw error;
        missingInRow.push(name);
        const isGone =
          status !== 404 || (missingInRow.length >= MISSING_IN_ROW_MAX && result.lookedUp[wanted.collection] === 0);
        if (!isGone) {
          ledger.missing[name] = new Date(effects.now() + MISSING_FOR_MS).toISOString();
          result.missing += 1;
        } else {
          for (const each of missingInRow) delete ledger.missing[each];
          closed.add(wanted.collection);
          capture.close(wanted.collection, error);
        }
      }
      handled[wanted.collection] += 1;
      effects.progress.update(handled.tracks + handled.albums + handled.artists, covered(result));
      if (batch.length >= BATCH_CALLS) await flush();
    }
  } finally {
    // Also when Spotify asks for a pause: what came is kept.
    await flush();
  }
  const open = COLLECTIONS.filter((each) => !closed.has(each));
  return open.reduce(
    (left, each) => left + queue.filter((wanted) => wanted.collection === each).length - handled[each],
    0,
  );
}

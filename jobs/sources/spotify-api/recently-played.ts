import { JobError } from '../../base/errors.ts';
import { DAY_MS } from '../../base/time.ts';
import type { Effects } from '../../effects/index.ts';
import { withCapture } from './capture.ts';
import type { Page } from './client.ts';
import { openWeb, type Web } from './transport.ts';

/** What one poll brought. */
export interface PollResult {
  /** Plays in the answers. */
  items: number;
  /** Plays later than the newest one known before. */
  newItems: number;
  /** ISO, UTC; null when the answers were empty. */
  oldestAt: string | null;
  newestAt: string | null;
  /** Between these two times plays may have been lost: more than a page of them since the last poll. */
  gap: { from: string; to: string } | undefined;
  calls: number;
  notices: string[];
}

const PATH = '/v1/me/player/recently-played';
/** The endpoint gives at most this many, and remembers no more. */
const PAGE_PLAYS = 50;
/** Plays arrive late: each poll asks this far behind the newest one known. */
const LOOK_BACK_MS = 2 * 3_600_000;
/** Some arrive hours late: this often a poll asks for everything that the endpoint still has. */
const DEEP_EVERY_MS = 6 * 3_600_000;
const PAGES_MAX = 10;
/**
 * A `played_at` further in the future is a mistake, and must not hide the plays before it from the next poll.
 */
const FUTURE_MAX_MS = DAY_MS;

/**
 * One poll of recently played: the answer as received into landing, then the mark that the next poll starts
 * from. Polls overlap, and what is delivered twice is one play in silver. A full page whose oldest play is
 * newer than the newest one known is an overflow: plays were lost.
 *
 * Killed anywhere, nothing is lost: the mark moves after the answer is in landing, and without it the next
 * poll asks for the same again.
 *
 * @throws as `withCapture`; `answer_invalid` (65)
 */
export async function extractRecentlyPlayed(
  input: { runId: string },
  effects: Effects,
  web: Web = openWeb(effects),
): Promise<PollResult> {
  const { userId } = effects.config;
  return withCapture(
    { job: 'extract recently-played', runId: input.runId, scopes: ['user-read-recently-played'] },
    effects,
    web,
    async (capture) => {
      const { client, ledger } = capture;
      const mark = ledger.polls[userId];
      const knownMs = mark?.newestPlayedAt == null ? undefined : Date.parse(mark.newestPlayedAt);
      const isDeep =
        mark === undefined || knownMs === undefined || Math.abs(web.now() - Date.parse(mark.deepAt)) >= DEEP_EVERY_MS;
      const address = `${PATH}?${isDeep ? '' : `after=${knownMs - LOOK_BACK_MS}&`}limit=${PAGE_PLAYS}`;

      const times: number[] = [];
      let pages = 0;
      let firstPage: number[] = [];
      for await (const page of client.pages(address)) {
        const items = itemsOf(page);
        await capture.keep('recently-played.json', [page]);
        const played = items.flatMap((item) => playedMs(item, web.now()));
        if (pages === 0) firstPage = played;
        times.push(...played);
        pages += 1;
        // A page with room left is the last one, whatever its `next` says.
        if (items.length < PAGE_PLAYS || pages >= PAGES_MAX) break;
      }

      const newestMs = times.length === 0 ? knownMs : Math.max(knownMs ?? Number.NEGATIVE_INFINITY, ...times);
      const oldestMs = firstPage.length === 0 ? undefined : Math.min(...times);
      const isOverflow =
        knownMs !== undefined && firstPage.length >= PAGE_PLAYS && oldestMs !== undefined && oldestMs > knownMs;
      const gap = isOverflow ? { from: iso(knownMs), to: iso(oldestMs) } : undefined;
      if (gap !== undefined) {
        capture.notices.push(
          `more than ${PAGE_PLAYS} plays since the last poll: some between ${gap.from} and ${gap.to} are lost; an account export closes the gap`,
        );
      }
      ledger.polls[userId] = {
        newestPlayedAt: newestMs === undefined ? null : iso(newestMs),
        polledAt: capture.stamp,
        deepAt: isDeep ? capture.stamp : mark.deepAt,
      };
      return {
        items: times.length,
        newItems: times.filter((time) => knownMs === undefined || time > knownMs).length,
        oldestAt: times.length === 0 ? null : iso(Math.min(...times)),
        newestAt: times.length === 0 ? null : iso(Math.max(...times)),
        gap,
        calls: client.calls,
        notices: capture.notices,
      };
    },
  );
}

function itemsOf(page: Page): unknown[] {
  const { items } = page.body;
  if (Array.isArray(items)) return items;
  throw new JobError('answer_invalid', 'data', `${PATH} answers without a list of plays`, {
    hint: 'nothing of it was kept; run it again later',
  });
}

function playedMs(item: unknown, now: number): number[] {
  const time =
    typeof item === 'object' && item !== null && 'played_at' in item ? Date.parse(String(item.played_at)) : Number.NaN;
  return Number.isNaN(time) || time > now + FUTURE_MAX_MS ? [] : [time];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

import { parseInstant } from './base/interval.ts';
import { DAY_MS } from './base/time.ts';
import { refuseLostLease } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { quoteText } from './engine/duckdb/database.ts';
import { type BronzeFile, EMPTY_STATE, latestManifest, readBronzeIndex } from './lake/manifest.ts';
import {
  closeRemoval,
  isNothing,
  isRemovedFrom,
  type Purged,
  planRemoval,
  purge,
  type RemovalRule,
  removeForGood,
  withBronze,
} from './removal/index.ts';
import { landingFiles } from './removal/landing-owners.ts';
import { collectTraces, type Proof, prove } from './removal/proof.ts';
import { asRead } from './silver/relations.ts';
import { ANSWERS_TABLE } from './sources/spotify-api/tables.ts';

export interface RetentionInput {
  runId: string;
  /** Answers of the Web API may grow this old; 0: they are kept for ever. */
  days: number;
  /** What ages are counted to, an instant or a date in UTC; default: when the newest answer was received. */
  asOf?: string;
  dryRun: boolean;
}

export interface RetentionResult {
  /** `found`: the proof has hits. `kept`: no limit is set. */
  status: 'removed' | 'nothing_new' | 'dry_run' | 'kept' | 'found';
  /**
   * Answers received before this moment (ISO, UTC) go; null where no limit is set or there are no answers.
   */
  before: string | null;
  files: number;
  /** Answers. */
  rows: number;
  /** Files in landing that hold such answers: kept there after they were loaded. */
  landing: number;
  /** Answers that do not say when they were received: nobody knows their age, so they stay. */
  undated: number;
  purged?: Purged;
  proof?: Proof;
  checks?: 'passed' | 'failed';
}

/**
 * Removes what came from the Web API and is older than the limit, everywhere and for good. Plays that an
 * account export holds stay: they are made from the export then.
 *
 * @throws `interval_invalid` (64); what `removeForGood`, `purge` and `prove` throw
 */
export async function retention(input: RetentionInput, effects: Effects): Promise<RetentionResult> {
  const work = { job: 'retention', runId: input.runId };
  const none = { before: null, files: 0, rows: 0, landing: 0, undated: 0 };
  const answers = await answersOf(effects);
  const to = input.asOf === undefined ? answers.newest : parseInstant('--as-of', input.asOf);
  const before = input.days === 0 || to === null ? null : new Date(Date.parse(to) - input.days * DAY_MS).toISOString();
  const rule: RemovalRule = {
    isRemoved: () => false,
    rows: before === null ? {} : { [ANSWERS_TABLE.name]: olderThan(before) },
  };
  const plan = await planRemoval(rule, effects);
  const kept = (isNothing(plan) ? [] : await landingFiles(plan.index, effects)).filter(({ known }) =>
    isRemovedFrom(known, plan),
  );
  const found = {
    ...{ before, files: plan.files.length + plan.parts.length, rows: await answersBefore(before, effects) },
    ...{ landing: kept.length, undated: answers.undated },
  };
  if (isNothing(plan)) return input.days === 0 ? { ...none, status: 'kept' } : { ...found, status: 'nothing_new' };
  if (input.dryRun) return { ...found, status: 'dry_run' };
  // Before the commit: the next load would bring them back, and nobody could tell any more which these were.
  await refuseLostLease(effects);
  for (const { key } of kept) await effects.store.delete(key);
  const traces = await collectTraces(rule, undefined, plan, effects);
  stopIfAsked(effects.signal);
  const checks = await removeForGood(rule, plan, work, effects);
  const purged = await purge(work, effects);
  const proof = await prove(traces, effects);
  const result = { ...found, purged, proof, ...(checks && { checks }) };
  if (proof.hits.length > 0) return { ...result, status: 'found' };
  await closeRemoval(work, effects);
  return { ...result, status: 'removed' };
}

/**
 * When the newest answer in bronze was received (ISO, UTC; null: there is none), and how many do not say.
 * Never now.
 */
async function answersOf(effects: Effects): Promise<{ newest: string | null; undated: number }> {
  const files = await answerFiles(effects);
  if (files.length === 0) return { newest: null, undated: 0 };
  return withBronze(effects, ANSWERS_TABLE.name, files, async (db) => {
    const [row] = await db.rows<{ ms: bigint | null; undated: bigint }>(
      `select epoch_ms(max(try_cast(observed_at as timestamptz))) as ms,
         count(*) filter (where try_cast(observed_at as timestamptz) is null) as undated
       from bronze_${ANSWERS_TABLE.name} where position = 0`,
    );
    return {
      newest: row?.ms == null ? null : new Date(Number(row.ms)).toISOString(),
      undated: Number(row?.undated ?? 0),
    };
  });
}

/** How many answers were received before the moment. */
async function answersBefore(before: string | null, effects: Effects): Promise<number> {
  const files = await answerFiles(effects);
  if (before === null || files.length === 0) return 0;
  return withBronze(effects, ANSWERS_TABLE.name, files, async (db) => {
    const [row] = await db.rows<{ n: bigint }>(
      `select count(*) as n from bronze_${ANSWERS_TABLE.name} where position = 0 and ${olderThan(before)}`,
    );
    return Number(row?.n);
  });
}

async function answerFiles({ store }: Effects): Promise<BronzeFile[]> {
  const state = (await latestManifest(store))?.state ?? EMPTY_STATE;
  return (await readBronzeIndex(store, state)).filter((file) => asRead(file).table === ANSWERS_TABLE.name);
}

/** A condition over rows of answers. */
function olderThan(before: string): string {
  return `try_cast(observed_at as timestamptz) < timestamptz ${quoteText(before)}`;
}

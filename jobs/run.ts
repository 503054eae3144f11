import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobError } from './base/errors.ts';
import { count } from './base/words.ts';
import { type CheckResult, check, checkFault } from './check.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { type EnrichResult, enrich } from './enrich.ts';
import type { Target } from './lake/keys.ts';
import { isElsewhere } from './lake/store.ts';
import { observed } from './lineage/observe.ts';
import type { ObservedJob } from './lineage/work.ts';
import { type LoadResult, load } from './load.ts';
import { type PromoteResult, promote } from './promote.ts';
import { personStory } from './report/story.ts';
import { isReportCurrent, pageAddress, type ReportInput, type ReportOutput, report } from './report.ts';
import { type TrainResult, train } from './train.ts';
import { type TransformResult, transform } from './transform.ts';

export interface RunInput {
  runId: string;
  /** Files, folders and zips, read where they lie; landing is loaded too. */
  paths: readonly string[];
  userId: string;
  /** Where the report goes (see report.ts); undefined: none is made. */
  report: Pick<ReportInput, 'outDir'> | undefined;
  /** Exclusive end of the data; default: the midnight (UTC) after the newest listening. */
  asOf?: string;
}

export interface RunResult {
  /** `partial`: all is done but for what was refused or kept changing; `checks_failed`: prod is as it was. */
  status: 'done' | 'partial' | 'nothing_new' | 'checks_failed';
  load: LoadResult;
  transform: TransformResult;
  /** Both undefined where silver failed its tests. */
  enrich: EnrichResult | undefined;
  train: TrainResult | undefined;
  checks: CheckResult[];
  promote: PromoteResult | undefined;
  report: ReportOutput | undefined;
  /** One sentence on the person whose files these are; undefined where they have no plays in prod. */
  story: string | undefined;
  /** `as_of` of prod after the run; null before the first promotion. */
  asOf: string | null;
  /**
   * Above 0 where files or rows were refused for the first time; a file that stands in quarantine as well
   * counts for both.
   */
  refused: number;
}

/**
 * Every job in order, in one process: load, transform, check silver, enrich dev, train, check dev, promote,
 * report. Each commits for itself, so a run that is stopped or killed leaves the last good version, and the
 * next run goes on where it was.
 *
 * @throws what the jobs throw; `nothing_usable` (65) where no file is one that listenlake reads, or none is
 *   given and the lake has none; `stopped` (75) between two of them after a signal
 */
export async function run(input: RunInput, effects: Effects): Promise<RunResult> {
  const { signal } = effects;
  const { runId } = input;
  const step = stepsOf(runId, input.report === undefined ? JOBS - 1 : JOBS, effects);
  const { keepLanding } = effects.config;
  const loaded = await step('load', runId, () =>
    load({ runId, paths: input.paths, userId: input.userId, keepLanding }, effects),
  );
  stopIfAsked(signal);
  refuseNothingUsable(input.paths, loaded);
  const loadedOn = new Date(effects.now()).toISOString().slice(0, 10);
  const transformed = await step('transform', runId, () => transform({ runId, loadedOn }, effects));
  const refused =
    loaded.files.filter(({ status, isRepeated }) => status === 'refused' && !isRepeated).length +
    transformed.accounts.quarantined;
  const partial = { load: loaded, transform: transformed, refused };

  stopIfAsked(signal);
  const checks = [await step('check_silver', runId, () => checkOf('silver', runId, effects), checkFault)];
  const failed = {
    ...partial,
    status: 'checks_failed' as const,
    checks,
    promote: undefined,
    report: undefined,
    story: undefined,
  };
  if (checks[0]!.verdict === 'failed') return { ...failed, enrich: undefined, train: undefined, asOf: null };

  stopIfAsked(signal);
  const built = { runId: `${runId}-dev`, ...(input.asOf && { asOf: input.asOf }) };
  const enriched = await step('enrich', built.runId, () => enrich(built, effects));
  stopIfAsked(signal);
  const trained = await step('train', `${runId}-train`, () => train({ runId: `${runId}-train` }, effects));
  stopIfAsked(signal);
  checks.push(await step('check_gold', runId, () => checkOf('gold', runId, effects), checkFault));
  if (checks[1]!.verdict === 'failed') return { ...failed, enrich: enriched, train: trained, asOf: null };

  stopIfAsked(signal);
  const promoted = await step('promote', runId, () => promote({ runId }, effects));
  stopIfAsked(signal);
  const reported =
    input.report === undefined
      ? undefined
      : await reportOf({ outDir: input.report.outDir, runId, target: 'prod' }, promoted, step, effects);
  const isNothingNew =
    loaded.accounts.new === 0 && transformed.status === 'nothing_new' && promoted.status === 'nothing_new';
  return {
    ...partial,
    status: refused > 0 || loaded.exit === 'tempfail' ? 'partial' : isNothingNew ? 'nothing_new' : 'done',
    enrich: enriched,
    train: trained,
    checks,
    promote: promoted,
    report: reported,
    story: await storyOf(input.userId, effects),
    asOf: promoted.asOf,
  };
}

const ARCHIVE =
  'an archive is a zip with files such as Streaming_History_Audio_2024_1.json or StreamingHistory_music_0.json; ask for yours at https://www.spotify.com/account/privacy';
const NAMED_MAX = 3;

/**
 * Where nothing came in there is nothing to build: empty tables and an empty page would look like success.
 */
function refuseNothingUsable(paths: readonly string[], { files, sequence }: LoadResult): void {
  if (paths.length === 0 && sequence === 0 && files.length === 0) {
    throw new JobError('nothing_usable', 'data', 'no files are given, and the lake is empty', {
      hint: `listenlake run my_spotify_data.zip; ${ARCHIVE}`,
    });
  }
  if (paths.length === 0 || files.some(({ status }) => status !== 'ignored')) return;
  const names = files.slice(0, NAMED_MAX).map(({ fileName }) => fileName);
  const more = files.length > NAMED_MAX ? `, and ${files.length - NAMED_MAX} more` : '';
  const found =
    files.length === 0
      ? `nothing is in ${paths.join(', ')}`
      : `no listening is in ${count(files.length, 'file')} (${names.join(', ')}${more})`;
  throw new JobError('nothing_usable', 'data', found, { hint: ARCHIVE });
}

/**
 * A lake elsewhere pays for each question, and what runs there daily is a scheduler that reads no sentence.
 */
async function storyOf(userId: string, { engine, store }: Effects): Promise<string | undefined> {
  return isElsewhere(store.uri) ? undefined : personStory(engine, 'prod', userId);
}

/** Up to date and there: drawing the same page again would take longer than all the rest. */
async function reportOf(
  input: ReportInput,
  { status }: PromoteResult,
  step: Step,
  effects: Effects,
): Promise<ReportOutput> {
  const { outDir, runId } = input;
  const html = outDir === undefined ? pageAddress(effects.store) : join(outDir, 'report.html');
  return status === 'nothing_new' && (await isReportCurrent(outDir, effects))
    ? { html, pages: [], charts: [] }
    : step('report', runId, () => report(input, effects));
}

type Step = <T>(
  job: ObservedJob,
  runId: string,
  action: () => Promise<T>,
  faultOf?: (result: T) => string | undefined,
) => Promise<T>;

/** Of a whole run: load, transform, check, enrich, train, check, promote, report. */
const JOBS = 8;

/** Each job is told of as a part of the run. @param jobs how many there will be, as a person is told */
function stepsOf(partOf: string, jobs: number, effects: Effects): Step {
  let number = 0;
  return (job, runId, ...work) => {
    number += 1;
    effects.progress.job(number, jobs);
    return observed({ job, runId, partOf, target: targetOf(job) }, effects, ...work);
  };
}

/** Readers see prod; all else is about dev. */
function targetOf(job: ObservedJob): Target {
  return job === 'report' ? 'prod' : 'dev';
}

function checkOf(scope: 'silver' | 'gold', runId: string, effects: Effects): Promise<CheckResult> {
  return check({ scope, target: 'dev', runId, isReused: true }, effects);
}

export interface FollowInput {
  runId: string;
  /** From the start of one round to the start of the next; a longer round is followed by the next at once. */
  everyMs: number;
  /** It ends after so many; undefined: it goes on until it is stopped. */
  rounds: number | undefined;
}

export interface FollowResult {
  /** `checks_failed`: of the last round; prod is as it was before it. */
  status: 'done' | 'checks_failed';
  rounds: number;
  /** Rounds that have published something. */
  published: number;
  /** Rows that were read and kept, over all rounds. */
  new: number;
}

/**
 * What streams bring, round after round: transform, check silver, enrich, check gold, promote. Only live models
 * are built, where there is a version to keep the tables of the others of, and all where the checks refuse
 * that. A round without anything new costs a listing. Nothing is kept in memory from round to round, and each
 * ends as a whole: stopped by a signal, it finishes the step at hand and returns. A round whose checks fail
 * leaves prod as it was, and the next one tries again once there is something new.
 *
 * @throws what the jobs throw
 */
export async function follow(input: FollowInput, effects: Effects): Promise<FollowResult> {
  const { progress, signal, now } = effects;
  const result: FollowResult = { status: 'done', rounds: 0, published: 0, new: 0 };
  while (!signal.aborted && result.rounds < (input.rounds ?? Number.POSITIVE_INFINITY)) {
    const startedAt = now();
    try {
      const round = await followOnce(`${input.runId}-${result.rounds + 1}`, effects);
      result.rounds += 1;
      if (round === undefined) continue;
      result.status = round.isPublished ? 'done' : 'checks_failed';
      result.published += round.isPublished ? 1 : 0;
      result.new += round.new;
      progress.start('follow');
      const what = round.isPublished ? 'in prod' : 'checks failed, prod is as it was';
      progress.end(
        `round ${result.rounds}: ${count(round.new, 'new row')}, ${what} after ${(now() - startedAt) / 1000} s`,
      );
    } catch (error) {
      if (!(error instanceof JobError && error.code === 'stopped')) throw error;
      return result;
    } finally {
      const isLast = result.rounds >= (input.rounds ?? Number.POSITIVE_INFINITY);
      const pauseMs = Math.max(0, startedAt + input.everyMs - now());
      if (!isLast && !signal.aborted) await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return result;
}

/** @returns undefined where nothing is new */
async function followOnce(runId: string, effects: Effects): Promise<{ new: number; isPublished: boolean } | undefined> {
  const { signal } = effects;
  const first = stepsOf(runId, FOLLOW_JOBS, effects);
  const loadedOn = new Date(effects.now()).toISOString().slice(0, 10);
  const transformed = await first('transform', runId, () => transform({ runId, loadedOn }, effects));
  if (transformed.status === 'nothing_new') return undefined;
  const round = { new: transformed.accounts.new, isPublished: false };
  stopIfAsked(signal);
  const silver = await first('check_silver', runId, () => checkOf('silver', runId, effects), checkFault);
  if (silver.verdict === 'failed') return round;
  stopIfAsked(signal);
  // First the live models alone. Where their new rows and the old tables of the others do not go together,
  // everything.
  for (const isLive of [true, false]) {
    const id = isLive ? `${runId}-live` : `${runId}-dev`;
    const step = isLive ? first : stepsOf(runId, GOLD_JOBS, effects);
    await step('enrich', id, () => enrich({ runId: id, isLive }, effects));
    stopIfAsked(signal);
    const gold = await step('check_gold', runId, () => checkOf('gold', runId, effects), checkFault);
    stopIfAsked(signal);
    if (gold.verdict === 'failed') continue;
    await step('promote', runId, () => promote({ runId }, effects));
    return { ...round, isPublished: true };
  }
  return round;
}

/** Of a round: transform, check, enrich, check, promote. */
const FOLLOW_JOBS = 5;
/** The last three of them, where they are done again. */
const GOLD_JOBS = 3;

import { join } from 'node:path';
import { type CheckResult, check } from './check.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { type EnrichResult, enrich } from './enrich.ts';
import { type LoadResult, load } from './load.ts';
import { type PromoteResult, promote } from './promote.ts';
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
  /** `checks_failed`: prod is as it was. */
  status: 'done' | 'nothing_new' | 'checks_failed';
  load: LoadResult;
  transform: TransformResult;
  /** Both undefined where silver failed its tests. */
  enrich: EnrichResult | undefined;
  train: TrainResult | undefined;
  checks: CheckResult[];
  promote: PromoteResult | undefined;
  report: ReportOutput | undefined;
  /** `as_of` of prod after the run; null before the first promotion. */
  asOf: string | null;
  /**
   * Above 0 where files or rows were refused for the first time; a file that stands in quarantine as well
   * counts for both.
   */
  refused: number;
}

/**
 * Every job in order, in one process: load, transform, check silver, enrich dev, train, check dev, promote, report.
 * Each commits for itself, so a run that is stopped or killed leaves the last good version, and the next run
 * goes on where it was.
 *
 * @throws what the jobs throw; `stopped` (75) between two of them after a signal
 */
export async function run(input: RunInput, effects: Effects): Promise<RunResult> {
  const { signal } = effects;
  const { runId } = input;
  const loaded = await load(
    { runId, paths: input.paths, userId: input.userId, keepLanding: effects.config.keepLanding },
    effects,
  );
  stopIfAsked(signal);
  const loadedOn = new Date(effects.now()).toISOString().slice(0, 10);
  const transformed = await transform({ runId, loadedOn }, effects);
  const refused =
    loaded.files.filter(({ status, isRepeated }) => status === 'refused' && !isRepeated).length +
    transformed.accounts.quarantined;
  const partial = { load: loaded, transform: transformed, refused };

  stopIfAsked(signal);
  const checks = [await check({ scope: 'silver', target: 'dev', runId, isReused: true }, effects)];
  const failed = { ...partial, status: 'checks_failed' as const, checks, promote: undefined, report: undefined };
  if (checks[0]!.verdict === 'failed') return { ...failed, enrich: undefined, train: undefined, asOf: null };

  stopIfAsked(signal);
  const enriched = await enrich({ runId: `${runId}-dev`, ...(input.asOf && { asOf: input.asOf }) }, effects);
  stopIfAsked(signal);
  const trained = await train({ runId: `${runId}-train` }, effects);
  stopIfAsked(signal);
  checks.push(await check({ scope: 'gold', target: 'dev', runId, isReused: true }, effects));
  if (checks[1]!.verdict === 'failed') return { ...failed, enrich: enriched, train: trained, asOf: null };

  stopIfAsked(signal);
  const promoted = await promote({ runId }, effects);
  stopIfAsked(signal);
  const reported =
    input.report === undefined
      ? undefined
      : await reportOf(input.report.outDir, runId, promoted.status === 'nothing_new', effects);
  const isNothingNew =
    loaded.accounts.new === 0 && transformed.status === 'nothing_new' && promoted.status === 'nothing_new';
  return {
    ...partial,
    status: isNothingNew ? 'nothing_new' : 'done',
    enrich: enriched,
    train: trained,
    checks,
    promote: promoted,
    report: reported,
    asOf: promoted.asOf,
  };
}

/** Up to date and there: drawing the same page again would take longer than all the rest. */
async function reportOf(
  outDir: string | undefined,
  runId: string,
  isSame: boolean,
  effects: Effects,
): Promise<ReportOutput> {
  const { store } = effects;
  const html = outDir === undefined ? pageAddress(store) : join(outDir, 'report.html');
  return isSame && (await isReportCurrent(outDir, effects))
    ? { html, charts: [] }
    : report({ runId, outDir, target: 'prod' }, effects);
}

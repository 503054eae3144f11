import { JobError } from '../../base/errors.ts';
import { stopIfAsked } from '../../effects/index.ts';
import { accountFiles, type FileAccounts } from '../accounts.ts';
import type { Build, Built, TimeTable } from '../build.ts';
import { inPartitionOrder } from '../changes.ts';
import type { Staging } from '../fan-out/staging.ts';
import { planTimeTables } from '../open.ts';
import type { StagedPartition } from '../partition.ts';
import { buildCatalogue } from './catalogue.ts';
import { buildExportFiles } from './export-files.ts';
import { buildLoadedFiles } from './loaded-files.ts';
import { buildQuarantine, countRefused } from './quarantine.ts';
import { buildStreamBatches } from './stream-batches.ts';
import { buildTimeZones, buildWeather } from './whole-tables.ts';

/** What was built of all tables of silver. */
export interface Work {
  staged: StagedPartition[];
  files: FileAccounts[];
  refusedByCode: Record<string, number>;
  taken: number;
}

/**
 * Builds every table aside, but for what can be taken from `staging`. Accounts that do not add up because of
 * what was taken are no reason to fail: then everything is built here.
 */
export async function buildSilver(
  build: Build,
  loadedOn: string,
  known: readonly { path: string; loadedOn: string }[],
  staging: Staging | undefined,
): Promise<Work> {
  const { db, effects, index, isNew } = build;
  const built: (Built & { taken?: number })[] = [];
  for (const table of await planTimeTables(build)) {
    stopIfAsked(effects.signal);
    built.push(await buildTable(table, staging));
  }
  for (const builder of [
    buildExportFiles,
    buildCatalogue,
    buildWeather,
    buildTimeZones,
    buildLoadedFiles,
    buildStreamBatches,
  ]) {
    stopIfAsked(effects.signal);
    built.push(await builder(build));
  }
  const quarantine = await buildQuarantine(build, loadedOn, known);
  const refused = await countRefused(build);
  const taken = built.reduce((sum, each) => sum + (each.taken ?? 0), 0);
  try {
    const files = accountFiles(index.filter(isNew), built, refused.bySource);
    return {
      staged: [...built.flatMap(({ staged }) => staged), ...quarantine],
      files,
      refusedByCode: refused.byCode,
      taken,
    };
  } catch (error) {
    if (taken === 0 || !(error instanceof JobError && error.code === 'accounts_broken')) throw error;
    effects.log.warn({ reason: error.message, ...error.place }, 'what was staged does not add up: it is built again');
    await db.run('delete from refused_rows');
    return buildSilver(build, loadedOn, known, undefined);
  }
}

async function buildTable(table: TimeTable, staging: Staging | undefined): Promise<Built & { taken: number }> {
  const taken = (table.isOfEngine === true ? undefined : await staging?.take(table.parts)) ?? [];
  const takenAhead = new Set(taken.map(({ number }) => number));
  const wanted = new Set([...table.parts.map(({ number }) => number), ...taken.flatMap(({ affects }) => affects)]);
  const built = await table.build(
    [...wanted].filter((number) => !takenAhead.has(number)).sort((a, b) => a - b),
    takenAhead,
  );
  const staged = [...taken.flatMap(({ partition }) => partition ?? []), ...built.staged];
  return {
    staged: staged.sort(inPartitionOrder(table.table)),
    placed: [...taken.flatMap(({ placed }) => placed), ...built.placed],
    taken: taken.length,
  };
}

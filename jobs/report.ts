import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { isErrno, JobError } from './base/errors.ts';
import { count } from './base/words.ts';
import { refuseLostLease } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { PREFIX, REPORT_KEY, type Target } from './lake/keys.ts';
import { latestManifest } from './lake/manifest.ts';
import type { LakeStore } from './lake/store.ts';
import { drawCard } from './report/card-picture.ts';
import { builtByText, composeReport } from './report/compose.ts';
import { type DrawnPage, drawPage } from './report/draw.ts';
import { addressOf, removeOldPages, replaceFiles } from './report/files.ts';
import { publishedTables } from './report/reading.ts';
import { composeCards } from './report/year-cards.ts';
import { cardShownBy } from './training/records.ts';

export interface ReportInput {
  /** The run that the report belongs to; printed at its foot. */
  runId: string;
  /**
   * Folder for `report.html`, the pages beside it and their charts; created when absent. Undefined: `report/`
   * of the lake itself, through its store.
   */
  outDir: string | undefined;
  /** Makes the page of this person alone. Undefined: the whole report. */
  userId?: string;
  /**
   * Writes each chart as PNG too: that takes as long as all the pages, so it is only done for who wants them.
   * Default: no.
   */
  hasPngs?: boolean;
  /** For pages that others may see: people's pages alone, without rare names, times of day and places. */
  isRedacted?: boolean;
  /** `prod`: what was checked and promoted. `dev` says so at its top. */
  target: Target;
}

export interface ReportOutput {
  /** Path (or address in the lake) of the page. */
  html: string;
  /** Those of all pages, that one last. */
  pages: string[];
  /** Those of the PNGs, in the order of the pages and of each page. */
  charts: string[];
}

/**
 * Writes the report of the published gold tables: one HTML file for each person and one about everybody,
 * which need nothing else, and each chart as PNG where that is asked for. `composeReport` says which pages
 * there are.
 *
 * Everything is read and drawn before the first file is touched, each file is written aside, flushed and
 * renamed, and `report.html` comes last: whoever is killed or runs out of disk leaves the old one whole.
 * Pages and PNGs that the new report no longer has are removed from a folder; in a lake elsewhere they stay,
 * because the role of this job may not delete.
 *
 * @throws `user_unknown` (64) where `userId` is no person of the lake; `commit_conflict`, `lease_lost` (75)
 *   where other tables are shown by then; what `SqlEngine.query` throws; `disk_full`, `disk_failed` (74)
 *   where the folder cannot be written; `stopped` (75) when the signal is aborted before the files are
 *   replaced
 */
export async function report(
  input: ReportInput,
  effects: Pick<Effects, 'engine' | 'lease' | 'progress' | 'signal' | 'store'>,
): Promise<ReportOutput> {
  const { engine, progress, signal } = effects;
  const { target } = input;
  const state = (await latestManifest(effects.store))?.state;
  const builtBy = state?.gold[target]?.runId;
  progress.start('report');
  const model = state === undefined ? undefined : await cardShownBy(effects.store, state, target);
  const pages = await composeReport(engine, {
    ...{ target, runId: input.runId, builtBy, tables: publishedTables(state, target) },
    ...(model && { model }),
    ...(input.userId !== undefined && { userId: input.userId }),
    isRedacted: input.isRedacted ?? false,
  });
  const drawn: DrawnPage[] = [];
  let charts = 0;
  for (const page of pages) {
    const step = (name: string): void => {
      stopIfAsked(signal);
      progress.update(charts++, name);
    };
    drawn.push(await drawPage(page, { hasPngs: input.hasPngs ?? false }, step));
  }
  stopIfAsked(signal);
  await refuseReplaced(effects, target, builtBy);
  const output = await (input.outDir === undefined
    ? putIntoLake(effects.store, drawn)
    : replaceReport(input.outDir, drawn, { isWhole: !input.isRedacted && drawn.at(-1)!.key === REPORT_KEY }));
  progress.end(`${count(charts, 'chart')}, ${output.html}`);
  return output;
}

/**
 * Writes a picture of a year to share, 1080 × 1920 pixels, for each person with plays in it, and no page.
 * Cards of other years and people stay; all are drawn before the first file is touched.
 *
 * @param input `year` of four digits
 * @returns paths (or addresses in the lake) of the pictures, in the order of the people's labels
 * @throws `year_empty` (65) where nobody has a play in that year; else what `report` throws
 */
export async function reportCards(
  input: ReportInput & { year: string },
  effects: Pick<Effects, 'engine' | 'lease' | 'progress' | 'signal' | 'store'>,
): Promise<string[]> {
  const { engine, progress, signal, store } = effects;
  const { outDir, target, year, userId } = input;
  const state = (await latestManifest(store))?.state;
  const builtBy = state?.gold[target]?.runId;
  progress.start('report');
  const cards = await composeCards(engine, {
    ...{ target, year, tables: publishedTables(state, target) },
    isRedacted: input.isRedacted ?? false,
    ...(userId !== undefined && { userId }),
  });
  const drawn = cards.map((card, index) => {
    stopIfAsked(signal);
    progress.update(index, card.key);
    return { key: card.key, bytes: drawCard(card) };
  });
  stopIfAsked(signal);
  await refuseReplaced(effects, target, builtBy);
  const paths =
    outDir === undefined
      ? await putCards(store, drawn)
      : await replaceFiles(
          outDir,
          drawn.map(({ key, bytes }) => ({ path: pathOf(key), bytes })),
        );
  progress.end(count(paths.length, 'card'));
  return paths;
}

async function putCards(store: LakeStore, drawn: readonly { key: string; bytes: Uint8Array }[]): Promise<string[]> {
  for (const { key, bytes } of drawn) await store.put(key, bytes);
  return drawn.map(({ key }) => addressOf(store.uri, key));
}

/** A key's path in a folder of its own. */
function pathOf(key: string): string {
  return join(...key.slice(PREFIX.report.length).split('/'));
}

/** A page of tables that are not shown any more must not replace the one of those that are. */
async function refuseReplaced(
  { lease, store }: Pick<Effects, 'lease' | 'store'>,
  target: Target,
  builtBy: string | undefined,
): Promise<void> {
  await refuseLostLease({ lease });
  if ((await latestManifest(store))?.state.gold[target]?.runId === builtBy) return;
  throw new JobError('commit_conflict', 'tempfail', `gold_${target} was replaced while its report was drawn; stopped`, {
    hint: 'run it again',
  });
}

/** Whether there is a report of what production shows now, where `report` would put it. */
export async function isReportCurrent(outDir: string | undefined, { store }: Pick<Effects, 'store'>): Promise<boolean> {
  const builtBy = (await latestManifest(store))?.state.gold.prod?.runId;
  if (builtBy === undefined) return false;
  try {
    const page =
      outDir === undefined
        ? await text(await store.get(REPORT_KEY))
        : await readFile(join(outDir, 'report.html'), 'utf8');
    return page.includes(builtByText(builtBy));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR') || (error instanceof JobError && error.code === 'object_missing'))
      return false;
    throw error;
  }
}

/** Address of the page in a lake that keeps its own report. */
export function pageAddress({ uri }: Pick<LakeStore, 'uri'>): string {
  return addressOf(uri, REPORT_KEY);
}

/** Charts first, then the pages, `report.html` last: who reads a page finds beside it what it needs. */
async function putIntoLake(store: LakeStore, drawn: readonly DrawnPage[]): Promise<ReportOutput> {
  const images = drawn.flatMap((page) => [...page.images]);
  for (const [key, bytes] of images) await store.put(key, bytes);
  for (const { key, html } of drawn) await store.put(key, html);
  return outputOf((key) => addressOf(store.uri, key), drawn);
}

/** Pages and charts that the new report no longer has go after it is there. */
async function replaceReport(
  outDir: string,
  drawn: readonly DrawnPage[],
  { isWhole }: { isWhole: boolean },
): Promise<ReportOutput> {
  const charts = drawn.flatMap((page) => [...page.images].map(([key, bytes]) => ({ path: pathOf(key), bytes })));
  const pages = drawn.map(({ key, html }) => ({ path: pathOf(key), bytes: html }));
  const kept = await replaceFiles(outDir, [...charts, ...pages]);
  if (isWhole) await removeOldPages(outDir, new Set(kept));
  return outputOf((key) => join(outDir, pathOf(key)), drawn);
}

function outputOf(addressOfKey: (key: string) => string, drawn: readonly DrawnPage[]): ReportOutput {
  return {
    html: addressOfKey(drawn.at(-1)!.key),
    pages: drawn.map(({ key }) => addressOfKey(key)),
    charts: drawn.flatMap(({ images }) => [...images.keys()]).map(addressOfKey),
  };
}

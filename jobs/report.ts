import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { makeFolders, onDisk } from './base/disk.ts';
import { isErrno, JobError } from './base/errors.ts';
import { count } from './base/words.ts';
import { refuseLostLease } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { REPORT_KEY, reportChartKey, type Target } from './lake/keys.ts';
import { latestManifest } from './lake/manifest.ts';
import type { LakeStore } from './lake/store.ts';
import { builtByText, composeReport } from './report/compose.ts';
import type { Figure } from './report/figure.ts';
import { addressOf, replaceFiles } from './report/files.ts';
import { type Drawing, renderPage } from './report/page.ts';
import { renderPng, renderSvg } from './report/render.ts';
import { NARROW, WIDE } from './report/theme.ts';
import { cardShownBy } from './training/records.ts';

export interface ReportInput {
  /** The run that the report belongs to; printed at its foot. */
  runId: string;
  /**
   * Folder for `report.html` and `charts/*.png`; created when absent. Undefined: `report/` of the lake
   * itself, through its store.
   */
  outDir: string | undefined;
  /** `prod`: what was checked and promoted. `dev` says so at its top. */
  target: Target;
}

export interface ReportOutput {
  /** Path (or address in the lake) of the page. */
  html: string;
  /** Those of the PNGs, in the order of the page. */
  charts: string[];
}

/**
 * Writes the report of the published gold tables: one HTML file that needs nothing else, and each chart as
 * PNG.
 *
 * Everything is read and drawn before the first file is touched, each file is written aside, flushed and
 * renamed, and the page comes last: whoever is killed or runs out of disk leaves the old page whole. PNGs of
 * charts that the new page no longer has are removed from a folder; in a lake elsewhere they stay, because
 * the role of this job may not delete.
 *
 * @throws `commit_conflict`, `lease_lost` (75) where other tables are shown by then; what `SqlEngine.query`
 *   throws; `disk_full`, `disk_failed` (74) where the folder cannot be written; `stopped` (75) when the
 *   signal is aborted before the files are replaced
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
  const content = await composeReport(engine, { target, runId: input.runId, builtBy, ...(model && { model }) });
  const figures = content.sections.flatMap((section) => section.figures).filter((figure) => figure.chart !== undefined);
  const drawings = new Map<string, Drawing>();
  const images = new Map<string, Uint8Array>();
  for (const figure of figures) {
    stopIfAsked(signal);
    drawings.set(figure.name, {
      wide: await renderSvg(figure.chart!(WIDE)),
      narrow: await renderSvg(figure.chart!(NARROW)),
    });
    images.set(`${figure.name}.png`, renderPng(await renderSvg(titled(figure))));
    progress.update(images.size, figure.name);
  }
  const page = await renderPage(content, drawings);
  stopIfAsked(signal);
  await refuseReplaced(effects, target, builtBy);
  const output = await (input.outDir === undefined
    ? putIntoLake(effects.store, page, images)
    : replaceReport(input.outDir, page, images));
  progress.end(`${count(images.size, 'chart')}, ${output.html}`);
  return output;
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

/** A PNG stands alone, so it carries its own title. */
function titled(figure: Figure): ReturnType<NonNullable<Figure['chart']>> {
  const spec = figure.chart!(WIDE);
  const subtitle = figure.takeaway ? { subtitle: figure.takeaway } : {};
  return { ...spec, title: { text: figure.title, ...subtitle } };
}

/** Address of the page in a lake that keeps its own report. */
export function pageAddress({ uri }: Pick<LakeStore, 'uri'>): string {
  return addressOf(uri, REPORT_KEY);
}

/** The page comes last: who reads it finds its charts beside it. */
async function putIntoLake(
  store: LakeStore,
  page: string,
  images: ReadonlyMap<string, Uint8Array>,
): Promise<ReportOutput> {
  const charts: string[] = [];
  for (const [name, bytes] of images) {
    await store.put(reportChartKey(name), bytes);
    charts.push(addressOf(store.uri, reportChartKey(name)));
  }
  await store.put(REPORT_KEY, page);
  return { html: pageAddress(store), charts };
}

/** Charts that the new page no longer has go after it is there. */
async function replaceReport(
  outDir: string,
  page: string,
  images: ReadonlyMap<string, Uint8Array>,
): Promise<ReportOutput> {
  const charts = [...images].map(([name, bytes]) => ({ path: join('charts', name), bytes }));
  const paths = await replaceFiles(outDir, [...charts, { path: 'report.html', bytes: page }]);
  const folder = join(outDir, 'charts');
  await onDisk(folder, async () => {
    await makeFolders(folder);
    for (const name of await readdir(folder))
      if (name.endsWith('.png') && !images.has(name)) await rm(join(folder, name));
  });
  return { html: paths.at(-1)!, charts: paths.slice(0, -1) };
}

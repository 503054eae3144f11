import type { Effects } from './effects/index.ts';
import { latestManifest } from './lake/manifest.ts';
import { type Coverage, NO_COVERAGE, readCoverage, rowsOf } from './report/gaps.ts';

export interface CoverageResult extends Coverage {
  /** `none`: there is no gold_prod yet, or no export and no poll in it. */
  status: 'whole' | 'gaps' | 'none';
  /**
   * ISO, UTC: the newest poll of recently played, and the newest row of an account export; null where there
   * is none.
   */
  newestCapture: string | null;
  newestExport: string | null;
}

const NEWEST = `
select
    table_name,
    newest_at
from record_counts
where layer = 'silver' and table_name in ('capture_polls', 'export_files')`;

/**
 * Says how much of the listening is known to be whole, of gold_prod: what cover there is, what is missing and
 * why, and when the Web API was last polled. Changes nothing.
 *
 * @throws what `SqlEngine.query` throws
 */
export async function coverage({ engine, store }: Pick<Effects, 'engine' | 'store'>): Promise<CoverageResult> {
  const published = (await latestManifest(store))?.state.gold.prod?.tables ?? {};
  if (!('listening_coverage' in published))
    return { ...NO_COVERAGE, status: 'none', newestCapture: null, newestExport: null };
  const found = await readCoverage(engine, 'prod');
  const newest = await rowsOf(engine, 'prod', NEWEST);
  const newestOf = (table: string): string | null => {
    const at = newest.find((row) => row.table_name === table)?.newest_at;
    return typeof at === 'string' ? `${at.slice(0, 19).replace(' ', 'T')}Z` : null;
  };
  const status = found.days === 0 ? 'none' : found.gaps === 0 ? 'whole' : 'gaps';
  return { ...found, status, newestCapture: newestOf('capture_polls'), newestExport: newestOf('export_files') };
}

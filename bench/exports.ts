/** What `export` costs beside DuckDB's own COPY of the same view to the same format, start-up included. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Measured, measure, ROOT, ratio, WORK } from './measure.ts';

const FORMATS = {
  parquet: 'format parquet, compression zstd',
  csv: 'format csv, header true',
  json: 'format json, array true',
};

/** @param runs how often each contender runs; they take turns, and the fastest counts */
export async function compareExports(lake: string, runs: number): Promise<void> {
  const out = join(WORK, 'export');
  for (const [format, options] of Object.entries(FORMATS)) {
    const times: Record<'ours' | 'inert' | 'bare', number[]> = { ours: [], inert: [], bare: [] };
    const ours = (...more: string[]): Promise<Measured> => {
      const args = ['export', 'plays', '--lake', lake, '--to', out, '--format', format, '--force', '--quiet', ...more];
      return measure(process.execPath, [join(ROOT, 'jobs/cli.ts'), ...args]);
    };
    const bare = [join(ROOT, 'bench/bare-copy.ts'), join(lake, 'lake.duckdb'), 'silver.plays'];
    for (let run = 0; run < runs; run += 1) {
      times.ours.push((await ours('--raw')).seconds);
      if (format === 'csv') times.inert.push((await ours()).seconds);
      times.bare.push((await measure(process.execPath, [...bare, join(WORK, `bare.${format}`), options])).seconds);
    }
    const best = (name: keyof typeof times): number => Math.min(...times[name]);
    ratio(`export to ${format}: speed against DuckDB's COPY`, best('bare') / best('ours'), 'at least', 0.8);
    if (format === 'csv')
      ratio(
        "export to csv, texts made inert: speed against DuckDB's COPY",
        best('bare') / best('inert'),
        'at least',
        0.8,
      );
    rmSync(join(WORK, `bare.${format}`), { force: true });
  }
  rmSync(out, { recursive: true, force: true });
}

/** A reader that looks at a lake again and again while others write to it, as a dashboard does. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { readContracts } from '../jobs/lake/contracts.ts';
import { openFolderLake } from '../jobs/lake/folder.ts';
import { latestManifest, readManifest, readSilverFiles } from '../jobs/lake/manifest.ts';

/** Plays in silver, in gold_dev and in gold_prod; a target without tables has null. */
export type Version = [silver: number, dev: number | null, prod: number | null];

export interface Watch {
  /** What was seen that must never be: an error, tables of two versions in one catalog, half a page. */
  faults: string[];
  /** Versions in the order in which they were seen, each once in a row. */
  versions: Version[];
  /** Who built the tables that the pages were made of. */
  builders: Set<string>;
  catalogPolls: number;
  pagePolls: number;
  stop(): Promise<void>;
}

/** The silver tables whose rows `table_stats`, committed with them, counts. */
const COUNTED = readContracts()
  .filter(({ layer, table }) => layer === 'silver' && table !== 'table_stats')
  .map(({ table }) => table);

/** Begins to poll `lake.duckdb` and the report. @param pauseMs between two polls */
export function watchLake(lake: string, pauseMs = 5): Watch {
  let isOver = false;
  const watch: Watch = {
    ...{ faults: [], versions: [], builders: new Set<string>(), catalogPolls: 0, pagePolls: 0 },
    async stop() {
      isOver = true;
      await polling;
    },
  };
  const poll = async (): Promise<void> => {
    while (!isOver) {
      await pollCatalog(lake, watch).catch((error: unknown) => void watch.faults.push(`lake.duckdb: ${error}`));
      pollPage(lake, watch);
      await sleep(pauseMs);
    }
  };
  const polling = poll();
  return watch;
}

async function pollCatalog(lake: string, watch: Watch): Promise<void> {
  const path = join(lake, 'lake.duckdb');
  if (!existsSync(path)) return; // never taken away again once it is there, else opening it fails
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY', threads: '1' });
  const connection = await instance.connect();
  try {
    const rows = async (sql: string): Promise<unknown[][]> => (await connection.runAndReadAll(sql)).getRowsJS();
    const found = await rows(`select schema_name, view_name from duckdb_views() where not internal`);
    const has = (schema: string, table: string): boolean => found.some(([s, t]) => s === schema && t === table);
    const counts = [
      ...COUNTED.map((table) => countOf('silver', table, 'silver.table_stats', 'silver')),
      ...['gold_dev', 'gold_prod']
        .filter((schema) => has(schema, 'record_counts'))
        .flatMap((schema) =>
          found
            .filter(([s, table]) => s === schema && table !== 'record_counts' && !String(table).startsWith('int_'))
            .map(([, table]) => countOf(schema, String(table), `${schema}.record_counts`, 'gold')),
        ),
    ];
    const plays = ['gold_dev', 'gold_prod'].map((schema) =>
      has(schema, 'fct_plays') ? `(select count(*) from ${schema}.fct_plays)` : 'null',
    );
    // One statement, one catalog: whatever is renamed meanwhile, its answer is of one moment or it is wrong.
    const [answer] = await rows(
      `with counts as (${counts.join(' union all ')})
       select (select count(*) from silver.plays), ${plays.join(', ')},
              (select string_agg(name || ': ' || there || ' rows, ' || declared || ' committed', '; ') from counts where there <> declared)`,
    );
    const [silver, dev, prod, mixed] = answer!;
    watch.catalogPolls += 1;
    if (mixed !== null) watch.faults.push(`a mix: ${mixed}`);
    const numberOf = (value: unknown): number | null => (value === null ? null : Number(value));
    const version: Version = [Number(silver), numberOf(dev), numberOf(prod)];
    if (String(watch.versions.at(-1)) !== String(version)) watch.versions.push(version);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Rows that are there and rows that the same commit says are there; a table that it does not name has none. */
function countOf(schema: string, table: string, counts: string, layer: string): string {
  const declared = `(select coalesce(sum(rows), 0) from ${counts} where layer = '${layer}' and table_name = '${table}')`;
  return `select '${schema}.${table}' as name, (select count(*) from ${schema}.${table}) as there, ${declared} as declared`;
}

function pollPage(lake: string, watch: Watch): void {
  const path = join(lake, 'report', 'report.html');
  if (!existsSync(path)) return;
  const page = readFileSync(path, 'utf8');
  watch.pagePolls += 1;
  const builder = /\(built by ([\w-]+)\)/.exec(page)?.[1];
  if (!page.trimEnd().endsWith('</html>') || builder === undefined)
    watch.faults.push(`half a page: ${page.slice(-200)}`);
  else watch.builders.add(builder);
}

/** Every version that was ever committed to a lake, and every run that has built production. */
export async function committedVersions(lake: string): Promise<{ versions: Version[]; builders: Set<string> }> {
  const store = await openFolderLake(lake);
  const last = (await latestManifest(store))?.sequence ?? 0;
  const versions: Version[] = [[0, null, null]];
  const builders = new Set<string>();
  for (let sequence = 1; sequence <= last; sequence += 1) {
    const { state } = await readManifest(store, sequence);
    const files = await readSilverFiles(store, state, 'plays');
    versions.push([
      files.reduce((sum, { rows }) => sum + rows, 0),
      state.gold.dev?.tables.fct_plays?.rows ?? null,
      state.gold.prod?.tables.fct_plays?.rows ?? null,
    ]);
    if (state.gold.prod !== undefined && state.gold.prod !== null) builders.add(state.gold.prod.runId);
  }
  return { versions, builders };
}

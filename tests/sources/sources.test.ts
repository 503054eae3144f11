/**
 * The seam: what a source must bring, and where else it is named. docs/contributing.md tells how to add one.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiSourceOf } from '../../jobs/commands/extract.ts';
import { SOURCES } from '../../jobs/sources/index.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SILVER = join(ROOT, 'warehouse/silver');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const tables = SOURCES.flatMap((source) => source.tables);
/** A topic gives no files to load: its consumer writes `bronze.stream` itself (decision 38). */
const WITHOUT_FILES = { folder: 'kafka', table: 'stream' };

/** Files below a folder that import something of another folder of `jobs/`. */
function importers(folder: string, of: RegExp): string[] {
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.ts') && of.test(read(join(folder, name))));
}

it('every folder of sources is in the list, under its name', () => {
  const entries = readdirSync(join(ROOT, 'jobs/sources'), { withFileTypes: true });
  const folders = entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  expect([...SOURCES.map(({ name }) => name), WITHOUT_FILES.folder].sort()).toEqual(folders.sort());
});

it('bronze knows no source, and formats know neither', () => {
  expect(importers('jobs/bronze', /from '[./]+\/sources\//)).toEqual([]);
  expect(importers('jobs/formats', /from '[./]+\/(sources|bronze)\//)).toEqual([]);
});

it('every bronze table has a contract and one source, but for those of refused files and of streams', () => {
  const names = tables.flatMap(({ name, formerly }) => (formerly === undefined ? [name] : [name, formerly.name]));
  const contracts = readdirSync(join(ROOT, 'warehouse/contracts'))
    .flatMap((file) => /^bronze\.(\w+)\.json$/.exec(file)?.[1] ?? [])
    .filter((name) => name !== 'refused' && name !== WITHOUT_FILES.table);
  expect(names.sort()).toEqual(contracts.sort());
});

it('a source writes its own tables', () => {
  for (const source of SOURCES) {
    const csv = (source.csv ?? []).filter(({ remedy }) => remedy === undefined);
    const own = source.tables.map(({ name }) => name);
    for (const { table } of [...(source.rows ?? []), ...csv])
      expect([source.name, own]).toEqual([source.name, expect.arrayContaining([table])]);
    for (const { table, rows } of csv) expect([source.name, rows?.source.table ?? table]).toEqual([source.name, table]);
  }
});

it('a select of silver reads every bronze table; one that has plays is typed by its stage, and play_rows reads that', () => {
  const selects = readdirSync(SILVER).map((name) => read(join('warehouse/silver', name)));
  for (const { name, plays } of tables) {
    expect([name, selects.some((text) => text.includes(`bronze_${name}`))]).toEqual([name, true]);
    if (plays === undefined) continue;
    expect([name, existsSync(join(SILVER, `${plays.stage}.sql`))]).toEqual([name, true]);
    expect([name, read(`warehouse/silver/${plays.stage}.sql`)]).toEqual([
      name,
      expect.stringContaining(`bronze_${name}`),
    ]);
    expect([name, read('warehouse/silver/play_rows.sql')]).toEqual([name, expect.stringContaining(plays.stage)]);
  }
});

it('what follows `extract` names the capture of one source', async () => {
  const words = SOURCES.flatMap(({ capture }) => capture?.words ?? []);
  expect(words.length).toBeGreaterThan(0);
  expect(new Set(words).size).toBe(words.length);
  for (const word of words) expect(await apiSourceOf({ paths: [word] })).toBe(word);
});

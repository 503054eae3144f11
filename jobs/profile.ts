import { JobError } from './base/errors.ts';
import { count } from './base/words.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { readContracts } from './lake/contracts.ts';
import { profileKey } from './lake/keys.ts';
import { latestManifest } from './lake/manifest.ts';
import { type Finding, findingsOf } from './profile/findings.ts';
import { measureTable, type TableProfile } from './profile/measure.ts';
import { findingsSection, tableSection } from './profile/sections.ts';
import { addressOf, replaceFiles } from './report/files.ts';
import { type Drawing, type PageContent, renderPage } from './report/page.ts';
import { renderSvg } from './report/render.ts';
import { NARROW, WIDE } from './report/theme.ts';

export interface ProfileInput {
  /** Tables of silver; all of them where none is named. */
  tables: readonly string[];
  /** Folder for `profile.html` and `profile.json`. Undefined: `report/` of the lake, through its store. */
  outDir: string | undefined;
}

export interface ProfileResult {
  /** Path (or address in the lake) of the page, and of the same as JSON. */
  html: string;
  json: string;
  /** With rows, in the order of their names. */
  tables: TableProfile[];
  /** Tables of silver without a row. */
  empty: string[];
  findings: Finding[];
}

/**
 * Describes silver as it is: for each table its rows, and for each column how many values there are, which,
 * and how they spread; what is unlikely in them, and what the pipeline does about it. Changes no table.
 *
 * @throws `table_unknown` (64) for a name that is no table of silver; `silver_missing` (65) where there is
 *   nothing to look at; what `SqlEngine.query` throws; `disk_full`, `disk_failed` (74)
 */
export async function profile(
  { tables, outDir }: ProfileInput,
  effects: Pick<Effects, 'engine' | 'progress' | 'signal' | 'store'>,
): Promise<ProfileResult> {
  const { engine, progress, signal, store } = effects;
  const manifest = await latestManifest(store);
  const contracts = wantedContracts(tables);
  if (manifest === undefined || Object.keys(manifest.state.silver).length === 0)
    throw new JobError('silver_missing', 'data', 'there is nothing in silver yet', {
      hint: 'run `listenlake run` with your files first',
    });
  const measured: TableProfile[] = [];
  progress.start('profile', contracts.length);
  for (const contract of contracts) {
    stopIfAsked(signal);
    if (manifest.state.silver[contract.table] !== undefined) measured.push(await measureTable(engine, contract));
    progress.update(measured.length, contract.table);
  }
  const filled = measured.filter(({ rows }) => rows > 0);
  const empty = contracts.map(({ table }) => table).filter((table) => !filled.some((each) => each.table === table));
  const findings = filled.flatMap(findingsOf);
  const content = pageOf(filled, empty, findings, `commit ${manifest.sequence}`);
  const page = await renderPage(content, await draw(content, signal));
  const json = `${JSON.stringify({ sequence: manifest.sequence, tables: filled, empty, findings }, null, 2)}\n`;
  const files = [
    { path: 'profile.json', bytes: json },
    { path: 'profile.html', bytes: page },
  ] as const;
  const paths = outDir === undefined ? await putIntoLake(store, files) : await replaceFiles(outDir, files);
  progress.end(count(filled.length, 'table'));
  return { html: paths[1]!, json: paths[0]!, tables: filled, empty, findings };
}

function wantedContracts(names: readonly string[]): ReturnType<typeof readContracts> {
  const silver = readContracts().filter(({ layer }) => layer === 'silver');
  const unknown = names.find((name) => !silver.some(({ table }) => table === name));
  if (unknown !== undefined)
    throw new JobError('table_unknown', 'usage', `there is no table ${JSON.stringify(unknown)} in silver`, {
      hint: `one of ${silver.map(({ table }) => table).join(', ')}`,
    });
  return names.length === 0 ? silver : silver.filter(({ table }) => names.includes(table));
}

function pageOf(
  tables: readonly TableProfile[],
  empty: readonly string[],
  findings: readonly Finding[],
  version: string,
): PageContent {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const cells = tables.flatMap((table) => table.columns).length;
  return {
    title: 'What is in silver',
    facts: [`${tables.length} tables with rows`, version],
    notices: tables.length === 0 ? ['No table of silver has a row yet.'] : [],
    headlines: [
      { label: 'Rows', value: rows.toLocaleString('en') },
      { label: 'Tables', value: String(tables.length), detail: `${empty.length} without a row` },
      { label: 'Columns', value: String(cells) },
      { label: 'Findings', value: String(findings.length) },
    ],
    sections: [findingsSection(findings, tables.length), ...tables.map(tableSection)],
    footer: [
      empty.length === 0 ? 'Every table has rows.' : `Without a row: ${empty.join(', ')}.`,
      'Names and values are those of the lake; columns that name people show none. Nothing is sent anywhere.',
    ],
  };
}

async function draw({ sections }: PageContent, signal: AbortSignal): Promise<Map<string, Drawing>> {
  const drawings = new Map<string, Drawing>();
  for (const { name, chart } of sections.flatMap(({ figures }) => figures)) {
    stopIfAsked(signal);
    if (chart === undefined) continue;
    drawings.set(name, { wide: await renderSvg(chart(WIDE)), narrow: await renderSvg(chart(NARROW)) });
  }
  return drawings;
}

async function putIntoLake(
  store: Effects['store'],
  files: readonly { path: 'profile.html' | 'profile.json'; bytes: string }[],
): Promise<string[]> {
  const addresses: string[] = [];
  for (const { path, bytes } of files) {
    const key = profileKey(path);
    await store.put(key, bytes);
    addresses.push(addressOf(store.uri, key));
  }
  return addresses;
}

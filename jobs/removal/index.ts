import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../base/disk.ts';
import { hashObject } from '../base/hash.ts';
import { DAY_MS } from '../base/time.ts';
import { commitWork, refuseOvertaken } from '../effects/commit.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import { type Embedded, openEmbedded, quoteText } from '../engine/duckdb/database.ts';
import { deleter, ownObjects } from '../gc.ts';
import { bronzeKey, LAYERS, type Layer, manifestKey, PREFIX, REPORT_KEY } from '../lake/keys.ts';
import {
  type BronzeFile,
  EMPTY_STATE,
  type LakeState,
  latestManifest,
  putState,
  readBronzeIndex,
} from '../lake/manifest.ts';
import { namedObjects } from '../lake/named.ts';
import { report } from '../report.ts';
import { asRead, createBronze, readableBronze } from '../silver/relations.ts';
import { bronzeTable } from '../sources/index.ts';
import { type Ledger, readLedger, readLookedUp } from '../sources/spotify-api/ledger.ts';
import { ANSWERS_TABLE, CAPTURE } from '../sources/spotify-api/tables.ts';
import { transform } from '../transform.ts';
import { rebuildGold } from './rebuild.ts';
import { emptyRecords, findRecords, NO_HITS, type StreamHits } from './stream.ts';

/** What is to go, told by bronze alone: everything downstream is a function of it. */
export interface RemovalRule {
  /** Files that go as a whole. */
  isRemoved(file: BronzeFile): boolean;
  /**
   * Bronze table (as it is called today) to an SQL condition over its columns: rows that go from files that
   * stay.
   */
  rows: Readonly<Record<string, string>>;
  /**
   * Changes what `extract` from the Web API knows, besides forgetting that the removed answers were received.
   */
  changeLedger?(ledger: Ledger): void;
  /** Names by which records of streams call the person whose records go. */
  names?: readonly string[];
  /** Models may have learned from what goes: all of them are dropped, and those of today trained again. */
  dropsModels?: boolean;
}

export interface RemovalPlan {
  /** Every loaded file as it is now. */
  index: readonly BronzeFile[];
  /** Files without a row that stays. */
  files: readonly BronzeFile[];
  /** Files of which some rows go. */
  parts: readonly { file: BronzeFile; condition: string; rows: number }[];
  /** What batches of streams, and dead letters, hold of the person. */
  stream: StreamHits;
  /** An earlier removal that was killed: what was left to do of it. */
  unfinished: 'silver' | 'purge' | undefined;
  isLedgerChanged: boolean;
}

/**
 * Finds what the rule removes; changes nothing. @throws `object_damaged`, `object_missing` (65) for bronze
 * that must be looked into
 */
export async function planRemoval(rule: RemovalRule, effects: Effects): Promise<RemovalPlan> {
  const { store } = effects;
  const state = (await latestManifest(store))?.state ?? EMPTY_STATE;
  const index = await readBronzeIndex(store, state);
  const files = index.filter((file) => rule.isRemoved(file));
  const parts: RemovalPlan['parts'][number][] = [];
  for (const [table, condition] of Object.entries(rule.rows)) {
    const candidates = index.filter((file) => asRead(file).table === table && file.rows > 0 && !rule.isRemoved(file));
    const counts = await countRows(effects, table, candidates, condition);
    for (const file of candidates) {
      const { gone, all } = counts.get(file.sourceKey) ?? { gone: 0, all: 0 };
      if (gone > 0 && gone === all) files.push(file);
      else if (gone > 0) parts.push({ file, condition, rows: gone });
    }
  }
  const ledger = await readLedger(store);
  const before = JSON.stringify(ledger);
  rule.changeLedger?.(ledger);
  const stream = rule.names === undefined ? NO_HITS : await findRecords(rule.names, effects);
  return { index, files, parts, stream, unfinished: state.removal, isLedgerChanged: JSON.stringify(ledger) !== before };
}

/** True where there is nothing to remove, and nothing left to finish. */
export function isNothing({ files, parts, stream, unfinished, isLedgerChanged }: RemovalPlan): boolean {
  return (
    files.length === 0 && parts.length === 0 && stream.records === 0 && unfinished === undefined && !isLedgerChanged
  );
}

/**
 * True where a file in landing is, or holds, a file that goes, wholly or in part: what stays of it is in
 * bronze.
 */
export function isRemovedFrom(known: readonly BronzeFile[], { files, parts }: RemovalPlan): boolean {
  return known.some((file) => files.includes(file) || parts.some((part) => part.file === file));
}

/** Rows that the plan takes away. */
export function rowsOf({ files, parts }: Pick<RemovalPlan, 'files' | 'parts'>): number {
  return [...files, ...parts].reduce((sum, { rows }) => sum + rows, 0);
}

/**
 * Carries it out: one commit takes it out of bronze, then silver is built anew from what is left, then gold,
 * each shown to readers as a whole. A failing test does not hold it up: production is built anew and shown
 * with its verdict, because what was to go must not stay visible.
 *
 * Killed anywhere, the state of the lake says that a removal is open, and the next call goes on.
 *
 * @returns the verdict on production; undefined where there is none
 * @throws what transform, enrich and check throw; `commit_conflict` (75)
 */
export async function removeForGood(
  rule: RemovalRule,
  plan: RemovalPlan,
  work: { job: string; runId: string },
  effects: Effects,
): Promise<'passed' | 'failed' | undefined> {
  if (plan.files.length > 0 || plan.parts.length > 0 || plan.stream.records > 0 || plan.isLedgerChanged)
    await removeFromBronze(rule, plan, work, effects);
  stopIfAsked(effects.signal);
  const { runId } = work;
  const loadedOn = new Date(effects.now()).toISOString().slice(0, 10);
  if ((await stateOf(effects)).removal === 'silver') await transform({ runId, loadedOn }, effects);
  stopIfAsked(effects.signal);
  return rebuildGold(work, effects);
}

/** Closes the removal: from now on nothing of it is open. */
export async function closeRemoval(work: { job: string; runId: string }, effects: Effects): Promise<void> {
  const base = await latestManifest(effects.store);
  if (base?.state.removal === undefined) return;
  const { removal: _, ...state } = base.state;
  await commitWork(effects, { ...work, startedAt: effects.now(), base, state });
}

/** What was deleted at once, without the day of grace that `gc` gives. */
export interface Purged {
  objects: number;
  oldVersions: number;
  /** The report was there and was drawn again from what is left. */
  isReportDrawn: boolean;
}

/**
 * Deletes everything that the newest commit does not name, at once: older commits and versions, what killed
 * runs have left, results of queries, tables of runs, unfinished writes, and every old version that the store
 * keeps. The report is drawn again.
 *
 * @throws `commit_conflict`, `lease_lost` (75; retry helps) when another run commits or begins while it
 *   deletes; `stopped` (75)
 */
export async function purge(work: { job: string; runId: string }, effects: Effects): Promise<Purged> {
  const { store, engine, now } = effects;
  const base = await latestManifest(store);
  // Nothing changes by this commit, but the one before it is of after the rebuild then: the last two stay,
  // and neither names what was before.
  const newest =
    base &&
    (await commitWork(effects, { ...work, startedAt: now(), base, state: base.state, details: { step: 'purge' } }));
  const named = await namedObjects(store, newest, []);
  const purged: Purged = { objects: 0, oldVersions: 0, isReportDrawn: false };
  const deleteAlone = deleter(effects, newest, false);
  const remove = async (key: string): Promise<void> => {
    await deleteAlone(key);
    purged.objects += 1;
  };
  // With the one before the newest, whose number must stay taken (see commitManifest).
  const sequence = newest?.sequence ?? 0;
  const kept = new Set([manifestKey(sequence), manifestKey(Math.max(0, sequence - 1))]);
  for (const layer of Object.keys(LAYERS) as Layer[]) {
    for await (const { key } of ownObjects(store, layer, () => {}))
      if (!(layer === 'manifests' ? kept : named).has(key)) await remove(key);
  }
  let [hasReport, hasPngs] = [false, false];
  for await (const { key } of store.list(PREFIX.report)) {
    hasReport ||= key === REPORT_KEY;
    hasPngs ||= key.endsWith('.png');
    await remove(key);
  }
  if (hasReport && newest?.state.gold.prod !== undefined) {
    await report({ runId: work.runId, outDir: undefined, target: 'prod', hasPngs }, effects);
    purged.isReportDrawn = true;
  }
  for await (const { key } of store.list(PREFIX.queryResults)) await remove(key);
  await refuseOvertaken(effects, newest);
  await engine.dropTables(await engine.unusedTables(newest === undefined ? [] : [newest.state], now() + DAY_MS));
  for (const prefix of PURGED_PREFIXES) {
    for await (const write of store.remains.unfinished(prefix)) await store.remains.discard(write);
    for await (const version of store.remains.oldVersions(prefix)) {
      await store.remains.deleteVersion(version);
      purged.oldVersions += 1;
    }
  }
  return purged;
}

/** Where the lake's objects lie, but for leases: they name no person. */
export const PURGED_PREFIXES: readonly string[] = [
  ...Object.values(LAYERS).flat(),
  PREFIX.landing,
  PREFIX.report,
  PREFIX.queryResults,
];

async function stateOf({ store }: Effects) {
  return (await latestManifest(store))?.state ?? EMPTY_STATE;
}

async function removeFromBronze(
  rule: RemovalRule,
  plan: RemovalPlan,
  { job, runId }: { job: string; runId: string },
  effects: Effects,
): Promise<void> {
  const { store } = effects;
  const startedAt = effects.now();
  const base = await latestManifest(store);
  const state = base?.state ?? EMPTY_STATE;
  const removed = new Set(plan.files);
  const rewritten = new Map<BronzeFile, BronzeFile>();
  const forgotten: Answered[] = [];
  for (const file of plan.files) forgotten.push(...(await answered(effects, file, 'true')));
  for (const { file, condition } of plan.parts) {
    stopIfAsked(effects.signal);
    forgotten.push(...(await answered(effects, file, condition)));
    rewritten.set(file, await rewrite(effects, file, condition));
  }
  const left = plan.index.filter((file) => !removed.has(file)).map((file) => rewritten.get(file) ?? file);
  refuseSharedObjects(left, plan.files);
  const stream = rule.names === undefined ? {} : await emptyRecords(plan.stream, rule.names, state, effects);
  await commitWork(effects, {
    ...{ job, runId, startedAt, base },
    outputs: [...rewritten.values()].map(({ key, rows, bytes, sha256 }) => ({ key, rows, bytes, sha256 })),
    details: {
      files: removed.size,
      files_in_part: rewritten.size,
      rows: rowsOf(plan),
      stream_records: plan.stream.records,
    },
    state: {
      ...(rule.dropsModels === true ? withoutModels(state) : state),
      ...stream,
      bronze: left.length === 0 ? [] : [await putState(store, 'bronze', left)],
      ...(state[CAPTURE.stateKey] !== undefined && {
        [CAPTURE.stateKey]: await changedLedger(rule, forgotten, effects),
      }),
      removal: 'silver',
    },
  });
}

function withoutModels({ trainings: _, ...state }: LakeState): LakeState {
  return state;
}

/**
 * Files that one load has refused lie in one object, and one load is of one person: they go or stay together.
 */
function refuseSharedObjects(left: readonly BronzeFile[], removed: readonly BronzeFile[]): void {
  const keys = new Set(left.map(({ key }) => key));
  const shared = removed.find(({ table, key }) => table === 'refused' && keys.has(key));
  if (shared !== undefined) throw new Error(`${shared.key} also holds files that stay`);
}

async function countRows(
  effects: Effects,
  table: string,
  files: readonly BronzeFile[],
  condition: string,
): Promise<Map<string, { gone: number; all: number }>> {
  if (files.length === 0) return new Map();
  return withBronze(effects, table, files, async (db) => {
    const rows = await db.rows<{ source_key: string; gone: bigint; n: bigint }>(
      `select source_key, count(*) filter (where ${condition}) as gone, count(*) as n from bronze_${table} group by source_key`,
    );
    return new Map(rows.map(({ source_key, gone, n }) => [source_key, { gone: Number(gone), all: Number(n) }]));
  });
}

/**
 * Runs it with a database in which `bronze_<table>` has the rows of these files, in today's columns; each row
 * says everything.
 */
export async function withBronze<T>(
  effects: Effects,
  table: string,
  files: readonly BronzeFile[],
  action: (db: Embedded, folder: string) => Promise<T>,
): Promise<T> {
  const { config, scratch, store } = effects;
  const folder = join(scratch, 'removal');
  await makeFolders(folder);
  const db = await openEmbedded({
    memoryMb: config.memoryMb,
    threads: config.threads,
    tempDir: join(scratch, 'spill'),
    folders: [scratch, store.localFolder(PREFIX.bronze)],
  });
  try {
    const local = await readableBronze(db, effects, files);
    await createBronze(
      db,
      table,
      local.map(({ path }) => path),
    );
    const linked = bronzeTable(table)?.linkedRows;
    if (linked !== undefined) {
      await db.run(`alter view bronze_${table} rename to stored_rows`);
      await db.run(`create or replace temp view bronze_${table} as ${linked.completeSql('stored_rows')}`);
    }
    return await action(db, folder);
  } finally {
    db.close();
  }
}

/**
 * Writes what is left of a file as an object of its own; the entry keeps the file's hash, so that loading the
 * same file again brings nothing back.
 */
async function rewrite(effects: Effects, file: BronzeFile, condition: string): Promise<BronzeFile> {
  const { store } = effects;
  const { table } = asRead(file);
  const linked = bronzeTable(table)?.linkedRows;
  return withBronze(effects, table, [file], async (db, folder) => {
    const output = join(folder, 'rest');
    try {
      const rest = `select * from bronze_${table} where not coalesce(${condition}, false)`;
      const order = linked?.order ?? ['row_number'];
      const rowGroups = linked === undefined ? '' : `, row_group_size ${linked.rowGroupRows}`;
      await db.run(
        `copy (${linked?.storedSql(rest) ?? rest} order by ${order.join(', ')})
         to ${quoteText(output)} (format parquet, compression zstd${rowGroups})`,
      );
      const [left] = await db.rows<{ n: bigint; items: bigint }>(
        `select count(*) as n, count(*) filter (where ${linked?.isCounted ?? 'true'}) as items from (${rest})`,
      );
      const sha256 = await hashObject(output);
      const key = bronzeKey(table, sha256, 'parquet');
      const bytes = (await stat(output)).size;
      await store.put(key, { file: output }, { ifAbsent: true });
      return { ...file, table, key, rows: Number(left?.n), bytes, sha256, readRows: Number(left?.items) };
    } finally {
      await rm(output, { force: true });
    }
  });
}

/** What was answered: looked-up things and playlists. */
interface Answered extends Record<string, unknown> {
  kind: string;
  playlist_id: string | null;
  id: string | null;
}

/** What the rows of a file of Web API answers are about; nothing for other tables. */
async function answered(effects: Effects, file: BronzeFile, condition: string): Promise<Answered[]> {
  const { table } = asRead(file);
  if (table !== ANSWERS_TABLE.name) return [];
  return withBronze(effects, table, [file], (db) =>
    db.rows<Answered>(
      `select distinct kind, playlist_id, case when kind in ('tracks', 'albums', 'artists') then id end as id
       from bronze_${table} where ${condition}`,
    ),
  );
}

/**
 * The ledger without what says that the removed answers are here: it would never ask for them again. @returns
 * its key
 */
async function changedLedger(
  rule: RemovalRule,
  removed: readonly Answered[],
  { store }: Pick<Effects, 'store'>,
): Promise<string> {
  const ledger = await readLedger(store);
  rule.changeLedger?.(ledger);
  const names = new Set<string>();
  for (const { kind, playlist_id, id } of removed) {
    if (playlist_id !== null) delete ledger.playlists[playlist_id];
    if (id !== null) names.add(`${kind}/${id}`);
  }
  if (names.size > 0) {
    const left = [...(await readLookedUp(store, ledger))].filter((name) => !names.has(name)).sort();
    ledger.lookedUp = left.length === 0 ? [] : [await putState(store, 'spotify_lookups', left)];
  }
  return putState(store, CAPTURE.stateKey, ledger);
}

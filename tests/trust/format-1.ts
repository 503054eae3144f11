/** Lays a lake in a folder out as listenlake did before manifests said `"format":2`. */
import { rmSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashObject } from '../../jobs/base/hash.ts';
import { type Embedded, openEmbedded, quoteText } from '../../jobs/engine/duckdb/database.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import {
  latestManifest,
  type OutputFile,
  putState,
  readSilverFiles,
  type SilverFile,
} from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';

/**
 * One object a partition at a fixed key, replaced in place; plays by month; every commit says format 1. What
 * a lake had is all there (gold, checks, bronze), and no object of the layout of today.
 */
export async function toFormat1(root: string): Promise<void> {
  const store = await openFolderLake(root);
  const folder = await mkdtemp(join(tmpdir(), 'listenlake-format-1-'));
  const db = await openEmbedded({ memoryMb: 128, threads: 1, tempDir: join(folder, 'spill'), folders: [folder, root] });
  try {
    const newest = (await latestManifest(store))!;
    const silver: Record<string, string> = {};
    for (const table of Object.keys(newest.state.silver)) {
      const files = await readSilverFiles(store, newest.state, table);
      const old: SilverFile[] = [];
      for (const file of files) {
        const path = await store.localFile(file.key);
        if (table === 'plays') old.push(...(await byMonth(db, store, folder, path, Number(file.partition.year))));
        else old.push(await putAt(store, table, file.partition, path, file.rows));
      }
      silver[table] = await putState(store, 'silver', old);
    }
    for (const table of Object.keys(silver)) rmSync(join(root, 'silver', table, 'v'), { recursive: true, force: true });
    for (const name of await readdir(join(root, 'manifests'))) {
      if (!name.endsWith('.json')) continue;
      const path = join(root, 'manifests', name);
      const manifest = JSON.parse(await readFile(path, 'utf8'));
      if (manifest.sequence === newest.sequence) manifest.state.silver = silver;
      await writeFile(path, `${JSON.stringify({ ...manifest, format: 1 })}\n`);
    }
    rmSync(join(root, 'lake.duckdb'), { force: true });
  } finally {
    db.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function byMonth(
  db: Embedded,
  store: LakeStore,
  folder: string,
  path: string,
  year: number,
): Promise<SilverFile[]> {
  const files: SilverFile[] = [];
  for (let month = 1; month <= 12; month += 1) {
    const aside = join(folder, `${year}-${month}.parquet`);
    const [copied] = await db.rows<{ Count: bigint }>(
      `copy (select * from read_parquet(${quoteText(path)}, hive_partitioning = false) where month(ended_at) = ${month})
       to ${quoteText(aside)} (format parquet, compression zstd)`,
    );
    if (copied!.Count > 0n) files.push(await putAt(store, 'plays', { year, month }, aside, Number(copied!.Count)));
  }
  return files;
}

async function putAt(
  store: LakeStore,
  table: string,
  partition: SilverFile['partition'],
  path: string,
  rows: number,
): Promise<SilverFile> {
  const folders = Object.entries(partition).map(([column, value]) => `${column}=${value}/`);
  const key = `silver/${table}/${folders.join('')}part-0.parquet`;
  const file: OutputFile = { key, rows, bytes: statSync(path).size, sha256: await hashObject(path) };
  await store.put(key, await readFile(path));
  return { ...file, partition };
}

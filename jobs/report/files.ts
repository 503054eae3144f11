import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { USER_LABEL } from '../base/config.ts';
import { diskError, makeFolders, onDisk } from '../base/disk.ts';
import { flushFolder } from '../lake/folder/store.ts';
import { GENERATOR } from './page.ts';

/** A file of a page, by its path below the page's folder. */
export interface PageFile {
  path: string;
  bytes: string | Uint8Array;
}

/** Where a page of ours says its maker: within this many characters. */
const HEAD_CHARS = 2_000;
/**
 * Files that are not finished yet end in this; what a killed command left behind is removed by the next one.
 */
const UNFINISHED = '.unfinished';

/**
 * Replaces the files of a page in a folder, which is made where it is absent. Each is written aside, flushed
 * and renamed, in their order: the page itself comes last, so that who is killed or runs out of disk leaves
 * the old page whole.
 *
 * @returns their paths, in the same order
 * @throws `disk_full`, `disk_failed` (74) where the folder cannot be written
 */
export async function replaceFiles(outDir: string, files: readonly PageFile[]): Promise<string[]> {
  const targets = files.map(({ path, bytes }) => ({ path: join(outDir, path), bytes }));
  const folders = [...new Set([...targets.map(({ path }) => dirname(path)), outDir])];
  const suffix = `.${randomBytes(6).toString('hex')}${UNFINISHED}`;
  const staged: string[] = [];
  try {
    for (const folder of folders) await makeFolders(folder);
    await removeLeftOvers(folders);
    for (const { path, bytes } of targets) {
      staged.push(path + suffix);
      await writeDurably(path + suffix, bytes);
    }
    for (const { path } of targets) await rename(path + suffix, path);
    for (const folder of [...folders, dirname(resolve(outDir))]) await flushFolder(folder);
  } catch (error) {
    await Promise.all(staged.map((path) => rm(path, { force: true })));
    throw diskError(error, outDir, {
      full: 'make room and run it again; the old report is whole',
      failed: 'give a folder that you may write, with --out',
    });
  }
  return targets.map(({ path }) => path);
}

/**
 * Removes from a report's folder the pages and charts that are not among `kept`: those of people who are
 * gone, and charts that are no longer drawn. A page is known by what it says of its maker, so that nobody's
 * own file goes; in `charts/` all PNGs are the report's.
 *
 * @throws `disk_failed` (74)
 */
export async function removeOldPages(outDir: string, kept: ReadonlySet<string>): Promise<void> {
  await onDisk(outDir, async () => {
    const charts = join(outDir, 'charts');
    const people = join(outDir, 'people');
    for (const path of [join(outDir, 'operator.html'), ...(await filesOf(people, '.html'))])
      if (!kept.has(path) && (await isOurs(path))) await rm(path);
    for (const folder of [...(await foldersOf(charts)), charts]) {
      for (const path of await filesOf(folder, '.png')) if (!kept.has(path)) await rm(path);
      await removeEmpty(folder);
    }
    await removeEmpty(people);
  });
}

async function filesOf(folder: string, ending: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && entry.name.endsWith(ending)).map(({ name }) => join(folder, name));
}

async function foldersOf(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && USER_LABEL.test(entry.name))
    .map(({ name }) => join(folder, name));
}

async function isOurs(path: string): Promise<boolean> {
  return existsSync(path) && (await readFile(path, 'utf8')).slice(0, HEAD_CHARS).includes(GENERATOR);
}

/** Leaves a folder that holds anything. */
async function removeEmpty(folder: string): Promise<void> {
  if (existsSync(folder) && (await readdir(folder)).length === 0) await rmdir(folder);
}

async function removeLeftOvers(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    for (const name of await readdir(folder))
      if (name.endsWith(UNFINISHED)) await rm(join(folder, name), { force: true });
  }
}

async function writeDurably(path: string, bytes: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Where people find an object of a lake that keeps its own pages. */
export function addressOf(lakeUri: string, key: string): string {
  return `${lakeUri.replace(/\/+$/, '')}/${key}`;
}

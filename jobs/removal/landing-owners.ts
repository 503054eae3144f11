import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../base/errors.ts';
import { hashFile, hashText } from '../base/hash.ts';
import { fileNameWithoutPersonal } from '../base/personal-fields.ts';
import type { Effects } from '../effects/index.ts';
import { readHead } from '../formats/input.ts';
import { packingOf } from '../formats/packing.ts';
import { openArchive } from '../formats/zip.ts';
import { landingName, PREFIX } from '../lake/keys.ts';
import type { BronzeFile } from '../lake/manifest.ts';

/** A file that waits in landing, or was kept there, and the loaded (or refused) files that it is or holds. */
export interface LandingFile {
  key: string;
  name: string;
  /** Empty: no `load` has met it, so nobody can say whose it is. */
  known: readonly BronzeFile[];
}

/**
 * Looks into every file in landing and finds its content in the index by hash, as `load` would. Zips are
 * unpacked aside.
 */
export async function landingFiles(index: readonly BronzeFile[], effects: Effects): Promise<LandingFile[]> {
  const { store, scratch } = effects;
  const bySource = Map.groupBy(index, ({ sourceKey }) => sourceKey);
  const files: LandingFile[] = [];
  for await (const { key } of store.list(PREFIX.landing)) {
    const name = fileNameWithoutPersonal(landingName(key));
    const path = await store.localFile(key);
    if (!(await lstat(path)).isFile()) {
      files.push({ key, name, known: [] });
      continue;
    }
    const aside = join(scratch, 'landing-content');
    try {
      const hashes = await hashesIn(path, name, aside);
      files.push({ key, name, known: hashes.flatMap((hash) => bySource.get(hash) ?? []) });
    } finally {
      await rm(aside, { force: true });
    }
  }
  return files;
}

/**
 * Hashes under which `load` knows the file: its own, and of an archive those of its files (or what stands for
 * one that cannot be read).
 */
async function hashesIn(path: string, name: string, aside: string): Promise<string[]> {
  const sha256 = await hashFile(path);
  try {
    if (packingOf(await readHead(path, name, 4))?.as !== 'zip') return [sha256];
    const archive = await openArchive(path);
    const hashes = [sha256];
    try {
      for (const entry of archive.entries) {
        hashes.push(hashText(`${sha256}/${entry.name}`));
        if (entry.refusal !== undefined) continue;
        try {
          await entry.unpack(aside);
          hashes.push(await hashFile(aside));
        } catch (error) {
          if (!(error instanceof JobError && error.exit === 'data')) throw error;
        } finally {
          await rm(aside, { force: true });
        }
      }
    } finally {
      archive.close();
    }
    return hashes;
  } catch (error) {
    if (error instanceof JobError && error.exit === 'data') return [sha256]; // load refuses it under its own hash
    throw error;
  }
}

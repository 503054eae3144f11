import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { diskError, diskErrorInWords } from '../../base/disk.ts';
import { isErrno } from '../../base/errors.ts';
import { PREFIX } from '../../lake/keys.ts';
import { literalPath, messageOf, quoteText } from './database.ts';

/** What a catalog's readers have of the machine. */
export interface ReaderOptions {
  /** The lake's folder, absolute. */
  root: string;
  /** Where they spill. */
  scratch: string;
  /** In MiB. */
  memoryMb: number;
  threads: number;
}

/** An open catalog: one version of it, whatever is renamed over it meanwhile. */
export interface Reader {
  instance: DuckDBInstance;
  /** Inode and time of the file it was opened from. */
  version: string;
  fingerprint: string;
  queries: number;
  isReplaced: boolean;
}

/**
 * Opens a catalog for reading: the lake's tables, and no other file.
 *
 * @param version of the file, as `versionOf` says it
 * @param written folders that statements may write to besides; none for what people ask
 * @returns undefined where the file is no catalog that can be read
 * @throws what the engine says of a disk or a system that refuses
 */
export async function openCatalog(
  path: string,
  version: string,
  options: ReaderOptions,
  written: readonly string[] = [],
): Promise<Reader | undefined> {
  let instance: DuckDBInstance | undefined;
  try {
    instance = await DuckDBInstance.create(path, {
      access_mode: 'READ_ONLY',
      memory_limit: `${options.memoryMb}MiB`,
      threads: String(options.threads),
      temp_directory: join(options.scratch, 'spill'),
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connection = await instance.connect();
    const rows = (await connection.runAndReadAll('select fingerprint from main.catalog_version')).getRowsJS();
    await connection.run(`set global TimeZone = 'UTC'`);
    await connection.run('set global integer_division = true');
    const data = [PREFIX.bronze, PREFIX.silver, PREFIX.gold, `${PREFIX.state}checks/`].map((prefix) =>
      join(options.root, prefix),
    );
    const outside = written.map((folder) => (folder.endsWith('/') ? folder : `${folder}/`));
    const folders = [...data, ...data.map(literalPath), ...outside].map(quoteText);
    await connection.run(`set global allowed_directories = [${folders.join(', ')}]`);
    await connection.run('set global enable_external_access = false');
    await connection.run('set global lock_configuration = true');
    connection.closeSync();
    return { instance, version, fingerprint: String(rows[0]?.[0]), queries: 0, isReplaced: false };
  } catch (error) {
    instance?.closeSync();
    // Not a catalog of ours, cut short, or of another version of the engine: it is derived, so it is made
    // anew.
    if (/Out of Memory/i.test(messageOf(error)) || diskErrorInWords(error) !== error) throw error;
    return undefined;
  }
}

/** Closes a reader that has been replaced, once nobody asks it any more. */
export function closeUnused(reader: Reader): void {
  if (reader.isReplaced && reader.queries === 0) reader.instance.closeSync();
}

/** Inode and time of a file; undefined where there is none. */
export async function versionOf(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path, { bigint: true });
    return `${found.ino}-${found.mtimeNs}-${found.size}`;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw diskError(error, path);
  }
}

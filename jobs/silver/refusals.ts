import { quoteText } from '../engine/duckdb/database.ts';
import { type BronzeFile, getState, type LakeState, putState, type Refusal } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import type { Build, Refusals } from './build.ts';
import { codeHash } from './fan-out/staging.ts';

/**
 * Codes of a file that is refused whole: a statement fails on it, or it alone does not fit into the engine's
 * memory.
 */
export const FAILED = 'transform_failed';
export const MEMORY = 'transform_memory';

/** What is refused at a commit. A file that is gone from bronze, or was rewritten, is not any more. */
export async function readRefusals(
  store: LakeStore,
  state: LakeState,
  index: readonly BronzeFile[],
  memoryMb: number,
): Promise<Refusals> {
  const byKey = new Map<string, Refusal>();
  const triedAgain = new Set<string>();
  if (state.refusals === undefined) return { byKey, triedAgain };
  const hashes = new Map(index.map((file) => [file.key, file.sha256]));
  for (const refusal of await getState<Refusal[]>(store, state.refusals)) {
    if (hashes.get(refusal.key) !== refusal.sha256) continue;
    const isAsThen = refusal.codeHash === codeHash() && (refusal.code !== MEMORY || memoryMb <= refusal.memoryMb);
    if (isAsThen) byKey.set(refusal.key, refusal);
    else triedAgain.add(refusal.key);
  }
  return { byKey, triedAgain };
}

/** The part of a state that remembers refusals. */
export async function putRefusals(store: LakeStore, { byKey }: Refusals): Promise<Pick<LakeState, 'refusals'>> {
  return byKey.size === 0 ? {} : { refusals: await putState(store, 'refusals', [...byKey.values()]) };
}

/**
 * Files that `load` has refused and that are loaded by now: the same content (under another name, or by a
 * newer version), or, later, a mended file of that name and label. Of an archive any file in it is enough.
 *
 * @returns with the file that was loaded
 */
export function liftedFiles(index: readonly BronzeFile[]): Map<BronzeFile, BronzeFile> {
  const refused = index.filter(({ table }) => table === 'refused');
  if (refused.length === 0) return new Map();
  const byContent = new Map<string, BronzeFile>();
  const byName = new Map<string, BronzeFile>();
  for (const file of index) {
    if (file.table === 'refused') continue;
    byContent.set(file.sourceKey, file);
    for (const name of namesAround(file.fileName)) byName.set(name, file);
  }
  return new Map(
    refused.flatMap((file) => {
      const same = byContent.get(file.sourceKey);
      const named = byName.get(file.fileName);
      const isMended =
        named !== undefined &&
        named.sequence > file.sequence &&
        (named.userId === null || file.userId === null || named.userId === file.userId);
      const loaded = same ?? (isMended ? named : undefined);
      return loaded === undefined ? [] : [[file, loaded] as const];
    }),
  );
}

/** `a.zip/b/c.json`, and what it lies in: `a.zip/b`, `a.zip`. */
function namesAround(name: string): string[] {
  const parts = name.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/**
 * The index as builders of silver see it: a file that is refused whole is one thing that is read, and no
 * table's.
 */
export function withoutRefused(index: readonly BronzeFile[], { byKey }: Refusals): BronzeFile[] {
  return index.map((file) => (byKey.has(file.key) ? { ...file, table: 'refused', readRows: 1 } : file));
}

/** Adds those of the files that `transform` refuses to `refused_rows`, a row for each. */
export async function addRefusals({ db, refusals }: Build, files: readonly BronzeFile[]): Promise<void> {
  for (const { key, sourceKey, fileName, kind } of files) {
    const refusal = refusals.byKey.get(key);
    if (refusal === undefined) continue;
    await db.rows(
      `insert into refused_rows (source, file_name, source_key, row_number, code, reason) values ($1, $2, $3, 0, $4, $5)`,
      [kind, fileName.replaceAll('\0', ''), sourceKey, refusal.code, refusal.reason],
    );
  }
}

/**
 * Deletes from `known_quarantine` and `refused_rows` what says that a file was refused, by `load` or by
 * `transform`, and no longer is.
 */
export async function dropLifted({ db, index, lifted, refusals }: Build): Promise<void> {
  const sources = [...lifted.keys()].map(({ sourceKey }) => sourceKey);
  for (let start = 0; start < sources.length; start += 1000) {
    const some = sources.slice(start, start + 1000).map(quoteText);
    const where = `row_number = 0 and code not in ('${FAILED}', '${MEMORY}') and source_key in (${some.join(', ')})`;
    // Among the refused of today they are where another file of the same load still is.
    await db.run(`delete from known_quarantine where ${where}; delete from refused_rows where ${where}`);
  }
  const keys = index.filter(({ key }) => refusals.triedAgain.has(key)).map(({ sourceKey }) => quoteText(sourceKey));
  if (keys.length === 0) return;
  await db.run(
    `delete from known_quarantine where row_number = 0 and code in ('${FAILED}', '${MEMORY}') and source_key in (${keys.join(', ')})`,
  );
}

import { atMost } from '../../base/concurrency.ts';
import { isDamage, JobError } from '../../base/errors.ts';
import { goldTablePrefix, type Target } from '../../lake/keys.ts';
import { hashOf, type OutputFile, objectsOf } from '../../lake/manifest.ts';
import type { LakeStore } from '../../lake/store.ts';
import type { BuildRequest, DeclaredColumn } from '../index.ts';
import { goldTable } from './catalog.ts';
import type { StatementRunner } from './client.ts';
import type { Places } from './places.ts';
import { verifyGold } from './relations.ts';
import { identifier } from './sql.ts';

/** A build whose statement fails on Athena's side is begun anew under another prefix this often. */
const BUILDS_MAX = 3;
/** Prefixes that may be taken by attempts of a killed process. */
const ATTEMPTS_MAX = 20;
/** Objects of a table that S3 copies at the same time. */
const COPIES_AT_ONCE = 8;
/** Up to so many rows a table is sorted as a whole: some 200 MB on the one machine that holds them then. */
const SORTED_ROWS_MAX = 2_000_000;
/** The largest limit there is. */
const LIMIT_MAX = 2_147_483_647;

/**
 * Writes the rows of a select under a prefix that nobody has used, and makes the run's table point at it.
 *
 * @param request.rowsExpected of the version before, or of what the model is made of
 * @throws `run_id_taken` (64); `engine_failed`, `engine_timeout` (69; retry helps); what the statement runner
 *   and the catalog throw
 */
export async function buildTable(
  parts: Places & { runner: StatementRunner },
  statement: { database: string; workGroup: string },
  request: BuildRequest & { target: Target; runId: string; name: string; rowsExpected: number },
): Promise<OutputFile> {
  const { store, runner, catalog, lakeUri } = parts;
  return onUnusedPrefix(store, request, goldPrefixOf(request), async (prefix, attempt) => {
    await catalog.put(statement.database, goldTable(request.name, request.columns, `${lakeUri}/${prefix}`));
    const finished = await runner.run({
      ...statement,
      sql: insertOf(`${identifier(statement.database)}.${identifier(request.name)}`, request),
      identity: [request.runId, 'build', request.model, attempt],
      isRepeatable: false,
    });
    const objects = await objectsOf(store, prefix);
    const rows = await runner.rowsWritten(finished);
    if (rows === undefined) throw new Error(`Athena does not say how many rows it wrote for ${request.model}`);
    return {
      key: prefix,
      rows,
      bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
      sha256: hashOf(prefix, objects),
    };
  });
}

/**
 * Copies the objects of a table to a prefix that nobody has used, and makes the run's table point at it.
 *
 * @throws `object_missing`, `object_damaged` (65) where they are not the committed ones; `run_id_taken` (64);
 *   what the store and the catalog throw
 */
export async function copyTable(
  { store, catalog, lakeUri }: Places,
  database: string,
  table: Place & { name: string; columns: readonly DeclaredColumn[]; from: OutputFile },
): Promise<OutputFile> {
  const { from } = table;
  const objects = await verifyGold({ store }, from);
  return onUnusedPrefix(store, table, goldPrefixOf(table), async (prefix) => {
    await catalog.put(database, goldTable(table.name, table.columns, `${lakeUri}/${prefix}`));
    await atMost(COPIES_AT_ONCE, objects, ({ key }) => store.copy(key, `${prefix}${key.slice(from.key.length)}`));
    const copies = await objectsOf(store, prefix);
    // Versions are compared only with themselves: under some keys of encryption the same bytes get another
    // one.
    const sizesOf = (of: typeof objects, start: string): string =>
      of.map(({ key, bytes }) => `${key.slice(start.length)} ${bytes}`).join('\n');
    if (sizesOf(copies, prefix) !== sizesOf(objects, from.key))
      throw new Error(`the copy of ${from.key} at ${prefix} has other objects`);
    return { ...from, key: prefix, sha256: hashOf(prefix, copies) };
  });
}

/**
 * Makes the run's table point at the objects of a table that an older run has built: publishing and readers
 * ask for tables by their run.
 *
 * @returns false where the objects are not the committed ones; Glue is as it was then
 */
export async function takeTable(
  { store, catalog, lakeUri }: Places,
  database: string,
  { name, columns, file }: { name: string; columns: readonly DeclaredColumn[]; file: OutputFile },
): Promise<boolean> {
  try {
    await verifyGold({ store }, file);
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
  await catalog.put(database, goldTable(name, columns, `${lakeUri}/${file.key}`));
  return true;
}

/** Where a table of a run is to lie. */
interface Place {
  target: Target;
  runId: string;
  model: string;
}

function goldPrefixOf({ target, runId, model }: Place): (attempt: number) => string {
  return (attempt) => goldTablePrefix(target, runId, model, attempt);
}

/**
 * Writes a table of a run under a prefix where nothing lies: an attempt that has left anything, whole or not,
 * is not written to again. What fails on Athena's side is begun anew under the next one, a few times.
 *
 * @throws `run_id_taken` (64) after the last prefix; what the action throws
 */
export async function onUnusedPrefix<T>(
  store: LakeStore,
  { runId, model }: Pick<Place, 'runId' | 'model'>,
  prefixOf: (attempt: number) => string,
  action: (prefix: string, attempt: number) => Promise<T>,
): Promise<T> {
  let begun = 0;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const prefix = prefixOf(attempt);
    if ((await objectsOf(store, prefix)).length > 0) continue;
    begun += 1;
    try {
      return await action(prefix, attempt);
    } catch (error) {
      const isAthenas = error instanceof JobError && /^engine_(failed|timeout)$/.test(error.code);
      if (!isAthenas || begun >= BUILDS_MAX) throw error;
    }
  }
  throw new JobError('run_id_taken', 'usage', `the run ${runId} has tried ${ATTEMPTS_MAX} times to write ${model}`, {
    hint: 'give the run another id',
  });
}

/**
 * The engine leaves out the order of what it inserts, unless a limit depends on it, and what a limit depends
 * on is held by one machine: only what fits there is sorted. A window over each value of the first column was
 * tried for large tables: on a busy engine several machines' rows come mixed, so it promises nothing.
 */
function insertOf(
  table: string,
  { select, columns, sort, rowsExpected }: BuildRequest & { rowsExpected: number },
): string {
  const typed = columns.map(({ name, type }) => {
    const precise = type === 'timestamp' ? 'timestamp(3)' : type;
    return `cast(${identifier(name)} as ${precise}) as ${identifier(name)}`;
  });
  const isSorted = sort.length > 0 && rowsExpected <= SORTED_ROWS_MAX;
  const keys = sort.map((name) => `${identifier(name)} nulls last`).join(', ');
  const order = isSorted ? `\norder by ${keys}\nlimit ${LIMIT_MAX}` : '';
  return `insert into ${table}\nselect ${typed.join(', ')}\nfrom (${select}\n) as model${order}`;
}

import { JobError } from '../errors.ts';
import { goldTablePrefix, type Target } from '../lake/keys.ts';
import { hashOf, type OutputFile, objectsOf } from '../lake/manifest.ts';
import { goldTable } from './athena-catalog.ts';
import type { StatementRunner } from './athena-client.ts';
import type { Places } from './athena-places.ts';
import { identifier } from './athena-sql.ts';
import type { BuildRequest } from './index.ts';

/** A build whose statement fails on Athena's side is begun anew under another prefix this often. */
const BUILDS_MAX = 3;
/** Prefixes that may be taken by attempts of a killed process. */
const ATTEMPTS_MAX = 20;
/** The largest limit there is; a table of more rows is no longer one that a model should sort. */
const SORTED_ROWS_MAX = 2_147_483_647;

/**
 * Writes the rows of a select under a prefix that nobody has used, and makes the run's table point at it.
 *
 * @throws `run_id_taken` (64); `engine_failed`, `engine_timeout` (69; retry helps); what the statement runner and the catalog throw
 */
export async function buildTable(
  parts: Places & { runner: StatementRunner },
  statement: { database: string; workGroup: string },
  request: BuildRequest & { target: Target; runId: string; name: string },
): Promise<OutputFile> {
  const { store, runner, catalog, lakeUri } = parts;

  let builds = 0;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const prefix = goldTablePrefix(request.target, request.runId, request.model, attempt);
    // An attempt that has left anything, whole or not, is not written to again.
    if ((await objectsOf(store, prefix)).length > 0) continue;
    await catalog.put(statement.database, goldTable(request.name, request.columns, `${lakeUri}/${prefix}`));
    builds += 1;
    try {
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
    } catch (error) {
      const isAthenas = error instanceof JobError && /^engine_(failed|timeout)$/.test(error.code);
      if (!isAthenas || builds >= BUILDS_MAX) throw error;
    }
  }
  throw new JobError(
    'run_id_taken',
    'usage',
    `the run ${request.runId} has tried ${ATTEMPTS_MAX} times to write ${request.model}`,
    {
      hint: 'give the run another id',
    },
  );
}

function insertOf(table: string, { select, columns, sort }: BuildRequest): string {
  const typed = columns.map(({ name, type }) => {
    const precise = type === 'timestamp' ? 'timestamp(3)' : type;
    return `cast(${identifier(name)} as ${precise}) as ${identifier(name)}`;
  });
  // The engine leaves out the order of what it inserts, unless a limit depends on it.
  const keys = sort.map((name) => `${identifier(name)} nulls last`).join(', ');
  const order = sort.length === 0 ? '' : `\norder by ${keys}\nlimit ${SORTED_ROWS_MAX}`;
  return `insert into ${table}\nselect ${typed.join(', ')}\nfrom (${select}\n) as model${order}`;
}

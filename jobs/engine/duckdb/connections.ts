/**
 * What every command asks of the engine before it needs one: nothing here loads the driver, which would take
 * a third of the time of `--help`.
 */
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { JobError } from '../../base/errors.ts';

/** Every connection of this process on which a statement may be at work. */
const connections = new Set<DuckDBConnection>();

/** A connection that `interruptStatements` reaches until `disconnect` closes it. */
export async function connectTo(instance: DuckDBInstance): Promise<DuckDBConnection> {
  const connection = await instance.connect();
  connections.add(connection);
  return connection;
}

export function disconnect(connection: DuckDBConnection): void {
  connections.delete(connection);
  connection.closeSync();
}

/**
 * Makes every statement that is at work in this process fail. Before `process.exit`, which waits for the
 * threads they run on: a join that takes an hour would keep the process for that hour.
 */
export function interruptStatements(): void {
  for (const connection of connections) connection.interrupt();
}

/**
 * @throws `lake_path_invalid` (78) for a folder whose files the engine's readers cannot name, before anything
 *   is made in it
 */
export function refuseUnusablePath(folder: string): void {
  if (!folder.includes('?')) return;
  throw new JobError('lake_path_invalid', 'config', `a lake cannot lie in ${folder}: its path has a question mark`, {
    hint: 'use another folder',
  });
}

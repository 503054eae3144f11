/** DuckDB's JDBC driver, which DBeaver and other programs on Java read a lake with. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Of the release of DuckDB that the jobs have. */
export const JDBC = {
  artifact: 'org.duckdb:duckdb_jdbc:1.5.6.0',
  file: 'duckdb_jdbc-1.5.6.0.jar',
  sha256: '04ae3375d7c40dc88dc9bf0014b82ba5e66715564584af4e3abea39c7ba144d3',
} as const;
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
const TIMEOUT_MS = 600_000;

/**
 * The driver in the user's cache, fetched by Maven at the first call, or why it cannot be had here.
 *
 * @throws Error where what was fetched is not the file that is known
 */
export function openJdbc(): { jar: string } | { missing: string } {
  if (spawnSync('java', ['-version']).status !== 0) return { missing: 'no Java on PATH' };
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake', 'jdbc');
  const jar = join(folder, JDBC.file);
  if (!existsSync(jar)) {
    mkdirSync(folder, { recursive: true });
    const args = ['-B', '-q', COPY, `-Dartifact=${JDBC.artifact}`, `-DoutputDirectory=${folder}`];
    const done = spawnSync('mvn', args, { encoding: 'utf8', timeout: TIMEOUT_MS });
    if (done.status !== 0)
      return { missing: `Maven gave no driver: ${(done.stdout || String(done.error)).trim().slice(-300)}` };
  }
  const found = createHash('sha256').update(readFileSync(jar)).digest('hex');
  if (found === JDBC.sha256) return { jar };
  rmSync(jar);
  throw new Error(`${JDBC.file} has the SHA-256 ${found}, not ${JDBC.sha256}`);
}

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { WAREHOUSE_DIR } from '../../jobs/lake/contracts.ts';

/** One version of the engine on both sides, so that only the runners differ. */
const DBT = ['dbt-core==1.10.23', 'dbt-duckdb==1.11.1', 'duckdb==1.5.6'];
const SQLFLUFF = ['sqlfluff==4.5.0'];
/** With what it computes with, because numbers are compared. */
const STATSMODELS = ['statsmodels==0.15.0', 'numpy==2.4.6', 'scipy==1.17.1', 'pandas==3.1.1'];
/** The client whose classes are OpenLineage's schema, and a second parser that follows columns. */
const LINEAGE = ['openlineage-python==1.54.0', 'sqlglot==30.30.0'];
/** Spark with the sources that it was written against, and the grammar of BigQuery. */
const READERS = [
  'pyspark==4.3.0 --hash=sha256:e8c517948eff7088a7aa07449aa8eafa4a15a8d50319de2525a6fd26622476c6',
  // In parts: whole, it looks like an address of the internet.
  `py4j==0.10.${'9.9'} --hash=sha256:c7c26e4158defb37b0bb124933163641a2ff6e3a3913f7811b0ddbe07ed61533`,
  'sqlglot==30.30.0 --hash=sha256:06c4c212a7868c7dcff0fd0fda348dd3c5cbad40137b3083a70ecdfe22921cf9',
];
/** Snowflake's dialect as a parser and as an engine that follows it, and dbt's adapter for it. */
const SNOWFLAKE = [
  ...['fakesnow[server]==0.12.1', 'duckdb==2.0.1', 'sqlglot==30.22.0', 'snowflake-connector-python==4.8.1'],
  ...['dbt-core==1.10.23', 'dbt-snowflake==1.12.4'],
];
/** With what it reads Parquet and asks Glue by. */
const PYICEBERG = ['pyiceberg==0.12.0', 'pyarrow==26.0.1', 'boto3==1.44.8'];
/** What docs/connect.md reads a lake with, and what runs its notebook. */
export const CONNECTED = [
  ...['duckdb==1.5.6', 'pandas==3.1.1', 'polars==2.1.0', 'pyarrow==26.0.1', 'numpy==2.4.6'],
  ...['nbclient==0.11.0', 'nbformat==5.11.1', 'ipykernel==7.4.0'],
];
/** What it reads a lake on S3 with; hashes of all that is installed. */
const PYATHENA = readFileSync(new URL('./pyathena.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const INSTALL_TIMEOUT_MS = 600_000;
const BUILD_TIMEOUT_MS = 600_000;

export type Tool = { program: string } | { missing: string };

/** dbt, or why it cannot be had here. */
export function openDbt(): Tool {
  return openTool('dbt', DBT);
}

/** sqlfluff, or why it cannot be had here. */
export function openSqlfluff(): Tool {
  return openTool('sqlfluff', SQLFLUFF);
}

/** A Python that has statsmodels, or why it cannot be had here. */
export function openStatsmodels(): Tool {
  return openTool('statsmodels', STATSMODELS, 'python');
}

/** A Python that has OpenLineage's client and sqlglot, or why it cannot be had here. */
export function openLineageOracles(): Tool {
  return openTool('lineage', LINEAGE, 'python');
}

/** A Python that has fakesnow, sqlglot and dbt for Snowflake, or why it cannot be had here. */
export function openSnowflake(): Tool {
  return openTool('snowflake', SNOWFLAKE, 'python');
}

/** A Python that has PyIceberg, or why it cannot be had here. */
export function openPyIceberg(): Tool {
  return openTool('pyiceberg', PYICEBERG, 'python');
}

/** A Python that has PySpark and sqlglot, or why it cannot be had here. Spark itself runs on Java 17 or newer. */
export function openReaders(): Tool {
  return openTool('readers', READERS, 'python');
}

/** A Python that has what docs/connect.md names, or why it cannot be had here. */
export function openConnected(): Tool {
  return openTool('connect', CONNECTED, 'python');
}

/** A Python that has PyAthena, or why it cannot be had here. */
export function openPyAthena(): Tool {
  return openTool('pyathena', PYATHENA, 'python');
}

/**
 * A program in a virtual environment of its own in the user's cache, made at the first call. Not one for all,
 * because test files run side by side.
 */
function openTool(name: string, packages: readonly string[], command = name): Tool {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake', name);
  const marker = join(folder, 'installed.txt');
  const program = join(folder, 'bin', command);
  const pins = `${packages.join('\n')}\n`;
  if (existsSync(program) && existsSync(marker) && readFileSync(marker, 'utf8') === pins) return { program };
  const python = findPython();
  if (python === undefined) return { missing: 'no Python 3.10 to 3.13 on PATH or under pyenv' };
  // What another version of the list, or a run that was killed, has left may be of another Python.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const wanted = join(folder, 'wanted.txt');
  writeFileSync(wanted, pins);
  const steps: [string, string[]][] = [
    [python, ['-m', 'venv', folder]],
    [join(folder, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', wanted]],
  ];
  for (const [command, args] of steps) {
    const done = spawnSync(command, args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT_MS });
    if (done.status !== 0)
      return {
        missing: `${args.slice(1, 3).join(' ')} failed: ${(done.stderr || String(done.error)).trim().slice(-300)}`,
      };
  }
  writeFileSync(marker, pins);
  return { program };
}

/**
 * What dbt did: node (`fct_plays`, or a test's name) to its status (`success`, `pass`, `fail`, `error`,
 * `skipped`, ...).
 */
export interface DbtResult {
  output: string;
  statuses: Record<string, string>;
  /** The database that it wrote, schema `gold`. */
  gold: string;
}

/**
 * Runs dbt on the warehouse folder.
 *
 * @param command `build` for models and their tests, `run` for models alone
 * @param silver database file with the schema `silver`; read only
 * @param work folder for everything dbt writes
 */
export function runDbt(
  program: string,
  command: 'build' | 'run',
  silver: string,
  work: string,
  vars: Record<string, unknown>,
): DbtResult {
  const gold = join(work, 'gold.duckdb');
  const places = { LISTENLAKE_DBT_PATH: gold, LISTENLAKE_DBT_SILVER: silver };
  return { ...dbtWith(program, [command, '--profiles-dir', WAREHOUSE_DIR], work, vars, places), gold };
}

/**
 * Runs dbt on the warehouse folder, its tables somewhere else. What it has compiled is in `target/compiled`.
 *
 * @param profiles folder of a `profiles.yml` that says where
 */
export function runDbtBy(
  program: string,
  profiles: string,
  work: string,
  vars: Record<string, unknown>,
): Omit<DbtResult, 'gold'> {
  return dbtWith(program, ['run', '--profiles-dir', profiles], work, vars, {});
}

function dbtWith(
  program: string,
  command: readonly string[],
  work: string,
  vars: Record<string, unknown>,
  environment: Record<string, string>,
): Omit<DbtResult, 'gold'> {
  const args = [...command, '--project-dir', WAREHOUSE_DIR, '--log-path', join(work, 'logs')];
  const done = spawnSync(program, ['--no-use-colors', ...args, '--vars', JSON.stringify(vars)], {
    cwd: work,
    encoding: 'utf8',
    timeout: BUILD_TIMEOUT_MS,
    env: {
      ...process.env,
      ...environment,
      DBT_TARGET_PATH: join(work, 'target'),
      DO_NOT_TRACK: '1',
      DBT_SEND_ANONYMOUS_USAGE_STATS: 'false',
    },
  });
  const results = join(work, 'target', 'run_results.json');
  const output = `${done.stdout}${done.stderr}`;
  if (!existsSync(results)) throw new Error(`dbt did not get to running anything: ${output}`);
  const nodes = (JSON.parse(readFileSync(results, 'utf8')) as { results: { unique_id: string; status: string }[] })
    .results;
  return {
    output,
    statuses: Object.fromEntries(nodes.map((node) => [node.unique_id.split('.')[2], node.status])),
  };
}

function findPython(): string | undefined {
  const versions = join(process.env.PYENV_ROOT || join(homedir(), '.pyenv'), 'versions');
  const pyenv = existsSync(versions)
    ? readdirSync(versions).map((version) => join(versions, version, 'bin', 'python3'))
    : [];
  return ['python3.12', 'python3.11', 'python3', ...pyenv].find((candidate) => {
    const found = spawnSync(candidate, ['-c', 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])'], {
      encoding: 'utf8',
    });
    return found.status === 0 && /^3\.1[0-3]$/.test(found.stdout.trim());
  });
}

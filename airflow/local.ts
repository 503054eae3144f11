/**
 * `make airflow`: Airflow 3 on this machine, with the DAGs of this folder, on a lake in a folder; its jobs are containers.
 *
 * The components are started one by one and ended by their process ids: `airflow standalone` leaves children behind when it is ended.
 * SQLite and LocalExecutor are enough for one person. For others: compose.yaml beside this, and docs/airflow.md.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const REQUIREMENTS = [join(HERE, 'requirements-local.txt'), join(HERE, 'tests', 'requirements.txt')];
const INSTALLER = 'uv==0.13.9';
// Compiled at once, because nothing is later: importing the Kubernetes client took a DAG half a minute on a busy machine, each time.
const INSTALL = ['--quiet', '--compile-bytecode', '--require-hashes'];
const INSTALL_TIMEOUT_MS = 900_000;
const HEALTHY_TIMEOUT_MS = 300_000;
/** A job that is stopped may end its unit first (airflow/include/job.py). */
const STOP_TIMEOUT_MS = 45_000;
const COMPONENTS = ['api-server', 'scheduler', 'dag-processor', 'triggerer'] as const;

export interface AirflowOptions {
  /** Airflow's own database, logs and password; made if absent. */
  home: string;
  lake: string;
  /** Folder with files to take in. */
  inbox: string;
  image: string;
  port?: number;
  /** More variables, for Airflow and for jobs. They win. */
  env?: Record<string, string>;
}

export interface Airflow {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** As every component has it. */
  readonly env: Record<string, string>;
  /** One call of REST v2, by its path below /api/v2; throws on any status but 2xx. */
  call(method: string, path: string, body?: unknown): Promise<unknown>;
  /** The process id of a component. */
  pidOf(component: (typeof COMPONENTS)[number]): number;
  /** Ends all that was started here, containers of jobs too. */
  stop(): Promise<void>;
}

/**
 * Airflow and what tests its DAGs, in a virtual environment in the user's cache, made at the first call: exactly what requirements-local.txt
 * lists, checked by hash.
 * @returns the folder of its programs, or why it cannot be had here
 */
export function openAirflow(): { bin: string } | { missing: string } {
  const hash = createHash('sha256');
  for (const file of REQUIREMENTS) hash.update(readFileSync(file));
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake');
  const folder = join(cache, `airflow-${hash.digest('hex').slice(0, 16)}`);
  const bin = join(folder, 'bin');
  const marker = join(folder, 'installed');
  if (existsSync(marker)) return { bin };
  const python = findPython();
  if (python === undefined) return { missing: 'no Python 3.12 or 3.13 with venv on PATH or under pyenv' };
  rmSync(folder, { recursive: true, force: true });
  const files = REQUIREMENTS.flatMap((file) => ['-r', file]);
  const steps: [string, string[]][] = [
    [python, ['-m', 'venv', folder]],
    [join(bin, 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', INSTALLER]],
    // pip itself takes ten times as long for this many packages.
    [join(bin, 'uv'), ['pip', 'install', ...INSTALL, '--python', join(bin, 'python'), ...files]],
  ];
  for (const [program, args] of steps) {
    const done = spawnSync(program, args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT_MS });
    if (done.status !== 0)
      return {
        missing: `${args.slice(0, 3).join(' ')} failed: ${(done.stderr || String(done.error)).trim().slice(-300)}`,
      };
  }
  writeFileSync(marker, '');
  return { bin };
}

function findPython(): string | undefined {
  const versions = join(process.env.PYENV_ROOT || join(homedir(), '.pyenv'), 'versions');
  const pyenv = existsSync(versions) ? readdirSync(versions).map((name) => join(versions, name, 'bin', 'python3')) : [];
  return ['python3.12', 'python3.13', 'python3', ...pyenv].find((candidate) => {
    const probe = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])';
    const found = spawnSync(candidate, ['-c', probe], { encoding: 'utf8' });
    return found.status === 0 && /^3\.1[23]$/.test(found.stdout.trim());
  });
}

/** The settings of Airflow's components, and of `airflow` commands beside them. */
export function airflowSettings({
  home,
  lake,
  inbox,
  image,
  port,
}: AirflowOptions & { port: number }): Record<string, string> {
  const owner = statSync(lake);
  return {
    // The DAGs import `include`, as on Astro, where the project's folder is on the path.
    PYTHONPATH: HERE,
    PYTHONDONTWRITEBYTECODE: '1',
    AIRFLOW_HOME: home,
    AIRFLOW__CORE__DAGS_FOLDER: join(HERE, 'dags'),
    AIRFLOW__CORE__LOAD_EXAMPLES: 'false',
    AIRFLOW__CORE__EXECUTOR: 'LocalExecutor',
    AIRFLOW__CORE__PARALLELISM: '8',
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS: 'admin:admin',
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE: join(home, 'passwords.json'),
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL: `http://127.0.0.1:${port}/execution/`,
    AIRFLOW__API__HOST: '127.0.0.1',
    AIRFLOW__API__PORT: String(port),
    AIRFLOW__API__WORKERS: '1',
    AIRFLOW__API__BASE_URL: `http://127.0.0.1:${port}`,
    AIRFLOW__API__SECRET_KEY: kept(home, 'secret-key'),
    AIRFLOW__API_AUTH__JWT_SECRET: kept(home, 'jwt-secret'),
    AIRFLOW__CORE__FERNET_KEY: Buffer.from(kept(home, 'fernet-key'), 'hex').toString('base64url').concat('='),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: `sqlite:///${join(home, 'airflow.db')}`,
    // A killed worker's container may use its grace before Airflow takes the task for lost.
    AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME: '60',
    LISTENLAKE_JOB_RUNNER: 'docker',
    LISTENLAKE_JOB_IMAGE: image,
    LISTENLAKE_JOB_INBOX: inbox,
    LISTENLAKE_JOB_POOL: 'listenlake_writer',
    // A lake in a folder belongs to whoever writes it.
    LISTENLAKE_JOB_USER: `${owner.uid}:${owner.gid}`,
    LISTENLAKE_LAKE: lake,
  };
}

/** The command `airflow` with the settings of this Airflow, for a person in another shell. It holds no secret but Airflow's own keys. */
function writeCommand(bin: string, home: string, settings: Record<string, string>): void {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const lines = Object.entries(settings).map(([name, value]) => `export ${name}=${quoted(value)}`);
  const file = join(home, 'airflow');
  rmSync(file, { force: true });
  writeFileSync(file, ['#!/bin/sh', ...lines, `exec ${quoted(join(bin, 'airflow'))} "$@"`, ''].join('\n'), {
    mode: 0o700,
  });
}

/** A random key of this Airflow, the same at every start. */
function kept(home: string, name: string): string {
  const file = join(home, name);
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

/**
 * Starts the four components and waits until all are healthy.
 * @throws where one ends or is not healthy in time, with the end of its log; what was started is ended
 */
export async function startAirflow(bin: string, options: AirflowOptions): Promise<Airflow> {
  const { home, lake } = options;
  for (const folder of [home, lake, options.inbox]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const port = options.port ?? (await freePort());
  const settings = airflowSettings({ ...options, port });
  writeCommand(bin, home, settings);
  const env = {
    ...(process.env as Record<string, string>),
    PATH: `${bin}:${process.env.PATH ?? ''}`,
    ...settings,
    ...options.env,
  };
  const user = 'admin';
  const password = kept(home, 'password').slice(0, 16);
  writeFileSync(join(home, 'passwords.json'), JSON.stringify({ [user]: password }), { mode: 0o600 });
  for (const args of [
    ['db', 'migrate'],
    ['pools', 'set', 'listenlake_writer', '1', 'The lake has one writer', '--include-deferred'],
  ]) {
    const done = spawnSync(join(bin, 'airflow'), args, { env, encoding: 'utf8', timeout: HEALTHY_TIMEOUT_MS });
    if (done.status !== 0)
      throw new Error(`airflow ${args.join(' ')}: ${`${done.stdout}${done.stderr}`.trim().slice(-1000)}`);
  }
  const logOf = (name: string): string => join(home, `${name}.log`);
  const processes = new Map<string, ChildProcess>();
  for (const name of COMPONENTS) {
    const log = openSync(logOf(name), 'a', 0o600);
    // A group of its own: a Ctrl-C is ours to pass on, and none of its children can be missed.
    processes.set(
      name,
      spawn(join(bin, 'airflow'), [name], { env, cwd: home, detached: true, stdio: ['ignore', log, log] }),
    );
  }
  const url = `http://127.0.0.1:${port}`;
  let token: string | undefined;
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    token ??= await login(url, user, password);
    const response = await fetch(`${url}/api/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const airflow: Airflow = {
    url,
    user,
    password,
    env,
    call,
    pidOf: (name) => processes.get(name)!.pid!,
    stop: () => stopAll([...processes.values()], lake),
  };
  try {
    await untilHealthy(url, processes, logOf);
  } catch (error) {
    await airflow.stop();
    throw error;
  }
  return airflow;
}

async function login(url: string, username: string, password: string): Promise<string> {
  const response = await fetch(`${url}/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password }),
  });
  if (!response.ok) throw new Error(`login: ${response.status} ${(await response.text()).slice(0, 300)}`);
  return ((await response.json()) as { access_token: string }).access_token;
}

async function untilHealthy(
  url: string,
  processes: Map<string, ChildProcess>,
  logOf: (name: string) => string,
): Promise<void> {
  const deadline = Date.now() + HEALTHY_TIMEOUT_MS;
  let seen = 'no answer';
  while (Date.now() < deadline) {
    for (const [name, child] of processes) {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${readFileSync(logOf(name), 'utf8').slice(-2000)}`);
    }
    try {
      const health = (await (await fetch(`${url}/api/v2/monitor/health`)).json()) as Record<string, { status: string }>;
      seen = JSON.stringify(health);
      const wanted = ['metadatabase', 'scheduler', 'triggerer', 'dag_processor'];
      if (wanted.every((name) => health[name]?.status === 'healthy')) return;
    } catch {
      // Not listening yet.
    }
    await sleep(1_000);
  }
  throw new Error(`not healthy after ${HEALTHY_TIMEOUT_MS / 1000} s: ${seen}`);
}

async function stopAll(processes: ChildProcess[], lake: string): Promise<void> {
  const alive = processes.filter((child) => child.exitCode === null && child.signalCode === null);
  const ended = Promise.all(alive.map((child) => new Promise((done) => child.once('exit', done))));
  for (const child of alive) child.kill('SIGTERM');
  await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
  for (const child of processes) {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // The group is gone, as it should be.
    }
  }
  const listed = spawnSync('docker', ['ps', '-aq', '--filter', 'label=listenlake.task', '--filter', `volume=${lake}`], {
    encoding: 'utf8',
  });
  const left = (listed.stdout ?? '').split('\n').filter(Boolean);
  if (left.length > 0) spawnSync('docker', ['rm', '--force', '--volumes', ...left]);
}

/** A path as a person in this folder types it. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}

async function main(): Promise<void> {
  if (spawnSync('docker', ['version'], { stdio: 'ignore' }).status !== 0) {
    process.stderr.write(
      'airflow: no Docker Engine answers (docker version): the jobs run as containers, so start one first\n',
    );
    process.exit(69);
  }
  process.stdout.write('Airflow: installing it once, into ~/.cache/listenlake (a few minutes), then starting ...\n');
  const opened = openAirflow();
  if ('missing' in opened) {
    process.stderr.write(`airflow: ${opened.missing}\n`);
    process.exit(69);
  }
  const home = resolve('.airflow');
  const lake = resolve(process.env.LISTENLAKE_LAKE || 'lake');
  const inbox = resolve(process.env.LISTENLAKE_JOB_INBOX || 'inbox');
  const airflow = await startAirflow(opened.bin, {
    home,
    lake,
    inbox,
    image: process.env.LISTENLAKE_JOB_IMAGE || 'listenlake:local',
    port: Number(process.env.AIRFLOW_PORT || 8080),
  });
  await airflow.call('PATCH', '/dags/listenlake_daily', { is_paused: false });
  const command = shown(join(home, 'airflow'));
  process.stdout.write(
    `\n  ${airflow.url}   user ${airflow.user}, password ${airflow.password}\n\n` +
      `  lake    ${lake}\n  inbox   ${inbox}: put your export here\n\n` +
      'Trigger listenlake_daily there, or in another shell; without an export of yours on synthetic listening:\n\n' +
      `  ${command} dags trigger listenlake_daily\n` +
      `  ${command} dags trigger listenlake_daily --conf '{"generate_events": true}'\n\n` +
      `The report will be ${shown(join(lake, 'report/report.html'))}. Ctrl-C ends it all.\n`,
  );
  await new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  process.stdout.write('\nending Airflow and what it started ...\n');
  await airflow.stop();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

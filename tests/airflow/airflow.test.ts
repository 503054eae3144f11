/**
 * The DAGs on a real Airflow (api-server, scheduler, dag-processor, triggerer; LocalExecutor, SQLite) with
 * the project's own image on a real Docker Engine. One Airflow for all tests, which build on each other, as
 * days do.
 */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Airflow, openAirflow, startAirflow } from '../../airflow/local.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { listenlake, ROOT } from '../fixtures/command-line.ts';
import { buildImage, docker, IMAGE } from '../fixtures/image.ts';
import { fingerprint, type TableFingerprint } from '../fixtures/lake-tables.ts';
import { DOCKER, layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { hostEngineMissing, startHostEngine } from './host-engine.ts';

/** What `make demo` makes, in small: every kind of file, and years of listening that tasks can share. */
const DEMO = { seed: 7, users: 25, days: 20, tracks: 1_000, exportPlays: 4_000, exportYears: 6 };
/** What comes in later. */
const MORE = { seed: 4, users: 4, days: 4, tracks: 150, exportPlays: 900, exportYears: 2 };
const RUN_MS = 1_200_000;
const CANARY = 'canary-5f2b9c7d41-of-the-pseudonym-key';
const opened = openAirflow();
if ('missing' in opened) layerSkipped('airflow', opened.missing, PYTHON);
const isPossible = !('missing' in opened) && buildImage('airflow');

let folder: string;
let inbox: string;
let lake: string;
let airflow: Airflow | undefined;
let alerts: Server;
const told: string[] = [];

interface TaskInstance {
  task_id: string;
  state: string | null;
  try_number: number;
  rendered_fields: Record<string, unknown>;
}

beforeAll(async () => {
  if (!isPossible) return;
  folder = await mkdtemp(join(tmpdir(), 'listenlake-airflow-'));
  inbox = join(folder, 'inbox');
  lake = join(folder, 'lake');
  await generateIntoFolder({ ...DEMO, end: '2026-11-01', faults: true }, inbox);
  alerts = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => told.push(String(chunk))).on('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(alerts, 'listening');
  const { port } = alerts.address() as AddressInfo;
  const bundles = [join(ROOT, 'airflow/dags'), join(ROOT, 'tests/airflow/dags')].map((path, index) => ({
    name: `dags-${index}`,
    classpath: 'airflow.dag_processing.bundles.local.LocalDagBundle',
    kwargs: { path },
  }));
  airflow = await startAirflow((opened as { bin: string }).bin, {
    home: join(folder, 'home'),
    lake,
    inbox,
    image: IMAGE,
    env: {
      LISTENLAKE_PSEUDONYM_KEY: CANARY,
      // These rows are too few to be shared by themselves; what comes in later stays so.
      LISTENLAKE_JOB_STAGE_ROWS: '2000',
      LISTENLAKE_JOB_RETRY_SECONDS: '5',
      LISTENLAKE_JOB_LATER_SECONDS: '20',
      AIRFLOW_CONN_LISTENLAKE_ALERTS: JSON.stringify({ conn_type: 'http', host: `http://127.0.0.1:${port}/` }),
      AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST: JSON.stringify(bundles),
    },
  });
}, RUN_MS);

afterAll(async () => {
  await airflow?.stop();
  alerts?.close();
  alerts?.closeAllConnections();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}, 900_000);

const describeAirflow = isPossible ? describe : describe.skip;

describe('what needs no run', () => {
  const program = (name: string): string => ('missing' in opened ? name : join(opened.bin, name));
  const itWithPython = 'missing' in opened ? it.skip : it;

  itWithPython('ruff finds nothing in any Python of the project, format included', () => {
    for (const args of [['check'], ['format', '--check']]) {
      const config = ['--config', join(ROOT, 'airflow/ruff.toml'), '--no-cache'];
      const done = spawnSync(program('ruff'), [...args, ...config, '.'], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      expect([done.status, done.stdout]).toEqual([0, expect.any(String)]);
    }
  });

  itWithPython(
    'every DAG holds what airflow/tests say',
    async () => {
      const home = await mkdtemp(join(tmpdir(), 'listenlake-pytest-'));
      const env = {
        ...process.env,
        AIRFLOW_HOME: home,
        AIRFLOW__CORE__LOAD_EXAMPLES: 'false',
        PYTHONDONTWRITEBYTECODE: '1',
      };
      const done = spawnSync(program('pytest'), ['-s', 'tests'], { cwd: join(ROOT, 'airflow'), env, encoding: 'utf8' });
      await rm(home, { recursive: true, force: true });
      process.stderr.write(
        done.stdout
          .split('\n')
          .filter((line) => /\.py: \d/.test(line))
          .join('\n')
          .concat('\n'),
      );
      expect([done.status, done.stdout.slice(-3000)]).toEqual([0, expect.stringMatching(/ passed/)]);
    },
    600_000,
  );
});

describe('a job on an engine of its own', () => {
  const missing = 'missing' in opened ? opened.missing : hostEngineMissing();
  if (missing !== undefined) layerSkipped('an engine with the settings of the EC2 host', missing, DOCKER);

  (missing === undefined ? it.each(['host', 'json-file', 'local'] as const) : it.skip.each(['host']))(
    'is created where containers log by %s, its result is found, and the host tells CloudWatch what it printed',
    async (log) => {
      const own = await mkdtemp(join(tmpdir(), 'listenlake-engine-'));
      const engine = await startHostEngine(own, log as 'host');
      try {
        const env = {
          ...process.env,
          ...{ AIRFLOW_HOME: own, AIRFLOW__CORE__LOAD_EXAMPLES: 'false', PYTHONDONTWRITEBYTECODE: '1' },
          ...{ DOCKER_HOST: engine.address, PYTHONPATH: join(ROOT, 'airflow'), LISTENLAKE_JOB_IMAGE: engine.image },
          ...{ LISTENLAKE_LAKE: 's3://bucket', LISTENLAKE_JOB_NETWORK: 'none' },
        };
        const script = join(ROOT, 'tests/airflow/run_job.py');
        const done = await promisify(execFile)(join((opened as { bin: string }).bin, 'python'), [script], { env });
        expect(done.stdout.trim().split('\n').at(-1)).toBe('{"checked": 1}');
        if (log === 'host') {
          await until(async () => (await engine.logged()).length === 2);
          expect(await engine.logged()).toEqual(['the last word', '{"checked": 1}']);
        }
      } finally {
        await engine.close();
        await rm(own, { recursive: true, force: true });
      }
    },
    600_000,
  );
});

describeAirflow('listenlake_daily', () => {
  let first: string;

  it(
    'triggered by the API, with a scheduled run at the same time: both succeed, one builds, shared between tasks; gold is that of the command line',
    async () => {
      // Its first day is due as soon as it is unpaused; the run that is asked for comes on top.
      await unpause('listenlake_daily');
      first = await trigger('listenlake_daily');
      await ended('listenlake_daily', first, 'success');
      const runs = (await airflow!.call('GET', '/dags/listenlake_daily/dagRuns')) as {
        dag_runs: { dag_run_id: string }[];
      };
      expect(runs.dag_runs).toHaveLength(2);
      const other = runs.dag_runs.find((run) => run.dag_run_id !== first)!.dag_run_id;
      await ended('listenlake_daily', other, 'success');
      const states = [await statesOf('listenlake_daily', first), await statesOf('listenlake_daily', other)];
      const built = {
        extract: 'success',
        load: 'success',
        transform: 'success',
        enrich_dev: 'success',
        promote: 'success',
      };
      const skipped = {
        load: 'skipped',
        transform: 'skipped',
        enrich_dev: 'skipped',
        promote: 'skipped',
        report: 'success',
      };
      expect(states).toEqual(
        expect.arrayContaining([expect.objectContaining(built), expect.objectContaining(skipped)]),
      );
      expect(states[0]!.extract_events).toBe('skipped');
      const builder = states[0]!.transform === 'success' ? first : other;
      const stages = (await tasksOf('listenlake_daily', builder)).filter(
        ({ task_id }) => task_id === 'transform_stage',
      );
      expect(stages.length).toBeGreaterThan(1);
      expect(stages.filter(({ state }) => state !== 'success')).toEqual([]);
      const intervals = stages.map(({ rendered_fields }) => JSON.stringify(rendered_fields.command));
      expect(new Set(intervals).size).toBe(stages.length);
      // What they built is what the one transform committed.
      expect(Number((await resultOf(builder, 'transform')).taken)).toBeGreaterThan(stages.length);
      expect(await readdir(join(lake, 'report'))).toContain('report.html');
      expect(await tablesOf(lake)).toEqual(await builtByHand());
    },
    RUN_MS,
  );

  it('no secret is in a rendered field, a result or a log; a result is a small object', async () => {
    const tasks = await tasksOf('listenlake_daily', first);
    expect(JSON.stringify(tasks)).not.toContain(CANARY);
    expect(tasks.find(({ task_id }) => task_id === 'load')!.rendered_fields).toMatchObject({ image: IMAGE });
    expect(await resultOf(first, 'check_silver')).toMatchObject({ status: 'passed' });
    const logs = join(folder, 'home/logs');
    const found = (await readdir(logs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    expect(found.length).toBeGreaterThan(10);
    for (const entry of found) expect(await readFile(join(entry.parentPath, entry.name), 'utf8')).not.toContain(CANARY);
  });

  it(
    'a job that is killed is tried again, and the tables are right',
    async () => {
      const more = join(folder, 'more');
      await generateIntoFolder({ ...MORE, end: '2026-11-01', faults: true }, more);
      await mkdir(join(inbox, 'more'));
      for (const name of await readdir(join(more, 'events')))
        await copyFile(join(more, 'events', name), join(inbox, 'more', name));
      const run = await trigger('listenlake_daily');
      await kill(`listenlake_daily/${run}/transform/-1`);
      await ended('listenlake_daily', run, 'success');
      const transform = (await tasksOf('listenlake_daily', run)).find(({ task_id }) => task_id === 'transform')!;
      expect(transform.try_number).toBeGreaterThan(1);
      expect(await tablesOf(lake)).toEqual(await builtByHand());
    },
    RUN_MS,
  );

  it(
    'one task cleared and run again changes nothing',
    async () => {
      const before = await tablesOf(lake);
      const body = {
        dry_run: false,
        dag_run_id: first,
        task_ids: ['transform'],
        only_failed: false,
        include_downstream: false,
      };
      await airflow!.call('POST', '/dags/listenlake_daily/clearTaskInstances', body);
      await ended('listenlake_daily', first, 'success');
      const transform = (await tasksOf('listenlake_daily', first)).find(({ task_id }) => task_id === 'transform')!;
      expect([transform.state, transform.try_number]).toEqual(['skipped', 2]);
      expect(await tablesOf(lake)).toEqual(before);
    },
    RUN_MS,
  );

  it(
    'a backfill of three days, the last first, gives the same tables',
    async () => {
      const before = await tablesOf(lake);
      const body = {
        dag_id: 'listenlake_daily',
        from_date: '2026-10-28T00:00:00Z',
        to_date: '2026-10-31T00:00:00Z',
        run_backwards: true,
        max_active_runs: 1,
        reprocess_behavior: 'completed',
      };
      let id = 0;
      // SQLite may be written by the scheduler at that moment; Airflow does not wait for it then, and says so
      // by 503.
      await until(async () => {
        const made = (await airflow!.call('POST', '/backfills', body).catch((error: unknown) => {
          if (String(error).includes('Database is locked')) return undefined;
          throw error;
        })) as { id: number } | undefined;
        id = made?.id ?? 0;
        return made !== undefined;
      });
      await until(async () => {
        const { completed_at } = (await airflow!.call('GET', `/backfills/${id}`)) as { completed_at: string | null };
        return completed_at !== null;
      });
      const runs = (await airflow!.call('GET', '/dags/listenlake_daily/dagRuns?run_type=backfill')) as {
        dag_runs: { dag_run_id: string; state: string; data_interval_start: string; start_date: string }[];
      };
      expect(runs.dag_runs.map(({ state }) => state)).toEqual(['success', 'success', 'success']);
      const byStart = runs.dag_runs.toSorted((a, b) => (a.start_date < b.start_date ? -1 : 1));
      const days = byStart.map((run) => run.data_interval_start);
      expect(days).toEqual(days.toSorted().reverse());
      // A day made again is the day that was: nothing new to commit, and the task is shown as skipped.
      const again = (await tasksOf('listenlake_daily', byStart[1]!.dag_run_id)).find(
        ({ task_id }) => task_id === 'transform',
      )!;
      expect(again.state).toBe('skipped');
      expect(JSON.stringify(again.rendered_fields.command)).toMatch(
        /--rebuild.*--from=2026-10-29T04:00:00Z.*--to=2026-10-30T04:00:00Z/,
      );
      expect(await tablesOf(lake)).toEqual(before);
    },
    RUN_MS,
  );
});

describeAirflow('exit codes', () => {
  it(
    '75 is tried again later, and succeeds once the lease is free',
    async () => {
      const lease = join(lake, 'leases/writer.json');
      await mkdir(join(lake, 'leases'), { recursive: true });
      const holder = { token: 1, holder: 'x', host: 'elsewhere', pid: 1, job: 'load' };
      const hold = (): Promise<void> => writeFile(lease, JSON.stringify(holder));
      await hold();
      // As a holder at work does: a lease that nobody renews for a minute is free.
      const renewing = setInterval(() => void hold(), 15_000);
      await unpause('held_lease');
      const run = await trigger('held_lease');
      await until(async () => (await statesOf('held_lease', run)).load === 'up_for_retry').finally(() =>
        clearInterval(renewing),
      );
      await rm(lease);
      await ended('held_lease', run, 'success');
      const [load] = await tasksOf('held_lease', run);
      expect([load!.state, load!.try_number]).toEqual(['skipped', 2]);
    },
    RUN_MS,
  );

  it(
    '64 and 78 fail without another try, and are told; the results of the others are theirs',
    async () => {
      await unpause('exit_codes');
      const run = await trigger('exit_codes');
      await ended('exit_codes', run, 'failed');
      const tasks = Object.fromEntries(
        (await tasksOf('exit_codes', run)).map(({ task_id, state, try_number }) => [task_id, [state, try_number]]),
      );
      expect(tasks).toMatchObject({ sql_64: ['failed', 1], sql_78: ['failed', 1], coverage: ['success', 1] });
      await until(async () => told.some((text) => text.includes('exit_codes failed')));
    },
    RUN_MS,
  );
});

describeAirflow('mapped tasks', () => {
  it(
    'are one container for each element of a result, triggered by the command that `make airflow` names',
    async () => {
      await unpause('mapped');
      const run = 'by_command';
      await promisify(execFile)(join(folder, 'home/airflow'), ['dags', 'trigger', 'mapped', '--run-id', run]);
      await ended('mapped', run, 'success');
      const each = (await tasksOf('mapped', run)).filter(({ task_id }) => task_id === 'sql_each');
      expect(each.length).toBeGreaterThan(3);
      expect(each.map(({ rendered_fields }) => JSON.stringify(rendered_fields.command))).toEqual(
        expect.arrayContaining([expect.stringContaining("select 'node'"), expect.stringContaining("select 'lake'")]),
      );
    },
    RUN_MS,
  );
});

/** What the command line makes of the inbox as it is now, in a lake that grows as the other one does. */
async function builtByHand(): Promise<Record<string, TableFingerprint>> {
  const own = join(folder, 'by-hand');
  const args = ['run', inbox, '--lake', own, '--on-quarantine', 'warn', '--no-report'];
  const run = await listenlake(args, { LISTENLAKE_PSEUDONYM_KEY: CANARY });
  expect([run.code, run.stderr]).toEqual([0, '']);
  return tablesOf(own);
}

/**
 * Everything but what tells of earlier runs: a lake that grew in two runs remembers how many rows there were
 * between them.
 */
async function tablesOf(of: string): Promise<Record<string, TableFingerprint>> {
  const history = ['gold_dev', 'gold_prod'].flatMap((gold) => [
    `${gold}.record_counts.rows_before`,
    `${gold}.record_counts.change`,
  ]);
  return fingerprint(of, undefined, ['silver.table_stats.rows_before', 'silver.loaded_files.loaded_on', ...history]);
}

async function trigger(dag: string): Promise<string> {
  const run = (await airflow!.call('POST', `/dags/${dag}/dagRuns`, { logical_date: null })) as { dag_run_id: string };
  return run.dag_run_id;
}

/** A file of a moment ago may not be in the database yet. */
async function unpause(dag: string): Promise<void> {
  await until(() =>
    airflow!.call('PATCH', `/dags/${dag}`, { is_paused: false }).then(
      () => true,
      (error: unknown) => {
        if (String(error).includes(': 404')) return false;
        throw error;
      },
    ),
  );
}

async function ended(dag: string, run: string, wanted: 'success' | 'failed'): Promise<void> {
  let state = '';
  await until(async () => {
    ({ state } = (await airflow!.call('GET', `/dags/${dag}/dagRuns/${encodeURIComponent(run)}`)) as { state: string });
    return state === 'success' || state === 'failed';
  });
  if (state !== wanted) throw new Error(`${dag} ${run} is ${state}: ${JSON.stringify(await statesOf(dag, run))}`);
}

async function tasksOf(dag: string, run: string): Promise<TaskInstance[]> {
  const path = `/dags/${dag}/dagRuns/${encodeURIComponent(run)}/taskInstances`;
  return ((await airflow!.call('GET', path)) as { task_instances: TaskInstance[] }).task_instances;
}

/** What a job of a run of listenlake_daily has printed. */
async function resultOf(run: string, task: string): Promise<Record<string, unknown>> {
  const path = `/dags/listenlake_daily/dagRuns/${encodeURIComponent(run)}/taskInstances/${task}/xcomEntries/return_value`;
  return ((await airflow!.call('GET', path)) as { value: Record<string, unknown> }).value;
}

async function statesOf(dag: string, run: string): Promise<Record<string, string | null>> {
  return Object.fromEntries((await tasksOf(dag, run)).map(({ task_id, state }) => [task_id, state]));
}

/** Kills the container of a task as soon as it runs, as a machine that is short of memory does. */
async function kill(task: string): Promise<void> {
  await until(async () => {
    const { stdout } = docker(['ps', '--quiet', '--filter', `label=listenlake.task=${task}`]);
    return stdout.trim() !== '' && docker(['kill', stdout.trim()]).code === 0;
  }, 50);
}

async function until(isSo: () => Promise<boolean>, everyMs = 1_000): Promise<void> {
  const deadline = Date.now() + RUN_MS;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('it did not come to that in time');
    await sleep(everyMs);
  }
}

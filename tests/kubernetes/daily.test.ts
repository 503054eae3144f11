/**
 * The daily DAG on a real cluster: Airflow with no more rights than airflow/kubernetes/ gives it starts the
 * project's image as pods, on S3, Glue and Athena of this machine. What it publishes must be what the same
 * files give in a folder.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Airflow } from '../../airflow/local.ts';
import { openAthenaEngine } from '../../jobs/engine/athena/engine.ts';
import { openEngine } from '../../jobs/engine/open.ts';
import { modelGraph } from '../../jobs/gold/models.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { landingKey, REPORT_KEY } from '../../jobs/lake/keys.ts';
import { openS3Lake } from '../../jobs/lake/s3/store.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { REGION } from '../aws/local.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { tableDifferences } from '../fixtures/table-difference.ts';
import { type Ground, openGroundOrSkip, startAirflowOn, until } from './ground.ts';

/** Enough for every table to have rows, and for every planted fault. */
const SOURCE = {
  seed: 7,
  users: 2,
  days: 10,
  tracks: 300,
  end: '2026-11-01',
  exportPlays: 1_000,
  exportYears: 1,
  faults: true,
};
/** Nobody has a table of time zones here, and so few listeners share no taste that could be told. */
const EMPTY = ['int_own_time_zones', 'stream_progress', 'track_recommendations'];
/** What the job of dags/outcomes.py that is killed makes. */
const KILLED_SOURCE = {
  seed: 2,
  users: 1,
  days: 1,
  tracks: 20,
  end: '2026-11-01',
  exportPlays: 50,
  exportYears: 1,
  faults: true,
};
/** A busy machine takes three times what a quiet one does. */
const RUN_TIMEOUT_MS = 1_500_000;

interface TaskInstance {
  task_id: string;
  state: string | null;
  try_number: number;
}

const work = mkdtempSync(join(tmpdir(), 'listenlake-kubernetes-'));
const ground = await openGroundOrSkip('Airflow on Kubernetes', work);
afterAll(async () => {
  await ground?.close();
  await rm(work, { recursive: true, force: true });
}, 900_000);

if (ground === undefined) {
  it('Airflow on Kubernetes is left out here, which is no answer under CI', () =>
    expect(process.env.CI).not.toBe('true'));
} else {
  const { cluster, local, lake } = ground;
  const folder = join(work, 'lake');
  const project = readProject();
  const models = modelGraph(project, { dialect: 'athena', target: 'prod', asOf: '2026-11-01T00:00:00.000Z' })
    .filter(({ materialized }) => materialized !== 'ephemeral')
    .map(({ name }) => name);
  const place = { endpoint: local.endpoint.url, region: REGION };
  const openStore = (): Promise<LakeStore> => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
    return openS3Lake(lake.uri, { ...place, isPathStyle: true, scratch: join(work, 'scratch') });
  };
  let airflow: Airflow;

  beforeAll(async () => {
    const source = join(work, 'source');
    await generateIntoFolder(SOURCE, source);
    const made = await listenlake([
      'run',
      source,
      '--no-report',
      '--on-quarantine',
      'warn',
      '--quiet',
      '--lake',
      folder,
    ]);
    expect([made.code, made.stderr]).toEqual([0, '']);
    // As a person puts files into a lake that pods work on: from where the files are.
    const sent = await listenlake(['extract', source, '--quiet'], lake.environment);
    expect([sent.code, sent.stderr]).toEqual([0, '']);
    airflow = await startAirflowOn(ground, work, {
      folders: ['airflow/dags', 'tests/kubernetes/dags'],
      dags: ['listenlake_daily', 'outcomes', 'killed_deferred'],
    });
  }, RUN_TIMEOUT_MS);
  afterAll(() => airflow?.stop(), 900_000);

  it(
    'listenlake_daily succeeds, though a pod is killed at its work',
    async () => {
      await airflow.call('POST', '/dags/listenlake_daily/dagRuns', { dag_run_id: 'first', logical_date: null });
      await killAtWork(ground, 'transform');
      const tasks = await finished(airflow, 'listenlake_daily', 'first');
      expect(tasks.filter(({ state }) => state !== 'success' && state !== 'skipped')).toEqual([]);
      expect(Object.fromEntries(tasks.map(({ task_id, state }) => [task_id, state]))).toMatchObject({
        extract: 'skipped', // no inbox here: the files are in landing
        extract_events: 'skipped',
        load: 'success',
        transform: 'success',
        check_silver: 'success',
        enrich_dev: 'success',
        check_dev: 'success',
        promote: 'success',
        report: 'success',
      });
      expect(tasks.find(({ task_id }) => task_id === 'transform')?.try_number).toBeGreaterThan(1);
      expect(tasks.find(({ task_id }) => task_id === 'load')?.try_number).toBe(1);
    },
    RUN_TIMEOUT_MS,
  );

  it('gold_prod is what the same files give in a folder', async () => {
    const store = await openStore();
    const aws = openAthenaEngine({ ...place, store, name: lake.environment.LISTENLAKE_AWS_NAME! });
    const config = { memoryMb: 256, threads: 2, aws: { name: 'unused', workGroup: undefined, isPathStyle: true } };
    const duck = await openEngine(await openFolderLake(folder), { config, scratch: join(folder, '.staging') });
    try {
      for (const model of models) {
        const query = `select * from gold_prod.${model}`;
        const [left, right] = [await duck.query(query), await aws.query(query)];
        const sides = [
          { name: 'the folder', result: left },
          { name: 'Kubernetes', result: right },
        ] as const;
        expect(tableDifferences(model, project.models.get(model)!.key, ...sides)).toEqual([]);
        expect([model, left.rows.length > 0]).toEqual([model, !EMPTY.includes(model)]);
      }
      expect((await store.head(REPORT_KEY))?.bytes).toBeGreaterThan(10_000);
    } finally {
      await duck.close();
      await aws.close();
    }
  }, 900_000);

  it('a result is the small object that the job gave, and the log is the job’s words', async () => {
    const path = '/dags/listenlake_daily/dagRuns/first/taskInstances';
    const { value } = (await airflow.call('GET', `${path}/load/xcomEntries/return_value?deserialize=true`)) as {
      value: { rows: number };
    };
    expect(value.rows).toBeGreaterThan(1_000);
    const log = JSON.stringify(await airflow.call('GET', `${path}/load/logs/1`));
    expect(log).toMatch(/ came in +\d+ files/);
    expect(log).not.toContain('\\"accounts\\"');
    expect(log).not.toContain('remote_pod');
  });

  it(
    'tasks that find nothing new are skipped, failures are retried or not by their exit code, deferred or not',
    async () => {
      await airflow.call('POST', '/dags/outcomes/dagRuns', { dag_run_id: 'once', logical_date: null });
      const tasks = await finished(airflow, 'outcomes', 'once');
      const disturbed = await triedInError(airflow, 'outcomes', 'once');
      expect(disturbed.filter((task) => !task.endsWith('_deferred'))).toEqual([]);
      const tries = ({ task_id, try_number }: TaskInstance): unknown =>
        disturbed.includes(task_id) ? 'more than needed' : try_number;
      const expected = {
        load_nothing_new: ['skipped', 1],
        load_nothing_new_deferred: ['skipped', 1],
        extract_deferred: ['success', 1],
        load_unreachable: ['failed', 2],
        load_wrong: ['failed', 1],
        load_wrong_deferred: ['failed', 1],
      };
      for (const task of disturbed) expected[task as keyof typeof expected][1] = 'more than needed';
      expect(Object.fromEntries(tasks.map((task) => [task.task_id, [task.state, tries(task)]]))).toEqual(expected);
      const path = '/dags/outcomes/dagRuns/once/taskInstances';
      const logOfLastTry = async (task: string): Promise<string> => {
        const { try_number } = tasks.find(({ task_id }) => task_id === task)!;
        return JSON.stringify(await airflow.call('GET', `${path}/${task}/logs/${try_number}`));
      };
      // A try that Airflow began without need deletes the result of the one that it took for killed.
      if (!disturbed.includes('extract_deferred')) {
        const result = `${path}/extract_deferred/xcomEntries/return_value?deserialize=true`;
        const { value } = (await airflow.call('GET', result)) as { value: { files: number } };
        expect(value.files).toBeGreaterThan(0);
        expect(await logOfLastTry('extract_deferred')).toContain('Pausing task as DEFERRED');
      }
      for (const task of ['load_wrong', 'load_wrong_deferred'])
        expect(await logOfLastTry(task)).toMatch(/exit 64, wrong arguments/);
      expect(JSON.stringify(await airflow.call('GET', `${path}/load_unreachable/logs/1`))).toMatch(/exit 69/);
    },
    RUN_TIMEOUT_MS,
  );

  it(
    'a deferred task whose pod is killed at its work is tried again, and succeeds',
    async () => {
      const { calls, rules } = local.endpoint;
      const run = '/dags/killed_deferred/dagRuns/once';
      const task = async (): Promise<TaskInstance> =>
        (await airflow.call('GET', `${run}/taskInstances/extract_killed`)) as TaskInstance;
      // One of its files gets through; the next is held back for as long as it takes to kill it.
      rules.push({ operation: 'PutObject', fault: { kind: 'delay', ms: 20_000 }, after: 1, times: 1_000 });
      const seen = calls.length;
      const puts = (): number => calls.slice(seen).filter(({ operation }) => operation === 'PutObject').length;
      await airflow.call('POST', '/dags/killed_deferred/dagRuns', { dag_run_id: 'once', logical_date: null });
      await until('the job to be in the middle of its files', async () => puts() > 1, RUN_TIMEOUT_MS);
      await until('the task to be deferred', async () => (await task()).state === 'deferred', RUN_TIMEOUT_MS);
      const pod = await cluster.kubectl(['get', 'pods', '-l', 'task_id=extract_killed', '-o', 'name']);
      await cluster.kubectl(['delete', pod.trim(), '--force', '--grace-period=0']);
      rules.length = 0;
      expect(await finished(airflow, 'killed_deferred', 'once')).toEqual([
        expect.objectContaining({ state: 'success' }),
      ]);
      const { try_number } = await task();
      expect(try_number).toBeGreaterThan(1);
      // A try that Airflow took for killed without need has no log that can be asked for.
      if (!(await triedInError(airflow, 'killed_deferred', 'once')).includes('extract_killed')) {
        const first = JSON.stringify(await airflow.call('GET', `${run}/taskInstances/extract_killed/logs/1`));
        expect(first).toContain('Pausing task as DEFERRED');
      }
      // All its files are there, whole: the same seed gives the same bytes.
      const made = join(work, 'killed');
      await generateIntoFolder(KILLED_SOURCE, made);
      const files = (await readdir(made, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      expect(files.length).toBeGreaterThan(2);
      const store = await openStore();
      for (const { parentPath, name } of files) {
        const bytes = await readFile(join(parentPath, name));
        const key = landingKey(createHash('sha256').update(bytes).digest('hex'), name);
        expect([name, (await store.head(key))?.bytes]).toEqual([name, bytes.length]);
      }
    },
    RUN_TIMEOUT_MS,
  );

  it('no pod is left behind', async () => {
    const pods = async (): Promise<string> =>
      cluster.kubectl(['get', 'pods', '-l', 'app.kubernetes.io/managed-by=airflow', '-o', 'name']);
    for (let tries = 0; tries < 120 && (await pods()) !== ''; tries += 1) await sleep(500);
    expect(await pods()).toBe('');
  }, 900_000);
}

/** The run's task instances once it is over. */
async function finished(airflow: Airflow, dag: string, run: string): Promise<TaskInstance[]> {
  const path = `/dags/${dag}/dagRuns/${run}`;
  const isOver = async (): Promise<boolean> => {
    const { state } = (await airflow.call('GET', path)) as { state: string };
    return state === 'success' || state === 'failed';
  };
  await until(`${dag} to end`, isOver, RUN_TIMEOUT_MS);
  return ((await airflow.call('GET', `${path}/taskInstances`)) as { task_instances: TaskInstance[] }).task_instances;
}

/**
 * The deferred tasks that Airflow itself tried again without need: where a task resumes before the scheduler
 * has read that its worker ended by deferring, it takes the task for killed from outside (Airflow 3.3.2;
 * issue 72716 of apache/airflow) and notes a "state mismatch". Seen in 2 of 13 deferrals of a few seconds.
 * The jobs are made to be run again; only the number of tries says nothing then.
 */
async function triedInError(airflow: Airflow, dag: string, run: string): Promise<string[]> {
  const query = new URLSearchParams({ dag_id: dag, run_id: run, event: 'state mismatch', limit: '100' });
  const { event_logs: events } = (await airflow.call('GET', `/eventLogs?${query}`)) as {
    event_logs: { task_id: string }[];
  };
  return [...new Set(events.map(({ task_id }) => task_id))];
}

/**
 * Removes the pod of a task as a lost node does, without a signal, between two of its writes to silver: the
 * later ones are held back.
 */
async function killAtWork({ cluster, local }: Ground, task: string): Promise<void> {
  const { calls, rules } = local.endpoint;
  const pod = ['pods', '-l', `task_id=${task}`, '--field-selector=status.phase=Running', '-o', 'name'];
  const running = async (): Promise<string> => (await cluster.kubectl(['get', ...pod])).trim();
  await until(`a pod of ${task}`, async () => (await running()) !== '', RUN_TIMEOUT_MS);
  const seen = calls.length;
  const hasWritten = async (): Promise<boolean> =>
    calls
      .slice(seen)
      .some(({ operation, url }) => /^(PutObject|UploadPart)$/.test(operation) && url.includes('/silver/'));
  await until(`${task} to write`, hasWritten, 120_000, 20);
  rules.push({ operation: /^(PutObject|CreateMultipartUpload)$/, fault: { kind: 'delay', ms: 20_000 }, times: 1_000 });
  await cluster.kubectl(['delete', await running(), '--force', '--grace-period=0']);
  rules.length = 0;
}

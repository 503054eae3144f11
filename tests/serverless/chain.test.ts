/**
 * host = lambda as Terraform makes it, its functions under AWS's own emulator: files that arrive are told by the
 * bucket, go through the queues into bronze and silver, and the daily run makes gold of them. In the end each table
 * is what `run` makes of the same files in a folder. S3, its notifications and the queues are moto's; a state
 * machine is walked here by its definition, because moto runs none with functions of ours.
 */
import { mkdtempSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { openAthenaEngine } from '../../jobs/engine/athena/engine.ts';
import { openEngine } from '../../jobs/engine/open.ts';
import { modelGraph } from '../../jobs/gold/models.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { readContracts } from '../../jobs/lake/contracts.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { openS3Lake } from '../../jobs/lake/s3/store.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { applyLakeOrSkip, SMALL_DEMO } from '../aws/applied-lake.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from '../aws/local.ts';
import { listenlake, PSEUDONYM_KEY } from '../fixtures/command-line.ts';
import { tableDifferences } from '../fixtures/table-difference.ts';
import { type Called, type EmulatedFunction, emulatorOrSkip, startFunction } from './emulator.ts';
import { memoryLimitOrSkip } from './memory-limit.ts';
import { type Message, openQueues } from './queues.ts';

/** What `terraform output serverless` says. */
interface Serverless {
  functions: Record<
    string,
    { command: string[]; environment: Record<string, string>; seconds: number; memory_mb: number }
  >;
  queues: Record<'landing' | 'bronze', { url: string; dead_letters: string; function: string }>;
  daily_states: { StartAt: string; States: Record<string, State> };
}

interface State {
  Parameters: { FunctionName: string; Payload: { arguments: string[] } };
  Retry: { ErrorEquals: string[]; MaxAttempts: number }[];
  Next?: string;
}

/** They tell times and sizes of files: when something was loaded, how large what one command wrote is. */
const OF_THE_RUN = new Set(['silver.loaded_files', 'silver.table_stats', 'gold_prod.record_counts']);
const FEW = { ...SMALL_DEMO, users: 2, days: 7, tracks: 200, exportPlays: 600, exportYears: 1 };
/** Of each step the first call is broken off: the process is killed, or the function's time is up. */
/** Cut off in the middle: refused as a whole. */
const POISON = { name: 'Streaming_History_Audio_2026_10.json', text: '[{"ts": "2026-10-31T12:00:00Z", "ms_pla' };
const KILL_AFTER_MS = 700;
const SHORT_SECONDS = 3;

const work = mkdtempSync(join(tmpdir(), 'listenlake-serverless-'));
const program = await emulatorOrSkip('functions');
const local = program === undefined ? undefined : await startLocalAwsOrSkip('functions', { isTrinoNeeded: true });
const applied =
  local &&
  (await applyLakeOrSkip('functions', local, join(work, 'terraform'), {
    name: 'functions',
    host: 'lambda',
    // The least that Terraform takes: it is enough for what comes here.
    serverless: { version: '1.2.0', memory_mb: 1_024 },
  }));
afterAll(async () => {
  await local?.close();
  await rm(work, { recursive: true, force: true });
});

if (program === undefined || local === undefined || applied === undefined) {
  it('the functions are left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  describe('host = lambda', () => {
    const source = join(work, 'source');
    const started: EmulatedFunction[] = [];
    const queues = openQueues(local.motoUrl, REGION);
    const s3 = new S3Client({
      ...{ endpoint: applied.environment.AWS_ENDPOINT_URL, region: REGION, forcePathStyle: true },
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
    const measured: Record<string, Called[]> = {};
    let serverless: Serverless;
    const bucket = applied.uri.slice('s3://'.length);

    beforeAll(async () => {
      serverless = JSON.parse((await applied.terraform('output', '-json', 'serverless')).stdout) as Serverless;
      await generateIntoFolder(FEW, source);
    }, 600_000);
    afterAll(async () => {
      for (const each of started) await each.close();
      s3.destroy();
    });

    /** A function as Terraform has set it up, at the local endpoint. */
    const open = async (job: string, seconds?: number): Promise<EmulatedFunction> => {
      const { command, environment, seconds: all, memory_mb: memory } = serverless.functions[job]!;
      const limit = memoryLimitOrSkip('memory of functions', memory);
      const opened = await startFunction(program, {
        command,
        environment: {
          ...environmentOf(local.endpoint.url),
          ...environment,
          LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY,
        },
        seconds: seconds ?? all,
        limit,
      });
      const close = async (): Promise<void> => {
        await opened.close();
        await limit?.close();
      };
      const guarded = { call: opened.call, close };
      started.push(guarded);
      return guarded;
    };
    /** One call, in a sandbox of its own. */
    const call = async (job: string, event: unknown, options: { seconds?: number; isKilled?: boolean } = {}) => {
      const opened = await open(job, options.seconds);
      const kill = (pid: number): void =>
        void setTimeout(() => {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It was faster.
          }
        }, KILL_AFTER_MS);
      const called = await opened.call(event, options.isKilled === true ? kill : undefined);
      await opened.close();
      if (options.seconds === undefined && options.isKilled !== true) (measured[job] ??= []).push(called);
      return called;
    };
    const batch = (messages: readonly Message[]): object => ({
      Records: messages.map(({ id, body }) => ({ eventSource: 'aws:sqs', messageId: id, body })),
    });
    /** What the mapping of a queue does: a batch to the function, and what did not fail is deleted. */
    const deliver = async (prefix: 'landing' | 'bronze', options: Parameters<typeof call>[2] = {}) => {
      const { url, function: job } = serverless.queues[prefix];
      const messages = await queues.receive(url);
      const called = await call(job, batch(messages), options);
      const failures = called.body.batchItemFailures as { itemIdentifier: string }[] | undefined;
      const failed = new Set(failures?.map(({ itemIdentifier }) => itemIdentifier) ?? messages.map(({ id }) => id));
      for (const message of messages) {
        if (failed.has(message.id)) await queues.giveBack(url, message);
        else await queues.remove(url, message);
      }
      return { called, messages, failed };
    };

    it('the second plan is empty', async () => {
      const plan = await applied.terraform('plan', '-detailed-exitcode', '-no-color');
      expect([plan.code, plan.stdout.split('\n').filter((line) => /^ {2}# /.test(line))]).toEqual([0, []]);
    });

    it('what arrives in landing is told to the queue of load, and a broken call costs nothing', async () => {
      const files = (await readdir(source, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      for (const [number, entry] of files.entries()) {
        // Names as people have them: blanks, a plus, emoji.
        const key = `landing/${number} my + listening 🎧/${entry.name}`;
        const body = await readFile(join(entry.parentPath, entry.name));
        await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
      }
      const killed = await deliver('landing', { isKilled: true });
      // Each file, and the test message that S3 sends first.
      expect(killed.messages.length).toBe(files.length + 1);
      await deliver('landing', { seconds: SHORT_SECONDS });
      const { called } = await deliver('landing');
      expect(called.body).toEqual({ batchItemFailures: [] });
      expect(await queues.receive(serverless.queues.landing.url)).toEqual([]);
    });

    it('an object that is gone, and one that was told of twice, are done', async () => {
      const gone = (id: string): Message => ({
        ...{ id, receipt: '' },
        body: JSON.stringify({
          Records: [{ eventSource: 'aws:s3', s3: { bucket: { name: bucket }, object: { key: 'landing/gone.zip' } } }],
        }),
      });
      const called = await call('load', batch([gone('one'), gone('two')]));
      expect(called.body).toEqual({ batchItemFailures: [] });
    });

    it('a poison object ends as a dead letter and costs nobody else', async () => {
      const put = (name: string, body: string) =>
        s3.send(new PutObjectCommand({ Bucket: bucket, Key: `landing/x/${name}`, Body: body }));
      await put(POISON.name, POISON.text);
      await put('tracks.csv', await readFile(join(source, 'tracks.csv'), 'utf8'));
      const { called, messages } = await deliver('landing');
      expect(messages).toHaveLength(2);
      const poison = messages.find(({ body }) => body.includes('Streaming_History'))!;
      expect(called.body).toEqual({ batchItemFailures: [{ itemIdentifier: poison.id }] });
      for (let delivery = 2; delivery <= 8; delivery += 1) await queues.giveBackAll(serverless.queues.landing.url);
      expect(await queues.receive(serverless.queues.landing.url)).toEqual([]);
      const dead = await queues.receive(serverless.queues.landing.dead_letters);
      expect(dead.map(({ body }) => body.includes('Streaming_History'))).toEqual([true]);
    });

    it('a message that is no event of the lake fails by itself', async () => {
      const messages = ['not JSON', '{"Event":"s3:TestEvent"}'].map((body, at) => ({ id: `${at}`, receipt: '', body }));
      expect((await call('load', batch(messages))).body).toEqual({ batchItemFailures: [{ itemIdentifier: '0' }] });
    });

    it('what load has put into bronze is told to the queue of transform', async () => {
      await deliver('bronze', { isKilled: true });
      await deliver('bronze', { seconds: SHORT_SECONDS });
      const { called } = await deliver('bronze');
      expect(called.body).toEqual({ batchItemFailures: [] });
    });

    it('a call that nobody can act on, and one of a function without its lake, say so', async () => {
      expect(await call('check', { arguments: ['--scope=nothing'] })).toMatchObject({ errorType: 'Usage' });
      expect(await call('check', { command: ['forget'] })).toMatchObject({ errorType: 'Usage' });
    });

    it('the daily run goes from step to step, each of them killed, timed out, and called again', async () => {
      const { StartAt, States } = serverless.daily_states;
      const types: string[] = [];
      for (let name: string | undefined = StartAt; name !== undefined; name = States[name]!.Next) {
        const state = States[name]!;
        const job = state.Parameters.FunctionName.slice('functions-'.length);
        await call(job, state.Parameters.Payload, { isKilled: true });
        const short = await call(job, state.Parameters.Payload, { seconds: SHORT_SECONDS });
        if (short.errorType !== undefined) types.push(short.errorType);
        const retried = state.Retry.flatMap(({ ErrorEquals }) => ErrorEquals);
        let done = await call(job, state.Parameters.Payload);
        for (let again = 0; again < 5 && retried.includes(done.errorType ?? ''); again += 1)
          done = await call(job, state.Parameters.Payload);
        expect([name, done.errorType, done.body.errorMessage]).toEqual([name, undefined, undefined]);
      }
      // Whatever a short function ends with, Step Functions knows that it may call again.
      const known = States[StartAt]!.Retry.flatMap(({ ErrorEquals }) => ErrorEquals);
      expect(types.filter((type) => !known.includes(type) && type !== 'Emulator')).toEqual([]);
    }, 1_800_000);

    it('every table is what `run` makes of the same files in a folder', async () => {
      const root = join(work, 'lake');
      const poison = join(work, POISON.name);
      await writeFile(poison, POISON.text);
      const run = await listenlake([
        'run',
        source,
        poison,
        '--no-report',
        '--on-quarantine',
        'warn',
        '--quiet',
        '--lake',
        root,
      ]);
      expect(run.code).toBe(0);
      Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
      const config = { memoryMb: 256, threads: 2, aws: { name: 'functions', workGroup: undefined, isPathStyle: true } };
      const place = { endpoint: local.endpoint.url, region: REGION };
      const store = await openS3Lake(applied.uri, { ...place, isPathStyle: true, scratch: join(work, 'scratch') });
      const [folder, aws] = [
        await openEngine(await openFolderLake(root), { config, scratch: join(root, '.staging') }),
        openAthenaEngine({ ...place, store, name: 'functions' }),
      ];
      const project = readProject();
      const graph = modelGraph(project, { dialect: 'athena', target: 'prod', asOf: '2026-11-01T00:00:00.000Z' });
      const tables = [
        ...readContracts()
          .filter(({ layer, table }) => layer === 'silver' && !OF_THE_RUN.has(`silver.${table}`))
          .map(({ layer, table, key }) => ({ name: `${layer}.${table}`, key })),
        ...graph
          .filter(({ name, materialized }) => materialized !== 'ephemeral' && !OF_THE_RUN.has(`gold_prod.${name}`))
          .map(({ name }) => ({ name: `gold_prod.${name}`, key: project.models.get(name)!.key })),
      ];
      const differences: string[] = [];
      for (const { name, key } of tables) {
        const [left, right] = await Promise.all(
          [folder, aws].map((engine) => engine.query(`select * from ${name}`, { target: 'prod' })),
        );
        differences.push(
          ...tableDifferences(name, key, { name: 'run', result: left! }, { name: 'functions', result: right! }),
        );
      }
      await folder.close();
      await aws.close();
      expect(differences).toEqual([]);
      expect(tables.length).toBeGreaterThan(80);
    }, 900_000);

    it('prints what each function took', () => {
      const lines = Object.entries(measured).map(
        ([job, calls]) =>
          `${job.padEnd(10)} ${Math.max(...calls.map(({ seconds }) => seconds)).toFixed(1)} s, ${Math.max(...calls.map(({ peakMib }) => peakMib))} MiB`,
      );
      process.stderr.write(`functions, longest call and most memory:\n${lines.join('\n')}\n`);
      expect(lines.length).toBeGreaterThan(6);
    });
  });
}

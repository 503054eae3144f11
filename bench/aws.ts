/**
 * The second half of `make bench`: the lake on S3 against the lake in a folder, on moto and a real Trino. The
 * engines are started before anything is measured. Only ratios and counts mean anything: moto answers in
 * milliseconds what S3 answers in tens of them, and Trino has one node here.
 *
 *     node bench/aws.ts [--small] [--events]   --small: the data of `make aws-local` instead of those of `make demo`
 *                                              --events: only the events that Athena builds; nothing is kept
 *
 * Needs Python, Java 24 or newer, Maven and Terraform; where one is not there it says so and measures
 * nothing.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateDatabaseCommand, CreateTableCommand, GlueClient } from '@aws-sdk/client-glue';
import { openAthenaEngine } from '../jobs/engine/athena/engine.ts';
import type { SqlEngine } from '../jobs/engine/index.ts';
import { goldTests, silverTests } from '../jobs/gold/data-tests.ts';
import { modelGraph } from '../jobs/gold/models.ts';
import { readProject } from '../jobs/gold/project.ts';
import { WAREHOUSE_DIR } from '../jobs/lake/contracts.ts';
import { openS3Lake } from '../jobs/lake/s3/store.ts';
import type { LakeStore } from '../jobs/lake/store.ts';
import type { SyntheticOptions } from '../jobs/sources/synthetic/index.ts';
import { generateIntoFolder } from '../jobs/sources/synthetic/landing.ts';
import { type AppliedLake, applyLake, SMALL_DEMO } from '../tests/aws/applied-lake.ts';
import type { Call } from '../tests/aws/endpoint.ts';
import { type LocalAws, REGION, startLocalAws } from '../tests/aws/local.ts';
import { Unavailable } from '../tests/aws/moto.ts';
import { listenlake, ROOT } from '../tests/fixtures/command-line.ts';
import { type Counted, type Measured, priceTable } from './aws-prices.ts';
import { type EventsWay, eventLines, eventOptions } from './events.ts';

/** The data of `make demo`. */
const DEMO: SyntheticOptions = {
  ...SMALL_DEMO,
  users: 25,
  days: 90,
  tracks: 5_000,
  exportPlays: 40_000,
  exportYears: 6,
};
/** Questions whose answer is not in the JSON of what was listened to. */
const NOT_OF_LISTENING = ['songs_of_playlists_and_charts.sql', 'what_came_in.sql'];
const RUN_GOAL = 3;
const SCAN_GOAL = 20;
const RAW = 'bench_raw';

const options = process.argv.includes('--small') ? SMALL_DEMO : DEMO;
const work = mkdtempSync(join(tmpdir(), 'listenlake-bench-'));
const out: string[] = [];
let local: LocalAws | undefined;
try {
  local = await startLocalAws({ isTrinoNeeded: true, isEngineCounted: true });
  const isAll = !process.argv.includes('--events');
  const measured =
    isAll && (await bench(local, await applyLake(local, join(work, 'terraform'), { name: 'listenlake' })));
  await benchEvents(local, await applyLake(local, join(work, 'terraform-events'), { name: 'events' }));
  if (measured) keep(measured);
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  say(`left out: the lake on AWS (${error.message})`);
} finally {
  await local?.close();
  rmSync(work, { recursive: true, force: true });
}

async function bench(aws: LocalAws, lake: AppliedLake): Promise<Measured> {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  const source = join(work, 'source');
  const { events, exportRows } = await generateIntoFolder(options, source);
  const place = { endpoint: aws.endpoint.url, region: REGION };
  const store = await openS3Lake(lake.uri, { ...place, isPathStyle: true, scratch: join(work, 'scratch') });
  const engine = openAthenaEngine({ ...place, store, name: 'listenlake' });
  // The first statement of a Java program pays for its start.
  await engine.query('select count(*) from silver.albums');
  say(`the lake on S3, Glue and Athena (moto and Trino): ${events} events, an export of ${exportRows} rows\n`);

  const folder = await timed(() => listenlake(runOf(source), { LISTENLAKE_LAKE: join(work, 'lake') }));
  const first = await counted(aws, () => timed(() => listenlake(runOf(source), lake.environment)));
  const next = join(work, 'next');
  await generateIntoFolder({ ...options, seed: 8, days: 1, end: '2026-11-02', exportPlays: 0 }, next);
  const daily = await counted(aws, () => timed(() => listenlake(runOf(join(next, 'events')), lake.environment)));
  const captured = join(source, 'api', 'recently-played.ndjson');
  const capture = await counted(aws, () => timed(() => listenlake(['extract', captured, '--quiet'], lake.environment)));

  say('ratios');
  ratio('a first promoted run on S3, in times of the folder', first.value / folder, 'at most', RUN_GOAL);
  reportTime(first);
  reportQueries(first.count);
  const questionBytes = await reportScans(engine, store, source);
  const [[plays] = []] = (await engine.query('select count(*) from gold_prod.fct_plays')).rows;
  const measured: Measured = {
    plays: Number(plays),
    playsPerUserDay: Math.round((events / options.users / options.days) * 10) / 10,
    storedBytes: await storedBytes(store),
    dailyRun: daily.count,
    capture: capture.count,
    questionBytes,
  };
  await engine.close();
  return measured;
}

/** A rebuild of a lake of events on S3, by this process and by Athena. */
async function benchEvents(aws: LocalAws, lake: AppliedLake): Promise<void> {
  const source = join(work, 'stream');
  const { events } = await generateIntoFolder(eventOptions(options, options === SMALL_DEMO), source);
  await timed(() => listenlake(['load', join(source, 'events'), '--quiet'], lake.environment));
  await timed(() => listenlake(['transform', '--quiet'], lake.environment));
  const ways: EventsWay[] = [];
  for (const [name, min] of [
    ['by the process', '0'],
    ['by Athena', '1'],
  ] as const) {
    const environment = { ...lake.environment, LISTENLAKE_ATHENA_EVENTS: min };
    const { value, count } = await counted(aws, () =>
      timed(() => listenlake(['transform', '--rebuild', '--quiet'], environment)),
    );
    ways.push({ name, seconds: value, count });
  }
  say(`\na rebuild of ${events} events on S3`);
  for (const line of eventLines(events, ways)) say(line);
}

function runOf(source: string): string[] {
  return ['run', source, '--no-report', '--quiet'];
}

/** Seconds that a command took. @throws Error when it fails */
async function timed(action: () => ReturnType<typeof listenlake>): Promise<number> {
  const started = performance.now();
  const done = await action();
  if (done.code !== 0) throw new Error(`a command ended with ${done.code}: ${done.stderr}`);
  return (performance.now() - started) / 1000;
}

interface WithCount {
  value: number;
  count: Counted;
  /** Requests to S3 and Glue that the engine behind Athena made. */
  engineRequests: number;
  /** Seconds in which at least one of its queries was queued or running on Athena's side. */
  engineSeconds: number;
  /** How many there were in these seconds, on average. */
  queriesAtOnce: number;
}

async function counted(aws: LocalAws, action: () => Promise<number>): Promise<WithCount> {
  const own = aws.endpoint.calls;
  const engines = aws.engineCalls!;
  own.length = 0;
  engines.length = 0;
  const from = aws.athena!.executions.length;
  const value = await action();
  const executions = aws.athena!.executions.slice(from);
  const calls = [...own, ...engines];
  const count = (kind: Kind): number => calls.filter((call) => kindOf(call) === kind).length;
  let [coveredTo, coveredMs, queryMs] = [0, 0, 0];
  for (const { submittedAt, completedAt = 0 } of executions.toSorted((a, b) => a.submittedAt - b.submittedAt)) {
    queryMs += completedAt - submittedAt;
    coveredMs += Math.max(0, completedAt - Math.max(coveredTo, submittedAt));
    coveredTo = Math.max(coveredTo, completedAt);
  }
  return {
    value,
    engineRequests: engines.length,
    engineSeconds: coveredMs / 1e3,
    queriesAtOnce: queryMs / coveredMs,
    count: {
      scannedBytes: executions.map(({ scannedBytes }) => scannedBytes),
      writeRequests: count('write'),
      readRequests: count('read'),
      glueRequests: count('glue'),
      writtenBytes: calls
        .filter((call) => /^(PutObject|UploadPart)$/.test(call.operation) && !call.url.includes('athena-results'))
        .reduce((sum, { body }) => sum + body.length, 0),
    },
  };
}

type Kind = 'write' | 'read' | 'glue' | 'free';

/** By what is paid for a call. */
function kindOf({ operation, headers }: Call): Kind {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') return target.startsWith('AWSGlue.') ? 'glue' : 'free';
  if (/^(GetObject|HeadObject|GET bucket|HEAD bucket)$/.test(operation)) return 'read';
  return /^(DeleteObject|AbortMultipartUpload)$/.test(operation) ? 'free' : 'write';
}

/** Where the time of a run on S3 goes: most of it waits for queries. */
function reportTime({ value, engineSeconds, queriesAtOnce, engineRequests, count }: WithCount): void {
  const share = (100 * engineSeconds) / value;
  const { scannedBytes, writeRequests, readRequests, glueRequests } = count;
  say(
    `       of its time ${share.toFixed(0)} % is ${scannedBytes.length} queries on Athena's side, ${queriesAtOnce.toFixed(1)} at once; beside them ${writeRequests} writes and lists and ${readRequests} reads of S3 and ${glueRequests} requests of Glue, ${engineRequests} of all of them by the engine`,
  );
}

function reportQueries({ scannedBytes }: Counted): void {
  const project = readProject();
  const tables = modelGraph(project, { dialect: 'athena', target: 'dev', asOf: '2026-11-01T00:00:00.000Z' }).filter(
    ({ materialized }) => materialized !== 'ephemeral',
  );
  const gold = goldTests(project, 'gold_dev').length;
  const checks = silverTests().length + 2 * gold;
  ratio(
    `Athena queries of a promoted run, against ${2 * tables.length} models (dev and prod) and ${checks} checks`,
    scannedBytes.length / (2 * tables.length + checks),
    'at most',
    1,
  );
  say(`       ${scannedBytes.length} queries`);
}

/**
 * Bytes of each question on gold against the same listening as JSON, one row a line: that is what a table
 * over the raw files is, and whatever is asked of such a table, all of it is read. (The files of an export
 * hold arrays, which no JSON table of Athena reads at all.)
 *
 * @returns mean bytes of a question
 */
async function reportScans(engine: SqlEngine, store: LakeStore, source: string): Promise<number> {
  await putRaw(store, source);
  const raw = await engine.query(
    `select master_metadata_track_name, count(*) as plays from ${RAW}.listening group by 1 order by plays desc limit 20`,
  );
  const rawBytes = raw.scannedBytes ?? 0;
  const scans: { name: string; bytes: number }[] = [];
  for (const name of readdirSync(join(WAREHOUSE_DIR, 'queries')).sort()) {
    const sql = readFileSync(join(WAREHOUSE_DIR, 'queries', name), 'utf8');
    const { scannedBytes = 0 } = await engine.query(sql, { target: 'prod' });
    scans.push({ name, bytes: scannedBytes });
  }
  const ofListening = scans.filter(({ name }) => !NOT_OF_LISTENING.includes(name)).sort((a, b) => b.bytes - a.bytes);
  const worst = ofListening[0]!;
  const middle = ofListening[Math.floor(ofListening.length / 2)]!;
  const missed = ofListening.filter(({ bytes }) => rawBytes / bytes < SCAN_GOAL);
  const kb = (bytes: number): string => `${(bytes / 1e3).toFixed(0)} kB`;
  ratio(
    `the same listening as JSON lines (${kb(rawBytes)}), in times of what a question scans: the least of ${ofListening.length} questions`,
    rawBytes / worst.bytes,
    'at least',
    SCAN_GOAL,
  );
  ratio('                                    the one in the middle', rawBytes / middle.bytes, 'at least', SCAN_GOAL);
  say(
    `       ${missed.length} of ${ofListening.length} questions miss it${missed.length === 0 ? '' : ': '}${missed.map(({ name, bytes }) => `${name} ${kb(bytes)}`).join(', ')}`,
  );
  say(`       not compared: ${NOT_OF_LISTENING.join(', ')}`);
  return Math.round(scans.reduce((sum, { bytes }) => sum + bytes, 0) / scans.length);
}

/** Every row of the export and of the events as a line of JSON, as it came, under a table of its own. */
async function putRaw(store: LakeStore, source: string): Promise<void> {
  for (const part of ['export', 'events']) {
    const names = readdirSync(join(source, part), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.json'),
    );
    for (const [index, name] of names.entries()) {
      const text = readFileSync(join(source, part, name), 'utf8').trim();
      const lines = text.startsWith('[')
        ? (JSON.parse(text) as unknown[]).map((row) => JSON.stringify(row)).join('\n')
        : text;
      await store.put(`bench/raw/${part}-${index}.json`, Buffer.from(`${lines}\n`));
    }
  }
  const glue = new GlueClient({
    endpoint: local!.endpoint.url,
    region: REGION,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  await glue.send(new CreateDatabaseCommand({ DatabaseInput: { Name: RAW } }));
  await glue.send(
    new CreateTableCommand({
      DatabaseName: RAW,
      TableInput: {
        Name: 'listening',
        TableType: 'EXTERNAL_TABLE',
        Parameters: { EXTERNAL: 'TRUE', classification: 'json' },
        StorageDescriptor: {
          Location: `${store.uri.replace(/\/$/, '')}/bench/raw/`,
          InputFormat: 'org.apache.hadoop.mapred.TextInputFormat',
          OutputFormat: 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat',
          SerdeInfo: { SerializationLibrary: 'org.openx.data.jsonserde.JsonSerDe' },
          Columns: [
            { Name: 'master_metadata_track_name', Type: 'string' },
            { Name: 'ms_played', Type: 'bigint' },
          ],
        },
      },
    }),
  );
  glue.destroy();
}

/** What stays: results of queries and what this script put there are left out. */
async function storedBytes(store: LakeStore): Promise<number> {
  let sum = 0;
  for (const layer of ['bronze/', 'silver/', 'gold/', 'manifests/', 'state/']) {
    for await (const { bytes } of store.list(layer)) sum += bytes;
  }
  return sum;
}

function keep(measured: Measured): void {
  say(`\nwhat such a lake costs, in US dollars at list price (bench/aws-prices.ts says how)\n${priceTable(measured)}`);
  const text = `${JSON.stringify(measured, null, 2).replace(/\[[\d,\s]+\]/g, (list) => list.replace(/\s+/g, ''))}\n`;
  mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
  writeFileSync(join(ROOT, 'bench/results/aws.txt'), `${out.join('\n')}\n`);
  writeFileSync(join(ROOT, 'bench/results/aws-measured.json'), text);
}

function ratio(what: string, value: number, bound: 'at least' | 'at most', goal: number): void {
  const isMet = bound === 'at least' ? value >= goal : value <= goal;
  say(`  ${isMet ? 'ok  ' : 'MISS'} ${what}: ${value.toFixed(value < 1 ? 3 : 1)} (goal: ${bound} ${goal})`);
}

function say(line: string): void {
  out.push(line);
  process.stdout.write(`${line}\n`);
}

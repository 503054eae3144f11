/**
 * `make stream`: a broker, a producer and a consumer for a minute, then the lake's run to prod, and a table of
 * what became of the events.
 *
 *     node deploy/stream/demo.ts [folder]         default: demo/stream; SECONDS and RATE are variables
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Broker, missingForBroker, startBroker } from './broker.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOPIC = 'listening-events';
const EXIT_UNAVAILABLE = 69;

const folder = resolve(process.argv[2] ?? join(ROOT, 'demo/stream'));
const lake = join(folder, 'lake');
const seconds = process.env.SECONDS ?? '60';
const rate = process.env.RATE ?? '200';

const missing = missingForBroker();
if (missing !== undefined) {
  process.stderr.write(`make stream: ${missing}; install a JDK of 17 or newer and Maven\n`);
  process.exit(EXIT_UNAVAILABLE);
}
rmSync(folder, { recursive: true, force: true });
const broker = await startBroker();
try {
  await showStream(broker);
} finally {
  await broker.close();
}

async function showStream({ brokers }: Broker): Promise<void> {
  const environment = { ...process.env, LISTENLAKE_KAFKA_BROKERS: brokers, LISTENLAKE_LAKE: lake };
  const begin = (...args: string[]): ChildProcess =>
    spawn(join(ROOT, 'listenlake'), args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  const produce = ['stream', 'produce', '--topic', TOPIC, '--rate', rate, '--seconds', seconds, '--json'];
  const producer = finished(begin(...produce));
  // The producer makes the topic.
  await new Promise((done) => setTimeout(done, 4_000));
  const consumer = begin('stream', 'consume', '--topic', TOPIC, '--linger', '5', '--json', '--quiet');
  const consumed = finished(consumer);
  const produced = JSON.parse(await producer) as { events: number };
  consumer.kill('SIGTERM');
  await consumed;
  await finished(begin('stream', 'consume', '--topic', TOPIC, '--until-end', '--json', '--quiet'));
  for (const command of [
    ['transform', '--on-quarantine', 'warn'],
    ['enrich'],
    ['check', '--scope', 'all'],
    ['promote'],
    ['report'],
  ])
    await finished(begin(...command, '--json', '--quiet'));
  const sql = `select sum(records) as bronze, sum(late) as late, sum(dead_letters) as dead from stream_progress`;
  const [progress] = JSON.parse(await finished(begin('sql', sql, '--json'))) as [Record<string, number>];
  const inSilver = 'select count(*) as events from silver.listening_events';
  const [silver] = JSON.parse(await finished(begin('sql', inSilver, '--json'))) as [{ events: number }];
  const lag = JSON.parse(await finished(begin('stream', 'lag', '--topic', TOPIC, '--json'))) as { lag_events: number };
  const page = join(lake, 'report/report.html');
  const [plays] = JSON.parse(await finished(begin('sql', 'select count(*) as n from fct_plays', '--json'))) as [
    { n: number },
  ];
  const isShown = readFileSync(page, 'utf8').includes(`>${Number(plays.n).toLocaleString('en')}<`);
  const rows: [string, unknown][] = [
    ['produced', produced.events],
    ['in bronze', progress.bronze],
    ['in silver', silver.events],
    ['late', progress.late],
    ['dead letters', progress.dead],
    ['lag', lag.lag_events],
    ['plays, as the report shows them', isShown ? plays.n : 'not there'],
  ];
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(34)}${String(value).padStart(10)}\n`);
  process.stdout.write(`${'report'.padEnd(34)}${page}\n`);
  const isWhole = [progress.bronze, silver.events].every((count) => Number(count) === produced.events);
  if (!isWhole || Number(lag.lag_events) !== 0 || !isShown)
    throw new Error('not every event that was produced has arrived: see the table');
}

/** What a command prints. @throws Error where it fails */
async function finished(child: ChildProcess): Promise<string> {
  const chunks: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${child.spawnargs.slice(1).join(' ')} ended with ${code}`);
  return Buffer.concat(chunks).toString('utf8');
}

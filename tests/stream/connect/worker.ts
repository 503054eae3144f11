/** A real worker of Kafka Connect with the sink of these tests, beside a broker: jars of Maven, built by javac. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, javaProgram } from '../../../deploy/stream/broker.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const LOG_SETTINGS = fileURLToPath(new URL('../../../deploy/stream/log4j2.properties', import.meta.url));
const SOURCES = ['ObjectSinkConnector.java', 'ObjectSinkTask.java'];
const PACKAGE = 'listenlake.sink';
const MAVEN_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
const START_MAX_MS = 90_000;
const ANSWER_MAX_MS = 30_000;

/** A running worker. All of it lies in its broker's topics: what was asked of it outlives it. */
export interface ConnectWorker {
  /** Makes a connector, or gives it other settings; settled when its task runs. */
  configure(name: string, settings: Record<string, string>): Promise<void>;
  /** Ends a connector and its task, which commit what they have stored, and begins them again. */
  restart(name: string): Promise<void>;
  /** State of a connector's one task, as Connect words it; undefined: it has none yet. */
  stateOf(name: string): Promise<{ state: string; trace?: string } | undefined>;
  /** As a crash. */
  kill(): Promise<void>;
  /** Starts it again; settled when it answers, before its tasks have their partitions. */
  again(): Promise<void>;
  /** What it has logged since it was started. */
  log(): string;
  close(): Promise<void>;
}

/** What is missing here, beside what a broker needs, in words; undefined: nothing. */
export function missingForWorker(): string | undefined {
  if (spawnSync(compiler(), ['-version']).error !== undefined) return 'a JDK (javac) is not there';
  if (!existsSync(jarFolder()) && spawnSync('mvn', ['-v']).error !== undefined) return 'Maven (mvn) is not there';
  return undefined;
}

/**
 * Starts a distributed worker of one process. The first start on a machine fetches 36 MB.
 *
 * @throws Error with the last lines of its log
 */
export async function startWorker(brokers: string): Promise<ConnectWorker> {
  const jars = fetchJars();
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-connect-'));
  buildSink(join(folder, 'plugins/sink'), jars);
  const url = `http://127.0.0.1:${await freePort()}`;
  const settings = join(folder, 'worker.properties');
  writeFileSync(settings, settingsOf({ brokers, url, plugins: join(folder, 'plugins') }));
  const log = join(folder, 'worker.log');
  let child = await launch(jars, settings, log, url);
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  const stateOf: ConnectWorker['stateOf'] = async (name) => {
    const { status, body } = await ask(url, 'GET', `/connectors/${name}/status`);
    return status === 200 ? (body as { tasks: { state: string; trace?: string }[] }).tasks[0] : undefined;
  };
  const running = async (name: string): Promise<void> => {
    const endsAt = Date.now() + START_MAX_MS;
    for (let last: unknown; ; await wait(100)) {
      last = await stateOf(name);
      if ((last as { state?: string } | undefined)?.state === 'RUNNING') return;
      if (Date.now() > endsAt) throw new Error(`${name} does not run: ${JSON.stringify(last)}`);
    }
  };
  return {
    stateOf,
    async configure(name, given) {
      const all = { 'connector.class': `${PACKAGE}.ObjectSinkConnector`, 'tasks.max': '1', ...given };
      await asked(url, 'PUT', `/connectors/${name}/config`, all);
      await running(name);
    },
    async restart(name) {
      await asked(url, 'POST', `/connectors/${name}/restart?includeTasks=true`);
      await running(name);
    },
    kill: () => stop('SIGKILL'),
    async again() {
      child = await launch(jars, settings, log, url);
    },
    log: () => readFileSync(log, 'utf8'),
    async close() {
      // Nobody needs what it would still commit.
      await stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Offsets are committed when a task ends, and not by the clock, so that a test says what a crash finds
 * committed. A worker that was killed is not waited for: its tasks begin again as soon as the group knows.
 */
function settingsOf({ brokers, url, plugins }: { brokers: string; url: string; plugins: string }): string {
  const topics = ['config', 'offset', 'status'].flatMap((name) => [
    `${name}.storage.topic=connect-${name}`,
    `${name}.storage.replication.factor=1`,
    ...(name === 'config' ? [] : [`${name}.storage.partitions=1`]),
  ]);
  return [
    `bootstrap.servers=${brokers}`,
    'group.id=connect-worker',
    `listeners=${url}`,
    `plugin.path=${plugins}`,
    'plugin.discovery=service_load',
    'key.converter=org.apache.kafka.connect.storage.StringConverter',
    'value.converter=org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable=false',
    'offset.flush.interval.ms=3600000',
    'scheduled.rebalance.max.delay.ms=0',
    ...topics,
  ]
    .map((line) => `${line}\n`)
    .join('');
}

async function launch(jars: string, settings: string, path: string, url: string): Promise<ChildProcess> {
  const log = openSync(path, 'w');
  const args = [
    ...['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx384m', `-Dlog4j2.configurationFile=${LOG_SETTINGS}`],
    ...['-cp', join(jars, '*'), 'org.apache.kafka.connect.cli.ConnectDistributed', settings],
  ];
  const child = spawn(javaProgram(), args, { stdio: ['ignore', log, log] });
  closeSync(log);
  const endsAt = Date.now() + START_MAX_MS;
  for (; ; await wait(200)) {
    const { status } = await ask(url, 'GET', '/connectors').catch(() => ({ status: 0 }));
    if (status === 200) return child;
    if (child.exitCode === null && Date.now() <= endsAt) continue;
    child.kill('SIGKILL');
    throw new Error(`the worker did not start:\n${readFileSync(path, 'utf8').slice(-2000)}`);
  }
}

async function ask(
  url: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** Asks for something to be done; a worker whose group just changes says 409, and is asked again. */
async function asked(url: string, method: string, path: string, body?: unknown): Promise<void> {
  const endsAt = Date.now() + ANSWER_MAX_MS;
  for (; ; await wait(200)) {
    const answer = await ask(url, method, path, body);
    if (answer.status < 300) return;
    if (answer.status !== 409 || Date.now() > endsAt)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
}

function buildSink(target: string, jars: string): void {
  const services = join(target, 'META-INF/services');
  mkdirSync(services, { recursive: true });
  const sources = SOURCES.map((name) => join(HERE, name));
  const args = ['--release', '17', '-Xlint:all', '-Werror', '-cp', join(jars, '*'), '-d', target, ...sources];
  execFileSync(compiler(), args, { stdio: ['ignore', 'inherit', 'inherit'] });
  writeFileSync(join(services, 'org.apache.kafka.connect.sink.SinkConnector'), `${PACKAGE}.ObjectSinkConnector\n`);
}

function compiler(): string {
  return process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin/javac') : 'javac';
}

/** The name says what is in it: it is only there where all jars are, and are the known ones. */
function jarFolder(): string {
  const version = createHash('sha256')
    .update(readFileSync(join(HERE, 'jars.sha256')))
    .digest('hex')
    .slice(0, 12);
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake', `kafka-connect-${version}`);
}

function fetchJars(): string {
  const folder = jarFolder();
  if (existsSync(folder)) return folder;
  const aside = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  process.stderr.write('fetching Kafka Connect (36 MB)\n');
  try {
    const pom = join(HERE, 'pom.xml');
    const args = ['-B', '-q', '-f', pom, MAVEN_GOAL, '-DincludeScope=runtime', `-DoutputDirectory=${aside}`];
    execFileSync('mvn', args, { stdio: ['ignore', 2, 'inherit'] });
    checkJars(aside);
    try {
      renameSync(aside, folder);
    } catch (error) {
      // Whoever else has made it meanwhile has made the same.
      if (!existsSync(folder)) throw error;
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return folder;
}

function checkJars(folder: string): void {
  const wanted = readFileSync(join(HERE, 'jars.sha256'), 'utf8').split('\n').filter(Boolean);
  const hashOf = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
  const found = readdirSync(folder).map((name) => `${hashOf(name)}  ${name}`);
  const odd = [...found.filter((line) => !wanted.includes(line)), ...wanted.filter((line) => !found.includes(line))];
  if (odd.length > 0)
    throw new Error(`the downloaded jars are not the known ones: ${odd.slice(0, 3).join(', ')} (${odd.length} in all)`);
}

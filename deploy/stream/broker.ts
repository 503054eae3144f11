/** A real Kafka of one node on loopback, from Maven's jars: for `make stream`, the tests and the benchmarks. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const VERSION = '4.3.1';
const JAVA_MIN = 17;
const START_MAX_MS = 60_000;
const STOP_MAX_MS = 20_000;
const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';

/** A running broker. */
export interface Broker {
  /** `host:port`. */
  readonly brokers: string;
  /** Stops it; `SIGKILL`: as a crash. Its log of records stays. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it again on the same records. */
  again(): Promise<void>;
  /** Stops it and deletes its records. */
  close(): Promise<void>;
}

/** Two more doors of a broker: one that speaks TLS, one that also asks who is there (PLAIN and SCRAM-SHA-512). */
export interface SecureDoors {
  /** PEM file: the broker's private key (PKCS#8), then its certificate, which must be of `localhost`. */
  keyFile: string;
  /** The one user, and the password. */
  username: string;
  password: string;
}

/** A broker with these doors, each as `localhost:port`. */
export interface SecureBroker extends Broker {
  readonly tls: string;
  readonly sasl: string;
}

/** What is missing on this machine to start a broker, in words; undefined: nothing. */
export function missingForBroker(): string | undefined {
  const java = spawnSync(javaProgram(), ['-version'], { encoding: 'utf8' });
  const version = Number(/version "(\d+)/.exec(java.stderr ?? '')?.[1] ?? 0);
  if (java.error !== undefined || version < JAVA_MIN) return `a JDK of ${JAVA_MIN} or newer (java) is not there`;
  const isFetched = libraries() !== undefined;
  if (!isFetched && spawnSync('mvn', ['-v']).error !== undefined) return 'Maven (mvn) is not there';
  return undefined;
}

/**
 * Starts a broker with an empty log on a free port. The first start on a machine fetches 57 MB.
 *
 * @throws Error with the last lines of its log
 */
export async function startBroker(): Promise<Broker> {
  return startWith([], []);
}

/** The same with doors that are locked, beside the open one. */
export async function startSecureBroker(doors: SecureDoors): Promise<SecureBroker> {
  const [tls, sasl] = [await freePort(), await freePort()];
  const { username, password, keyFile } = doors;
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
  const settings = [
    `listeners+=,TLS://127.0.0.1:${tls},SASL://127.0.0.1:${sasl}`,
    `advertised.listeners+=,TLS://localhost:${tls},SASL://localhost:${sasl}`,
    'listener.security.protocol.map+=,TLS:SSL,SASL:SASL_SSL',
    'ssl.keystore.type=PEM',
    `ssl.keystore.location=${keyFile}`,
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512',
    `listener.name.sasl.plain.sasl.jaas.config=${login} user_${username}="${password}";`,
    'listener.name.sasl.scram-sha-512.sasl.jaas.config=' +
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  ];
  const users = ['--add-scram', `SCRAM-SHA-512=[name=${username},password=${password}]`];
  const broker = await startWith(settings, users);
  return { ...broker, tls: `localhost:${tls}`, sasl: `localhost:${sasl}` };
}

/**
 * @param settings lines that come after those of `server.properties`; `+=` adds to the end of one of them
 * @param formatted more words for the command that makes the empty log
 */
async function startWith(settings: readonly string[], formatted: readonly string[]): Promise<Broker> {
  const libs = libraries() ?? fetchLibraries();
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-kafka-'));
  const [port, controller] = [await freePort(), await freePort()];
  const properties = join(folder, 'server.properties');
  const filled = readFileSync(join(HERE, 'server.properties'), 'utf8')
    .replaceAll('{PORT}', String(port))
    .replaceAll('{CONTROLLER}', String(controller))
    .replaceAll('{DATA}', join(folder, 'data'));
  writeFileSync(properties, settings.reduce(withSetting, filled));
  const options = [
    ...['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx512m'],
    ...[`-Dlog4j2.configurationFile=${join(HERE, 'log4j2.properties')}`, '-cp', join(libs, '*')],
  ];
  const cluster = Buffer.from('listenlake-kafka').toString('base64url').slice(0, 22);
  const format = ['kafka.tools.StorageTool', 'format', '-t', cluster, '-c', properties, ...formatted];
  execFileSync(javaProgram(), [...options, ...format], { stdio: ['ignore', 'ignore', 'inherit'] });
  let child = await launch(folder, [...options, 'kafka.Kafka', properties]);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MAX_MS);
    await ended;
    clearTimeout(timer);
  };
  return {
    brokers: `127.0.0.1:${port}`,
    stop,
    async again() {
      child = await launch(folder, [...options, 'kafka.Kafka', properties]);
    },
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function withSetting(text: string, line: string): string {
  const [, name, more] = /^([^=]+)\+=(.*)$/.exec(line) ?? [];
  if (name === undefined) return `${text}${line}\n`;
  return text
    .split('\n')
    .map((each) => (each.startsWith(`${name}=`) ? each + more : each))
    .join('\n');
}

/** A tool of Kafka's own, by its class: the program and what comes before the tool's own arguments. */
export function kafkaTool(name: string): { program: string; args: string[] } {
  const log = `-Dlog4j2.configurationFile=${join(HERE, 'log4j2.properties')}`;
  return { program: javaProgram(), args: [log, '-cp', join(libraries() ?? fetchLibraries(), '*'), name] };
}

async function launch(folder: string, args: string[]): Promise<ChildProcess> {
  const path = join(folder, 'broker.log');
  const log = openSync(path, 'w');
  const child = spawn(javaProgram(), args, { stdio: ['ignore', log, log] });
  closeSync(log);
  const endsAt = Date.now() + START_MAX_MS;
  while (!readFileSync(path, 'utf8').includes('Kafka Server started')) {
    if (child.exitCode !== null || Date.now() > endsAt) {
      child.kill('SIGKILL');
      throw new Error(`the broker did not start:\n${readFileSync(path, 'utf8').slice(-2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return child;
}

/** JAVA_HOME decides, else PATH. */
export function javaProgram(): string {
  return process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin/java') : 'java';
}

function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake', `kafka-${VERSION}`);
}

/** The jars, where they have been fetched whole. */
function libraries(): string | undefined {
  return existsSync(join(cacheFolder(), 'done')) ? join(cacheFolder(), 'libs') : undefined;
}

function fetchLibraries(): string {
  const folder = join(cacheFolder(), 'libs');
  mkdirSync(folder, { recursive: true });
  process.stderr.write('fetching Kafka (57 MB)\n');
  const args = [
    '-B',
    '-q',
    '-f',
    join(HERE, 'pom.xml'),
    PLUGIN,
    '-DincludeScope=runtime',
    `-DoutputDirectory=${folder}`,
  ];
  execFileSync('mvn', args, { stdio: ['ignore', 2, 'inherit'] });
  writeFileSync(join(cacheFolder(), 'done'), '');
  return folder;
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

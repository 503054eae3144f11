/**
 * A real Trino on moto's Glue and S3: the engine behind the Athena front. Its jars come from Maven by
 * `trino/pom.xml`.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../airflow/free-port.ts';
import { cacheDir, end, runTool, type Service, Unavailable } from './moto.ts';

const HERE = fileURLToPath(new URL('./trino/', import.meta.url));
const VERSION = '476';
const JAVA_MIN = 24;
const MAVEN_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
/** A shared machine may take minutes for what takes ten seconds alone. */
const START_TIMEOUT_MS = 900_000;
/** Enough for millions of rows of the demo; the machine is shared. */
const HEAP = '1G';

/**
 * Starts Trino with the catalog `awsdatacatalog` (Athena's own name for Glue). Athena has Hive and Iceberg
 * tables in it side by side; Trino has a connector for each, so a second catalog, `iceberg`, stands behind
 * the first.
 *
 * @param motoUrl where S3 and Glue are
 * @throws Unavailable without Java 24 or newer, Maven, or the jars
 */
export async function startTrino(motoUrl: string, region: string): Promise<Service> {
  const java = await javaOf();
  const jars = await jarsOf();
  const folder = await mkdtemp(join(tmpdir(), 'listenlake-trino-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  await writeSettings(folder, { port, url, motoUrl, region });
  const child = spawn(java, [...jvmOptions(folder, jars), join(HERE, 'TrinoServer.java'), VERSION], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-4_000);
    });
  }
  const close = async (): Promise<void> => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  for (const deadline = performance.now() + START_TIMEOUT_MS; !(await isReady(url)); await sleep(300)) {
    if (child.exitCode === null && performance.now() < deadline) continue;
    await close();
    throw new Error(`Trino did not start: ${words}`);
  }
  return { url, close };
}

function jvmOptions(folder: string, jars: string): string[] {
  return [
    `-Xmx${HEAP}`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:+ExitOnOutOfMemoryError',
    '-Djdk.attach.allowAttachSelf=true',
    '-Duser.timezone=UTC',
    '-Dnode.environment=test',
    `-Dnode.data-dir=${join(folder, 'data')}`,
    `-Dplugin.dir=${join(jars, 'plugins')}`,
    `-Dconfig=${join(folder, 'config.properties')}`,
    `-Dlog.levels-file=${join(folder, 'log.properties')}`,
    `-Dcatalog.config-dir=${join(folder, 'catalog')}`,
    '-cp',
    [join(jars, 'server', '*')].join(delimiter),
  ];
}

async function writeSettings(
  folder: string,
  { port, url, motoUrl, region }: { port: number; url: string; motoUrl: string; region: string },
): Promise<void> {
  await mkdir(join(folder, 'catalog'));
  const write = (name: string, settings: Record<string, string | number | boolean>): Promise<void> =>
    writeFile(
      join(folder, name),
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    );
  await write('config.properties', {
    coordinator: true,
    'node-scheduler.include-coordinator': true,
    'http-server.http.port': port,
    'http-server.log.enabled': false,
    'discovery.uri': url,
    'node.internal-address': '127.0.0.1',
    'query.max-memory': '400MB',
    'query.max-memory-per-node': '400MB',
    'memory.heap-headroom-per-node': '200MB',
    'catalog.management': 'static',
    // One writer, so that Athena's limit of 100 partitions is one of the statement.
    'task.min-writer-count': 1,
    'task.max-writer-count': 1,
  });
  await write('log.properties', { 'io.trino': 'WARN' });
  const s3 = {
    'fs.native-s3.enabled': true,
    's3.endpoint': motoUrl,
    's3.region': region,
    's3.path-style-access': true,
    's3.aws-access-key': 'test',
    's3.aws-secret-key': 'test',
  };
  const glue = {
    'hive.metastore.glue.region': region,
    'hive.metastore.glue.endpoint-url': motoUrl,
    'hive.metastore.glue.aws-access-key': 'test',
    'hive.metastore.glue.aws-secret-key': 'test',
  };
  await write('catalog/awsdatacatalog.properties', {
    'connector.name': 'hive',
    'hive.metastore': 'glue',
    ...glue,
    'hive.metastore.glue.partitions-segments': 1,
    // Athena inserts into external tables, and stops at 100 partitions of one statement.
    'hive.non-managed-table-writes-enabled': true,
    'hive.non-managed-table-creates-enabled': true,
    // As Athena reads folders.
    'hive.recursive-directories': true,
    'hive.max-partitions-per-writers': 100,
    'hive.storage-format': 'PARQUET',
    'hive.compression-codec': 'ZSTD',
    'hive.security': 'allow-all',
    'hive.iceberg-catalog-name': 'iceberg',
    ...s3,
  });
  await write('catalog/iceberg.properties', {
    'connector.name': 'iceberg',
    'iceberg.catalog.type': 'glue',
    'iceberg.file-format': 'PARQUET',
    'iceberg.compression-codec': 'ZSTD',
    ...glue,
    ...s3,
  });
}

/** It answers before its own node is listed, and then has nowhere to run a query. */
async function isReady(url: string): Promise<boolean> {
  try {
    let page = (await (
      await fetch(`${url}/v1/statement`, {
        method: 'POST',
        body: `select count(*) from awsdatacatalog.information_schema.schemata cross join system.runtime.nodes where state = 'active'`,
        headers: { 'x-trino-user': 'test' },
      })
    ).json()) as { nextUri?: string; error?: unknown; data?: number[][] };
    let count = 0;
    for (;;) {
      count += page.data?.[0]?.[0] ?? 0;
      if (page.error !== undefined || page.nextUri === undefined) break;
      page = (await (await fetch(page.nextUri)).json()) as typeof page;
    }
    return page.error === undefined && count > 0;
  } catch {
    return false; // not listening yet, or not answering in JSON
  }
}

async function javaOf(): Promise<string> {
  const homes = [
    process.env.JAVA_HOME,
    ...(existsSync('/usr/lib/jvm') ? (await readdir('/usr/lib/jvm')).map((name) => `/usr/lib/jvm/${name}`) : []),
  ];
  const candidates = homes.filter((home) => home !== undefined).map((home) => join(home, 'bin/java'));
  for (const java of [...candidates.filter((path) => existsSync(path)), 'java']) {
    if ((await majorOf(java)) >= JAVA_MIN) return java;
  }
  throw new Unavailable(`no Java ${JAVA_MIN} or newer (set JAVA_HOME)`);
}

async function majorOf(java: string): Promise<number> {
  try {
    return Number(/^\S+ (\d+)/.exec(await runTool(java, ['--version']))?.[1] ?? 0);
  } catch (error) {
    if (error instanceof Unavailable) return 0;
    throw error;
  }
}

/**
 * The folder with `server/*.jar` and `plugins/lake/*.jar`, downloaded once and checked against
 * `trino/jars.sha256`.
 */
async function jarsOf(): Promise<string> {
  const pom = join(HERE, 'pom.xml');
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12);
  const folder = join(cacheDir(), `trino-${VERSION}-${version}`);
  if (existsSync(folder)) return folder;
  const aside = `${folder}.${process.pid}`;
  try {
    for (const [profile, target] of [
      ['server', 'server'],
      ['lake', 'plugins/lake'],
    ] as const) {
      const settings = ['-DincludeScope=runtime', `-DoutputDirectory=${join(aside, target)}`];
      await runTool('mvn', ['-B', '-q', '-f', pom, '-P', profile, MAVEN_GOAL, ...settings]);
    }
    await checkJars(aside);
    // What Trino's build would have put into the plugin: the classes to begin with.
    const services = join(aside, 'plugins/lake/services/META-INF/services');
    await mkdir(services, { recursive: true });
    const plugins = ['io.trino.plugin.hive.HivePlugin', 'io.trino.plugin.iceberg.IcebergPlugin'];
    await writeFile(join(services, 'io.trino.spi.Plugin'), plugins.map((name) => `${name}\n`).join(''));
    await rename(aside, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return folder;
}

async function checkJars(folder: string): Promise<void> {
  const wanted = readFileSync(join(HERE, 'jars.sha256'), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  const found: string[] = [];
  for (const part of ['server', 'plugins/lake']) {
    for (const name of (await readdir(join(folder, part))).sort()) {
      const hash = createHash('sha256');
      await pipeline(createReadStream(join(folder, part, name)), hash);
      found.push(`${hash.digest('hex')}  ${part}/${name}`);
    }
  }
  const odd = [...found.filter((line) => !wanted.includes(line)), ...wanted.filter((line) => !found.includes(line))];
  if (odd.length > 0)
    throw new Error(`the downloaded jars are not the known ones: ${odd.slice(0, 3).join(', ')} (${odd.length} in all)`);
}

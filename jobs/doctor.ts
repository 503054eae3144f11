import { createWriteStream } from 'node:fs';
import { rm, stat, statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describeError, JobError } from './base/errors.ts';
import type { Finding } from './base/finding.ts';
import { hashObject, hashText } from './base/hash.ts';
import { count } from './base/words.ts';
import { findPseudonymKey } from './bronze/pseudonym-key.ts';
import { accountsUnderOneLabel } from './bronze/warnings.ts';
import type { Effects } from './effects/index.ts';
import { type Embedded, literalPath, openEmbedded, quoteText } from './engine/duckdb/database.ts';
import { inspectAccount } from './engine/open.ts';
import { goldModelsOf, readProject } from './gold/project.ts';
import { PREFIX, parseStreamBatchKey } from './lake/keys.ts';
import {
  type BronzeFile,
  EMPTY_STATE,
  hashOf,
  LAKE_FORMAT,
  type LakeState,
  latestManifest,
  listManifests,
  type OutputFile,
  objectsOf,
  objectsOfFiles,
  readBronzeIndex,
  readManifest,
  readSilverFiles,
} from './lake/manifest.ts';
import { isElsewhere, type LakeStore } from './lake/store.ts';
import { readStreamIndex } from './lake/stream.ts';
import { lookAtFunctions } from './serverless/fits.ts';
import { lookAtTransform } from './silver/inspect.ts';
import { lookAtStreams } from './stream/inspect.ts';

/** Below this the first import of a long history may not fit. */
const DISK_FREE_MIN_BYTES = 2 * 1024 ** 3;
const ORPHANS_SHOWN = 3;

/**
 * Looks at the machine, the configuration and the lake; changes nothing.
 *
 * @param input.aws also compares contracts and models with the account that holds the lake; a folder has none
 *   (`lake_not_on_aws`, 78)
 * @param input.verify also reads every committed object: hash, rows, accounts, and objects that no manifest
 *   names, and builds aside what the next `transform` would build (as long as the lake is large)
 * @returns one finding a line; any `fail` means exit 65
 */
export async function doctor(input: { verify: boolean; aws: boolean }, effects: Effects): Promise<Finding[]> {
  const manifest = await latestManifest(effects.store);
  const account = input.aws ? await lookAtAccount(effects, manifest?.state ?? EMPTY_STATE) : [];
  const findings = [
    ...(await lookAtMachine(effects)),
    ...(await lookAtConfig(effects, manifest?.state ?? EMPTY_STATE)),
    ...account,
  ];
  if (manifest === undefined) {
    return [
      ...findings,
      {
        name: 'lake',
        verdict: 'ok',
        text: `${effects.store.uri} is empty: start with \`listenlake run <your export>\``,
      },
    ];
  }
  const files = await committedFiles(effects, manifest.state);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  findings.push({
    name: 'lake',
    verdict: 'ok',
    text: `${effects.store.uri}: commit ${manifest.sequence} by ${manifest.job}, ${count(files.length, 'object')}, ${megabytes(bytes)}`,
  });
  if (manifest.format < LAKE_FORMAT) {
    findings.push({
      name: 'format',
      verdict: 'ok',
      text: `${manifest.format}, of an older version: the next \`listenlake transform\` or \`run\` makes silver again from bronze (format ${LAKE_FORMAT})`,
    });
  }
  const bronze = await readBronzeIndex(effects.store, manifest.state);
  findings.push(...lookAtLabels(bronze));
  const isWaiting = bronze.some(({ sequence }) => sequence > manifest.state.transformedThrough);
  findings.push(...lookAtVersions(manifest.state, isWaiting));
  if (input.aws && effects.config.functionSeconds > 0)
    findings.push(await lookAtFunctions(effects.store, effects.config.functionSeconds));
  findings.push(...(await lookAtStreams(effects, manifest.state)));
  findings.push(...(await lookAtTransform(effects, input.verify)));
  if (input.verify) findings.push(...(await verify(effects, files, manifest.sequence)));
  return findings;
}

function lookAtAccount({ store, config }: Effects, state: LakeState): Promise<Finding[]> {
  return inspectAccount(store, { config, state, models: goldModelsOf(readProject()) });
}

async function lookAtMachine(effects: Effects): Promise<Finding[]> {
  const node = Number(process.versions.node.split('.')[0]);
  const disk = await statfs(effects.scratch);
  const free = disk.bavail * disk.bsize;
  const memory = totalmem();
  const engine = effects.config.memoryMb * 1024 ** 2;
  return [
    {
      name: 'node',
      verdict: node >= 24 ? 'ok' : 'fail',
      text: `Node ${process.versions.node}${node >= 24 ? '' : ': 24 or newer is needed'}`,
    },
    {
      name: 'disk',
      verdict: free >= DISK_FREE_MIN_BYTES ? 'ok' : 'warn',
      text: `${megabytes(free)} free where the lake lies${free >= DISK_FREE_MIN_BYTES ? '' : ': a long history may need more'}`,
    },
    {
      name: 'memory',
      verdict: engine * 2 <= memory ? 'ok' : 'warn',
      text: `the engine may use ${megabytes(engine)} of ${megabytes(memory)}${engine * 2 <= memory ? '' : ': lower LISTENLAKE_MEMORY_MB'}`,
    },
  ];
}

async function lookAtConfig(effects: Effects, state: LakeState): Promise<Finding[]> {
  const { config } = effects;
  return [
    { name: 'config', verdict: 'ok', text: `lake ${config.lakeUri}, user ${config.userId}, ${config.threads} threads` },
    await lookAtPseudonyms(effects, state),
  ];
}

async function lookAtPseudonyms(effects: Effects, state: LakeState): Promise<Finding> {
  const name = 'pseudonyms';
  // Its value is for the jobs that load; who looks at the machine need not have the right to read it.
  const { pseudonymKey, pseudonymSecret } = effects.config;
  if (pseudonymKey === undefined && pseudonymSecret !== undefined)
    return {
      name,
      verdict: 'ok',
      text: `ids of other people are hashed with the key in the secret ${pseudonymSecret}`,
    };
  try {
    const index = await readBronzeIndex(effects.store, state);
    const found = await findPseudonymKey(effects, state, index, 'never');
    if (found?.from === 'built-in') {
      return {
        name,
        verdict: 'warn',
        text: 'ids of people in this lake are hashed with a key that everybody can read: load everything anew into a new lake (`listenlake run <your files> --lake <new folder>`), and use that one',
      };
    }
    const words = { given: 'the key that was given', secret: 'the key of its secret', file: "this lake's own key" };
    const none = isElsewhere(effects.store.uri)
      ? 'no key is given: answers of the Web API and events cannot be loaded (LISTENLAKE_PSEUDONYM_SECRET)'
      : 'nothing names people yet: the first file that does makes the key of this lake';
    return {
      name,
      verdict: 'ok',
      text: found === undefined ? none : `ids of other people are hashed with ${words[found.from]}`,
    };
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    return { name, verdict: 'fail', text: describeError(error) };
  }
}

/** Exports of several accounts under one label: a load says so once. */
function lookAtLabels(bronze: readonly BronzeFile[]): Finding[] {
  const labels = new Set(bronze.flatMap(({ userId }) => userId ?? []));
  return [...labels].flatMap((label) => {
    const warning = accountsUnderOneLabel(bronze, label);
    return warning === undefined ? [] : [{ name: 'labels', verdict: 'warn', text: warning } as const];
  });
}

/** @param isWaiting bronze has files that are not in silver yet */
function lookAtVersions(state: LakeState, isWaiting: boolean): Finding[] {
  const { dev, prod } = state.gold;
  const findings: Finding[] = [];
  if (dev === undefined)
    findings.push({ name: 'gold', verdict: 'warn', text: 'no gold tables yet: run `listenlake run`' });
  else if (prod === undefined)
    findings.push({
      name: 'gold',
      verdict: 'warn',
      text: 'gold_dev is built, gold_prod is not: run `listenlake promote`',
    });
  else if (isWaiting)
    findings.push({
      name: 'gold',
      verdict: 'warn',
      text: 'bronze has files that are not in the tables yet: run `listenlake run`',
    });
  else if (dev.silverSequence !== state.silverSequence || prod.silverSequence !== state.silverSequence) {
    findings.push({ name: 'gold', verdict: 'warn', text: 'silver is newer than gold: run `listenlake run`' });
  } else
    findings.push({
      name: 'gold',
      verdict: 'ok',
      text: `gold_prod as of ${prod.asOf.slice(0, 10)}, ${count(Object.keys(prod.tables).length, 'table')}`,
    });
  if (state.iceberg !== undefined && state.iceberg.runId !== prod?.runId) {
    findings.push({
      name: 'iceberg',
      verdict: 'warn',
      text: 'the Iceberg tables show an older gold_prod: run `listenlake promote`',
    });
  }
  if (state.removal !== undefined) {
    findings.push({
      name: 'removal',
      verdict: 'fail',
      text: 'a removal was interrupted and its traces are still there: run the same `listenlake forget` or `listenlake retention` again',
    });
  }
  for (const [scope, check] of Object.entries(state.checks)) {
    if (check.verdict === 'failed') {
      findings.push({
        name: 'checks',
        verdict: 'fail',
        text: `the last checks of ${scope} failed: run \`listenlake check\` to see which`,
      });
    }
  }
  return findings;
}

async function committedFiles(effects: Effects, state: LakeState): Promise<OutputFile[]> {
  const bronze = await readBronzeIndex(effects.store, state);
  const silver = await Promise.all(
    Object.keys(state.silver).map((table) => readSilverFiles(effects.store, state, table)),
  );
  const gold = Object.values(state.gold).flatMap((version) => Object.values(version.tables));
  const batches = await readStreamIndex(effects.store, state);
  return [
    ...objectsOfFiles(bronze),
    ...batches,
    ...silver.flat(),
    ...gold,
    ...Object.values(state.iceberg?.tables ?? {}),
  ];
}

/** The oracle for users: everything the manifests promise is looked up in the objects themselves. */
async function verify(effects: Effects, files: OutputFile[], sequence: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { store, progress } = effects;
  progress.start('verify', files.length);
  const engine = await openCounter(effects);
  try {
    for (const [index, file] of files.entries()) {
      progress.update(index, file.key);
      const found = file.key.endsWith('/') ? await verifyPrefix(effects, file) : await verifyObject(effects, file);
      if (typeof found === 'string') findings.push({ name: 'object', verdict: 'fail', text: found });
      else findings.push(...(await countRows(engine, file, found)));
      // Copies of objects that are elsewhere: a lake need not fit on this disk.
      if (isElsewhere(store.uri) && typeof found !== 'string')
        for (const path of found) await rm(path, { force: true });
    }
  } finally {
    engine.close();
  }
  for (const { sequence: number } of await listManifests(store)) {
    if (number > sequence) break; // committed since
    const { accounts, job } = await readManifest(store, number);
    if (accounts.read !== accounts.new + accounts.duplicate + accounts.quarantined) {
      findings.push({ name: 'accounts', verdict: 'fail', text: `commit ${number} (${job}) does not add up` });
    }
  }
  findings.push(...(await lookForOrphans(store, files)));
  progress.end(`${count(files.length, 'object')} read`);
  if (findings.every((finding) => finding.verdict === 'ok')) {
    findings.push({
      name: 'verify',
      verdict: 'ok',
      text: `${count(files.length, 'object')}: every hash, row count and account holds`,
    });
  }
  return findings;
}

/** @returns the local file that holds it, or what is wrong with it */
async function verifyObject(effects: Effects, file: OutputFile): Promise<string[] | string> {
  const path = await localIfThere(effects, file.key);
  if (path === undefined) return `${file.key} is gone: ${remedy(file.key)}`;
  const [bytes, sha256] = await measure(path);
  if (bytes === file.bytes && sha256 === file.sha256) return [path];
  return `${file.key} is not what was committed (${bytes} of ${file.bytes} bytes): ${remedy(file.key)}`;
}

/** As `verifyObject`, of every object below a prefix: which there are, how large, in which version. */
async function verifyPrefix(effects: Effects, file: OutputFile): Promise<string[] | string> {
  const objects = await objectsOf(effects.store, file.key);
  const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
  if (objects.length === 0 && file.bytes > 0) return `${file.key} is gone: ${remedy(file.key)}`;
  if (hashOf(file.key, objects) !== file.sha256) {
    const seen = `${count(objects.length, 'object')}, ${bytes} of ${file.bytes} bytes`;
    return `${file.key} is not what was committed (${seen}): ${remedy(file.key)}`;
  }
  const paths: string[] = [];
  for (const { key } of objects) {
    const path = await localIfThere(effects, key);
    if (path === undefined) return `${key} is gone: ${remedy(key)}`;
    paths.push(path);
  }
  return paths;
}

/** Reads what lies in the lake's folder, or was copied out of a lake elsewhere. */
function openCounter({ config, scratch }: Effects): Promise<Embedded> {
  const layers = [PREFIX.bronze, PREFIX.silver, PREFIX.gold].map((prefix) => join(resolve(config.lakeUri), prefix));
  return openEmbedded({
    memoryMb: config.memoryMb,
    threads: config.threads,
    tempDir: scratch,
    folders: [scratch, ...layers].flatMap((folder) => [folder, literalPath(folder)]),
  });
}

async function countRows(engine: Embedded, file: OutputFile, paths: readonly string[]): Promise<Finding[]> {
  // The engine has counted an Iceberg table's rows as it wrote them; not all of its objects are Parquet.
  const isCounted = !file.key.endsWith('.json') && !file.key.startsWith(PREFIX.iceberg);
  if (!isCounted || paths.length === 0) return [];
  const list = paths.map((path) => quoteText(literalPath(path))).join(', ');
  const [counted] = await engine.rows<{ rows: bigint }>(
    `select cast(sum(num_rows) as bigint) as rows from parquet_file_metadata([${list}])`,
  );
  if (Number(counted?.rows) === file.rows) return [];
  const text = `${file.key} has ${counted?.rows} rows, the commit says ${file.rows}: ${remedy(file.key)}`;
  return [{ name: 'rows', verdict: 'fail', text }];
}

/** Objects of tables that no commit of today names. */
async function lookForOrphans(store: LakeStore, files: readonly OutputFile[]): Promise<Finding[]> {
  const known = new Set(files.map((file) => file.key));
  const prefixes = files.map((file) => file.key).filter((key) => key.endsWith('/'));
  const orphans: string[] = [];
  let total = 0;
  for (const prefix of [PREFIX.bronze, PREFIX.silver, PREFIX.gold, PREFIX.iceberg]) {
    for await (const { key } of store.list(prefix)) {
      if (known.has(key) || parseStreamBatchKey(key) !== undefined || prefixes.some((each) => key.startsWith(each)))
        continue;
      total += 1;
      if (orphans.length < ORPHANS_SHOWN) orphans.push(key);
    }
  }
  if (total === 0) return [];
  const more = total > orphans.length ? ', ...' : '';
  return [
    {
      name: 'orphans',
      verdict: 'ok',
      text: `${count(total, 'object')} that no commit names (older versions, interrupted runs); readers never see them, \`listenlake gc\` takes the old ones: ${orphans.join(', ')}${more}`,
    },
  ];
}

/**
 * A local file with the object's bytes: the object itself, or a copy that `verify` removes; undefined where
 * there is none.
 */
async function localIfThere({ store, scratch }: Effects, key: string): Promise<string | undefined> {
  try {
    if (!isElsewhere(store.uri)) return await store.localFile(key);
    const copy = join(scratch, `verify-${hashText(key)}`);
    await pipeline(await store.get(key), createWriteStream(copy, { mode: 0o600 }));
    return copy;
  } catch (error) {
    if (!(error instanceof JobError) || error.code !== 'object_missing') throw error;
    return undefined;
  }
}

function remedy(key: string): string {
  if (parseStreamBatchKey(key) !== undefined)
    return 'bring it back from a copy of the lake: its events are in silver as they were taken';
  if (key.startsWith(PREFIX.silver)) return 'run `listenlake transform --rebuild` to make it again from bronze';
  if (key.startsWith(PREFIX.gold))
    return key.startsWith(`${PREFIX.gold}prod`)
      ? 'run `listenlake promote --rebuild` to publish gold_dev again'
      : 'run `listenlake enrich --rebuild` to make it again from silver';
  if (key.startsWith(PREFIX.iceberg)) return 'run `listenlake promote` to make the copy again from gold_prod';
  return 'load the file it came from again';
}

async function measure(path: string): Promise<[bytes: number, sha256: string]> {
  return [(await stat(path)).size, await hashObject(path)];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toLocaleString('en', { maximumFractionDigits: bytes < 10 * 1024 ** 2 ? 1 : 0 })} MiB`;
}

import { basename } from 'node:path';
import { JobError } from '../base/errors.ts';
import { count } from '../base/words.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import { STAGING_FOLDER } from '../lake/folder/store.ts';
import { LATEST_MANIFEST_HINT_KEY, PREFIX } from '../lake/keys.ts';
import { type BronzeFile, getState, listManifests, readManifest } from '../lake/manifest.ts';
import { asRead } from '../silver/relations.ts';
import { PURGED_PREFIXES, type RemovalPlan, type RemovalRule, withBronze } from './index.ts';
import { type Hit, type Traces, withScanner } from './traces.ts';

export interface Proof {
  objects: number;
  hits: Hit[];
  /** What could not be looked into, and why: for the person to see to. */
  unread: string[];
}

/** Ids, links, hashes: texts that need no escaping anywhere and that chance does not repeat. */
const IDENTIFYING = /^[\w:./-]{16,200}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}[T ]/;
/** A sample of this many values, spread over all files. */
const VALUES_MAX = 200;
const FILES_MAX = 100;
const ROWS_PER_FILE = 10;

/**
 * Collects what would give the removed away: hashes of the files and a sample of the values in them, without
 * those that the rest of bronze has, too. Files of a removal that was killed are found in older commits, as
 * long as those are there. What waits in landing counts as the rest: call it when theirs is gone from there.
 */
export async function collectTraces(
  rule: RemovalRule,
  label: string | undefined,
  { files: removedNow, parts, index }: Pick<RemovalPlan, 'files' | 'parts' | 'index'>,
  effects: Effects,
): Promise<Traces> {
  const files = await everyFileOf(rule, removedNow, effects);
  const values = new Set(spread(files, VALUES_MAX).map(({ sourceKey }) => sourceKey));
  const sampled = spread(
    [...files.map((file) => ({ file, condition: 'true' })), ...parts].filter(({ file }) => file.rows > 0),
    FILES_MAX,
  );
  const perFile = Math.max(2, Math.ceil(VALUES_MAX / Math.max(1, sampled.length)));
  for (const { file, condition } of sampled) {
    stopIfAsked(effects.signal);
    if ((await effects.store.head(file.key)) === undefined || file.table === 'refused') continue;
    for (const value of await valuesIn(file, condition, perFile, effects)) values.add(value);
  }
  const removed = new Set(files.map(({ key }) => key));
  const changed = new Set(parts.map(({ file }) => file.key));
  const others = index.filter(({ key }) => !removed.has(key) && !changed.has(key)).map(({ key }) => key);
  for await (const { key } of effects.store.list(PREFIX.landing)) others.push(key);
  const shared = new Set<string>();
  const candidates: Traces = { label: undefined, values: [...values] };
  await withScanner(candidates, effects, async (scanner) => {
    for (const key of others) for (const { found } of (await scanner.look(key)).found) shared.add(found);
    for (const { file, condition } of parts) {
      const rest = await valuesIn(file, `not coalesce(${condition}, false)`, Number.MAX_SAFE_INTEGER, effects, values);
      for (const value of rest) shared.add(value);
    }
  });
  return { label, values: [...values].filter((value) => !shared.has(value)) };
}

/**
 * Looks for the traces in everything that lies under the lake, also in what no job has put there: keys, bytes
 * of every object, decoded values of Parquet, the files in zips and gzips, the catalog, and old versions, of
 * which there must be none at all. What it cannot look into, it says.
 *
 * @throws what the store throws; a damaged Parquet file is a `proof_impossible` (65)
 */
export async function prove(traces: Traces, effects: Effects): Promise<Proof> {
  const { engine, progress, signal } = effects;
  const proof: Proof = { objects: 0, hits: [], unread: [] };
  progress.start('prove');
  await withScanner(traces, effects, async (scanner) => {
    for await (const key of everyKey(effects, proof)) {
      stopIfAsked(signal);
      proof.objects += 1;
      progress.update(proof.objects, key);
      const { found, unread } = await scanner.look(key);
      for (const { place, what } of found) proof.hits.push({ place, what });
      proof.unread.push(...unread);
    }
    await findOldVersions(effects, proof);
    for await (const { name, text } of engine.catalogEntries()) {
      proof.objects += 1;
      for (const { what } of scanner.bytes(Buffer.from(text))) proof.hits.push({ place: name, what });
    }
  });
  progress.end(`${count(proof.hits.length, 'hit')} in ${count(proof.objects, 'object')}`);
  return proof;
}

/** Every key under the lake, whoever has put it there, but for what this command itself works with. */
async function* everyKey({ store, scratch }: Effects, proof: Proof): AsyncIterable<string> {
  const own = `${STAGING_FOLDER}/${basename(scratch)}`;
  const seen = new Set<string>();
  try {
    for (const prefix of ['', `${STAGING_FOLDER}/`]) {
      for await (const { key } of store.list(prefix)) {
        if (seen.has(key) || key === own || key.startsWith(`${own}/`)) continue;
        seen.add(key);
        yield key;
      }
    }
  } catch (error) {
    if (!(error instanceof JobError && error.exit === 'auth')) throw error;
    proof.unread.push('what lies beside the layers of the lake: this role may not list it');
    for (const prefix of [...PURGED_PREFIXES, PREFIX.leases])
      for await (const { key } of store.list(prefix)) if (!seen.has(key)) yield key;
  }
}

async function findOldVersions({ store }: Effects, proof: Proof): Promise<void> {
  for (const prefix of PURGED_PREFIXES) {
    for await (const { key } of store.remains.oldVersions(prefix))
      if (key !== LATEST_MANIFEST_HINT_KEY) proof.hits.push({ place: key, what: 'old version' });
  }
}

/**
 * Files that go now, and those that the rule has removed already, as far as older commits still name them.
 */
async function everyFileOf(
  rule: RemovalRule,
  removedNow: readonly BronzeFile[],
  { store }: Effects,
): Promise<BronzeFile[]> {
  const found = new Map<string, BronzeFile>();
  const add = (files: readonly BronzeFile[]): void => {
    for (const file of files) found.set(`${file.table === 'refused'} ${file.sourceKey}`, file);
  };
  add(removedNow);
  const seen = new Set<string>();
  for (const { sequence } of await listManifests(store)) {
    for (const segment of (await readManifest(store, sequence)).state.bronze) {
      if (seen.has(segment)) continue;
      seen.add(segment);
      if ((await store.head(segment)) !== undefined)
        add((await getState<BronzeFile[]>(store, segment)).filter((file) => rule.isRemoved(file)));
    }
  }
  return [...found.values()];
}

/** Up to `most` identifying values of rows of a file. @param only looks for these alone */
async function valuesIn(
  file: BronzeFile,
  condition: string,
  most: number,
  effects: Effects,
  only?: ReadonlySet<string>,
): Promise<string[]> {
  const { table } = asRead(file);
  return withBronze(effects, table, [file], async (db) => {
    const limit = only === undefined ? `using sample reservoir(${ROWS_PER_FILE} rows) repeatable (1)` : '';
    const rows = await db.rows<Record<string, unknown>>(
      `select * exclude (source_key) from (select * from bronze_${table} where ${condition}) ${limit}`,
    );
    const values = new Set<string>();
    for (const row of rows) for (const text of textsOf(row)) if (only === undefined || only.has(text)) values.add(text);
    return [...values].slice(0, most);
  });
}

function* textsOf(row: Record<string, unknown>): Iterable<string> {
  for (const value of Object.values(row)) {
    if (typeof value !== 'string') continue;
    const texts = /^[{[]/.test(value) ? [...value.matchAll(/"([^"\\]{16,200})"/g)].map((match) => match[1]!) : [value];
    for (const text of texts) {
      const id = /([0-9A-Za-z]{22})(?:$|\?)/.exec(text)?.[1];
      const identifying = id !== undefined && /^(spotify:|https:)/.test(text) ? id : text;
      if (IDENTIFYING.test(identifying) && !MOMENT.test(identifying)) yield identifying;
    }
  }
}

/** Evenly spread over the list. */
function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, n) => list[Math.floor((n * list.length) / most)]!);
}

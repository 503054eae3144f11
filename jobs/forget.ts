import { access } from 'node:fs/promises';
import { JobError } from './base/errors.ts';
import { createPseudonyms, isPersonalId } from './base/personal-fields.ts';
import { openHashCache } from './bronze/hash-cache.ts';
import { findPseudonymKey } from './bronze/pseudonym-key.ts';
import { refuseLostLease } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { quoteText } from './engine/duckdb/database.ts';
import { type BronzeFile, EMPTY_STATE, latestManifest, readBronzeIndex } from './lake/manifest.ts';
import {
  closeRemoval,
  isNothing,
  isRemovedFrom,
  type Purged,
  planRemoval,
  purge,
  type RemovalPlan,
  type RemovalRule,
  removeForGood,
  rowsOf,
} from './removal/index.ts';
import { type LandingFile, landingFiles } from './removal/landing-owners.ts';
import { collectTraces, type Proof, prove } from './removal/proof.ts';
import { asRead } from './silver/relations.ts';
import { SOURCES } from './sources/index.ts';
import { ANSWERS_TABLE } from './sources/spotify-api/tables.ts';

export interface ForgetInput {
  runId: string;
  /** Label of the person: as given to `load --user`, or as the rows of listening events name them. */
  userId: string;
  /** `api`: what came from the Web API; the account export stays. */
  only?: 'api';
  dryRun: boolean;
  /** What to do about files in landing that no `load` has met, so that nobody can say whose they are. */
  unloaded: 'stop' | 'delete';
  /** Asked before the first change; false: nothing happens. */
  confirm: (preview: ForgetPreview) => Promise<boolean>;
}

/** What is there of the person. */
export interface ForgetPreview {
  /** By bronze table. */
  tables: Record<string, { files: number; rows: number }>;
  files: number;
  rows: number;
  /** Names of the files in landing that would go. */
  landing: string[];
  /** What is not in the lake, or cannot be told apart: for the person to see to. */
  notices: string[];
  /** An earlier call was interrupted, and the rest of its work is to be done. */
  isUnfinished: boolean;
}

export interface ForgetResult {
  /**
   * `nothing_new`: nothing in the lake is of this person. `declined`: not confirmed. `found`: the proof has
   * hits.
   */
  status: 'forgotten' | 'nothing_new' | 'dry_run' | 'declined' | 'found';
  preview: ForgetPreview;
  purged?: Purged;
  proof?: Proof;
  /** Of production as it is now; undefined where there is none. */
  checks?: 'passed' | 'failed';
  /** Labels that are in the lake. */
  users: string[];
}

/**
 * Removes a person and everything of them from the lake, at once and for good, and proves it: bronze without
 * them, everything else built anew from what is left, every older version deleted, and a scan of all that is
 * there.
 *
 * Killed anywhere, the same call again finishes the work; readers see the old version or the new one.
 *
 * @throws `landing_unknown` (65) before anything has changed; what `removeForGood`, `purge` and `prove` throw
 */
export async function forget(input: ForgetInput, effects: Effects): Promise<ForgetResult> {
  const { userId, only } = input;
  const work = { job: 'forget', runId: input.runId };
  const state = (await latestManifest(effects.store))?.state ?? EMPTY_STATE;
  const index = await readBronzeIndex(effects.store, state);
  // An address stands in events as its pseudonym (and as given where an older version loaded it).
  const key = isPersonalId(userId) ? await findPseudonymKey(effects, state, index, 'never') : undefined;
  const pseudonym = key && createPseudonyms(key.key)(userId);
  const names = pseudonym === undefined ? [userId] : [userId, pseudonym];
  const rule = ruleOf(userId, names, only, index);
  const plan = await planRemoval(rule, effects);
  const users = [...new Set(plan.index.flatMap(({ userId: label }) => (label === null ? [] : [label])))].sort();
  const landing = isNothing(plan) ? [] : await landingFiles(plan.index, effects);
  const theirs = landing.filter(({ known }) => isRemovedFrom(known, plan));
  const unknown = only === undefined ? landing.filter(({ known }) => known.length === 0) : [];
  const preview = await previewOf(input, plan, input.unloaded === 'delete' ? [...theirs, ...unknown] : theirs, effects);
  if (isNothing(plan)) return { status: 'nothing_new', preview, users };
  if (input.unloaded === 'stop') refuseUnknown(unknown);
  if (input.dryRun) return { status: 'dry_run', preview, users };
  if (!(await input.confirm(preview))) return { status: 'declined', preview, users };

  // Before the commit: afterwards nobody could tell any more whose these were.
  await refuseLostLease(effects);
  for (const { key } of [...theirs, ...(input.unloaded === 'delete' ? unknown : [])]) await effects.store.delete(key);
  await forgetHashes(plan, effects);
  const traces = await collectTraces(rule, only === undefined ? userId : undefined, plan, effects);
  if (pseudonym !== undefined && only === undefined) traces.values.push(pseudonym);
  stopIfAsked(effects.signal);
  const checks = await removeForGood(rule, plan, work, effects);
  const purged = await purge(work, effects);
  const proof = await prove(traces, effects);
  const result = { preview, users, purged, proof, ...(checks && { checks }) };
  if (proof.hits.length > 0) return { ...result, status: 'found' };
  await closeRemoval(work, effects);
  return { ...result, status: 'forgotten' };
}

/** @param names by which rows of events call them */
function ruleOf(
  userId: string,
  names: readonly string[],
  only: 'api' | undefined,
  index: readonly BronzeFile[],
): RemovalRule {
  // Files that were refused by an older version do not say whose they are; where there is one person, they
  // are theirs.
  const isAlone = index.every((file) => file.userId === null || file.userId === userId);
  const isOwn = (file: BronzeFile): boolean =>
    file.userId === userId || (file.table === 'refused' && file.userId === null && isAlone && index.length > 0);
  return {
    isRemoved: (file) => isOwn(file) && (only === undefined || asRead(file).table === ANSWERS_TABLE.name),
    rows: only === undefined ? rowsNaming(names) : {},
    ...(only === undefined && { names }),
    // No model learns from answers of the Web API.
    dropsModels: only === undefined,
    changeLedger(ledger) {
      const isKnown = userId in ledger.polls || Object.keys(ledger.lists).some((key) => key.startsWith(`${userId}/`));
      delete ledger.polls[userId];
      for (const key of Object.keys(ledger.lists)) if (key.startsWith(`${userId}/`)) delete ledger.lists[key];
      // Ids that were not found do not say who had listened to them; they are asked for again.
      if (isKnown) ledger.missing = {};
    },
  };
}

/** For each table of many people's rows, the condition for those of one person. */
function rowsNaming(names: readonly string[]): RemovalRule['rows'] {
  const list = names.map(quoteText).join(', ');
  const tables = SOURCES.flatMap((source) => source.tables);
  return Object.fromEntries(
    tables.flatMap(({ name, userColumn }) => (userColumn === undefined ? [] : [[name, `${userColumn} in (${list})`]])),
  );
}

function refuseUnknown(unknown: readonly LandingFile[]): void {
  if (unknown.length === 0) return;
  const names = unknown.slice(0, 5).map(({ name }) => name);
  const more = unknown.length > names.length ? ` and ${unknown.length - names.length} more` : '';
  throw new JobError(
    'landing_unknown',
    'data',
    `${unknown.length} files in landing were never loaded, so nobody can say whose they are: ${names.join(', ')}${more}; nothing was changed`,
    { hint: 'load them with `listenlake load --user <whose>`, or delete them too with --unloaded delete' },
  );
}

async function forgetHashes({ files, parts }: RemovalPlan, { config, now }: Effects): Promise<void> {
  const hashCache = await openHashCache(config.cacheDir, now);
  hashCache.remove(new Set([...files, ...parts.map(({ file }) => file)].map(({ sourceKey }) => sourceKey)));
  await hashCache.save();
}

async function previewOf(
  input: ForgetInput,
  plan: RemovalPlan,
  landing: readonly LandingFile[],
  { config }: Effects,
): Promise<ForgetPreview> {
  const tables: ForgetPreview['tables'] = {};
  for (const { table, rows } of [...plan.files, ...plan.parts.map(({ file, rows }) => ({ table: file.table, rows }))]) {
    const sum = tables[table] ?? { files: 0, rows: 0 };
    tables[table] = { files: sum.files + 1, rows: sum.rows + rows };
  }
  const { stream } = plan;
  if (stream.records > 0) tables.stream = { files: stream.objects.length, rows: stream.records };
  const notices: string[] = [];
  if (stream.newestMs !== undefined)
    notices.push(
      `the topic ${stream.topics.join(', ')} is not in the lake: it holds their records until its own retention (retention.ms) is over, counted from ${new Date(stream.newestMs).toISOString()}, or longer where it compacts; none of them is read again`,
    );
  const { tokenFile, tokenSecret } = config.spotify;
  if (tokenSecret !== undefined)
    notices.push(`the login to Spotify is not in the lake: if it is theirs, delete the secret ${tokenSecret}`);
  else if (await isThere(tokenFile))
    notices.push(`the login to Spotify is not in the lake: delete ${tokenFile}, or the next extract brings new plays`);
  const refused = plan.index.filter(({ table, userId }) => table === 'refused' && userId === null).length;
  if (input.only === undefined && refused > 0 && !plan.files.some(({ userId }) => userId === null))
    notices.push(
      `${refused} files that an older version refused do not say whose they were, and stay: see silver.quarantine`,
    );
  return {
    tables,
    files: plan.files.length + plan.parts.length + stream.objects.length,
    rows: rowsOf(plan) + stream.records,
    landing: landing.map(({ name }) => name),
    notices,
    isUnfinished: plan.unfinished !== undefined,
  };
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

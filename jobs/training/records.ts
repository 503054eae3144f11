import { hashText } from '../base/hash.ts';
import { originOf, originsOf } from '../gold/versions.ts';
import type { Target } from '../lake/keys.ts';
import { type GoldVersion, getState, type LakeState, type OutputFile, putState } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import type { Card } from './card.ts';
import { SKIP_INPUTS } from './inputs.ts';

/** The table that the skip model fills. */
export const SKIP_PREDICTIONS = 'skip_predictions';

/** What one run of `train` has found. Grain: run. */
export interface TrainingRecord {
  runId: string;
  /** ISO, UTC. */
  trainedAt: string;
  /** Exclusive end of the listening that it saw. */
  asOf: string;
  /** Of the table (gold/fingerprints.ts): what it was trained from. */
  fingerprint: string | null;
  /** Changes where the same rows would give another model. */
  trainer: string;
  /** The table as it was published; null where it was not. */
  table: Pick<OutputFile, 'key' | 'sha256'> | null;
  card: Card;
}

/** So many runs are kept. */
const RECORDS_MAX = 50;
/** To be raised by who changes how a model is fitted, judged or used. */
const METHOD = 1;

/** Names today's way to train. */
export function trainerOf(): string {
  return hashText(JSON.stringify({ METHOD, SKIP_INPUTS }));
}

/** Newest first. */
export async function readRecords(store: LakeStore, state: LakeState): Promise<TrainingRecord[]> {
  return state.trainings === undefined ? [] : getState<TrainingRecord[]>(store, state.trainings);
}

/** @returns the state that has this record as its newest */
export async function addRecord(store: LakeStore, state: LakeState, record: TrainingRecord): Promise<LakeState> {
  const records = [record, ...(await readRecords(store, state))].slice(0, RECORDS_MAX);
  return { ...state, trainings: await putState(store, 'trainings', records) };
}

/** True where training again would find the same, and dev shows it. */
export function isCurrent(record: TrainingRecord | undefined, dev: GoldVersion): boolean {
  const fingerprint = dev.fingerprints?.[SKIP_PREDICTIONS];
  const table = dev.tables[SKIP_PREDICTIONS];
  if (record === undefined || fingerprint === undefined || table === undefined) return false;
  const isShown = record.table === null ? table.rows === 0 : record.table.key === table.key;
  return isShown && record.fingerprint === fingerprint && record.trainer === trainerOf();
}

/**
 * What is known of the skip model whose predictions a target shows, or of the one that was refused for the
 * same rows; undefined where neither was tried.
 */
export async function cardShownBy(store: LakeStore, state: LakeState, target: Target): Promise<Card | undefined> {
  const version = state.gold[target];
  const table = version?.tables[SKIP_PREDICTIONS];
  if (version === undefined || table === undefined) return undefined;
  const shown = (target === 'prod' ? version.origins : originsOf(version))?.[SKIP_PREDICTIONS];
  const records = await readRecords(store, state);
  return records.find(({ table: trained, fingerprint }) =>
    trained === null
      ? table.rows === 0 && fingerprint === version.fingerprints?.[SKIP_PREDICTIONS]
      : originOf(trained) === shown,
  )?.card;
}

/**
 * Fingerprints of models: two runs in which a model has the same one build the same table of it, so the
 * second run takes over the table of the first.
 */
import { hashText } from '../base/hash.ts';
import { contractOf } from '../lake/contracts.ts';
import type { LakeState } from '../lake/manifest.ts';
import type { Model } from './project.ts';

/** All that the table of a model is made of. */
export interface Ingredients {
  model: Pick<Model, 'columns' | 'sort'>;
  /**
   * The model as rendered, tables by their names: so the text of each macro and the value of each variable
   * that the model uses is in it, and of no other. `as_of` is such a variable.
   */
  texts: readonly string[];
  /** How the model is built: `materialized`, `unique_key`. */
  config: readonly unknown[];
  /** `EngineSession.writer`. */
  writer: string;
  /** What it reads, by name, to the fingerprint of it. */
  reads: Readonly<Record<string, string>>;
}

/** @returns 64 hex digits */
export function modelFingerprint({ model, texts, config, writer, reads }: Ingredients): string {
  const inputs = Object.entries(reads).sort(([a], [b]) => (a < b ? -1 : 1));
  return hashed({ columns: model.columns, sort: model.sort, texts, config, writer, inputs });
}

/**
 * Tells what a table of silver or bronze holds, by the commit alone: lists of files are named by their
 * content, and each names its objects by theirs.
 *
 * @param source `schema.table`
 */
export function sourceFingerprint(state: Pick<LakeState, 'bronze' | 'silver'>, source: string): string {
  const [layer, table = ''] = source.split('.');
  const { columns, partition } = contractOf(layer as 'bronze' | 'silver', table);
  return hashed({ columns, partition, files: layer === 'silver' ? (state.silver[table] ?? null) : state.bronze });
}

function hashed(value: unknown): string {
  return hashText(JSON.stringify(value));
}

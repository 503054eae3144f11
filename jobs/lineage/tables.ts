import { resolve } from 'node:path';
import { fileNameWithoutPersonal } from '../base/personal-fields.ts';
import type { DeclaredColumn } from '../engine/index.ts';
import type { Project } from '../gold/project.ts';
import { readContracts } from '../lake/contracts.ts';
import type { Target } from '../lake/keys.ts';
import { type LakeState, type OutputFile, objectsOfFiles, readBronzeIndex, readSilverFiles } from '../lake/manifest.ts';
import { isElsewhere, type LakeStore } from '../lake/store.ts';

/** A dataset's name as OpenLineage knows it (https://openlineage.io/docs/spec/naming). */
export interface DatasetName {
  namespace: string;
  name: string;
}

/** A table as it stands: nothing in it is of a person. */
export interface LakeTable {
  /** `silver.plays`, `gold_dev.fct_plays`. */
  table: string;
  columns: readonly DeclaredColumn[];
  objects: readonly OutputFile[];
}

export type TableLayer = 'bronze' | 'silver' | `gold_${Target}`;

/**
 * `s3://bucket` and `prefix/silver.plays`, or `file` and `/folder/silver.plays`: what Airflow's own provider
 * makes of an asset of the address `<lake>/silver.plays`. A person's name is not in it: a folder in `home` is
 * `[user]`.
 */
export function datasetName(lakeUri: string, table: string): DatasetName {
  if (!isElsewhere(lakeUri))
    return { namespace: 'file', name: `${fileNameWithoutPersonal(resolve(lakeUri))}/${table}` };
  const [, namespace = lakeUri, prefix = ''] = /^([a-z0-9]+:\/\/[^/]+)\/*(.*?)\/*$/.exec(lakeUri) ?? [];
  return { namespace, name: prefix === '' ? table : `${prefix}/${table}` };
}

/** Every table of a layer that there is, by name. @throws `object_missing`, `manifest_invalid` (65) */
export async function tablesOf(
  layer: TableLayer,
  store: LakeStore,
  state: LakeState,
  project: Project,
): Promise<LakeTable[]> {
  const tables = await (layer === 'bronze'
    ? bronzeTables(store, state)
    : layer === 'silver'
      ? silverTables(store, state)
      : goldTables(layer === 'gold_dev' ? 'dev' : 'prod', state, project));
  return tables.sort((a, b) => (a.table < b.table ? -1 : 1));
}

async function bronzeTables(store: LakeStore, state: LakeState): Promise<LakeTable[]> {
  const files = Map.groupBy(await readBronzeIndex(store, state), ({ table }) => table);
  return [...files].map(([table, group]) => contractTable('bronze', table, objectsOfFiles(group)));
}

async function silverTables(store: LakeStore, state: LakeState): Promise<LakeTable[]> {
  const tables = Object.keys(state.silver);
  return Promise.all(
    tables.map(async (table) => contractTable('silver', table, await readSilverFiles(store, state, table))),
  );
}

function goldTables(target: Target, { gold }: LakeState, { models }: Project): LakeTable[] {
  return Object.entries(gold[target]?.tables ?? {}).map(([model, file]) => ({
    table: `gold_${target}.${model}`,
    columns: models.get(model)?.columns ?? [],
    objects: [file],
  }));
}

function contractTable(layer: 'bronze' | 'silver', table: string, objects: readonly OutputFile[]): LakeTable {
  // A lake of a newer version may have tables that this one does not know.
  const contract = readContracts().find((each) => each.layer === layer && each.table === table);
  const { columns, partition } = contract ?? { columns: [], partition: [] };
  const further = partition.filter(({ name }) => !columns.some((column) => column.name === name));
  return { table: `${layer}.${table}`, columns: [...columns, ...further], objects };
}

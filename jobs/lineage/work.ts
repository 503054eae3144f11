import { CHECK_RESULTS } from '../engine/check-results.ts';
import type { TestResult } from '../gold/data-tests.ts';
import { type Project, readProject } from '../gold/project.ts';
import type { Scope } from '../gold/verdict.ts';
import { PREFIX, type Target } from '../lake/keys.ts';
import { getState, type LakeState, type OutputFile } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { columnLineage, lineageGraph, type ModelLineage } from './columns.ts';
import {
  assertionsFacet,
  columnLineageFacet,
  copiedColumnsFacet,
  type Facets,
  inputStatistics,
  outputStatistics,
  schemaFacet,
} from './facets.ts';
import { type DatasetName, datasetName, type LakeTable, type TableLayer, tablesOf } from './tables.ts';

/** Jobs of which events tell. `run` is all of them; it has no tables of its own. */
export type ObservedJob =
  | 'extract'
  | 'load'
  | 'transform'
  | 'check_silver'
  | 'enrich'
  | 'train'
  | 'check_gold'
  | 'promote'
  | 'report'
  | 'run';

/** A lake around a job: what it was before, and what it is now. */
export interface Around {
  store: LakeStore;
  lakeUri: string;
  /** Which gold it is about, where there are two. */
  target: Target;
  before: LakeState;
  after: LakeState;
  /** The job has ended: what it has written can be told. */
  hasEnded: boolean;
}

export interface InputDataset extends DatasetName {
  facets: Facets;
  inputFacets: Facets;
}

export interface OutputDataset extends DatasetName {
  facets: Facets;
  outputFacets: Facets;
}

type Models = Around & { project: Project };

interface Tables {
  inputs: InputDataset[];
  outputs: OutputDataset[];
}

/**
 * What a job reads and writes, from the commits before and after it: every table that it may change is an
 * output, and what it has written has counts.
 *
 * @throws `object_missing`, `manifest_invalid` (65), `model_invalid` (78)
 */
export async function tablesOfJob(job: ObservedJob, lake: Around): Promise<Tables> {
  const around = { ...lake, project: readProject() };
  const gold = `gold_${around.target}` as const;
  switch (job) {
    case 'extract':
      return { inputs: [], outputs: [bareOutput(around, landing)] };
    case 'load':
      return { inputs: [bareInput(around, landing)], outputs: await outputs(around, 'bronze') };
    case 'transform':
      return { inputs: await inputs(around, 'bronze'), outputs: await outputs(around, 'silver') };
    case 'check_silver':
      return checked(around, 'silver');
    case 'check_gold':
      return checked(around, gold);
    case 'enrich':
      return enriched(around);
    case 'train':
      return trained(around);
    case 'promote':
      return promoted(around);
    case 'report':
      return { inputs: await inputs(around, gold), outputs: [bareOutput(around, 'report')] };
    case 'run':
      return { inputs: [], outputs: [] };
  }
}

/** All that `load` takes in, from landing and from elsewhere: names of files are people's own. */
const landing = PREFIX.landing.replace('/', '');

type Choice = (table: LakeTable) => boolean;
const ALL: Choice = () => true;

async function inputs(around: Models, layer: TableLayer, isRead = ALL): Promise<InputDataset[]> {
  const { store, before, lakeUri, project } = around;
  const tables = await tablesOf(layer, store, before, project);
  return tables.filter(isRead).map((table) => ({
    ...datasetName(lakeUri, table.table),
    facets: schemaFacet(table),
    inputFacets: inputStatistics(table.objects),
  }));
}

/** @param more facets of a table that was written */
async function outputs(
  around: Models,
  layer: TableLayer,
  isWritten = ALL,
  more: (table: LakeTable) => Facets = () => ({}),
): Promise<OutputDataset[]> {
  const { store, before, after, lakeUri, hasEnded, project } = around;
  const known = new Set(
    (await tablesOf(layer, store, before, project)).flatMap(({ objects }) => objects.map(identity)),
  );
  const tables = await tablesOf(layer, store, after, project);
  return tables.filter(isWritten).map((table) => {
    const written = table.objects.filter((object) => !known.has(identity(object)));
    const isNew = hasEnded && written.length > 0;
    return {
      ...datasetName(lakeUri, table.table),
      facets: { ...schemaFacet(table), ...(isNew && more(table)) },
      outputFacets: isNew ? outputStatistics(written) : {},
    };
  });
}

function identity({ key, sha256 }: OutputFile): string {
  return `${key} ${sha256}`;
}

function bareInput({ lakeUri }: Around, dataset: string): InputDataset {
  return { ...datasetName(lakeUri, dataset), facets: {}, inputFacets: {} };
}

function bareOutput({ lakeUri }: Around, dataset: string): OutputDataset {
  return { ...datasetName(lakeUri, dataset), facets: {}, outputFacets: {} };
}

/** What the tests found stands at the tables that were tested. */
async function checked(around: Models, scope: Scope): Promise<Tables> {
  const { store, lakeUri, after, hasEnded } = around;
  const tested = await inputs(around, scope);
  const found = hasEnded ? after.checks[scope] : undefined;
  const results = found === undefined ? [] : await getState<TestResult[]>(store, found.key);
  const byTable = Map.groupBy(results, ({ table_name: table }) => datasetName(lakeUri, `${scope}.${table}`).name);
  return {
    inputs: tested.map((input) => {
      const own = byTable.get(input.name);
      return own === undefined ? input : { ...input, inputFacets: { ...input.inputFacets, ...assertionsFacet(own) } };
    }),
    outputs: [bareOutput(around, `silver.${CHECK_RESULTS}`)],
  };
}

async function enriched(around: Models): Promise<Tables> {
  const { project } = around;
  const sources = new Set(lineageGraph(project).flatMap((model) => model.sources));
  const layers = ['bronze', 'silver'] as const;
  const read = await Promise.all(layers.map((layer) => inputs(around, layer, ({ table }) => sources.has(table))));
  const lineage = around.hasEnded ? await columnLineage(project, 'sources') : [];
  const byTable = new Map(lineage.map((each) => [`gold_dev.${each.model}`, each]));
  const columnsOf = ({ table }: LakeTable): Facets => facetOf(byTable.get(table), around);
  return { inputs: read.flat(), outputs: await outputs(around, 'gold_dev', ALL, columnsOf) };
}

/** Origins below gold have their layer in their names; others are models. */
function facetOf(lineage: ModelLineage | undefined, { lakeUri }: Around): Facets {
  if (lineage === undefined) return {};
  const nameOf = (table: string): DatasetName =>
    datasetName(lakeUri, table.includes('.') ? table : `gold_dev.${table}`);
  return columnLineageFacet(lineage, nameOf);
}

async function trained(around: Models): Promise<Tables> {
  const models = trainedModels(around.project);
  const from = new Set([...models.values()].flat().map((name) => `gold_dev.${name}`));
  return {
    inputs: await inputs(around, 'gold_dev', ({ table }) => from.has(table)),
    outputs: await outputs(around, 'gold_dev', ({ table }) => models.has(table)),
  };
}

/** Tables that `train` fills, with the models that they are made of. */
function trainedModels({ models }: Project): Map<string, readonly string[]> {
  return new Map(
    [...models.values()].flatMap(({ name, trainedFrom }) =>
      trainedFrom === undefined ? [] : [[`gold_dev.${name}`, trainedFrom] as const],
    ),
  );
}

/** Table by table, and the whole of it: that is what schedulers wait for. */
async function promoted(around: Models): Promise<Tables> {
  const copied = (table: LakeTable): Facets =>
    copiedColumnsFacet(table, datasetName(around.lakeUri, table.table.replace('gold_prod.', 'gold_dev.')));
  return {
    inputs: await inputs(around, 'gold_dev'),
    outputs: [...(await outputs(around, 'gold_prod', ALL, copied)), bareOutput(around, 'gold_prod')],
  };
}

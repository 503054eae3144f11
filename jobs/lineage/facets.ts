import type { LineageRun } from '../base/lineage-run.ts';
import type { TestResult } from '../gold/data-tests.ts';
import type { OutputFile } from '../lake/manifest.ts';
import type { ModelLineage } from './columns.ts';
import { type How, isDirect, type Origins } from './origins.ts';
import type { DatasetName, LakeTable } from './tables.ts';

/** Who makes the events: a URI that stands in each of them. */
export const PRODUCER = 'urn:listenlake';

/** What is said of a run, a job or a dataset, by the facet's name. */
export type Facets = Record<string, object>;

/** A facet as of one version of its schema (https://openlineage.io/spec/facets/). */
function facet(schema: string, version: string, body: object): object {
  const url = `https://openlineage.io/spec/facets/${version}/${schema}.json#/$defs/${schema}`;
  return { _producer: PRODUCER, _schemaURL: url, ...body };
}

/** The run that this one is part of, and the one at the top. */
export function parentFacet(parent: LineageRun, root: LineageRun): Facets {
  const of = ({ namespace, name, runId }: LineageRun): object => ({ run: { runId }, job: { namespace, name } });
  return { parent: facet('ParentRunFacet', '1-2-0', { ...of(parent), root: of(root) }) };
}

/** Why a run failed. @param code never a message: those may name files, which people name after themselves */
export function errorFacet(code: string): Facets {
  const body = { message: code, programmingLanguage: 'TypeScript' };
  return { errorMessage: facet('ErrorMessageRunFacet', '1-0-1', body) };
}

/** Jobs that begin and end. */
export function jobFacets(): Facets {
  const body = { processingType: 'BATCH', integration: 'LISTENLAKE', jobType: 'JOB' };
  return { jobType: facet('JobTypeJobFacet', '2-0-4', body) };
}

export function schemaFacet({ columns }: Pick<LakeTable, 'columns'>): Facets {
  const fields = columns.map(({ name, type }) => ({ name, type }));
  return fields.length === 0 ? {} : { schema: facet('SchemaDatasetFacet', '1-2-0', { fields }) };
}

/** Rows, bytes and objects of a table that was read. */
export function inputStatistics(objects: readonly OutputFile[]): Facets {
  return { inputStatistics: facet('InputStatisticsInputDatasetFacet', '1-0-0', statistics(objects)) };
}

/** Those that were written. */
export function outputStatistics(objects: readonly OutputFile[]): Facets {
  return { outputStatistics: facet('OutputStatisticsOutputDatasetFacet', '1-0-2', statistics(objects)) };
}

function statistics(objects: readonly OutputFile[]): object {
  const sum = (of: (file: OutputFile) => number): number => objects.reduce((total, file) => total + of(file), 0);
  return { rowCount: sum(({ rows }) => rows), size: sum(({ bytes }) => bytes), fileCount: objects.length };
}

/** What tests have found on a table; without their words, which may hold values. */
export function assertionsFacet(results: readonly TestResult[]): Facets {
  const assertions = results.map(({ test, status, severity }) => ({
    assertion: test,
    success: status === 'passed',
    severity: severity === 'fail' ? 'error' : 'warn',
  }));
  return { dataQualityAssertions: facet('DataQualityAssertionsDatasetFacet', '1-1-0', { assertions }) };
}

/** What the columns of a model are made of; nothing where its select does not tell. */
export function columnLineageFacet(lineage: ModelLineage, nameOf: (table: string) => DatasetName): Facets {
  if (lineage.unknown !== undefined) return {};
  const fields = [...lineage.columns].map(([column, origins]) => [
    column,
    { inputFields: inputFields(origins, nameOf) },
  ]);
  const body = { fields: Object.fromEntries(fields), dataset: inputFields(lineage.rows, nameOf) };
  return { columnLineage: facet('ColumnLineageDatasetFacet', '1-2-0', body) };
}

/** Of a table that is a copy: each column is that of the other table. */
export function copiedColumnsFacet({ columns }: Pick<LakeTable, 'columns'>, from: DatasetName): Facets {
  const fields = columns.map(({ name }) => [
    name,
    { inputFields: [{ ...from, field: name, transformations: [transformation('identity')] }] },
  ]);
  return { columnLineage: facet('ColumnLineageDatasetFacet', '1-2-0', { fields: Object.fromEntries(fields) }) };
}

function inputFields(origins: Origins, nameOf: (table: string) => DatasetName): object[] {
  return [...origins].map(([column, hows]) => {
    const dot = column.lastIndexOf('.');
    const transformations = [...hows].map(transformation);
    return { ...nameOf(column.slice(0, dot)), field: column.slice(dot + 1), transformations };
  });
}

function transformation(how: How): object {
  return { type: isDirect(how) ? 'DIRECT' : 'INDIRECT', subtype: how.toUpperCase() };
}

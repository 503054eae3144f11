import { openSyntaxReader, type SyntaxNode } from '../engine/duckdb/syntax.ts';
import { modelGraph } from '../gold/models.ts';
import type { Project } from '../gold/project.ts';
import { readContracts } from '../lake/contracts.ts';
import { type Relation, Untraceable } from './expressions.ts';
import { NO_ORIGINS, type Origins } from './origins.ts';
import { type Resolver, relationOf } from './selects.ts';

/** What a model's table is made of. */
export interface ModelLineage {
  model: string;
  /** Tables that its select names: models by name, others as `schema.table`. Sorted. */
  reads: string[];
  /** By column, in the order of the select. Empty where the select does not tell. */
  columns: ReadonlyMap<string, Origins>;
  /** What decides which rows there are. */
  rows: Origins;
  /** Why only the tables are known; undefined where the columns are. */
  unknown: string | undefined;
}

/**
 * `steps`: of what a model's own select reads, models among it. `sources`: followed through the models to the
 * tables below gold (and to tables of which no select tells).
 */
export type Depth = 'steps' | 'sources';

/** Which date the templates get says nothing of what their columns are made of. */
const ANY_DATE = '2026-01-01T00:00:00.000Z';

/**
 * Lineage of every model by column, in build order, from the syntax tree of the rendered select. A select with
 * something that is not followed (a table function, say) gives the tables alone, and the reason.
 *
 * @throws `model_invalid` (78); `sql_invalid` (64) for a model that is not one select
 */
export async function columnLineage(project: Project, depth: Depth): Promise<ModelLineage[]> {
  const graph = modelGraph(project, { dialect: 'duckdb', target: 'dev', asOf: ANY_DATE });
  const reader = await openSyntaxReader();
  const known = new Map<string, Relation>(
    readContracts().map(({ layer, table, columns, partition }) => {
      const names = new Set([...columns, ...partition].map(({ name }) => name));
      return [`${layer}.${table}`, tableRelation(`${layer}.${table}`, [...names])];
    }),
  );
  const found: ModelLineage[] = [];
  try {
    for (const { name, refs, sources, select } of graph) {
      const model = project.models.get(name)!;
      const declared = model.columns.map((column) => column.name);
      const reads = [...refs, ...sources].sort();
      const traced =
        model.trainedFrom === undefined
          ? trace(await reader.read(select), { table: (table) => known.get(table), aggregates: reader.aggregates })
          : 'it is filled by `train`';
      const isTraced = typeof traced !== 'string';
      found.push({
        ...{ model: name, reads },
        ...(isTraced ? { ...traced, unknown: undefined } : { columns: new Map(), rows: NO_ORIGINS, unknown: traced }),
      });
      const names = declared.length > 0 || !isTraced ? declared : [...traced.columns.keys()];
      known.set(name, isTraced && depth === 'sources' ? traced : tableRelation(name, names));
    }
  } finally {
    reader.close();
  }
  return found;
}

/** The relation, or why it cannot be told. */
function trace(node: SyntaxNode | undefined, resolver: Resolver): Relation | string {
  if (node === undefined) return 'the select is more than one';
  try {
    return relationOf(node, resolver);
  } catch (error) {
    if (error instanceof Untraceable) return `the select has ${error.message}`;
    throw error;
  }
}

/** A table whose columns are where the way back ends. */
function tableRelation(table: string, columns: readonly string[]): Relation {
  const origins = (column: string): Origins => new Map([[`${table}.${column}`, new Set(['identity' as const])]]);
  return { columns: new Map(columns.map((column) => [column, origins(column)])), rows: NO_ORIGINS };
}

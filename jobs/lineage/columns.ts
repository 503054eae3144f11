import { openSyntaxReader, SYNTAX_DIALECT, type SyntaxNode } from '../engine/duckdb/syntax.ts';
import { type GraphModel, modelGraph } from '../gold/models.ts';
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

/** The models in build order, rendered for the parser. @throws `model_invalid` (78) */
export function lineageGraph(project: Project): GraphModel[] {
  return modelGraph(project, { dialect: SYNTAX_DIALECT, target: 'dev', asOf: ANY_DATE });
}

/**
 * Lineage of every model by column, in build order, from the syntax tree of the rendered select. A select
 * with something that is not followed (a table function, say) gives the tables alone, and the reason.
 *
 * @throws `model_invalid` (78); `sql_invalid` (64) for a model that is not one select
 */
export async function columnLineage(project: Project, depth: Depth): Promise<ModelLineage[]> {
  const known = contractRelations();
  const found: ModelLineage[] = [];
  const reader = await openSyntaxReader();
  const resolver = { table: (table: string) => known.get(table), aggregates: reader.aggregates };
  try {
    for (const { name, refs, sources, select } of lineageGraph(project)) {
      const { columns: declared, trainedFrom } = project.models.get(name)!;
      const traced = trainedFrom === undefined ? trace(await reader.read(select), resolver) : 'it is filled by `train`';
      const names = declared.map((column) => column.name);
      const [lineage, relation] =
        typeof traced === 'string'
          ? [{ columns: new Map(), rows: NO_ORIGINS, unknown: traced }, tableRelation(name, names)]
          : [
              { ...traced, unknown: undefined },
              depth === 'sources' ? traced : tableRelation(name, traced.columns.keys()),
            ];
      found.push({ model: name, reads: [...refs, ...sources].sort(), ...lineage });
      known.set(name, relation);
    }
  } finally {
    reader.close();
  }
  return found;
}

/** The tables below gold, as `layer.table`. */
function contractRelations(): Map<string, Relation> {
  return new Map(
    readContracts().map(({ layer, table, columns, partition }) => {
      const names = new Set([...columns, ...partition].map(({ name }) => name));
      return [`${layer}.${table}`, tableRelation(`${layer}.${table}`, names)];
    }),
  );
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
function tableRelation(table: string, names: Iterable<string>): Relation {
  const origins = (column: string): Origins => new Map([[`${table}.${column}`, new Set(['identity' as const])]]);
  return { columns: new Map([...names].map((column) => [column, origins(column)])), rows: NO_ORIGINS };
}

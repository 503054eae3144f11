/** What the files of `warehouse/readers/` are made from: the tables of gold, as their models declare them. */
import { modelGraph } from '../../../jobs/gold/models.ts';
import { readProject } from '../../../jobs/gold/project.ts';
import { COLUMN_TYPES, type ColumnType } from '../../../jobs/lake/contracts.ts';

/** A table of gold that has an object of its own in each version. */
export interface GoldTable {
  name: string;
  columns: { name: string; type: ColumnType }[];
}

/** Every table of a version of gold, by name. @throws Error (a bug) where a model declares a type that is none */
export function goldTables(): GoldTable[] {
  const project = readProject();
  // Which models become tables is the same whatever they are built for.
  const graph = modelGraph(project, { dialect: 'duckdb', target: 'prod', asOf: '2026-01-01T00:00:00.000Z' });
  return graph
    .filter(({ materialized }) => materialized !== 'ephemeral')
    .map(({ name }) => ({
      name,
      columns: project.models.get(name)!.columns.map((column) => ({
        name: column.name,
        type: typeOf(column.type, `${name}.${column.name}`),
      })),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function typeOf(type: string, place: string): ColumnType {
  const found = COLUMN_TYPES.find((each) => each === type);
  if (found === undefined) throw new Error(`${place}: no reader's type is known for ${type}`);
  return found;
}

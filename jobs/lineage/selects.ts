import type { SyntaxNode } from '../engine/duckdb/syntax.ts';
import { nodes, orderExpressions, originsOf, type Relation, type Scope, Untraceable } from './expressions.ts';
import { NO_ORIGINS, type Origins, through, union } from './origins.ts';

/** What a select is resolved with. */
export interface Resolver {
  /** The relation of a table by `schema.table` or its bare name; undefined for one that there is not. */
  table: (name: string) => Relation | undefined;
  aggregates: ReadonlySet<string>;
}

/** A `with` clause: by name, what is nearest wins. */
type Named = ReadonlyMap<string, Relation>;

/** The part of a select that stands after `from`. */
interface From {
  relations: Scope['relations'];
  merged: Scope['merged'];
  rows: Origins;
}

/**
 * The columns of a select, each with what it is made of: through its CTEs, stars, joins, unions and
 * subqueries.
 *
 * @throws `Untraceable` where the select has something that this does not follow
 */
export function relationOf(node: SyntaxNode, resolver: Resolver): Relation {
  return resolve(node, resolver, new Map(), undefined);
}

function resolve(node: SyntaxNode, resolver: Resolver, around: Named, outer: Scope | undefined): Relation {
  const named = new Map(around);
  const { map: ctes = [] } = (node.cte_map ?? {}) as { map?: { key: string; value: Cte }[] };
  for (const { key, value } of ctes) {
    const relation = resolve(value.query.node, resolver, named, outer);
    named.set(key, value.aliases === undefined ? relation : renamed(relation, value.aliases));
  }
  if (node.type === 'SELECT_NODE') return ofSelect(node, resolver, named, outer);
  if (node.type === 'SET_OPERATION_NODE') return ofSetOperation(node, resolver, named, outer);
  throw new Untraceable(`a select of the kind ${node.type}`);
}

interface Cte {
  aliases?: string[];
  query: { node: SyntaxNode };
}

function ofSelect(node: SyntaxNode, resolver: Resolver, named: Named, outer: Scope | undefined): Relation {
  const aliases = new Map<string, Origins>();
  const scope: Scope = {
    ...{ relations: [], merged: new Map(), aliases, outer, aggregates: resolver.aggregates },
    select: (inner, around) => resolve(inner, resolver, named, around),
  };
  const from = ofFrom(node.from_table as SyntaxNode, resolver, named, scope);
  const inside: Scope = { ...scope, relations: from.relations, merged: from.merged };
  const columns = new Map<string, Origins>();
  for (const item of nodes(node.select_list)) {
    for (const [name, origins] of item.class === 'STAR' ? star(item, inside) : [itemOf(item, columns.size, inside)]) {
      columns.set(columns.has(name) ? `${name}:${columns.size}` : name, origins);
      aliases.set(name, origins);
    }
  }
  return { columns, rows: union(from.rows, rowsOf(node, columns, inside)) };
}

/** What the clauses of a select say of its rows. */
function rowsOf(node: SyntaxNode, columns: ReadonlyMap<string, Origins>, scope: Scope): Origins {
  const byPosition = [...columns.values()];
  // A number names an output column by its place.
  const ofKey = (key: SyntaxNode): Origins =>
    key.class === 'CONSTANT'
      ? (byPosition[Number((key.value as { value?: number }).value) - 1] ?? NO_ORIGINS)
      : originsOf(key, scope);
  const filters = nodes(node.where_clause, node.having, node.qualify).map((each) => originsOf(each, scope));
  const modifiers = nodes(node.modifiers);
  const isLimited = modifiers.some(({ type }) => /^LIMIT/.test(type));
  const sorts = isLimited ? modifiers.flatMap(({ orders }) => orderExpressions(orders)) : [];
  const isDistinct = modifiers.some(({ type }) => type === 'DISTINCT_MODIFIER');
  return union(
    through(union(...filters), 'filter'),
    through(union(...nodes(node.group_expressions).map(ofKey)), 'group_by'),
    through(union(...(isDistinct ? byPosition : [])), 'group_by'),
    through(union(...sorts.map(ofKey)), 'sort'),
  );
}

/** `select ... as name`: without a name of its own, nobody can refer to it. */
function itemOf(item: SyntaxNode, index: number, scope: Scope): [string, Origins] {
  const own = item.class === 'COLUMN_REF' ? (item.column_names as string[]).at(-1) : undefined;
  return [item.alias ?? own ?? `column ${index + 1}`, originsOf(item, scope)];
}

/** `*` or `table.*`. */
function star(item: SyntaxNode, { relations, merged }: Scope): [string, Origins][] {
  const { relation_name: table } = item;
  for (const part of ['exclude_list', 'replace_list', 'rename_list', 'qualified_exclude_list', 'expr'])
    if (item[part] !== undefined) throw new Untraceable(`a star with ${part.replace('_list', '')}`);
  const seen = new Set<string>();
  return relations
    .filter(({ name }) => table === undefined || name === table)
    .flatMap(({ relation }) => [...relation.columns])
    .filter(([name]) => {
      const isRepeated = table === undefined && merged.has(name) && seen.has(name);
      seen.add(name);
      return !isRepeated;
    })
    .map(([name, origins]) => [name, (table === undefined ? merged.get(name) : undefined) ?? origins]);
}

/** Column by column in their order; a union of distinct rows compares all of them. */
function ofSetOperation(node: SyntaxNode, resolver: Resolver, named: Named, outer: Scope | undefined): Relation {
  const { setop_type: kind } = node;
  if (kind !== 'UNION' && kind !== 'EXCEPT' && kind !== 'INTERSECT')
    throw new Untraceable(`a set operation of the kind ${kind}`);
  const [left, right] = [node.left, node.right].map((side) => resolve(side as SyntaxNode, resolver, named, outer));
  const others = [...right!.columns.values()];
  const columns = new Map(
    [...left!.columns].map(([name, origins], index) => [
      name,
      kind === 'UNION' ? union(origins, others[index] ?? NO_ORIGINS) : origins,
    ]),
  );
  // `all` is the tree's default, which is left out.
  const isCompared = kind !== 'UNION' || node.setop_all === false;
  const compared = through(union(...columns.values()), 'group_by');
  const removed = kind === 'UNION' ? NO_ORIGINS : through(union(...others), 'filter');
  return { columns, rows: union(left!.rows, right!.rows, isCompared ? compared : NO_ORIGINS, removed) };
}

function ofFrom(node: SyntaxNode, resolver: Resolver, named: Named, scope: Scope): From {
  const one = (name: string, relation: Relation): From => {
    const columns = node.column_name_alias as string[] | undefined;
    const seen = columns === undefined ? relation : renamed(relation, columns);
    return { relations: [{ name, relation: seen }], merged: new Map(), rows: relation.rows };
  };
  switch (node.type) {
    case 'EMPTY':
      return { relations: [], merged: new Map(), rows: NO_ORIGINS };
    case 'BASE_TABLE': {
      const table = String(node.table_name);
      const full = node.schema_name === undefined ? table : `${String(node.schema_name)}.${table}`;
      const relation = (node.schema_name === undefined ? named.get(table) : undefined) ?? resolver.table(full);
      if (relation === undefined) throw new Untraceable(`the table ${full}, of which the columns are not known`);
      return one(node.alias ?? table, relation);
    }
    case 'SUBQUERY': {
      const { node: inner } = node.subquery as { node: SyntaxNode };
      return one(node.alias ?? '', resolve(inner, resolver, named, scope.outer));
    }
    case 'EXPRESSION_LIST':
      return one(node.alias ?? '', ofValues(node.values as SyntaxNode[][], scope));
    case 'JOIN':
      return ofJoin(node, resolver, named, scope);
    default:
      throw new Untraceable(`a table of the kind ${node.type}`);
  }
}

function ofValues(rows: readonly SyntaxNode[][], scope: Scope): Relation {
  const columns = (rows[0] ?? []).map((_, index): [string, Origins] => [
    `col${index}`,
    union(...rows.map((row) => originsOf(row[index]!, scope))),
  ]);
  return { columns: new Map(columns), rows: NO_ORIGINS };
}

function ofJoin(node: SyntaxNode, resolver: Resolver, named: Named, scope: Scope): From {
  if (node.ref_type !== 'REGULAR' && node.ref_type !== 'CROSS')
    throw new Untraceable(`a join of the kind ${node.ref_type}`);
  const [left, right] = [node.left, node.right].map((side) => ofFrom(side as SyntaxNode, resolver, named, scope));
  const relations = [...left!.relations, ...right!.relations];
  const merged = new Map([...left!.merged, ...right!.merged]);
  const both: Scope = { ...scope, relations, merged };
  const conditions = nodes(node.condition).map((condition) => originsOf(condition, both));
  for (const column of (node.using_columns ?? []) as string[]) {
    const sides = [left!, right!].map((side) => originsOf(reference(column), { ...scope, ...side }));
    conditions.push(...sides);
    // Of an outer join it is whichever is there.
    merged.set(column, node.join_type === 'OUTER' ? union(...sides) : sides[node.join_type === 'RIGHT' ? 1 : 0]!);
  }
  const rows = union(left!.rows, right!.rows, through(union(...conditions), 'join'));
  const isOnlyAsked = node.join_type === 'SEMI' || node.join_type === 'ANTI';
  return { relations: isOnlyAsked ? left!.relations : relations, merged, rows };
}

function reference(column: string): SyntaxNode {
  return { class: 'COLUMN_REF', type: 'COLUMN_REF', column_names: [column] };
}

function renamed({ columns, rows }: Relation, names: readonly string[]): Relation {
  return { columns: new Map([...columns].map(([name, origins], index) => [names[index] ?? name, origins])), rows };
}

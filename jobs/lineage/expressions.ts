import type { SyntaxNode } from '../engine/duckdb/syntax.ts';
import { NO_ORIGINS, type Origins, through, union } from './origins.ts';

/** What a select, a table or a part of a `from` gives. */
export interface Relation {
  /** By column, in order. */
  columns: ReadonlyMap<string, Origins>;
  /** What decides which rows there are. */
  rows: Origins;
}

/** Tables that an expression sees, the nearest first. */
export interface Scope {
  /** By the name under which they are referred to, in the order of the `from`. */
  relations: readonly { name: string; relation: Relation }[];
  /** Columns that `using` has made one of. */
  merged: ReadonlyMap<string, Origins>;
  /** Output columns of the select that came before. */
  aliases: ReadonlyMap<string, Origins>;
  /** The scope of the select around this one. */
  outer: Scope | undefined;
  aggregates: ReadonlySet<string>;
  /** Resolves a subquery that stands in this scope. */
  select: (node: SyntaxNode, outer: Scope) => Relation;
}

/** A select that has something of which the origins of columns cannot be told. The reason is its message. */
export class Untraceable extends Error {}

/** What the value of an expression is made of, and what decides about it. @throws `Untraceable` */
export function originsOf(expression: SyntaxNode, scope: Scope): Origins {
  switch (expression.class) {
    case 'CONSTANT':
      return NO_ORIGINS;
    case 'COLUMN_REF':
      return find(expression.column_names as string[], scope);
    case 'CAST':
      return originsOf(expression.child as SyntaxNode, scope);
    case 'FUNCTION':
      return ofFunction(expression, scope);
    case 'WINDOW':
      return ofWindow(expression, scope);
    case 'CASE':
      return ofCase(expression, scope);
    case 'SUBQUERY':
      return ofSubquery(expression, scope);
    case 'COMPARISON':
      return through(all(nodes(expression.left, expression.right), scope), 'transformation');
    case 'BETWEEN':
      return through(all(nodes(expression.input, expression.lower, expression.upper), scope), 'transformation');
    case 'CONJUNCTION':
    case 'OPERATOR':
      return through(all(nodes(expression.children), scope), 'transformation');
    default:
      throw new Untraceable(`an expression of the kind ${expression.class ?? expression.type}`);
  }
}

/** The nodes among these: lists of them, single ones, and what is absent. */
export function nodes(...parts: readonly unknown[]): SyntaxNode[] {
  return parts.flatMap((part) => (part === undefined ? [] : (part as SyntaxNode | SyntaxNode[])));
}

/** The expressions that rows are ordered by. */
export function orderExpressions(orders: unknown): SyntaxNode[] {
  return nodes(orders).map((order) => order.expression as SyntaxNode);
}

function all(expressions: readonly SyntaxNode[], scope: Scope): Origins {
  return union(...expressions.map((each) => originsOf(each, scope)));
}

function ofFunction(expression: SyntaxNode, scope: Scope): Origins {
  const { function_name: name, children, filter, order_bys } = expression;
  const step = scope.aggregates.has(String(name)) ? 'aggregation' : 'transformation';
  return union(
    through(all(nodes(children), scope), step),
    through(all(nodes(filter), scope), 'conditional'),
    through(all(orderExpressions((order_bys as SyntaxNode | undefined)?.orders), scope), 'sort'),
  );
}

function ofWindow(expression: SyntaxNode, scope: Scope): Origins {
  const { children, partitions, orders, start_expr, end_expr, offset_expr, default_expr, filter_expr } = expression;
  const step = expression.type === 'WINDOW_AGGREGATE' ? 'aggregation' : 'transformation';
  return union(
    through(all(nodes(children), scope), step),
    through(all(nodes(default_expr), scope), 'transformation'),
    through(all(nodes(filter_expr), scope), 'conditional'),
    through(
      all([...nodes(partitions, start_expr, end_expr, offset_expr), ...orderExpressions(orders)], scope),
      'window',
    ),
  );
}

function ofCase(expression: SyntaxNode, scope: Scope): Origins {
  const checks = expression.case_checks as { when_expr: SyntaxNode; then_expr: SyntaxNode }[];
  const values = [...checks.map(({ then_expr }) => then_expr), ...nodes(expression.else_expr)];
  const conditions = checks.map(({ when_expr }) => when_expr);
  return union(through(all(values, scope), 'transformation'), through(all(conditions, scope), 'conditional'));
}

/** `(select ...)`, `exists (select ...)`, `x in (select ...)`: which rows it has decides as well. */
function ofSubquery(expression: SyntaxNode, scope: Scope): Origins {
  const { node } = expression.subquery as { node: SyntaxNode };
  const { columns, rows } = scope.select(node, scope);
  if (expression.subquery_type === 'EXISTS') return rows;
  const values = union(...columns.values());
  if (expression.subquery_type === 'SCALAR') return union(values, rows);
  if (expression.subquery_type !== 'ANY') throw new Untraceable(`a subquery of the kind ${expression.subquery_type}`);
  return union(through(union(values, all(nodes(expression.child), scope)), 'transformation'), rows);
}

/** A column by its name, or by the name of its table and its own. */
function find(names: readonly string[], scope: Scope): Origins {
  const column = names.at(-1)!;
  const table = names.at(-2);
  const found = scope.relations
    .filter(({ name }) => table === undefined || name === table)
    .flatMap(({ relation }) => relation.columns.get(column) ?? []);
  if (table === undefined && scope.merged.has(column)) return scope.merged.get(column)!;
  if (found.length === 1) return found[0]!;
  if (found.length > 1) throw new Untraceable(`${names.join('.')}, which may be a column of several tables`);
  const alias = table === undefined ? scope.aliases.get(column) : undefined;
  if (alias !== undefined) return alias;
  if (scope.outer !== undefined) return find(names, scope.outer);
  throw new Untraceable(`${names.join('.')}, which is a column of no table that it reads`);
}

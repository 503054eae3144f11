import { atMost } from '../base/concurrency.ts';
import type { DeclaredColumn, EngineSession, SingleRow, SqlValue } from '../engine/index.ts';
import type { LakeState } from '../lake/manifest.ts';
import type { Model, Project } from './project.ts';
import { askedTogether } from './together.ts';
import { isCopied } from './versions.ts';

/** What changes in one table of prod. Numbers of `dev` and `prod` are null where the table is not there. */
export interface TableDifference {
  table: string;
  rows: { dev: number | null; prod: number | null };
  /**
   * Rows of dev whose key prod does not have, and the other way round; null where the keys cannot be
   * compared.
   */
  keys: { added: number | null; removed: number | null };
  columns: { added: string[]; removed: string[] };
  /** Sums of the numeric columns that differ. */
  sums: { column: string; dev: number | null; prod: number | null }[];
}

const NUMERIC = /^(integer|bigint|double|decimal\(\d+,\d+\))$/;

/** True where prod would show something else than before. */
export function isChanged({ rows, keys, columns, sums }: TableDifference): boolean {
  const isSameKeys = !keys.added && !keys.removed;
  return rows.dev !== rows.prod || !isSameKeys || columns.added.length + columns.removed.length + sums.length > 0;
}

/**
 * Compares gold_dev with gold_prod, table by table. What is a copy of the same table already is not looked
 * into; what else there is to ask of a table is asked at once, and of several tables together where
 * statements are dear.
 *
 * @param onTables called with the number of tables that are done
 * @returns in the order of the tables' names, unchanged ones too
 * @throws `object_damaged`, `object_missing` (65) for a table that cannot be read
 */
export async function differencesOf(
  session: EngineSession,
  state: LakeState,
  project: Project,
  onTables: (done: number, total: number) => void,
): Promise<TableDifference[]> {
  const { dev, prod } = state.gold;
  const names = [...new Set([dev, prod].flatMap((version) => Object.keys(version?.tables ?? {})))].sort();
  const pairs = await atMost(session.concurrency, names, (table) =>
    pairOf(session, state, table, project.models.get(table)),
  );
  let done = 0;
  const groups = askedTogether(session, pairs, ({ selects }) => selects.length);
  const found = await atMost(session.concurrency, groups, async (group) => {
    const values = await session.singleRows(group.flatMap(({ selects }) => selects));
    let at = 0;
    const differences = group.map((pair) => {
      const own = values.slice(at, at + pair.selects.length).flat();
      at += pair.selects.length;
      return differenceOf(pair, own);
    });
    done += group.length;
    onTables(done, names.length);
    return differences;
  });
  return found.flat();
}

/**
 * The two versions of a table, and what is to be asked of them: sums of each, then the number of keys that
 * only dev has.
 */
interface Pair {
  table: string;
  dev: Side | undefined;
  prod: Side | undefined;
  selects: SingleRow[];
  /** Prod has a copy of the very table that dev has. */
  isSame: boolean;
}

async function pairOf(
  session: EngineSession,
  state: LakeState,
  table: string,
  model: Model | undefined,
): Promise<Pair> {
  const side = async (target: 'dev' | 'prod'): Promise<Side | undefined> => {
    const file = state.gold[target]?.tables[table];
    if (file === undefined) return undefined;
    const relation = await session.relation(`gold_${target}`, table);
    const columns = await session.columns(`gold_${target}`, table);
    const numeric = isSame ? [] : columns.filter(({ type }) => NUMERIC.test(type));
    return { relation, rows: file.rows, columns, numeric };
  };
  const isSame = isCopied(state.gold.prod, state.gold.dev, table);
  const [dev, prod] = [await side('dev'), await side('prod')];
  const keys = isSame ? [] : keySelects(model?.key ?? [], dev, prod);
  return { table, dev, prod, selects: [...sumsSelect(dev), ...sumsSelect(prod), ...keys], isSame };
}

/** @param values the answers to the pair's selects, in their order */
function differenceOf({ table, dev, prod, isSame }: Pair, values: SqlValue[]): TableDifference {
  const left = [...values];
  const sumsOf = (side: Side | undefined): Map<string, number | null> =>
    new Map((side?.numeric ?? []).map(({ name }) => [name, left.shift() as number | null]));
  const [ofDev, ofProd] = [sumsOf(dev), sumsOf(prod)];
  const names = (columns: readonly DeclaredColumn[] = []): string[] => columns.map(({ name }) => name);
  const added = names(dev?.columns).filter((name) => !names(prod?.columns).includes(name));
  const removed = names(prod?.columns).filter((name) => !names(dev?.columns).includes(name));
  const sums = [...new Set([...ofDev.keys(), ...ofProd.keys()])]
    .map((column) => ({ column, dev: ofDev.get(column) ?? null, prod: ofProd.get(column) ?? null }))
    .filter((sum) => sum.dev !== sum.prod);
  return {
    table,
    rows: { dev: dev?.rows ?? null, prod: prod?.rows ?? null },
    keys: isSame ? { added: 0, removed: 0 } : keysOf(dev, prod, left),
    columns: prod === undefined || dev === undefined ? { added: [], removed: [] } : { added, removed },
    sums,
  };
}

/** @param counts of keys that only dev has; empty where they cannot be compared */
function keysOf(dev: Side | undefined, prod: Side | undefined, counts: readonly SqlValue[]): TableDifference['keys'] {
  if (dev === undefined) return { added: 0, removed: prod?.rows ?? 0 };
  if (prod === undefined) return { added: dev.rows, removed: 0 };
  const [count] = counts;
  if (count === undefined) return { added: null, removed: null };
  // The tests of a table hold its key unique: what the two share follows from the rows that only one of them
  // has.
  const added = Number(count);
  return { added, removed: Math.max(0, prod.rows - (dev.rows - added)) };
}

/** One version of a table. */
interface Side {
  relation: string;
  rows: number;
  columns: readonly DeclaredColumn[];
  numeric: readonly DeclaredColumn[];
}

function sumsSelect(side: Side | undefined): SingleRow[] {
  if (side === undefined || side.numeric.length === 0) return [];
  const sums = side.numeric.map(({ name }, index) => `cast(sum("${name}") as double) as sum_${index}`);
  return [{ sql: `select ${sums.join(', ')} from ${side.relation}`, columns: sums.length }];
}

/** Rows of dev whose key prod does not have; nothing where there are not two versions with the key. */
function keySelects(key: readonly string[], dev: Side | undefined, prod: Side | undefined): SingleRow[] {
  if (dev === undefined || prod === undefined || key.length === 0) return [];
  const isThere = (side: Side): boolean => key.every((name) => side.columns.some((column) => column.name === name));
  if (!isThere(dev) || !isThere(prod)) return [];
  const list = key.map((name) => `"${name}"`).join(', ');
  const missing = `select ${list} from ${dev.relation} except select ${list} from ${prod.relation}`;
  return [{ sql: `select count(*) as missing from (${missing}) as missing`, columns: 1 }];
}

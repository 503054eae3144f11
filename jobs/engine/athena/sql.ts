import { JobError } from '../../base/errors.ts';
import type { SingleRow, SqlValue } from '../index.ts';

/**
 * A piece of SQL text; comments and spaces are pieces too, so that all of them together are the text again.
 */
export interface Token {
  kind: 'word' | 'quoted' | 'text' | 'space' | 'other';
  text: string;
}

/** A text that was put in for another one: the engine's column numbers are of the new text. 1-based. */
export interface Shift {
  line: number;
  /** Column after the change, in the new text. */
  column: number;
  added: number;
}

/** Athena takes parameters of at most this many characters. */
const PARAMETER_MAX_CHARS = 1_024;
/** And statements of at most this many bytes. */
const STATEMENT_MAX_BYTES = 262_144;
/** Selects of one statement: the engine takes 100 stages, a select needs three or four. */
const BATCH_SELECTS_MAX = 16;
const BATCH_BYTES_MAX = 200_000;
const READING = /^(select|with|values|table|explain|describe|desc|show|\()$/i;
const LAYERS = new Set(['bronze', 'silver', 'gold_dev', 'gold_prod']);
const BEFORE_TABLE = /^(from|join|table|describe|desc)$/i;

const PIECES =
  /(?<space>\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<text>'(?:[^']|'')*(?:'|$))|(?<quoted>"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$))|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<other>[\s\S])/gu;

export function tokensOf(sql: string): Token[] {
  return [...sql.matchAll(PIECES)].map(({ groups, 0: text }) => {
    const kind = Object.entries(groups ?? {}).find(([, found]) => found !== undefined)?.[0] as Token['kind'];
    return { kind, text };
  });
}

/**
 * One statement that reads, without its last semicolon.
 *
 * The engine's own grammar has the last word (a writing statement cannot hide behind `with` in it); this
 * refuses what begins as one, and what `explain analyze` would run.
 *
 * @throws `sql_invalid` (64) for no statement and for one that is too long, `sql_refused` (64) for anything
 *   but reading
 */
export function readingStatement(sql: string): Token[] {
  if (Buffer.byteLength(sql) > STATEMENT_MAX_BYTES) {
    throw new JobError('sql_invalid', 'usage', `the statement is longer than ${STATEMENT_MAX_BYTES} bytes`);
  }
  const tokens = tokensOf(sql);
  while (tokens.length > 0 && (tokens.at(-1)!.kind === 'space' || tokens.at(-1)!.text === ';')) tokens.pop();
  const said = tokens.filter(({ kind }) => kind !== 'space');
  if (said.length === 0) throw new JobError('sql_invalid', 'usage', 'there is no statement');
  if (said.some(({ text }) => text === ';')) throw new JobError('sql_refused', 'usage', 'one statement at a time');
  let first = 0;
  if (/^explain$/i.test(said[0]!.text)) {
    first += 1;
    while (/^(analyze|verbose)$/i.test(said[first]?.text ?? '')) first += 1;
    if (said[first]?.text === '(' && /^(type|format)$/i.test(said[first + 1]?.text ?? '')) {
      first = said.findIndex(({ text }, index) => index > first && text === ')') + 1;
    }
  }
  const word = said[first]?.text ?? '';
  if (!READING.test(word)) {
    const kind = word.toUpperCase().slice(0, 40);
    throw new JobError('sql_refused', 'usage', `only statements that read tables run here, this is ${kind}`, {
      hint: 'tables are made by the jobs',
    });
  }
  return tokens;
}

/** Tables that a statement may name. */
export interface NamedTables {
  /** `silver.plays` and its parts, for names with a layer in front. */
  layers: Map<string, { layer: string; table: string }>;
  /** Every other name in it: some may be tables. */
  names: Set<string>;
  /**
   * False where a table must stay a name: `show`, `describe`, and columns of the engine's own such as
   * `"$path"`.
   */
  isPlain: boolean;
}

export function namedTables(tokens: readonly Token[]): NamedTables {
  const layers: NamedTables['layers'] = new Map();
  const names = new Set<string>();
  for (const [index, token] of tokens.entries()) {
    const name = nameOf(token);
    if (name === undefined) continue;
    const table = tokens[index + 1]?.text === '.' && LAYERS.has(name) ? nameOf(tokens[index + 2] ?? token) : undefined;
    if (table !== undefined) layers.set(`${name}.${table}`, { layer: name, table });
    names.add(name);
  }
  const [first] = tokens.filter(({ kind }) => kind !== 'space');
  const isPlain =
    !/^(show|describe|desc)$/i.test(first?.text ?? '') && ![...names].some((name) => name.startsWith('$'));
  return { layers, names, isPlain };
}

/**
 * The statement with `silver.plays` as `"<prefix>silver".plays`: the databases of an account have a prefix,
 * the SQL of this project has none.
 *
 * @param isTable whether a layer has a table of this name
 * @param inline texts in place of tables (`silver.plays`), for what the database does not know of them
 */
export function withDatabases(
  tokens: readonly Token[],
  prefix: string,
  isTable: (layer: string, table: string) => boolean,
  inline: ReadonlyMap<string, string> = new Map(),
): { sql: string; shifts: Shift[] } {
  const shifts: Shift[] = [];
  let sql = '';
  let before = '';
  const put = (text: string, instead: string): void => {
    sql += text;
    const lines = sql.split('\n');
    shifts.push({ line: lines.length, column: lines.at(-1)!.length + 1, added: text.length - instead.length });
  };
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index]!;
    const layer = nameOf(token);
    const next = tokens[index + 1]?.text === '.' ? tokens[index + 2] : undefined;
    const table = next === undefined ? undefined : nameOf(next);
    const isLayer = layer !== undefined && LAYERS.has(layer) && before !== '.' && table !== undefined;
    const text = isLayer ? inline.get(`${layer}.${table}`) : undefined;
    if (text !== undefined && tokens[index + 3]?.text === '.') {
      // A column of it: without an alias its name is the table's bare name.
      put('', `${token.text}.`);
      index += 1;
    } else if (text !== undefined) {
      const alias = hasAlias(tokens.slice(index + 3)) ? '' : ` as ${identifier(table!)}`;
      put(`${text}${alias}`, `${token.text}.${next!.text}`);
      index += 2;
    } else if (isLayer && (BEFORE_TABLE.test(before) || isTable(layer, table))) {
      put(`"${prefix}${layer}"`, token.text);
    } else {
      sql += token.text;
    }
    if (token.kind !== 'space') before = token.text;
  }
  return { sql, shifts };
}

/** What may follow a table that has no alias. */
const AFTER_TABLE =
  /^(where|group|order|limit|offset|fetch|having|window|union|intersect|except|join|inner|left|right|full|cross|natural|on|using|tablesample|for)$/i;

function hasAlias(tokens: readonly Token[]): boolean {
  const next = tokens.find(({ kind }) => kind !== 'space');
  return next?.kind === 'quoted' || (next?.kind === 'word' && !AFTER_TABLE.test(next.text));
}

/**
 * Values as the literals that Athena binds to `?`, in order; or, where one is too long to be bound, the
 * statement with all of them written in.
 *
 * @throws `sql_invalid` (64) for a wrong number of values
 */
export function bound(sql: string, values: readonly SqlValue[]): { sql: string; parameters: string[] | undefined } {
  const tokens = tokensOf(sql);
  const places = tokens.filter(({ text }) => text === '?').length;
  if (places !== values.length) {
    throw new JobError(
      'sql_invalid',
      'usage',
      `the statement has ${places} parameters, ${values.length} values were given`,
    );
  }
  if (places === 0) return { sql, parameters: undefined };
  const literals = values.map(literal);
  if (literals.every((text) => text.length <= PARAMETER_MAX_CHARS)) return { sql, parameters: literals };
  const left = [...literals];
  return { sql: tokens.map(({ text }) => (text === '?' ? left.shift()! : text)).join(''), parameters: undefined };
}

/** A value as an SQL literal of Trino. */
export function literal(value: SqlValue): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? String(value) : `decimal '${value}'`;
  if (typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value);
  if (Number.isNaN(value)) return 'nan()';
  if (!Number.isFinite(value)) return value > 0 ? 'infinity()' : '-infinity()';
  const text = value.toExponential();
  return text.replace('e+', 'e').replace('e', 'E');
}

/**
 * A name as an SQL identifier. @throws Error (a bug) for what is no lower-case identifier: names come from
 * contracts, models and runs only
 */
export function identifier(name: string): string {
  if (!/^[a-z_][a-z0-9_]{0,254}$/.test(name)) throw new Error(`not an identifier: ${JSON.stringify(name)}`);
  return `"${name}"`;
}

/** Names that are most like `wanted`, by the pairs of letters they share; best first. */
export function nearNames(wanted: string, names: readonly string[], most: number): string[] {
  const plain = (name: string): string => name.slice(name.lastIndexOf('.') + 1).toLowerCase();
  const pairs = pairsOf(plain(wanted));
  const score = (name: string): number => {
    if (plain(name) === plain(wanted)) return 2;
    const other = pairsOf(plain(name));
    const shared = [...pairs].filter((pair) => other.has(pair)).length;
    return (2 * shared) / Math.max(1, pairs.size + other.size);
  };
  return names
    .map((name) => ({ name, score: score(name) }))
    .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1))
    .slice(0, most)
    .map(({ name }) => name);
}

function pairsOf(text: string): Set<string> {
  return new Set(Array.from({ length: Math.max(0, text.length - 1) }, (_, at) => text.slice(at, at + 2)));
}

function nameOf({ kind, text }: Token): string | undefined {
  if (kind === 'word') return text.toLowerCase();
  return kind === 'quoted' ? text.slice(1, -1).toLowerCase() : undefined;
}

/** Statements of several selects: none is too long or has more stages than the engine takes. */
export function batchesOf(selects: readonly SingleRow[]): SingleRow[][] {
  const batches: SingleRow[][] = [];
  let bytes = 0;
  for (const select of selects) {
    const size = Buffer.byteLength(select.sql);
    const last = batches.at(-1);
    if (last === undefined || last.length >= BATCH_SELECTS_MAX || bytes + size > BATCH_BYTES_MAX) {
      batches.push([select]);
      bytes = size;
    } else {
      last.push(select);
      bytes += size;
    }
  }
  return batches;
}

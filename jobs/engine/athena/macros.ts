import { identifier, type Token, tokensOf } from './sql.ts';

/** A reading of single values: its parameters, and the expression that stands for a call of it. */
interface Macro {
  parameters: readonly string[];
  body: readonly Token[];
}
export type Macros = ReadonlyMap<string, Macro>;

const DEFINITION = /create or replace macro (\w+)\(([^)]*)\) as\s+([^;]*);/g;
/** No macro calls itself; whoever writes one that does is told so. */
const DEPTH_MAX = 20;

/** The macros of a text of `create or replace macro name(parameters) as expression;`, without its comments. */
export function macrosOf(text: string): Macros {
  const plain = text.replaceAll(/^--.*$/gm, '');
  return new Map(
    [...plain.matchAll(DEFINITION)].map(([, name, parameters, body]) => [
      name!,
      { parameters: parameters!.split(',').flatMap((each) => each.trim() || []), body: tokensOf(body!.trim()) },
    ]),
  );
}

/**
 * A text with every call of a macro written out: Athena knows no macros.
 *
 * @throws Error (a bug) for a call with another number of arguments, and for a macro that calls itself
 */
export function expanded(sql: string, macros: Macros): string {
  return textOf(expand(tokensOf(sql), macros, 0));
}

function expand(tokens: readonly Token[], macros: Macros, depth: number): Token[] {
  if (depth > DEPTH_MAX) throw new Error('a macro calls itself');
  const out: Token[] = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at]!;
    const macro = token.kind === 'word' && tokens[at + 1]?.text === '(' ? macros.get(token.text) : undefined;
    if (macro === undefined) {
      out.push(token);
      continue;
    }
    const { args, end } = argumentsOf(tokens, at + 1);
    if (args.length !== macro.parameters.length)
      throw new Error(`${token.text} takes ${macro.parameters.length} arguments, not ${args.length}`);
    const values = new Map(macro.parameters.map((name, index) => [name, expand(args[index]!, macros, depth + 1)]));
    const body = macro.body.flatMap((each) => (each.kind === 'word' && values.get(each.text)) || [each]);
    // What an argument calls is written out by now: no name of a macro is left in it.
    out.push(other('('), ...expand(body, macros, depth + 1), other(')'));
    at = end;
  }
  return out;
}

/** The arguments of a call whose bracket opens at `open`, and where it closes. */
function argumentsOf(tokens: readonly Token[], open: number): { args: Token[][]; end: number } {
  const args: Token[][] = [[]];
  let depth = 0;
  for (let at = open + 1; at < tokens.length; at += 1) {
    const token = tokens[at]!;
    if (token.text === ')' && depth === 0) {
      const isEmpty = args.length === 1 && textOf(args[0]!).trim() === '';
      return { args: isEmpty ? [] : args, end: at };
    }
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (token.text === ',' && depth === 0) args.push([]);
    else args.at(-1)!.push(token);
  }
  throw new Error('a bracket does not close');
}

/** One select that others read by name. */
export interface Definition {
  name: string;
  sql: string;
}

/**
 * A select with those of the definitions in front that it reads, directly or not.
 *
 * @param definitions each may read those before it
 */
export function withDefinitions(select: string, definitions: readonly Definition[]): string {
  const wanted = namesIn(select);
  const used: Definition[] = [];
  for (const definition of definitions.toReversed()) {
    if (!wanted.has(definition.name)) continue;
    used.unshift(definition);
    for (const name of namesIn(definition.sql)) wanted.add(name);
  }
  if (used.length === 0) return select;
  const parts = used.map(({ name, sql }) => `${identifier(name)} as (\n${sql}\n)`);
  return `with ${parts.join(', ')}\nselect * from (\n${select}\n) as work`;
}

function namesIn(sql: string): Set<string> {
  return new Set(tokensOf(sql).flatMap(({ kind, text }) => (kind === 'word' ? [text] : [])));
}

function other(text: string): Token {
  return { kind: 'other', text };
}

function textOf(tokens: readonly Token[]): string {
  return tokens.map(({ text }) => text).join('');
}

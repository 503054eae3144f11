import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline/promises';
import { makeFolders } from '../base/disk.ts';
import { describeError, JobError } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import type { Effects } from '../effects/index.ts';
import type { ResultSet } from '../engine/index.ts';
import type { Target } from '../lake/keys.ts';

const FIRST = 'listenlake> ';
const NEXT = '       ...> ';
const HISTORY_LINES = 1_000;
const LEAVING = /^\s*(?:\\q|quit|exit)\s*;?\s*$/i;
const WORDS =
  'select from where group by order by limit having with as and or not in is null count sum avg min max distinct case when then else end join left inner on cast desc asc between like'.split(
    ' ',
  );
const NAMES = `
select table_schema, table_name, column_name
from information_schema.columns
where table_schema in ('bronze', 'silver', 'gold_dev', 'gold_prod')
order by 1, 2, 3`;

/**
 * Questions one after the other, on a terminal: a statement ends with `;`, Tab completes names of tables and
 * columns, the arrows bring back former questions, Ctrl-C drops what was typed, `\q` or Ctrl-D leaves. What
 * is wrong with a question is said, and the next one is asked. Only statements that read are taken, as
 * everywhere.
 *
 * Questions of former sessions are kept in `sql-history` beside the caches, readable by their owner alone.
 *
 * @param ask answers one statement
 */
export async function promptForQuestions(
  { target, show }: { target: Target; show: (result: ResultSet) => string },
  { config, engine, signal }: Pick<Effects, 'config' | 'engine' | 'signal'>,
): Promise<number> {
  const historyFile = join(config.cacheDir, 'sql-history');
  const names = await completionsOf(target, engine);
  let history = readHistory(historyFile);
  const prompt = createInterface({
    input: process.stdin,
    output: process.stdout,
    history,
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string) => complete(line, names),
  });
  prompt.on('history', (lines) => {
    history = lines.filter((line) => !LEAVING.test(line));
  });
  process.stdout.write(`tables of gold_${target} by their names; a question ends with ";", \\q leaves\n`);
  let asked = 0;
  try {
    while (true) {
      const statement = await nextStatement(prompt, signal);
      if (statement === undefined) return asked;
      asked += 1;
      process.stdout.write(`${await answerOf(statement)}\n\n`);
    }
  } finally {
    await writeHistory(historyFile, history);
    prompt.close();
  }

  async function answerOf(statement: string): Promise<string> {
    // Typed while a question runs, Ctrl-C ends the program as it does elsewhere: the engine hears of it.
    const end = (): void => void process.kill(process.pid, 'SIGINT');
    prompt.on('SIGINT', end);
    try {
      return visible(show(await engine.query(statement, { target })), '\n');
    } catch (error) {
      if (!(error instanceof JobError) || error.exit !== 'usage') throw error;
      return visible(describeError(error), '\n');
    } finally {
      prompt.off('SIGINT', end);
    }
  }
}

/** Lines up to the one that ends with `;`. @returns undefined where the person leaves */
async function nextStatement(prompt: Interface, signal: AbortSignal): Promise<string | undefined> {
  let lines: string[] = [];
  while (true) {
    const line = await nextLine(prompt, lines.length === 0 ? FIRST : NEXT, signal);
    if (line === 'left') return undefined;
    if (line === 'dropped') {
      lines = [];
      continue;
    }
    if (lines.length === 0 && LEAVING.test(line.text)) return undefined;
    if (lines.length === 0 && line.text.trim() === '') continue;
    lines.push(line.text);
    if (/;\s*$/.test(line.text)) return lines.join('\n');
  }
}

/** One line; `dropped` after Ctrl-C, `left` after Ctrl-D or where the program is stopped. */
async function nextLine(
  prompt: Interface,
  question: string,
  signal: AbortSignal,
): Promise<{ text: string } | 'dropped' | 'left'> {
  if (signal.aborted) return 'left';
  return new Promise((resolve) => {
    const settle = (answer: { text: string } | 'dropped' | 'left'): void => {
      for (const [name, listener] of listeners) prompt.off(name, listener);
      signal.removeEventListener('abort', leave);
      resolve(answer);
    };
    const leave = (): void => settle('left');
    const drop = (): void => {
      process.stdout.write('\n');
      prompt.write(null, { ctrl: true, name: 'e' });
      prompt.write(null, { ctrl: true, name: 'u' });
      settle('dropped');
    };
    const listeners: [string, (text: string) => void][] = [
      ['line', (text) => settle({ text })],
      ['close', leave],
      ['SIGINT', drop],
    ];
    for (const [name, listener] of listeners) prompt.on(name, listener);
    signal.addEventListener('abort', leave);
    prompt.setPrompt(question);
    prompt.prompt(true); // what was typed while a question ran stays, with the cursor behind it
  });
}

/**
 * The names that begin like the last word; tables of the target by their bare names, others with their
 * schema.
 */
function complete(line: string, names: readonly string[]): [string[], string] {
  const word = /[A-Za-z0-9_.]*$/.exec(line)![0];
  return [word === '' ? [] : names.filter((name) => name.startsWith(word.toLowerCase())), word];
}

async function completionsOf(target: Target, engine: Effects['engine']): Promise<string[]> {
  const { rows } = await engine.query(NAMES, { target });
  const names = new Set(WORDS);
  for (const [schema, table, column] of rows) {
    if (schema === `gold_${target}`) names.add(String(table)).add(String(column));
    else names.add(`${schema}.${table}`);
  }
  return [...names].sort();
}

/** Newest first, as readline wants it. */
function readHistory(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).slice(0, HISTORY_LINES) : [];
}

async function writeHistory(path: string, history: readonly string[]): Promise<void> {
  await makeFolders(join(path, '..'));
  writeFileSync(path, `${history.slice(0, HISTORY_LINES).join('\n')}\n`, { mode: 0o600 });
}

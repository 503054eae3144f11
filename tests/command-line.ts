/** Starts the real program, unbuilt, as a user does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const FIELD_INPUTS = process.env.LISTENLAKE_FIELD_INPUTS ?? join(ROOT, '../shared/field-inputs');
export const REAL_DATA = process.env.LISTENLAKE_REAL_DATA ?? join(ROOT, '../shared/data');

/** Ids of people are the same in every lake that has the same key, so lakes can be compared. */
export const PSEUDONYM_KEY = 'one-key-for-all-lakes-of-the-tests';

export interface Finished {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  /** The last line of stdout, parsed. */
  json: Record<string, unknown>;
}

export function start(args: string[], env: Record<string, string> = {}, cwd = ROOT): ChildProcess {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('LISTENLAKE_') && name !== 'NODE_OPTIONS'),
  );
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'jobs/cli.ts'), ...args], {
    cwd,
    env: { ...clean, LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export async function listenlake(args: string[], env: Record<string, string> = {}, cwd = ROOT): Promise<Finished> {
  return finished(start(args, env, cwd));
}

export async function finished(child: ChildProcess): Promise<Finished> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const stdout = Buffer.concat(out).toString('utf8');
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  return {
    code,
    signal,
    stdout,
    stderr: Buffer.concat(err).toString('utf8'),
    json: last.startsWith('{') ? JSON.parse(last) : {},
  };
}

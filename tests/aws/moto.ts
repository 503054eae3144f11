/** moto's server in a virtual environment of its own, pinned by `moto/requirements.txt`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('./moto/', import.meta.url));
const START_TIMEOUT_MS = 300_000;

/**
 * A process of the proving ground. It also ends by itself when its stdin does, so that a killed test leaves
 * nothing behind.
 */
export interface Service {
  url: string;
  close(): Promise<void>;
}

/** Something that this machine does not have; tests report it as left out. */
export class Unavailable extends Error {}

/** Where downloads are kept. */
export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake');
}

/** Starts moto with the patches. @throws Unavailable without Python 3.10 or newer, or without its packages */
export async function startMoto(): Promise<Service> {
  const python = await pythonOf();
  const child = spawn(python, [join(HERE, 'server.py')], { stdio: ['pipe', 'pipe', 'pipe'] });
  const port = await firstLine(child, 'moto');
  return { url: `http://127.0.0.1:${port}`, close: () => end(child) };
}

/** Runs a program to its end. @throws Unavailable with its last words when it fails or is not there */
export async function runTool(program: string, args: string[], cwd?: string): Promise<string> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let words = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2_000);
  });
  const code = await new Promise<number | string | null>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', resolve);
  });
  if (code !== 0)
    throw new Unavailable(`${program} ended with ${code}: ${(words || output).trim().split('\n').slice(-3).join(' ')}`);
  return output;
}

/** The first line of a child's stdout. @throws Error with its stderr when it ends or keeps silent */
export async function firstLine(child: ChildProcess, name: string): Promise<string> {
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${name} said nothing for ${START_TIMEOUT_MS} ms: ${words}`)),
      START_TIMEOUT_MS,
    );
    let text = '';
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${name} ended with ${code}: ${words}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const [line, rest] = text.split('\n', 2);
      if (rest === undefined || line === undefined) return;
      clearTimeout(timer);
      resolve(line);
    });
  });
}

/** Ends a child by closing its stdin, by force after five seconds. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(timer);
}

async function pythonOf(): Promise<string> {
  const requirements = join(HERE, 'requirements.txt');
  const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(cacheDir(), `moto-${version}`);
  const python = join(folder, 'bin/python');
  if (existsSync(python)) return python;
  await mkdir(cacheDir(), { recursive: true });
  const aside = `${folder}.${process.pid}`;
  try {
    await runTool('python3', ['-c', 'import sys; assert sys.version_info >= (3, 10), sys.version']);
    await runTool('python3', ['-m', 'venv', aside]);
    await runTool(join(aside, 'bin/python'), [
      '-m',
      'pip',
      'install',
      '-q',
      '--no-deps',
      '--disable-pip-version-check',
      '-r',
      requirements,
    ]);
    // Whoever else has made it meanwhile has made the same.
    await rename(aside, folder).catch(() => undefined);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return python;
}

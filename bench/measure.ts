/** How a benchmark measures a process, and how it says what it found. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake');
export const WORK = join(CACHE, 'bench');

export interface Measured {
  seconds: number;
  /** Processor time, of all threads. */
  cpuSeconds: number;
  peakMb: number;
}

/** What was said, line by line. */
export const said: string[] = [];

/**
 * Runs a process to its end. @throws Error when it fails: a contender that did not do the work has no time
 */
export async function measure(program: string, args: string[]): Promise<Measured> {
  const started = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const used = { peakMb: 0, cpuSeconds: 0 };
  const timer = setInterval(() => {
    const now = usageOf(child.pid!);
    // What has ended is there for a moment yet, without its memory.
    used.peakMb = Math.max(used.peakMb, now?.peakMb ?? 0);
    used.cpuSeconds = Math.max(used.cpuSeconds, now?.cpuSeconds ?? 0);
  }, 20);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`);
  return { seconds: (performance.now() - started) / 1000, ...used };
}

/**
 * Runs a process to its end. @returns processor seconds until it has said anything, on stdout or stderr
 *
 * @throws Error when it fails or says nothing
 */
export async function untilFirstOutput(program: string, args: string[]): Promise<number> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } });
  let used: number | undefined;
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', () => {
      used ??= usageOf(child.pid!)?.cpuSeconds;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || used === undefined)
    throw new Error(`${program} ${args.join(' ')} ended with ${code}, said nothing`);
  return used;
}

/**
 * Highest memory and processor time of a process so far; undefined where it has ended, or the system has no
 * /proc.
 */
export function usageOf(pid: number): Omit<Measured, 'seconds'> | undefined {
  try {
    const [, peakKb = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    // After the name in brackets, fields 12 and 13 are user and system time in ticks of 10 ms
    // (proc_pid_stat(5)).
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { peakMb: Number(peakKb) / 1024, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100 };
  } catch {
    return undefined;
  }
}

/** A Python with these packages, in the cache. */
export async function pythonOf(name: string, packages: Record<string, string>): Promise<string> {
  const pins = Object.entries(packages).map(([name, version]) => `${name}==${version}`);
  const venv = join(CACHE, name);
  const program = join(venv, 'bin/python');
  const done = join(venv, 'done');
  if (!existsSync(done) || readFileSync(done, 'utf8') !== pins.join('\n')) {
    await measure('python3', ['-m', 'venv', venv]);
    await measure(program, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...pins]);
    writeFileSync(done, pins.join('\n'));
  }
  return program;
}

export function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** Says whether a goal is met. */
export function ratio(what: string, value: number, bound: 'at least' | 'at most', goal: number): void {
  const isMet = bound === 'at least' ? value >= goal : value <= goal;
  say(`  ${isMet ? 'ok  ' : 'MISS'} ${what}: ${value.toFixed(value < 1 ? 3 : 1)} (goal: ${bound} ${goal})`);
}

export function say(line: string): void {
  said.push(line);
  process.stdout.write(`${line}\n`);
}

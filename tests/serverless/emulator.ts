/**
 * AWS's own Runtime Interface Emulator (a Go module) around `jobs/lambda.ts`: what calls the function is a client
 * of Lambda's API, what the function speaks is the runtime API, and what it may write is /tmp.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../airflow/free-port.ts';
import { cacheDir, end, runTool, Unavailable } from '../aws/moto.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { layerSkipped } from '../fixtures/layers.ts';
import type { MemoryLimit } from './memory-limit.ts';

const MODULE = 'github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie';
const VERSION = 'v0.0.0-20261030222936-bef5c4ba774d';
const CALL_PATH = '/2015-03-31/functions/function/invocations';

/**
 * Makes all but an empty /tmp read-only, and runs the rest of the line in it. The program itself stays where it is,
 * also where that is a folder of /tmp.
 */
const READ_ONLY = `set -e
root=$1; shift
mount --bind "$root" /mnt
mount -t tmpfs tmpfs /tmp
mkdir -p "$root"
mount --bind /mnt "$root"
mount -o remount,ro,bind "$root"
mount -o remount,ro,bind /
cd /tmp
exec "$@"`;

/** A function: the job that it is, and its settings as Terraform gives them. */
export interface FunctionSettings {
  command: readonly string[];
  environment: Record<string, string>;
  /** After so long the emulator ends a call, as Lambda does. */
  seconds: number;
  /** What the emulator does not enforce, and Lambda does. */
  limit?: MemoryLimit;
}

/** What a call answered: a result, or an error with its type. */
export interface Called {
  body: Record<string, unknown>;
  errorType: string | undefined;
  seconds: number;
  /** The most that the job's process held in memory; 0 where none was started. */
  peakMib: number;
}

export interface EmulatedFunction {
  /** One call at a time: the emulator ends with two. @param during told the job's process as soon as it is there */
  call(event: unknown, during?: (pid: number) => void): Promise<Called>;
  close(): Promise<void>;
}

/** Path of the emulator; built at the first call. Undefined, and told, where there is no Go. */
export async function emulatorOrSkip(what: string): Promise<string | undefined> {
  const folder = join(cacheDir(), `aws-lambda-rie-${VERSION}`);
  const program = join(folder, 'aws-lambda-rie');
  if (existsSync(program)) return program;
  await mkdir(folder, { recursive: true });
  try {
    await runTool('env', [`GOBIN=${folder}`, 'go', 'install', `${MODULE}@${VERSION}`]);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    layerSkipped(what, error.message, 'install Go 1.21 or newer; it fetches the emulator once');
    return undefined;
  }
  return program;
}

/** Starts a function. Its root is read-only, as Lambda's is, where this user may make a mount of its own. */
export async function startFunction(program: string, settings: FunctionSettings): Promise<EmulatedFunction> {
  const [port, api] = [await freePort(), await freePort()];
  const emulator = [
    ...[program, '--runtime-interface-emulator-address', `127.0.0.1:${port}`],
    ...['--runtime-api-address', `127.0.0.1:${api}`],
    ...[process.execPath, '--disable-warning=ExperimentalWarning', join(ROOT, 'jobs/lambda.ts'), ...settings.command],
  ];
  const inRoot = (await mayMount()) ? ['unshare', '-m', 'sh', '-c', READ_ONLY, 'sh', ROOT, ...emulator] : emulator;
  const line = [...(settings.limit?.prefix ?? []), ...inRoot];
  const { PATH = '' } = process.env;
  const child = spawn(line[0]!, line.slice(1), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...{ PATH, HOME: '/tmp', TMPDIR: '/tmp', _HANDLER: 'lambda', LAMBDA_TASK_ROOT: ROOT },
      AWS_LAMBDA_FUNCTION_TIMEOUT: String(settings.seconds),
      ...settings.environment,
    },
  });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => said.push(text));
  await isListening(port, child, said);
  return {
    async call(event, during) {
      const startedAt = Date.now();
      let isOver = false;
      const watch = watchJob(child.pid!, () => isOver, during);
      const response = await fetch(`http://127.0.0.1:${port}${CALL_PATH}`, {
        method: 'POST',
        body: typeof event === 'string' ? event : JSON.stringify(event),
      });
      const text = await response.text();
      isOver = true;
      const peakMib = await watch;
      const seconds = (Date.now() - startedAt) / 1000;
      // Where time is up, or the process ended, the emulator answers with words.
      const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { errorMessage: text };
      const errorType = body.errorType ?? (text.startsWith('{') ? undefined : 'Emulator');
      return { body, errorType: errorType as string | undefined, seconds, peakMib };
    },
    close: () => end(child),
  };
}

let isMountAllowed: Promise<boolean> | undefined;

/** Told once where it may not: the tests then run on a root that can be written. */
async function mayMount(): Promise<boolean> {
  isMountAllowed ??= runTool('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp']).then(
    () => true,
    (error: Error) => {
      layerSkipped('read-only root of functions', error.message, 'run the tests as a user that may use `unshare -m`');
      return false;
    },
  );
  return isMountAllowed;
}

/** Follows the job's process, the child of the runtime that the emulator starts. @returns its peak in MiB */
async function watchJob(root: number, isOver: () => boolean, during?: (pid: number) => void): Promise<number> {
  let [peak, seen] = [0, 0];
  while (!isOver()) {
    const pid = await jobProcess(root);
    if (pid !== undefined) {
      if (pid !== seen) during?.(pid);
      seen = pid;
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0));
    }
    await sleep(20);
  }
  return Math.round(peak / 1024);
}

/** The process below `root` that runs cli.ts. */
async function jobProcess(root: number): Promise<number | undefined> {
  const parents = new Map<number, number>();
  const jobs: number[] = [];
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    parents.set(Number(name), parent);
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.includes('jobs/cli.ts')) jobs.push(Number(name));
  }
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (pid === root || isBelow(parents.get(pid)));
  return jobs.find(isBelow);
}

async function isListening(port: number, child: ChildProcess, said: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (child.exitCode !== null) throw new Error(`the emulator ended with ${child.exitCode}: ${said.join('')}`);
    // Any answer means that it listens; a GET is no call.
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      )
    )
      return;
    await sleep(50);
  }
  throw new Error(`the emulator does not listen: ${said.join('')}`);
}

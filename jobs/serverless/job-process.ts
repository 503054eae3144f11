import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '../base/errors.ts';
import type { FunctionError } from './runtime-api.ts';

/** How a command ended: its result, or what it failed of. */
export type Ended = { result: Record<string, unknown>; error?: undefined } | { error: FunctionError };

/** Where the command line is, and how long a command may take. */
export interface JobProcess {
  /** `cli.ts` of the clone and the image, or what stands for it. */
  cli: string;
  environment: NodeJS.ProcessEnv;
  /** Unix ms at which Lambda ends the call. */
  deadlineMs: number;
  now: () => number;
}

/**
 * A command that is asked to stop ends the unit at hand within 25 s (commands/effects.ts). So it is asked this
 * long before the function's end, and there is time left to say so.
 */
const STOP_BEFORE_END_MS = 30_000;
/** A function that may run for less than a minute gives half of it. */
const STOP_BEFORE_END_SHARE = 0.5;
/** Of what a command wrote to stderr its last line tells what went wrong. */
const STDERR_KEPT_CHARS = 4_000;

/** Types of errors by exit code: what a state machine decides on. */
export const ERROR_TYPES: Readonly<Record<number, string>> = {
  [EXIT.usage]: 'Usage',
  [EXIT.data]: 'DataRefused',
  [EXIT.unavailable]: 'Unavailable',
  [EXIT.software]: 'Bug',
  [EXIT.io]: 'Disk',
  [EXIT.tempfail]: 'TryLater',
  [EXIT.auth]: 'LogIn',
  [EXIT.config]: 'Configuration',
};

/**
 * Runs one command in a process of its own, so that what it leaves in memory, or dies of, is not the function's.
 * Its lines go to this process's streams, which is the function's log.
 *
 * @param line the command and its flags
 */
export async function runJob(line: readonly string[], job: JobProcess): Promise<Ended> {
  const resultFile = join(tmpdir(), `listenlake-result-${randomUUID()}.json`);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', job.cli, ...line], {
    env: { ...job.environment, LISTENLAKE_RESULT_FILE: resultFile },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text);
    said = (said + text).slice(-STDERR_KEPT_CHARS);
  });
  const startedAt = job.now();
  const leftMs = job.deadlineMs - startedAt;
  let isOutOfTime = false;
  const timer = setTimeout(
    () => {
      isOutOfTime = true;
      child.kill('SIGTERM');
    },
    Math.max(0, leftMs - Math.min(STOP_BEFORE_END_MS, leftMs * STOP_BEFORE_END_SHARE)),
  );
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject).on('close', (...ended) => resolve(ended));
  });
  clearTimeout(timer);
  try {
    if (code === EXIT.ok) return { result: JSON.parse(await readFile(resultFile, 'utf8')) as Record<string, unknown> };
  } finally {
    await rm(resultFile, { force: true });
  }
  const seconds = Math.round((job.now() - startedAt) / 1000);
  if (isOutOfTime) return { error: outOfTime(line, seconds) };
  if (code === null) return { error: ended(line, signal) };
  const message = said.trim().split('\n').at(-1) || `exit ${code}`;
  return { error: { type: ERROR_TYPES[code] ?? 'Bug', message } };
}

function outOfTime(line: readonly string[], seconds: number): FunctionError {
  return {
    type: 'OutOfTime',
    message: `${line.join(' ')}: stopped after ${seconds} s, before the function's end. What was committed is whole. Run it once where no such limit is: listenlake ${line.join(' ')} --lake s3://... (docs/aws.md)`,
  };
}

function ended(line: readonly string[], signal: NodeJS.Signals | null): FunctionError {
  return {
    type: signal === 'SIGKILL' ? 'OutOfMemory' : 'Bug',
    message: `${line.join(' ')}: ended by ${signal}${signal === 'SIGKILL' ? ', as the system does where memory is used up. Give the function more memory, or run the command on a machine (docs/aws.md)' : ''}`,
  };
}

/** Lets one system call of a command fail, below Node and below the engine (`failing-calls.c`). */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Finished, listenlake } from '../fixtures/command-line.ts';
import { layerSkipped } from '../fixtures/layers.ts';

const SOURCE = fileURLToPath(new URL('./failing-calls.c', import.meta.url));

/** What a call that fails says; `SIGKILL`: the program ends there instead. */
export type Errno = 'SIGKILL' | 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EFBIG' | 'EMFILE' | 'EACCES' | 'EROFS' | 'ENOMEM';

/** The N-th call of one kind that concerns the lake or the user's cache. */
export interface Fault {
  call: string;
  /** From 1 on. */
  at: number;
  errno: Errno;
  /** Every later call of the kind fails as well, as on a disk that stays full. */
  isLasting?: boolean;
  /** Only calls count whose path holds this text. */
  match?: string;
  /** A further folder whose calls count: one that the command writes to outside the lake. */
  also?: string;
}

export interface FaultyRun extends Finished {
  /** What failed: the kind of call and its path or descriptor. */
  fired: string[];
}

export interface FailingCalls {
  /** Runs a command undisturbed. @param match, also as in `Fault` */
  watch(args: string[], lake: string, match?: string, also?: string): Promise<Watched>;
  run(args: string[], lake: string, fault: Fault): Promise<FaultyRun>;
}

export interface Watched {
  /** How often the command called each kind. */
  counts: Map<string, number>;
  /** What it changed on the disk, call by call (`power-cut.ts` reads it). */
  trace: string;
}

/**
 * Compiles the library; undefined (and told) where that is not possible.
 *
 * @param work folder for the library and what it notes; also the user's cache of the commands
 */
export function openFailingCalls(work: string): FailingCalls | undefined {
  const library = join(work, 'failing-calls.so');
  const built =
    process.platform === 'linux'
      ? spawnSync('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-o', library, SOURCE, '-ldl'], {
          encoding: 'utf8',
        })
      : undefined;
  if (built?.error !== undefined || built === undefined) {
    layerSkipped(
      'failing system calls',
      'no C compiler on Linux',
      'install gcc (Debian: apt-get install gcc libc6-dev)',
    );
    return undefined;
  }
  if (built.status !== 0) throw new Error(`${SOURCE}: ${built.stderr}`);
  let runs = 0;
  const environmentOf = (
    lake: string,
    also: string[],
  ): { env: Record<string, string>; counts: string; fired: string } => {
    runs += 1;
    const [counts, fired, cache] = ['counts', 'fired', 'cache'].map((name) => join(work, `${name}-${runs}`));
    const env = {
      ...{
        LD_PRELOAD: library,
        XDG_CACHE_HOME: cache!,
        FAULT_PATHS: [lake, join(cache!, 'listenlake'), ...also].join(':'),
      },
      ...{ FAULT_COUNTS: counts!, FAULT_FIRED: fired! },
    };
    return { env, counts: counts!, fired: fired! };
  };
  return {
    async watch(args, lake, match = '', also) {
      const { env, counts } = environmentOf(lake, also === undefined ? [] : [also]);
      const trace = `${counts}.trace`;
      const done = await listenlake([...args, '--lake', lake], { ...env, FAULT_MATCH: match, FAULT_TRACE: trace });
      if (done.code !== 0) throw new Error(`${args[0]} ended with ${done.code}: ${done.stderr}`);
      const lines = readFileSync(counts, 'utf8').trimEnd().split('\n');
      rmSync(env.XDG_CACHE_HOME!, { recursive: true, force: true });
      return {
        counts: new Map(lines.map((line) => [line.split(' ')[0]!, Number(line.split(' ')[1])])),
        trace: existsSync(trace) ? readFileSync(trace, 'utf8') : '',
      };
    },
    async run(args, lake, { call, at, errno, isLasting = false, match = '', also }) {
      const { env, fired } = environmentOf(lake, also === undefined ? [] : [also]);
      const fault = {
        ...{
          FAULT_CALL: call,
          FAULT_AT: String(at),
          FAULT_ERRNO: errno === 'SIGKILL' ? '0' : String(constants.errno[errno]),
        },
        FAULT_LASTS: isLasting ? '1' : '0',
        FAULT_MATCH: match,
      };
      const done = await listenlake([...args, '--lake', lake], { ...env, ...fault });
      const lines = existsSync(fired) ? readFileSync(fired, 'utf8').trimEnd().split('\n') : [];
      rmSync(env.XDG_CACHE_HOME!, { recursive: true, force: true });
      return { ...done, fired: lines };
    },
  };
}

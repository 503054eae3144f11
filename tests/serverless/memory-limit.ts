/** A limit of the kernel (a control group of Linux) on what processes of a test hold in memory together. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { layerSkipped } from '../fixtures/layers.ts';

export interface MemoryLimit {
  /** Before a program and its arguments: runs it, and all that it starts, under the limit. */
  prefix: readonly string[];
  /** Sets the limit. @param mib may be less than what is held, where the kernel can take pages back */
  set(mib: number): void;
  /** MiB that the processes hold, files of a tmpfs included. */
  used(): number;
  /** The most that they have held at once, in MiB. */
  peak(): number;
  /** Ends what still runs under it, and takes it away; done before: nothing. */
  close(): Promise<void>;
}

const ROOT = '/sys/fs/cgroup';
/** Names of the same files in both versions of control groups. */
const VERSIONS = [
  {
    folder: join(ROOT, 'memory'),
    names: {
      limit: 'memory.limit_in_bytes',
      used: 'memory.usage_in_bytes',
      peak: 'memory.max_usage_in_bytes',
      swap: 'memory.swappiness',
    },
  },
  {
    folder: ROOT,
    names: { limit: 'memory.max', used: 'memory.current', peak: 'memory.peak', swap: 'memory.swap.max' },
  },
] as const;
const MEBIBYTE = 1024 ** 2;
const REMOVAL_TRIES = 100;

let made = 0;

/** A limit of so many MiB; undefined, and told as left out, where this user may make no control group. */
export function memoryLimitOrSkip(what: string, mib: number): MemoryLimit | undefined {
  const { folder, names } = VERSIONS.find(({ folder }) => existsSync(join(folder, 'cgroup.procs'))) ?? VERSIONS[1];
  const group = join(folder, `listenlake-test-${process.pid}-${(made += 1)}`);
  const read = (name: string): number => Math.round(Number(readFileSync(join(group, name), 'utf8')) / MEBIBYTE);
  const set = (limit: number): void => writeFileSync(join(group, names.limit), String(Math.round(limit * MEBIBYTE)));
  try {
    mkdirSync(group);
    // A process at its limit is ended, and not swapped.
    writeFileSync(join(group, names.swap), '0');
    set(mib);
  } catch (error) {
    if (existsSync(group)) rmdirSync(group);
    layerSkipped(what, (error as Error).message, 'run the tests as a user that may make control groups (root)');
    return undefined;
  }
  return {
    prefix: ['sh', '-c', 'echo $$ > "$0" && exec "$@"', join(group, 'cgroup.procs')],
    set,
    used: () => read(names.used),
    peak: () => read(names.peak),
    async close() {
      for (let tries = 0; existsSync(group); tries += 1) {
        const left = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean);
        for (const pid of left) endProcess(Number(pid));
        try {
          rmdirSync(group);
        } catch (error) {
          // It is busy until the last of its processes is gone.
          if (tries >= REMOVAL_TRIES) throw error;
          await sleep(50);
        }
      }
    },
  };
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

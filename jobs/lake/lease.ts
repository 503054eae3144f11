import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { isErrno, JobError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { LEASE_CLOCK_KEY, leaseKey } from './keys.ts';
import type { LakeStore, ObjectInfo } from './store.ts';

/** A holder that does not renew for this long is taken to be dead. */
export const LEASE_TTL_MS = 60_000;
const RENEW_MS = LEASE_TTL_MS / 4;

interface LeaseRecord {
  /** Grows with every take-over. */
  token: number;
  holder: string;
  host: string;
  /** Where its process id has a meaning; see `processSpace`. */
  space: string;
  pid: number;
  job: string;
}

export interface Lease {
  readonly token: number;
  /**
   * False where another run has taken it over, or somebody has deleted it: whoever finds that stops before it
   * writes or deletes.
   */
  isHeld(): Promise<boolean>;
  /** Gives it back; a lease that was taken over meanwhile is left to its new holder. */
  release(): Promise<void>;
}

/**
 * Takes the lake's writer lease, so that two runs do not do the same work at once. Correctness does not hang
 * on it: a run that lost its lease without noticing still cannot commit, because the next manifest's number
 * is taken.
 *
 * Ages are measured by the store's clock alone: when the lease was renewed last against an object that is
 * written now. What the clocks of two machines say does not matter.
 *
 * @throws `lease_held` (75; retry helps) while another live run holds it
 */
export async function acquireLease(store: LakeStore, name: string, job: string, log: Log): Promise<Lease> {
  const key = leaseKey(name);
  const holder = randomBytes(8).toString('hex');
  const record = (token: number): LeaseRecord => ({
    ...{ token, holder, host: hostname(), space: processSpace() },
    ...{ pid: process.pid, job },
  });
  let token = 1;
  let written = await store.put(key, JSON.stringify(record(token)), { ifAbsent: true });
  if (written.status === 'conflict') {
    const info = await store.head(key);
    const held = info === undefined ? undefined : await readRecord(store, key);
    if (info !== undefined && held !== undefined && !isGone(held) && !(await isExpired(store, info))) {
      throw new JobError(
        'lease_held',
        'tempfail',
        `another run (${held.job}, process ${held.pid} on ${held.host}) is writing to this lake`,
        {
          hint: 'wait for it to end and run this again',
        },
      );
    }
    token = (held?.token ?? 0) + 1;
    written = await store.put(
      key,
      JSON.stringify(record(token)),
      info === undefined ? { ifAbsent: true } : { ifVersion: info.version },
    );
    if (written.status === 'conflict') {
      throw new JobError('lease_held', 'tempfail', 'another run has just begun to write to this lake', {
        hint: 'run this again later',
      });
    }
    if (held !== undefined)
      log.info({ from: held.pid, host: held.host, token }, 'took over the lease of a run that is gone');
  }
  let version = written.info.version;
  let renewing: Promise<void> = Promise.resolve();
  const isHeld = async (): Promise<boolean> => (await readRecord(store, key))?.holder === holder;
  const renew = async (): Promise<void> => {
    const renewed = await store.put(key, JSON.stringify(record(token)), { ifVersion: version });
    if (renewed.status === 'written') {
      version = renewed.info.version;
      return;
    }
    // A renewal whose answer was lost has changed the version, too.
    const info = await store.head(key);
    if (info !== undefined && (await isHeld())) version = info.version;
    else log.warn({ token }, 'the lease was taken over; this run will not be able to commit');
  };
  const timer = setInterval(() => {
    renewing = renew().catch((error: unknown) => log.warn({ error: String(error) }, 'the lease could not be renewed'));
  }, RENEW_MS);
  timer.unref();
  return {
    token,
    isHeld,
    async release() {
      clearInterval(timer);
      await renewing;
      if (await isHeld()) await store.delete(key);
    },
  };
}

/** Its process is gone, as this machine can tell: the next run need not wait out a killed one. */
function isGone(record: LeaseRecord): boolean {
  if (record.host !== hostname() || record.space !== processSpace()) return false;
  if (record.pid === process.pid) return true;
  try {
    process.kill(record.pid, 0);
    return false;
  } catch (error) {
    return isErrno(error, 'ESRCH');
  }
}

/** Not renewed for too long, both times by the store's clock. */
async function isExpired(store: LakeStore, info: ObjectInfo): Promise<boolean> {
  await store.put(LEASE_CLOCK_KEY, randomBytes(8).toString('hex'));
  const now = await store.head(LEASE_CLOCK_KEY);
  return now !== undefined && now.modifiedAt - info.modifiedAt >= LEASE_TTL_MS;
}

/**
 * Names the processes among which a process id is unique: those of one boot, and on Linux of one namespace.
 * Containers can share a host's name, and each has a process 1.
 */
function processSpace(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return process.platform; // no Linux: a host has one space
  }
}

async function readRecord(store: LakeStore, key: string): Promise<LeaseRecord | undefined> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of await store.get(key)) chunks.push(chunk as Buffer);
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as LeaseRecord;
  } catch (error) {
    // Released between our look and our read, or written by hand: in both cases nobody holds it.
    if (error instanceof SyntaxError || (error instanceof JobError && error.code === 'object_missing'))
      return undefined;
    throw error;
  }
}

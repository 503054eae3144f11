import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { isErrno, JobError } from '../errors.ts';
import type { Log } from '../log.ts';
import { leaseKey } from './keys.ts';
import type { LakeStore } from './store.ts';

/** A holder that does not renew for this long is taken to be dead. */
const LEASE_TTL_MS = 60_000;
const RENEW_MS = LEASE_TTL_MS / 4;

interface LeaseRecord {
  /** Grows with every take-over. */
  token: number;
  holder: string;
  host: string;
  pid: number;
  job: string;
  expiresAt: number;
}

export interface Lease {
  readonly token: number;
  /** Gives it back; a lease that was taken over meanwhile is left to its new holder. */
  release(): Promise<void>;
}

/**
 * Takes the lake's writer lease, so that two runs do not do the same work at once. Correctness does not hang on it: a run that lost its
 * lease without noticing still cannot commit, because the next manifest's number is taken.
 *
 * @throws `lease_held` (75; retry helps) while another live run holds it
 */
export async function acquireLease(
  store: LakeStore,
  name: string,
  job: string,
  now: () => number,
  log: Log,
): Promise<Lease> {
  const key = leaseKey(name);
  const holder = randomBytes(8).toString('hex');
  const record = (token: number): LeaseRecord => ({
    token,
    holder,
    host: hostname(),
    pid: process.pid,
    job,
    expiresAt: now() + LEASE_TTL_MS,
  });
  let token = 1;
  let written = await store.put(key, JSON.stringify(record(token)), { ifAbsent: true });
  if (written.status === 'conflict') {
    const info = await store.head(key);
    const held = info === undefined ? undefined : await readRecord(store, key);
    if (held !== undefined && !isExpired(held, now())) {
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
  const renew = async (): Promise<void> => {
    const renewed = await store.put(key, JSON.stringify(record(token)), { ifVersion: version });
    if (renewed.status === 'written') version = renewed.info.version;
    else log.warn({ token }, 'the lease was taken over; this run will not be able to commit');
  };
  const timer = setInterval(() => {
    renewing = renew().catch((error: unknown) => log.warn({ error: String(error) }, 'the lease could not be renewed'));
  }, RENEW_MS);
  timer.unref();
  return {
    token,
    async release() {
      clearInterval(timer);
      await renewing;
      const info = await store.head(key);
      if (info?.version === version) await store.delete(key);
    },
  };
}

/** Expired by time; or its process, on this very host, is gone: the next run need not wait out a killed one. */
function isExpired(record: LeaseRecord, now: number): boolean {
  if (record.expiresAt <= now) return true;
  if (record.host !== hostname()) return false;
  if (record.pid === process.pid) return true;
  try {
    process.kill(record.pid, 0);
    return false;
  } catch (error) {
    return isErrno(error, 'ESRCH');
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

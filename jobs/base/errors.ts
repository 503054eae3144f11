import { constants } from 'node:os';

/**
 * sysexits(3) codes, the same for every command. Airflow retries 69, 74 and 75; it fails at once on 64, 77
 * and 78.
 */
export const EXIT = {
  ok: 0,
  /** Wrong flags or arguments. */
  usage: 64,
  /** Input was refused (and quarantined), or a data check failed. */
  data: 65,
  /** Something this job needs is not reachable. */
  unavailable: 69,
  /** A bug, or the equation `read = new + duplicate + quarantined` does not hold. */
  software: 70,
  /** The disk or a file's rights. */
  io: 74,
  /** Try later: a lease is held, a rate limit. */
  tempfail: 75,
  /** Log in again. */
  auth: 77,
  /** The configuration. */
  config: 78,
} as const;

export type ExitName = keyof typeof EXIT;

/** Where in the input a fault is, as exact as it is known. */
export interface FaultPlace {
  file?: string;
  /** 0-based offset into the file's bytes. */
  byte?: number;
  /** 1-based row (element, line or record) of the file. */
  row?: number;
}

/**
 * An expected failure: bad input, a full disk, a lease that is held. Bugs are plain `Error`s and crash.
 *
 * The message says what is wrong with which value; `hint` says what to do about it. Neither holds secrets or
 * personal fields.
 */
export class JobError extends Error {
  readonly code: string;
  readonly exit: ExitName;
  readonly hint: string | undefined;
  readonly place: FaultPlace;

  /**
   * @param code short, stable, snake_case: what people search for and tests assert
   * @param exit which of the exit codes a run ends with when nothing catches this
   */
  constructor(
    code: string,
    exit: ExitName,
    message: string,
    options: { hint?: string; place?: FaultPlace; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'JobError';
    this.code = code;
    this.exit = exit;
    this.hint = options.hint;
    this.place = options.place ?? {};
  }

  /** True where running the same command again, unchanged, may succeed. */
  get isRetryable(): boolean {
    return this.exit === 'unavailable' || this.exit === 'io' || this.exit === 'tempfail';
  }
}

/** True where an object of the lake is gone, or is not the one that was committed. */
export function isDamage(error: unknown): boolean {
  return error instanceof JobError && (error.code === 'object_damaged' || error.code === 'object_missing');
}

/** What a job that was asked to stop ends with, once the unit at hand is whole. */
export function stopped(): JobError {
  return new JobError('stopped', 'tempfail', 'stopped by a signal', {
    hint: 'what was committed is whole; run it again to go on',
  });
}

/** True for a file-system error with one of these codes (`ENOENT`, `EEXIST`, ...). */
export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  // Not `instanceof`: an error of Node's own modules may come from another realm (as it does under Jest).
  return (
    typeof error === 'object' && error !== null && 'code' in error && codes.includes(nameOfErrno(String(error.code)))
  );
}

/**
 * Node has no name for some errors of the system, such as a quota that is used up (`EDQUOT`): it gives their
 * number (seen with Node 24).
 */
function nameOfErrno(code: string): string {
  const number = /^Unknown system error -(\d+)$/.exec(code)?.[1];
  if (number === undefined) return code;
  return Object.entries(constants.errno).find(([, each]) => each === Number(number))?.[0] ?? code;
}

/** The one line a person reads: place, message and hint of an expected failure. */
export function describeError(error: JobError): string {
  const { file, byte, row } = error.place;
  const where = [file, row === undefined ? undefined : `row ${row}`, byte === undefined ? undefined : `byte ${byte}`]
    .filter((part) => part !== undefined)
    .join(', ');
  return [where, error.message].filter((part) => part !== '').join(': ') + (error.hint ? ` (${error.hint})` : '');
}

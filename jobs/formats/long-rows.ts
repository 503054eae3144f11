import { JobError } from '../base/errors.ts';

/** Real rows of listening, and the names of a real track with its album and artists, are shorter. */
const USUAL_BYTES = 1_536;
/**
 * What the rows of one file may take beyond that, in all. Every later job groups and joins by name, so names
 * are held in memory. Measured in 256 MiB with a name of its own in each of 30,000 rows: 1.4 KiB each go
 * through to production, 2.1 KiB stop every later `enrich`.
 */
const BEYOND_USUAL_MAX = 12 * 1024 ** 2;

/** The part of so many bytes that no real row has. */
export function beyondUsual(bytes: number): number {
  return Math.max(0, bytes - USUAL_BYTES);
}

/**
 * Refuses a file of too many rows that are too long, each of which could stay.
 *
 * @param beyond sum of `beyondUsual` over the rows of the file
 * @param what `rows`, or what they are called in the file
 * @throws `rows_too_long` (65)
 */
export function refuseLongRows(beyond: number, what: string): void {
  if (beyond <= BEYOND_USUAL_MAX) return;
  const [usual, most] = [USUAL_BYTES / 1024, BEYOND_USUAL_MAX / 1024 ** 2];
  throw new JobError(
    'rows_too_long',
    'data',
    `${what} over ${usual} KiB that go beyond it by more than ${most} MiB in all`,
    {
      hint: 'take the file as Spotify made it',
    },
  );
}

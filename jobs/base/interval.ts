import { JobError } from './errors.ts';

/** A half-open UTC interval `[from, to)`; an open end is null. ISO texts with milliseconds and `Z`. */
export interface Interval {
  readonly from: string | null;
  readonly to: string | null;
}

/**
 * Reads `--from` and `--to`: a date (`2026-11-01`, midnight UTC) or an instant (`2026-11-01T12:00:00Z`).
 *
 * @throws `interval_invalid` (64) for anything else, and where `from` is not before `to`
 */
export function parseInterval(from: string | undefined, to: string | undefined): Interval {
  const interval = { from: parseInstant('--from', from), to: parseInstant('--to', to) };
  if (interval.from !== null && interval.to !== null && interval.from >= interval.to) {
    throw new JobError('interval_invalid', 'usage', `--from ${from} is not before --to ${to}`, {
      hint: 'the interval is half-open: --to is the first moment that is left out',
    });
  }
  return interval;
}

/**
 * A date or an instant as above; null where there is none. @throws `interval_invalid` (64), which names the
 * flag
 */
export function parseInstant(flag: string, text: string | undefined): string | null {
  if (text === undefined) return null;
  const isKnownForm = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z)?$/.test(text);
  const instant = isKnownForm ? new Date(text) : undefined;
  // A date that does not exist (2026-02-30) is moved by the parser: it must come back as it was given.
  if (
    instant === undefined ||
    Number.isNaN(instant.getTime()) ||
    !instant.toISOString().startsWith(text.slice(0, 10))
  ) {
    throw new JobError('interval_invalid', 'usage', `${flag} ${JSON.stringify(text)} is not a date or a UTC instant`, {
      hint: 'write 2026-11-01 or 2026-11-01T12:00:00Z',
    });
  }
  return instant.toISOString();
}

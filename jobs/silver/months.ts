/**
 * Months as one number: 12 * year + month - 1. Partitions by year and month are counted and compared in it.
 */
export type Month = number;

/** The month that holds a moment (Unix ms, UTC). */
export function monthOf(ms: number): Month {
  const date = new Date(ms);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** The first moment of a month, Unix ms. */
export function monthStart(month: Month): number {
  return Date.UTC(Math.floor(month / 12), month % 12, 1);
}

/** `{ year, month }` of the partition. */
export function monthPartition(month: Month): { year: number; month: number } {
  return { year: Math.floor(month / 12), month: (month % 12) + 1 };
}

/** The year (UTC) that holds a moment (Unix ms). */
export function yearOf(ms: number): number {
  return new Date(ms).getUTCFullYear();
}

/** The first moment of a year, Unix ms. */
export function yearStart(year: number): number {
  return Date.UTC(year, 0, 1);
}

/**
 * The half-open UTC interval (Unix ms) of a bronze period: `2026`, `2026-11` or `2026-11-03`. @throws Error
 * (a bug) for another form
 */
export function periodBounds(period: string): [number, number] {
  const match = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(period);
  if (match === null) throw new Error(`not a period: ${JSON.stringify(period)}`);
  const [year, month, day] = [Number(match[1]), match[2] && Number(match[2]), match[3] && Number(match[3])];
  if (!month) return [Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)];
  if (!day) return [Date.UTC(year, month - 1, 1), Date.UTC(year, month, 1)];
  return [Date.UTC(year, month - 1, day), Date.UTC(year, month - 1, day + 1)];
}

/** A moment as an SQL literal of type timestamp, UTC. */
export function sqlTimestamp(ms: number): string {
  return `timestamp '${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')}'`;
}

import { z } from 'zod';

/** How late an event of a topic may be before it counts as late. */
export interface Lateness {
  /** Milliseconds of every topic that is not named. */
  readonly otherMs: number;
  readonly byTopic: Readonly<Record<string, number>>;
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const PART = /^(?:([A-Za-z0-9._-]{1,249})=)?(\d{1,6})([smhd])$/;

/** The variable that says it: `1h`, or durations by topic. */
export const LATENESS = {
  rule: z.string().refine(isLateness, 'durations like 1h or 1h,plays=10m').default('1h'),
  help: 'How far behind the newest event of its partition an event of a stream may be before it counts as late, also by topic: `1h,plays=10m`.',
};

function isLateness(text: string): boolean {
  return text.split(',').every((part) => PART.test(part.trim()));
}

/** @param text that the rule of `LATENESS` takes; where it names topics only, the others have an hour */
export function parseLateness(text: string): Lateness {
  let otherMs = UNITS_MS.h!;
  const byTopic: Record<string, number> = {};
  for (const part of text.split(',')) {
    const [, topic, amount, unit] = PART.exec(part.trim()) ?? [];
    const ms = Number(amount) * (UNITS_MS[unit ?? ''] ?? 0);
    if (topic === undefined) otherMs = ms;
    else byTopic[topic] = ms;
  }
  return Object.freeze({ otherMs, byTopic: Object.freeze(byTopic) });
}

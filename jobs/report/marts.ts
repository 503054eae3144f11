import { formatMinutes, formatPlural } from './format.ts';
import type { PersonReading } from './person.ts';
import { CHART_CONFIG, color } from './theme.ts';

/**
 * One line on what to do where gold is of a version without some of these tables.
 *
 * @returns undefined where it has all of them
 */
export function withoutTables(reading: PersonReading, chapter: string, ...tables: string[]): string | undefined {
  const lacking = tables.filter((table) => !reading.tables.has(table));
  if (lacking.length === 0) return undefined;
  return `${chapter}: the tables are of a version without ${lacking.join(' and ')}. Give listenlake run, then look again.`;
}

/** How much was heard: time where lengths are known, otherwise plays. */
export function formatHeard(reading: PersonReading, { minutes, plays }: { minutes: number; plays: number }): string {
  return reading.isTimed ? formatMinutes(minutes) : formatPlural(plays, 'play');
}

/** The config of a chart whose marks say their value in an aria label; axes and legends stay without. */
export const SPOKEN = {
  aria: true,
  axis: { ...CHART_CONFIG.axis, aria: false },
  legend: { ...CHART_CONFIG.legend, aria: false },
};

/** A mark's aria label, from a field of its row; only in a chart with the config `SPOKEN`. */
export function spokenMark(field = 'spoken') {
  return { description: { field, type: 'nominal' as const } };
}

/** A text mark at a place given in pixels. */
export function pixelText(field: string, x: string, y: string, mark: object = {}) {
  return {
    mark: { type: 'text' as const, baseline: 'middle' as const, align: 'left' as const, color: color('text'), ...mark },
    encoding: { x: pixels(x), y: pixels(y), text: { field, type: 'nominal' as const } },
  };
}

/** A position that the rows give in pixels. */
export function pixels(field: string) {
  return { field, type: 'quantitative' as const, scale: null, axis: null };
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

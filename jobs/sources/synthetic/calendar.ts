import { DAY_MS } from '../../base/time.ts';

/** When a country moves its clocks; the changes are applied to whole UTC days. */
export type DaylightRule = 'none' | 'eu' | 'us';

const TWO_DIGITS = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, '0'));
const THREE_DIGITS = Array.from({ length: 1_000 }, (_, value) => String(value).padStart(3, '0'));

let cachedDay = Number.NaN;
let cachedDate = '';

/** `YYYY-MM-DD` of an instant in Unix milliseconds, UTC. */
export function isoDate(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  if (day !== cachedDay) {
    // The same day is asked for thousands of times in a row; toISOString is the slow part.
    cachedDate = new Date(day * DAY_MS).toISOString().slice(0, 10);
    cachedDay = day;
  }
  return cachedDate;
}

/** `YYYY-MM-DDTHH:MM:SSZ`, the fraction cut off. */
export function isoSecond(ms: number): string {
  return `${isoDate(ms)}T${clock(ms)}Z`;
}

/** `YYYY-MM-DDTHH:MM:SS.mmmZ`. */
export function isoMillisecond(ms: number): string {
  return `${isoDate(ms)}T${clock(ms)}.${THREE_DIGITS[ms % 1_000]}Z`;
}

/** `YYYY-MM-DD HH:MM`, the seconds cut off: how the account data export writes a time. */
export function minuteText(ms: number): string {
  return `${isoDate(ms)} ${clock(ms).slice(0, 5)}`;
}

/** 0 is Sunday, 6 Saturday, of the UTC day. */
export function weekday(ms: number): number {
  return (Math.floor(ms / DAY_MS) + 4) % 7;
}

export function isWeekend(ms: number): boolean {
  const day = weekday(ms);
  return day === 0 || day === 6;
}

export function utcYear(ms: number): number {
  return Number(isoDate(ms).slice(0, 4));
}

/** Minutes to add to UTC for local time, daylight saving included. */
export function zoneOffsetMinutes(standardMinutes: number, rule: DaylightRule, ms: number): number {
  if (rule === 'none') return standardMinutes;
  const year = utcYear(ms);
  const [from, to] =
    rule === 'eu'
      ? [sundayOnOrBefore(Date.UTC(year, 2, 31)), sundayOnOrBefore(Date.UTC(year, 9, 31))]
      : [sundayOnOrBefore(Date.UTC(year, 2, 14)), sundayOnOrBefore(Date.UTC(year, 10, 7))];
  return ms >= from && ms < to ? standardMinutes + 60 : standardMinutes;
}

function sundayOnOrBefore(ms: number): number {
  return ms - weekday(ms) * DAY_MS;
}

function clock(ms: number): string {
  const seconds = Math.floor((ms % DAY_MS) / 1_000);
  const hour = TWO_DIGITS[Math.floor(seconds / 3_600)];
  return `${hour}:${TWO_DIGITS[Math.floor(seconds / 60) % 60]}:${TWO_DIGITS[seconds % 60]}`;
}

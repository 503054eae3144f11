import { DAY_MS } from '../base/time.ts';

/**
 * Longest text of one table cell; names beyond it end in an ellipsis. Real titles stay far below; a hostile
 * 64 KiB name must not fill the page.
 */
const CELL_MAX_CHARS = 300;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/**
 * Marks that reorder the text around them; they are right in a name of its own, never in a line that holds
 * other text too.
 */
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * Text from data made safe to print: control characters (NUL among them) and half characters become U+FFFD,
 * white space one space, too long ends in `…`.
 */
export function cleanText(text: string, maxChars: number = CELL_MAX_CHARS): string {
  const bounded = text.length > maxChars * 8 ? text.slice(0, maxChars * 8) : text;
  const clean = bounded
    .toWellFormed()
    .replace(/\s+/g, ' ')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced
    .replace(/[\u0000-\u001f\u007f-\u009f\ufffe\uffff]/g, '\ufffd')
    .trim();
  if (clean.length <= maxChars && bounded.length === text.length) return clean;
  return `${cutGraphemes(clean, (kept) => kept.length < maxChars).trimEnd()}…`;
}

/**
 * Text from data for a chart: clean, without marks that reorder, cut with an ellipsis where `widthOf` says
 * that it is wider than `maxPx`.
 */
export function fitText(text: string, maxPx: number, widthOf: (text: string) => number): string {
  const clean = cleanText(text, 200).replace(BIDI_CONTROLS, '');
  if (widthOf(clean) <= maxPx) return clean;
  const kept = cutGraphemes(clean, (head) => widthOf(`${head}…`) <= maxPx).trimEnd();
  return `${kept}…`;
}

/**
 * A name from data inside a sentence of ours: clean, bounded, and closed in by isolates, so that its
 * direction stays its own.
 */
export function nameInText(name: string, maxChars: number): string {
  return `\u2068${cleanText(name, maxChars).replace(BIDI_CONTROLS, '')}\u2069`;
}

/**
 * Words of ours that hold a name from data, such as `<song> by <artist>`, inside a sentence: as `nameInText`,
 * but read from left to right, whatever the name begins with.
 */
export function sentenceInText(words: string, maxChars: number): string {
  return `\u2066${nameInText(words, maxChars).slice(1, -1)}\u2069`;
}

/** Escapes for HTML text and double-quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

/** `12,345`; decimals only where asked for. */
export function formatCount(value: number, decimals = 0): string {
  let format = COUNT_FORMATS.get(decimals);
  if (format === undefined) {
    format = new Intl.NumberFormat('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    COUNT_FORMATS.set(decimals, format);
  }
  return format.format(value);
}

/** By their decimals. Making one takes as long as formatting some forty numbers, and a page has thousands. */
const COUNT_FORMATS = new Map<number, Intl.NumberFormat>();

/** A share from 0 to 1 as `34.5%`; tiny ones keep a digit that says they are not nothing. */
export function formatShare(share: number, decimals = 1): string {
  const least = 0.5 / 10 ** (decimals + 2);
  if (share > 0 && share < least) return `<${formatCount(100 * 2 * least, decimals)}%`;
  return `${formatCount(share * 100, decimals)}%`;
}

/** A share beside the number that it rests on: `34.5% of 1,234 plays`. @param whole above 0 */
export function formatShareOf(part: number, whole: number, noun: string, decimals = 1): string {
  return `${formatShare(part / whole, decimals)} of ${formatPlural(whole, noun)}`;
}

/** Minutes as people say them: `45 min`, `3.4 h`, `1,234 h`. */
export function formatMinutes(minutes: number): string {
  if (minutes < 1 && minutes > 0) return '<1 min';
  if (minutes < 90) return `${formatCount(minutes)} min`;
  const hours = minutes / 60;
  return `${formatCount(hours, hours < 10 ? 1 : 0)} h`;
}

/** `1 play`, `2 plays`. */
export function formatPlural(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** Bytes as `1.2 MB` (powers of 1,000). */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${formatCount(value, unit > 0 && value < 100 ? 1 : 0)} ${units[unit]}`;
}

/** `2026-11-05` (or a timestamp that starts with it) as `5 Nov 2026`. */
export function formatDate(date: string): string {
  const [year, month, day] = date.slice(0, 10).split('-').map(Number);
  return `${day} ${MONTHS[month! - 1]} ${year}`;
}

/** `2026-11-01` as `Nov 2026`. */
export function formatMonth(date: string): string {
  const [year, month] = date.slice(0, 7).split('-').map(Number);
  return `${MONTHS[month! - 1]} ${year}`;
}

/** Milliseconds since 1970 of a date's first moment in UTC: what time scales take. */
export function dateMs(date: string): number {
  return Date.parse(`${date.slice(0, 10)}T00:00:00.000Z`);
}

/** Every month from the first to the last, both included, as its first day. */
export function monthsBetween(first: string, last: string): string[] {
  const months: string[] = [];
  let [year, month] = first.slice(0, 7).split('-').map(Number) as [number, number];
  const end = last.slice(0, 7);
  for (;;) {
    const name = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}`;
    if (name > end) return months;
    months.push(`${name}-01`);
    month += 1;
    if (month > 12) [year, month] = [year + 1, 1];
  }
}

/** Every day from the first to the last, both included. */
export function daysBetween(first: string, last: string): string[] {
  const days: string[] = [];
  for (let ms = dateMs(first); ms <= dateMs(last); ms += DAY_MS) days.push(new Date(ms).toISOString().slice(0, 10));
  return days;
}

/** The longest beginning of whole characters (as people see them) that `fits`; `fits` must be monotone. */
function cutGraphemes(text: string, fits: (head: string) => boolean): string {
  const ends = [...graphemes.segment(text)].map((segment) => segment.index + segment.segment.length);
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (fits(text.slice(0, ends[middle - 1]))) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? '' : text.slice(0, ends[low - 1]);
}

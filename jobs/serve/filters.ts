import { JobError } from '../base/errors.ts';
import type { SqlValue } from '../engine/index.ts';
import { escapeHtml } from '../report/format.ts';
import type { Narrowing } from '../report/reading.ts';

/** What the numbers of a page are narrowed to. Dates are local ones, both inclusive. */
export interface Filters {
  /** Undefined: everybody. */
  person: string | undefined;
  from: string | undefined;
  to: string | undefined;
  country: string | undefined;
  device: string | undefined;
  /** Undefined: as the definitions say. */
  isPrivateIncluded: boolean;
}

/** What there is to choose from, and the days of the first and last play. */
export interface Choices {
  people: readonly string[];
  countries: readonly string[];
  devices: readonly string[];
  firstDate: string | undefined;
  lastDate: string | undefined;
  /** The definitions count private sessions anyway. */
  isPrivateAlways: boolean;
}

/** In the address: everybody, where one person alone would be taken otherwise. */
const EVERYBODY = '*';
/** In the address: plays of which no source says it. */
const UNKNOWN = 'unknown';
/** Every name of a filter in an address. */
export const FILTER_NAMES = ['person', 'from', 'to', 'country', 'device', 'private'] as const;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/** Names of the filters that narrow more than whose plays are shown. */
export const PLAY_FILTERS = FILTER_NAMES.slice(1);

/**
 * Reads the filters of an address. An empty value is none.
 *
 * @param known names that the page takes: filters, and its own
 * @param isOfOne the page is of the only person there is, where nobody is named
 * @throws `filter_invalid` (64) for an unknown name, one given twice, a value that there is not, a date that
 *   is none, a period that ends before it begins
 */
export function readFilters(
  query: URLSearchParams,
  choices: Choices,
  known: readonly string[],
  isOfOne = known.includes('person'),
): Filters {
  for (const name of new Set(query.keys())) {
    if (!known.includes(name))
      throw invalid(
        `this page has no filter ${quoted(name)}`,
        known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`,
      );
    if (query.getAll(name).length > 1) throw invalid(`the filter ${name} is given more than once`, 'give it once');
  }
  const person = oneOf(query, 'person', [...choices.people, EVERYBODY]);
  const isPrivate = oneOf(query, 'private', ['in', 'out']);
  const period = readPeriod(query, 'from', 'to');
  const alone = isOfOne && choices.people.length === 1 ? choices.people[0] : undefined;
  return {
    person: person === EVERYBODY ? undefined : (person ?? alone),
    ...period,
    country: oneOf(query, 'country', [...choices.countries, UNKNOWN]),
    device: oneOf(query, 'device', [...choices.devices, UNKNOWN]),
    isPrivateIncluded: isPrivate === undefined ? choices.isPrivateAlways : isPrivate === 'in',
  };
}

/** No filter at all. */
export function noFilters({ isPrivateAlways }: Choices): Filters {
  return {
    ...{ person: undefined, from: undefined, to: undefined, country: undefined, device: undefined },
    isPrivateIncluded: isPrivateAlways,
  };
}

/** A period of an address, by the names of its first and last day. @throws `filter_invalid` (64) */
export function readPeriod(query: URLSearchParams, first: string, last: string): Pick<Filters, 'from' | 'to'> {
  const [from, to] = [dateOf(query, first), dateOf(query, last)];
  if (from !== undefined && to !== undefined && to < from)
    throw invalid(`the period ends on ${to}, before it begins on ${from}`, `exchange ${first} and ${last}`);
  return { from, to };
}

/** The condition that the filters put on plays; a person is no part of it, nor are private sessions. */
export function narrowingOf(filters: Filters, more: readonly [condition: string, value: string][] = []): Narrowing {
  const { country, device } = filters;
  return joined([...datesOf(filters, 'local_date'), ...among('country', country), ...among('device', device), ...more]);
}

/** The condition of the period alone, on another column that is a date. */
export function periodOf(filters: Pick<Filters, 'from' | 'to'>, column: string): Narrowing {
  return joined(datesOf(filters, column));
}

type Part = [condition: string, value?: SqlValue];

function datesOf({ from, to }: Pick<Filters, 'from' | 'to'>, column: string): Part[] {
  return [
    ...(from === undefined ? [] : ([[`${column} >= cast(? as date)`, from]] as Part[])),
    ...(to === undefined ? [] : ([[`${column} <= cast(? as date)`, to]] as Part[])),
  ];
}

function joined(parts: readonly Part[]): Narrowing {
  return {
    condition: parts.length === 0 ? 'true' : parts.map(([condition]) => condition).join(' and '),
    parameters: parts.flatMap(([, value]) => (value === undefined ? [] : [value])),
  };
}

/**
 * Filters as an address has them; an empty text where there are none.
 *
 * @param key of what is looked at
 * @param known names that the page of the address takes
 */
export function searchOf(
  filters: Partial<Filters> | undefined,
  key?: string,
  known: readonly string[] = FILTER_NAMES,
): string {
  if (filters === undefined) return '';
  const query = new URLSearchParams(key === undefined ? {} : { key });
  for (const name of ['person', 'from', 'to', 'country', 'device'] as const)
    if (filters[name] !== undefined && known.includes(name)) query.set(name, filters[name]);
  if (filters.isPrivateIncluded === true && known.includes('private')) query.set('private', 'in');
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** What the filters leave, in words. */
export function filtersInWords({ from, to, country, device, isPrivateIncluded }: Filters): string[] {
  return [
    from === undefined ? '' : `from ${from}`,
    to === undefined ? '' : `to ${to}`,
    country === undefined ? '' : `country ${country}`,
    device === undefined ? '' : `device ${device}`,
    isPrivateIncluded ? 'private sessions included' : '',
  ].filter((word) => word !== '');
}

/**
 * What a page says where filters are set that some of it does not follow; nothing where none are.
 *
 * @param followed what they narrow, and `rest` what they do not, and why: as sentences
 * @param isOfOne the page is a person's anyway
 */
export function narrowedNotice(filters: Filters, followed: string, rest: string, isOfOne = false): string[] {
  const whose = isOfOne || filters.person === undefined ? [] : [`person ${filters.person}`];
  const set = [...whose, ...filtersInWords(filters)];
  return set.length === 0 ? [] : [`Filters: ${set.join(', ')}. ${followed} ${rest}`];
}

/** Which fields a form has, and what else of the address it keeps. */
export interface FormFields {
  names: readonly string[];
  hidden?: readonly [name: string, value: string];
}

/**
 * The form that sets the filters: it works by the address alone, without a script.
 *
 * @param periods the two of a comparison, instead of one
 */
export function filterForm(
  action: string,
  filters: Filters,
  choices: Choices,
  periods: readonly Pick<Filters, 'from' | 'to'>[] = [filters],
  { names, hidden }: FormFields = { names: FILTER_NAMES },
): string {
  const kept = hidden === undefined ? '' : `<input type="hidden" name="${hidden[0]}" value="${escapeHtml(hidden[1])}">`;
  const again = hidden === undefined ? action : `${action}?${hidden[0]}=${encodeURIComponent(hidden[1])}`;
  return [
    `<form class="filters" method="get" action="${action}" aria-label="Filters">${kept}`,
    ...fieldsOf(filters, choices, periods).flatMap(([name, markup]) => (names.includes(name) ? [markup] : [])),
    `<button type="submit">Show</button><a href="${escapeHtml(again)}">Reset</a>`,
    '</form>',
  ].join('');
}

/** The markup of each field, by the name that a page takes it under. */
function fieldsOf(
  filters: Filters,
  choices: Choices,
  [first, second]: readonly Pick<Filters, 'from' | 'to'>[],
): [name: string, markup: string][] {
  const known = (values: readonly string[]): [string, string][] =>
    ['', ...values, UNKNOWN].map((value) => [value, value === '' ? 'all' : value]);
  const people: [string, string][] = [
    ...choices.people.map((label): [string, string] => [label, label]),
    [EVERYBODY, 'everybody'],
  ];
  return [
    ['person', select('person', 'Person', people, filters.person ?? EVERYBODY)],
    ['from', date('from', 'From', first?.from, choices) + date('to', 'To', first?.to, choices)],
    ...(second === undefined
      ? []
      : ([['from', date('from2', 'Against: from', second.from, choices) + date('to2', 'To', second.to, choices)]] as [
          string,
          string,
        ][])),
    ['country', select('country', 'Country', known(choices.countries), filters.country ?? '')],
    ['device', select('device', 'Device', known(choices.devices), filters.device ?? '')],
    [
      'private',
      select(
        'private',
        'Private sessions',
        [
          ['out', 'left out'],
          ['in', 'included'],
        ],
        filters.isPrivateIncluded ? 'in' : 'out',
      ),
    ],
  ];
}

function select(name: string, label: string, options: readonly (readonly [string, string])[], chosen: string): string {
  const items = options.map(
    ([value, text]) =>
      `<option value="${escapeHtml(value)}"${value === chosen ? ' selected' : ''}>${escapeHtml(text)}</option>`,
  );
  return `<label>${label}<select name="${name}">${items.join('')}</select></label>`;
}

function date(name: string, label: string, value: string | undefined, choices: Choices): string {
  return `<label>${label}<input type="date" name="${name}" value="${value ?? ''}"${bounds(choices)}></label>`;
}

function bounds({ firstDate, lastDate }: Choices): string {
  return firstDate === undefined || lastDate === undefined ? '' : ` min="${firstDate}" max="${lastDate}"`;
}

function among(column: 'country' | 'device', value: string | undefined): Part[] {
  if (value === undefined) return [];
  return value === UNKNOWN ? [[`coalesce(${column}, 'unknown') = 'unknown'`]] : [[`${column} = ?`, value]];
}

function oneOf(query: URLSearchParams, name: string, values: readonly string[]): string | undefined {
  const value = query.get(name) ?? '';
  if (value === '') return undefined;
  if (values.includes(value)) return value;
  throw invalid(`there is no ${name} ${quoted(value)}`, `choose one of ${values.slice(0, 12).join(', ')}`);
}

function dateOf(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name) ?? '';
  if (value === '') return undefined;
  const isDate = DATE.test(value) && !Number.isNaN(Date.parse(value)) && value.slice(0, 4) !== '0000';
  if (isDate && new Date(value).toISOString().startsWith(value)) return value;
  throw invalid(`${name} ${quoted(value)} is no date`, 'write it as 2026-11-01');
}

function quoted(value: string): string {
  return JSON.stringify(value.slice(0, 60));
}

function invalid(message: string, hint: string): JobError {
  return new JobError('filter_invalid', 'usage', message, { hint });
}

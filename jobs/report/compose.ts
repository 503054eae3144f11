import { JobError } from '../base/errors.ts';
import { DAY_MS } from '../base/time.ts';
import type { SqlEngine } from '../engine/index.ts';
import {
  OPERATOR_PAGE_KEY,
  REPORT_KEY,
  reportChartKey,
  reportPersonChartKey,
  reportPersonKey,
  type Target,
} from '../lake/keys.ts';
import type { Card } from '../training/card.ts';
import { coverageSection } from './coverage.ts';
import type { Headline } from './figure.ts';
import { formatCount, formatDate, formatMinutes, formatPlural, formatShare } from './format.ts';
import { readCoverage } from './gaps.ts';
import { genresSection } from './genres.ts';
import type { PageContent } from './page.ts';
import { composePeople, DEFAULT_LABEL, readPeople } from './people.ts';
import type { PersonReading } from './person.ts';
import { composePortrait, type PageFrame } from './portrait.ts';
import { type Definitions, type Reading, readDefinitions, reader, type Totals } from './reading.ts';
import { redacted } from './redact.ts';
import { sessionsSection } from './sessions.ts';
import { skipModelSection } from './skip-model.ts';
import { skipsSection } from './skips.ts';
import { readAsOf, readTotals } from './totals.ts';
import { whatSection } from './what.ts';
import { whenSection } from './when.ts';
import { whoSection } from './who.ts';
import { sectionsWithoutPlays } from './without-plays.ts';

/** 97.5 % point of the normal distribution, as in the models' Wilson intervals. */
const Z = 1.959963984540054;

/**
 * By these words of its footer a page says which version of gold it shows. @param runId of the run that built
 * the version
 */
export function builtByText(runId: string): string {
  return `(built by ${runId})`;
}

/** One page of a report and where it goes. */
export interface ReportPage {
  /** Its key; below the report's prefix the same path in a folder. */
  key: string;
  /** Key of the PNG of one of its charts. */
  chartKey(name: string): string;
  content: PageContent;
}

/** What a report is made from. */
export interface ReportRequest {
  target: Target;
  runId: string;
  /** The run that built what is published; undefined where nothing is. */
  builtBy: string | undefined;
  /** Names of the tables that are published (`publishedTables`). */
  tables: ReadonlySet<string>;
  /** Of the skip model that the shown predictions are of; undefined where none was tried. */
  model?: Card;
  /** Makes the page of this person alone; undefined: all pages. */
  userId?: string;
  /** Makes pages of people alone, which others may see (redact.ts). */
  isRedacted?: boolean;
}

/**
 * Asks gold everything that the report says.
 *
 * A person is a user with own plays. Where there is one, `report.html` is their portrait; where there are
 * several, it leads to a page for each; where there is none, it is the page about everybody, which otherwise
 * is `operator.html`.
 *
 * @returns the pages, `report.html` last; without any play a single one that says what is missing and what to
 *   do instead
 * @throws `user_unknown` (64) where `userId` has no own plays
 */
export async function composeReport(engine: SqlEngine, request: ReportRequest): Promise<ReportPage[]> {
  const { target, tables, userId } = request;
  const definitions = readDefinitions();
  const rows = reader(engine, target, definitions);
  const totals = tables.has('fct_plays') ? await readTotals(rows) : undefined;
  const found = tables.has('dim_users') ? await readPeople(rows) : [];
  if (userId !== undefined) refuseUnknown(userId, found, target);
  const frame = frameOf(request);
  if (totals === undefined || totals.plays === 0) {
    const page = nothingYet(request, frame, totals);
    return [{ ...page, content: { ...page.content, sections: await sectionsWithoutPlays({ rows, tables }) } }];
  }
  const everybody: Reading = { rows, definitions, totals, tables, isTimed: totals.played_ms > 0 };
  const asOf = await readAsOf(rows, totals.last_date!);
  const people: PersonReading[] = [];
  for (const label of found) {
    const own = reader(engine, target, definitions, { userId: label });
    const counted = await readTotals(own);
    if (counted.plays > 0)
      people.push({ ...everybody, rows: own, totals: counted, isTimed: counted.played_ms > 0, userId: label });
  }
  const isOne = people.length === 1;
  if (request.isRedacted === true) return redactedPages(people, userId, { ...frame, asOf, links: [] });
  if (userId !== undefined && !isOne) {
    const person = people.find((reading) => reading.userId === userId);
    if (person === undefined) return [nothingYet(request, frame, undefined, reportPersonKey(userId))];
    return [await personPage(person, reportPersonKey(userId), { ...frame, asOf, links: [] })];
  }
  const operator = await composeOperator(engine, everybody, { ...frame, asOf }, request);
  if (people.length === 0) return [{ key: REPORT_KEY, chartKey: reportChartKey, content: operator }];
  const operatorLink = { href: 'operator.html', label: 'Everybody, and the lake itself' };
  const back = { href: 'report.html', label: isOne ? 'Back to your page' : 'All people' };
  const pages: ReportPage[] = [
    { key: OPERATOR_PAGE_KEY, chartKey: reportChartKey, content: { ...operator, links: [back] } },
  ];
  if (isOne) return [...pages, await personPage(people[0]!, REPORT_KEY, { ...frame, asOf, links: [operatorLink] })];
  const upward = [back, operatorLink].map(({ href, label }) => ({ href: `../${href}`, label }));
  for (const person of people) {
    pages.push(await personPage(person, reportPersonKey(person.userId), { ...frame, asOf, links: upward }));
  }
  const index = await composePeople(people, { ...frame, asOf, links: [operatorLink] });
  return [...pages, { key: REPORT_KEY, chartKey: reportChartKey, content: index }];
}

/** A page for each person or for one, and nothing about everybody: the last one is `report.html`. */
async function redactedPages(
  people: readonly PersonReading[],
  userId: string | undefined,
  frame: PageFrame,
): Promise<ReportPage[]> {
  const shown = people.filter((person) => userId === undefined || person.userId === userId);
  const pages: ReportPage[] = [];
  for (const person of shown) {
    const key = shown.length === 1 ? REPORT_KEY : reportPersonKey(person.userId);
    pages.push(await personPage(await redacted(person), key, frame));
  }
  return pages;
}

type Frame = Omit<PageFrame, 'asOf'>;

function frameOf({ target, runId, builtBy }: ReportRequest): Frame {
  const built = builtBy === undefined ? '' : ` ${builtByText(builtBy)}`;
  return {
    title: 'Listening report',
    notices: target === 'dev' ? ['A draft: made from gold_dev, which has not been checked and promoted.'] : [],
    footer: [
      `Made by listenlake from gold_${target}${built}, run ${runId}. Everything is in this file: it loads nothing and runs no script.`,
    ],
    links: [],
  };
}

/** A page without numbers. @param totals undefined where there are no tables */
function nothingYet({ target }: ReportRequest, frame: Frame, totals: Totals | undefined, key = REPORT_KEY): ReportPage {
  const hidden =
    totals !== undefined && totals.private_plays > 0
      ? ` There are ${formatPlural(totals.private_plays, 'play')} of private sessions, which stay out of reports.`
      : '';
  const what =
    totals === undefined && key === REPORT_KEY
      ? `There is nothing to report yet: gold_${target} has no tables.`
      : `There is no play to report yet.${hidden}`;
  const todo = 'Give listenlake run an account export (a zip, a folder or its files), then look again.';
  const content = { ...frame, notices: [...frame.notices, `${what} ${todo}`], facts: [], headlines: [], sections: [] };
  return { key, chartKey: reportChartKey, content };
}

async function personPage(reading: PersonReading, key: string, frame: PageFrame): Promise<ReportPage> {
  const title = reading.userId === DEFAULT_LABEL ? 'Your listening' : `The listening of ${reading.userId}`;
  const content = await composePortrait(reading, { ...frame, title });
  return { key, chartKey: (name) => reportPersonChartKey(reading.userId, name), content };
}

/** @throws `user_unknown` (64) where nobody has this label */
export function refuseUnknown(userId: string, people: readonly string[], target: Target): void {
  if (people.includes(userId)) return;
  const shown = people.slice(0, 10).join(', ');
  throw new JobError('user_unknown', 'usage', `gold_${target} has no person ${JSON.stringify(userId)}`, {
    hint:
      people.length === 0
        ? 'load an account export, recently played or scrobbles first'
        : `it has ${shown}${people.length > 10 ? ` and ${people.length - 10} more` : ''}`,
  });
}

/** The page about everybody: who, what and when of all users, and what the lake holds. */
async function composeOperator(
  engine: SqlEngine,
  reading: Reading,
  frame: Frame & { asOf: string },
  { target, model: card }: ReportRequest,
): Promise<PageContent> {
  const { tables, totals, definitions } = reading;
  const model = skipModelSection(card);
  const coverage = tables.has('listening_coverage') ? await readCoverage(engine, target) : undefined;
  return {
    ...frame,
    facts: [
      `${formatDate(totals.first_date!)} to ${formatDate(totals.last_date!)}`,
      totals.users > 1 ? formatPlural(totals.users, 'user') : 'one person',
      `as of ${formatDate(frame.asOf)}`,
      privacyFact(definitions, totals),
    ],
    headlines: headlines(reading),
    sections: [
      await whenSection(reading),
      await whatSection(reading, frame.asOf),
      await whoSection(reading),
      await skipsSection(reading),
      ...(model === undefined ? [] : [model]),
      await genresSection(reading),
      await sessionsSection(reading),
      await coverageSection(reading, coverage),
    ],
  };
}

/** The numbers above the charts, from the totals alone. */
export function headlines({
  totals,
  definitions,
  isTimed,
}: Pick<Reading, 'totals' | 'definitions' | 'isTimed'>): Headline[] {
  const verdicts = totals.skipped + totals.finished;
  const [low, high] = wilson(totals.skipped, verdicts);
  const span = 1 + Math.round((Date.parse(totals.last_date!) - Date.parse(totals.first_date!)) / DAY_MS);
  const known = totals.plays - totals.plays_without_length;
  return [
    {
      label: 'Plays',
      value: formatCount(totals.plays),
      detail: isTimed
        ? `${formatShare(totals.qualified_plays / known, 0)} of ${formatCount(known)} lasted ${definitions.qualifiedPlaySeconds} s or longer`
        : 'of unknown length',
    },
    isTimed
      ? {
          label: 'Listening time',
          value: formatMinutes(totals.played_ms / 60_000),
          detail: `${formatCount(totals.played_ms / DAY_MS, 1)} days on end`,
        }
      : { label: 'Listening time', value: 'unknown', detail: 'an account export says it' },
    { label: 'Songs', value: formatCount(totals.songs), detail: 'distinct' },
    { label: 'Artists', value: formatCount(totals.artists), detail: 'distinct' },
    { label: 'Days with plays', value: formatCount(totals.days), detail: `of ${formatCount(span)}` },
    verdicts > 0
      ? {
          label: 'Skip rate',
          value: formatShare(totals.skipped / verdicts),
          detail: `of ${formatCount(verdicts)} plays with a verdict, of ${formatCount(totals.plays)}; ${formatShare(low)} to ${formatShare(high)} (95%)`,
        }
      : { label: 'Skip rate', value: 'unknown', detail: 'no play has a verdict' },
  ];
}

function privacyFact(definitions: Definitions, totals: Totals): string {
  if (definitions.isIncognitoIncluded) return 'private sessions included';
  return totals.private_plays > 0
    ? `without ${formatPlural(totals.private_plays, 'play')} of private sessions`
    : 'no private sessions';
}

/** Wilson's 95 % interval of `part` of `whole`, as the models' macros compute it. */
function wilson(part: number, whole: number): [low: number, high: number] {
  if (whole === 0) return [0, 1];
  const p = part / whole;
  const center = p + Z ** 2 / (2 * whole);
  const spread = Z * Math.sqrt((p * (1 - p)) / whole + Z ** 2 / (4 * whole ** 2));
  const scale = 1 + Z ** 2 / whole;
  return [part === 0 ? 0 : (center - spread) / scale, part === whole ? 1 : (center + spread) / scale];
}

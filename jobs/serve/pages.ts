import { count, scannedText } from '../base/words.ts';
import type { Effects } from '../effects/index.ts';
import type { SqlEngine } from '../engine/index.ts';
import { formatDate } from '../report/format.ts';
import type { PageContent } from '../report/page.ts';
import type { Chapter } from '../report/person.ts';
import { composePortrait } from '../report/portrait.ts';
import { cataloguePage } from './catalogue.ts';
import { comparePage, periodsOf, SECOND_PERIOD } from './compare.ts';
import { dataPage } from './data.ts';
import { type Desk, isOfPerson, openDesk, type Sheet } from './desk.ts';
import type { Edition } from './edition.ts';
import { eventsPage } from './events.ts';
import {
  FILTER_NAMES,
  type Filters,
  filterForm,
  narrowedNotice,
  noFilters,
  PLAY_FILTERS,
  readFilters,
} from './filters.ts';
import { itemPage } from './item.ts';
import { modelPage } from './model.ts';
import { type Body, emptyBody, overviewPage } from './overview.ts';

type Sources = Pick<Effects, 'engine' | 'store'>;

/** One page of the dashboard. */
export interface Page {
  /** In addresses of downloads. */
  name: string;
  path: string;
  /** In the navigation; undefined: reached by links. */
  title: string | undefined;
  /** Names that its address may have. */
  takes: readonly string[];
  /** Of everybody where nobody is named, though there is one person alone. */
  isOfAll?: boolean;
  make(desk: Desk, sources: Sources): Promise<Body | PageContent>;
}

/** All pages, in the order of the navigation. */
export const PAGES: readonly Page[] = [
  { name: 'overview', path: '/', title: 'Overview', takes: FILTER_NAMES, make: overviewPage },
  { name: 'story', path: '/story', title: 'Story', takes: FILTER_NAMES, make: storyPage },
  {
    ...{ name: 'compare', path: '/compare', title: 'Compare', make: comparePage },
    takes: [...FILTER_NAMES, ...SECOND_PERIOD],
  },
  { name: 'events', path: '/events', title: 'Events', takes: PLAY_FILTERS, make: eventsPage },
  { name: 'catalogue', path: '/catalogue', title: 'Catalogue', takes: ['from', 'to', 'country'], make: cataloguePage },
  { name: 'model', path: '/model', title: 'Model', takes: FILTER_NAMES, isOfAll: true, make: modelPage },
  { name: 'data', path: '/data', title: 'Data', takes: FILTER_NAMES, isOfAll: true, make: dataPage },
  ...(['artist', 'song', 'album'] as const).map((kind) => ({
    ...{ name: kind, path: `/${kind}`, title: undefined, takes: [...FILTER_NAMES, 'key'] },
    make: (desk: Desk) => itemPage(desk, kind),
  })),
];

/** A page before it is drawn, with what its surroundings need. */
export interface MadePage extends Sheet {
  filters: Filters;
  form: string;
}

/**
 * Asks everything that a page shows.
 *
 * @throws `filter_invalid`, `item_unknown` (64); what `SqlEngine.query` throws
 */
export async function makePage(
  page: Page,
  { edition, query }: { edition: Edition; query: URLSearchParams },
  sources: Sources,
): Promise<MadePage> {
  const isOfOne = page.takes.includes('person') && page.isOfAll !== true;
  const filters = readFilters(query, edition.choices, page.takes, isOfOne);
  const { engine, cost } = counting(sources.engine);
  const desk = openDesk(engine, edition, filters, { path: page.path, query });
  const isPublished = edition.tables.has('fct_plays');
  const body =
    isPublished || page.name === 'data' ? await page.make(desk, { ...sources, engine }) : nothingPublished(page);
  return {
    content: framed(body, edition, cost()),
    asked: desk.asked,
    filters,
    form: isPublished ? formOf(page, desk) : '',
  };
}

/**
 * The same engine, and what its answers have cost since, in words: once for whoever asked first, since others
 * get the page that is kept. Undefined where they cost nothing.
 */
function counting(engine: SqlEngine): { engine: SqlEngine; cost(): string | undefined } {
  const sum = { statements: 0, scannedBytes: 0, costUsd: 0 };
  const query: SqlEngine['query'] = async (sql, options) => {
    const result = await engine.query(sql, options);
    if (result.scannedBytes !== undefined) sum.statements += 1;
    sum.scannedBytes += result.scannedBytes ?? 0;
    sum.costUsd += result.costUsd ?? 0;
    return result;
  };
  return {
    engine: { ...engine, query },
    cost: () =>
      sum.statements === 0 ? undefined : `${count(sum.statements, 'statement')} made it: ${scannedText(sum)}.`,
  };
}

function framed(
  body: Body | PageContent,
  { builtBy, target, waiting }: Edition,
  cost: string | undefined,
): PageContent {
  const version = builtBy === undefined ? `gold_${target} is empty.` : `From gold_${target}, built by ${builtBy}.`;
  const draft = target === 'dev' ? ['A draft: from gold_dev, which has not been checked and promoted.'] : [];
  return {
    ...body,
    notices: [...draft, ...waiting, ...body.notices],
    footer: [
      `${version} This page loads nothing from anywhere else and runs no script.`,
      ...(cost === undefined ? [] : [cost]),
    ],
    links: [],
  };
}

function nothingPublished({ title }: Page): Body {
  const notices = ['Nothing is published yet. Give listenlake run an account export, then look again.'];
  return { title: title ?? 'Nothing yet', facts: [], notices, headlines: [], sections: [] };
}

/** The filters as a form, where a page has any; what else the address says stays in it. */
function formOf(page: Page, desk: Desk): string {
  const { filters, edition, query } = desk;
  if (page.takes.length === 0) return '';
  if (page.name === 'compare') return filterForm(page.path, filters, edition.choices, periodsOf(desk));
  const key = query.get('key');
  return filterForm(page.path, filters, edition.choices, undefined, {
    names: page.takes,
    ...(key !== null && { hidden: ['key', key] as const }),
  });
}

/** The chapters of one person's portrait: those that count plays follow the filters. */
async function storyPage(desk: Desk): Promise<Body | PageContent> {
  const narrowed = await desk.reading();
  const { person } = desk.filters;
  const reading = await desk.readingOf({ ...noFilters(desk.edition.choices), person });
  const { asOf, choices } = desk.edition;
  if (!isOfPerson(reading) || !isOfPerson(narrowed)) {
    const notices = [
      choices.people.length === 0
        ? 'Nobody has own plays yet, so there is no story. Give listenlake run an account export, then look again.'
        : 'Choose a person: a story is of one.',
    ];
    return { title: 'Story', facts: [], notices, headlines: [], sections: [] };
  }
  const empty = emptyBody(desk, narrowed, 'Story');
  if (empty !== undefined || asOf === undefined) return empty!;
  const notices = narrowedNotice(
    desk.filters,
    'The first screen follows them, and “What you love”, “When you listen”, “Where you listen” and “What you skip”.',
    'The other chapters tell a whole history, which has no part that a filter could leave.',
    true,
  );
  const frame = { title: `The listening of ${reading.userId}, as of ${formatDate(asOf)}`, notices };
  return composePortrait(
    reading,
    { ...frame, ...{ footer: [], links: [], asOf } },
    {
      narrowed,
      all: (makes) => desk.all(makes.map((make) => () => chapterOf(desk, make))),
    },
  );
}

/** Makes a chapter as a section of the page, with what it has asked. */
async function chapterOf(desk: Desk, make: () => Promise<Chapter>): Promise<Chapter> {
  let chapter: Chapter | undefined;
  await desk.section(async () => {
    chapter = await make();
    return 'section' in chapter ? chapter.section : undefined;
  });
  return chapter!;
}

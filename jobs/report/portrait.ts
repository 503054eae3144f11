import { artistsChapter } from './artists.ts';
import { calendarChapter } from './calendar.ts';
import { clockChapter } from './clock.ts';
import { discoveryChapter } from './discovery.ts';
import { type Favourites, favourites, favouritesSection } from './favourites.ts';
import type { Section } from './figure.ts';
import { firstScreen } from './first-screen.ts';
import { formatCount, formatDate, formatPlural } from './format.ts';
import { milestonesChapter } from './milestones.ts';
import type { PageContent } from './page.ts';
import type { Chapter, PersonReading } from './person.ts';
import { whereSection } from './places.ts';
import { REDACTED_NOTE } from './redact.ts';
import { sessionLengths } from './sessions.ts';
import { skippingSection } from './skipping.ts';
import { verdictNote } from './skips.ts';
import { hoursOfTheWeek, listeningOverTime } from './when.ts';
import { yearsChapter } from './years.ts';

/** What every page of a report says of its making. */
export interface PageFrame {
  title: string;
  notices: string[];
  footer: string[];
  /** To the other pages of the report; none on a page that stands alone. */
  links: NonNullable<PageContent['links']>;
  /** Exclusive end of the data, `YYYY-MM-DD`. */
  asOf: string;
}

/** How a portrait is made where its reader narrows it. */
export interface PortraitOptions {
  /**
   * What the first screen and the chapters that count plays one by one are made of; those of whole histories,
   * which no sum can be taken from, are made of all plays. Default: all plays, too.
   */
  narrowed: PersonReading;
  /** Makes the chapters, in any order, and gives them in this one. Default: one after the other. */
  all(makes: readonly (() => Promise<Chapter>)[]): Promise<Chapter[]>;
}

/** The chapters of a person's story, in their order; habits come after them. */
const CHAPTERS: readonly ((reading: PersonReading) => Promise<Chapter>)[] = [
  yearsChapter,
  calendarChapter,
  discoveryChapter,
  artistsChapter,
  milestonesChapter,
];

/**
 * The page of one person: who they are as a listener, the chapters of their story, habits, and last a quiet
 * word on what the numbers rest on. Every number counts this person's plays alone.
 */
export async function composePortrait(
  reading: PersonReading,
  frame: PageFrame,
  { narrowed, all }: PortraitOptions = { narrowed: reading, all: inTurn },
): Promise<PageContent> {
  let found: Favourites = { artists: [], songs: [], albums: [] };
  const makes: (() => Promise<Chapter>)[] = [
    ...CHAPTERS.map((chapter) => () => chapter(reading)),
    async () => {
      found = await favourites(narrowed, frame.asOf);
      return favouritesSection(narrowed, found, frame.asOf);
    },
    async () => ({ section: await whenYouListen(narrowed) }),
    ...(reading.isRedacted ? [] : [() => clockChapter(reading)]),
    async () => ({
      section: { id: 'sessions', title: 'How long you stay', figures: [await sessionLengths(reading)] },
    }),
    ...(reading.isRedacted ? [] : [() => whereSection(narrowed)]),
    () => skippingSection(narrowed),
  ];
  const chapters = await all(makes);
  const { totals } = reading;
  return {
    title: frame.title,
    facts: [`${formatDate(totals.first_date!)} to ${formatDate(totals.last_date!)}`, `as of ${formatDate(frame.asOf)}`],
    notices: frame.notices,
    hero: await firstScreen(narrowed, found),
    headlines: [],
    sections: chapters.flatMap((chapter) => ('section' in chapter ? [chapter.section] : [])),
    missing: chapters.flatMap((chapter) => ('missing' in chapter ? [chapter.missing] : [])),
    closing: closing(reading, frame),
    footer: frame.footer,
    links: frame.links,
  };
}

async function inTurn(makes: readonly (() => Promise<Chapter>)[]): Promise<Chapter[]> {
  const chapters: Chapter[] = [];
  for (const make of makes) chapters.push(await make());
  return chapters;
}

async function whenYouListen(reading: PersonReading): Promise<Section> {
  return {
    id: 'when',
    title: 'When you listen',
    figures: [await listeningOverTime(reading), ...(reading.isRedacted ? [] : [await hoursOfTheWeek(reading)])],
  };
}

/** What the numbers rest on, in a few lines. */
function closing({ definitions, totals, isTimed, ...reading }: PersonReading, frame: PageFrame): string[] {
  const left = [
    definitions.isIncognitoIncluded || totals.private_plays === 0
      ? ''
      : `${formatPlural(totals.private_plays, 'play')} of private sessions`,
    totals.implausible_plays > 0 ? `${formatPlural(totals.implausible_plays, 'play')} longer than a day` : '',
  ].filter((text) => text !== '');
  const unknown = [
    totals.plays_without_length > 0 ? `${formatCount(totals.plays_without_length)} have no length` : '',
    totals.nameless_plays > 0 ? `${formatCount(totals.nameless_plays)} name nothing that was played` : '',
  ].filter((text) => text !== '');
  return [
    `These are your own ${formatPlural(totals.plays, 'play')} from ${formatDate(totals.first_date!)} to ${formatDate(totals.last_date!)}, and nobody else's.${
      left.length > 0 ? ` Left out: ${left.join(' and ')}.` : ''
    }${unknown.length > 0 ? ` Of the plays, ${unknown.join(' and ')}.` : ''} Days and hours are those of the place where you listened; looking back starts at ${formatDate(frame.asOf)} (UTC), the end of the data, never today.`,
    `${isTimed ? `Time is what was heard, not the length of the songs. A play of ${definitions.qualifiedPlaySeconds} s or longer is a full one.` : 'None of the plays says how long it was heard, so plays are counted instead of time.'} A song is every recording with one title by one first artist. A session is plays with less than ${definitions.sessionGapMinutes} minutes between them.`,
    ...(reading.isRedacted ? [REDACTED_NOTE] : []),
    ...(totals.skipped + totals.finished > 0 ? [verdictNote({ definitions, totals, isTimed, ...reading })] : []),
  ];
}

import { JobError } from '../base/errors.ts';
import { DAY_MS } from '../base/time.ts';
import type { SqlEngine } from '../engine/index.ts';
import { reportCardKey, type Target } from '../lake/keys.ts';
import { readStreaks, type StreakRow } from './calendar.ts';
import { refuseUnknown } from './compose.ts';
import { dateMs, formatCount, formatDate, formatPlural } from './format.ts';
import { formatHeard } from './marts.ts';
import { DEFAULT_LABEL, readPeople } from './people.ts';
import type { PersonReading } from './person.ts';
import { readDefinitions, reader } from './reading.ts';
import { redacted } from './redact.ts';
import { readTotals } from './totals.ts';
import { changeText, readTopOfYears, readYears, type TopRow, type YearRow } from './years.ts';

const NEEDED = ['fct_plays', 'dim_users', 'listening_years', 'yearly_top', 'listening_streaks'];

/** One line of a card, in big type. */
export interface CardLine {
  label: string;
  /** May be a name from the data. */
  value: string;
  /** Words of ours below it; a name from the data stands at their end, if at all. */
  detail: string;
}

/** What the picture of one person's year says. */
export interface YearCard {
  key: string;
  year: string;
  /** Whose year it is; empty for a person whom nobody has named. */
  name: string;
  lines: CardLine[];
}

export interface CardRequest {
  target: Target;
  /** Names of the tables that are published (`publishedTables`). */
  tables: ReadonlySet<string>;
  /** Of four digits. */
  year: string;
  /** Makes the card of this person alone; undefined: of each person with plays in that year. */
  userId?: string;
  /** Hides names that were rarely heard (redact.ts). */
  isRedacted?: boolean;
}

/**
 * Asks gold what the cards of a year say: the same numbers as the report's chapters on years and days.
 *
 * @returns a card for each person with plays in that year, one at least, in the order of their labels
 * @throws `user_unknown` (64) where `userId` has no own plays; `year_empty` (65) where nobody asked for has a
 *   play in that year, and it says which years there are
 */
export async function composeCards(engine: SqlEngine, request: CardRequest): Promise<YearCard[]> {
  const { target, tables, year, userId } = request;
  const definitions = readDefinitions();
  const rows = reader(engine, target, definitions);
  if (NEEDED.some((table) => !tables.has(table))) throw yearEmpty(request, new Set());
  const people = await readPeople(rows);
  if (userId !== undefined) refuseUnknown(userId, people, target);
  const cards: YearCard[] = [];
  const known = new Set<string>();
  for (const label of userId === undefined ? people : [userId]) {
    const own = reader(engine, target, definitions, { userId: label });
    const totals = await readTotals(own);
    const isTimed = totals.played_ms > 0;
    const whole: PersonReading = { rows: own, definitions, totals, tables, isTimed, userId: label };
    const reading = request.isRedacted === true ? await redacted(whole) : whole;
    const years = await readYears(reading);
    for (const row of years) known.add(row.year);
    const asked = years.find((row) => row.year === year);
    if (asked !== undefined) cards.push(await cardOf(reading, asked, asked === years[0]));
  }
  if (cards.length === 0) throw yearEmpty(request, known);
  return cards;
}

async function cardOf(reading: PersonReading, year: YearRow, isFirst: boolean): Promise<YearCard> {
  const top = (await readTopOfYears(reading, 1)).filter((row) => row.year === year.year);
  const of = (kind: string): TopRow | undefined => top.find((row) => row.kind === kind);
  const [artist, song, show] = [of('artist'), of('song'), of('show')];
  const lines = [
    listened(reading, year),
    artist && { label: 'Artist', value: artist.item_name ?? 'No name', detail: formatHeard(reading, artist) },
    song && {
      label: 'Song',
      value: song.item_name ?? 'No name',
      detail: `${formatPlural(song.plays, 'play')}${song.artist_name === null ? '' : `, by ${song.artist_name}`}`,
    },
    song === undefined && show
      ? { label: 'Show', value: show.item_name ?? 'No name', detail: formatHeard(reading, show) }
      : undefined,
    streakLine(await readStreaks(reading), year.year),
    foundLine(year, isFirst),
  ];
  return {
    key: reportCardKey(reading.userId, year.year),
    year: year.year,
    name: reading.userId === DEFAULT_LABEL ? '' : reading.userId,
    lines: lines.filter((line) => line !== undefined),
  };
}

function listened(reading: PersonReading, year: YearRow): CardLine {
  if (!reading.isTimed)
    return { label: 'Listened to', value: formatPlural(year.plays, 'play'), detail: formatPlural(year.songs, 'song') };
  const hours = year.minutes / 60;
  return {
    label: 'Listened for',
    value: hours < 10 ? formatHeard(reading, year) : `${formatCount(hours)} hours`,
    detail: `${formatPlural(year.plays, 'play')}${changeText(year.change)}`,
  };
}

/** The longest run of days of which the year has a part, as long as that part. */
function streakLine(streaks: readonly StreakRow[], year: string): CardLine | undefined {
  const parts = streaks
    .map(({ first_date, last_date }) => {
      const from = first_date < `${year}-01-01` ? `${year}-01-01` : first_date.slice(0, 10);
      const to = last_date.slice(0, 10) > `${year}-12-31` ? `${year}-12-31` : last_date.slice(0, 10);
      return { from, to, days: 1 + Math.round((dateMs(to) - dateMs(from)) / DAY_MS) };
    })
    .filter(({ days }) => days > 1)
    .sort((left, right) => right.days - left.days || left.from.localeCompare(right.from));
  const [longest] = parts;
  if (longest === undefined) return undefined;
  const spoken = (date: string): string => formatDate(date).replace(/ \d+$/, '');
  return {
    label: 'Longest streak',
    value: formatPlural(longest.days, 'day'),
    detail: `${spoken(longest.from)} to ${spoken(longest.to)}`,
  };
}

/** In the first year everything is new, which says nothing. */
function foundLine(year: YearRow, isFirst: boolean): CardLine | undefined {
  if (year.songs === 0) return undefined;
  if (isFirst)
    return {
      label: 'Heard',
      value: formatPlural(year.songs, 'song'),
      detail: `by ${formatPlural(year.artists, 'artist')}`,
    };
  const artists = year.new_artists === 0 ? 'no new artist' : formatPlural(year.new_artists, 'new artist');
  return {
    label: 'Discovered',
    value: year.new_songs === 0 ? 'No new song' : formatPlural(year.new_songs, 'new song'),
    detail: `and ${artists}`,
  };
}

function yearEmpty({ target, year, userId }: CardRequest, known: ReadonlySet<string>): JobError {
  const years = [...known].sort();
  const whose = userId === undefined ? '' : ` of ${userId}`;
  return new JobError('year_empty', 'data', `gold_${target} has no play${whose} in ${year}, so there is no card`, {
    hint: years.length === 0 ? 'give listenlake run an account export first' : `it has plays in ${years.join(', ')}`,
  });
}

import { headlines } from '../report/compose.ts';
import type { Figure, Section } from '../report/figure.ts';
import { formatCount, formatDate, formatMinutes, formatPlural } from '../report/format.ts';
import type { PageContent } from '../report/page.ts';
import { whereSection } from '../report/places.ts';
import { rankedLists } from '../report/rankings.ts';
import type { Reading } from '../report/reading.ts';
import { skippingSection } from '../report/skipping.ts';
import { hoursOfTheWeek, listeningOverTime } from '../report/when.ts';
import { devices } from '../report/who.ts';
import { answer, type Desk, isOfPerson, type Question } from './desk.ts';
import { type Filters, filtersInWords, searchOf } from './filters.ts';

/** What a page says but for its frame. */
export type Body = Pick<PageContent, 'title' | 'facts' | 'notices' | 'headlines' | 'sections'>;

export type Kind = 'artist' | 'song' | 'album';

/** What can be looked at alone: where plays name it, and where its name is. */
export const KINDS = {
  artist: { key: 'artist_id', table: 'dim_artists', name: 'artist_name', by: 'cast(null as varchar)' },
  song: { key: 'song_key', table: 'dim_songs', name: 'song_name', by: 'artist_name' },
  album: { key: 'album_id', table: 'dim_albums', name: 'album_name', by: 'artist_name' },
} as const satisfies Record<Kind, { key: string; table: string; name: string; by: string }>;

const SHOWN = 15;

interface TopRow extends Record<string, string | number | null> {
  item: string;
  name: string | null;
  by_artist: string | null;
  plays: number;
  played_ms: number;
  skipped: number;
  finished: number;
  first_date: string;
  last_date: string;
}

/** How much, when, what, where and how patiently: all of it follows the filters. */
export async function overviewPage(desk: Desk): Promise<Body> {
  const reading = await desk.reading();
  const empty = emptyBody(desk, reading, 'Overview');
  if (empty !== undefined) return empty;
  const { totals } = reading;
  const parts: (() => Promise<Section | undefined>)[] = [
    () => whenOf(desk, reading),
    () => whatOf(desk, reading),
    () => whereOf(desk, reading),
    async () =>
      isOfPerson(reading) && totals.skipped + totals.finished > 0
        ? desk.section(async () => sectionOf(await skippingSection(reading)))
        : undefined,
  ];
  return {
    title: 'Overview',
    facts: factsOf(desk, reading),
    notices: [],
    headlines: headlines(reading),
    sections: (await desk.all(parts)).flatMap((section) => section ?? []),
  };
}

/** By month or day, and by hour of the week. */
export async function whenOf(desk: Desk, reading: Reading): Promise<Section> {
  return {
    id: 'when',
    title: 'When',
    figures: await desk.all([
      () => desk.figure(() => listeningOverTime(reading)),
      () => desk.figure(() => hoursOfTheWeek(reading)),
    ]),
  };
}

async function whatOf(desk: Desk, reading: Reading): Promise<Section> {
  const tops = (['artist', 'song', 'album'] as const).map(
    (kind) => () => desk.figure(() => topOf(desk, reading, kind)),
  );
  return { id: 'what', title: 'What', figures: await desk.all(tops) };
}

async function whereOf(desk: Desk, reading: Reading): Promise<Section> {
  const found = isOfPerson(reading)
    ? await desk.section(async () => sectionOf(await whereSection(reading)))
    : undefined;
  return {
    ...{ id: 'where', title: 'Where' },
    figures: found?.figures ?? [await desk.figure(() => devices(reading))],
  };
}

function sectionOf(chapter: Awaited<ReturnType<typeof whereSection>>) {
  return 'section' in chapter ? chapter.section : undefined;
}

/** A page of filters that leave no play, or of a lake without one; undefined where there is any. */
export function emptyBody(desk: Desk, { totals }: Reading, title: string): Body | undefined {
  if (totals.plays > 0) return undefined;
  // Counted over all days and places, so it explains a page without filters alone.
  const hidden =
    totals.private_plays > 0 && filtersInWords(desk.filters).length === 0
      ? ` ${formatPlural(totals.private_plays, 'play')} of private sessions are left out.`
      : '';
  const isAnyThere = desk.edition.choices.firstDate !== undefined;
  return {
    ...{ title, headlines: [], sections: [] },
    facts: filtersInWords(desk.filters),
    notices: [
      isAnyThere
        ? `No play is left by these filters.${hidden} Widen them, or reset them.`
        : `There is no play yet.${hidden} Give listenlake run an account export, then look again.`,
    ],
  };
}

export function factsOf({ filters, edition }: Desk, { totals }: Reading): string[] {
  return [
    filters.person ?? 'everybody',
    `${formatDate(totals.first_date!)} to ${formatDate(totals.last_date!)}`,
    ...filtersInWords(filters),
    ...(edition.asOf === undefined ? [] : [`as of ${formatDate(edition.asOf)}`]),
  ];
}

/** What was played most of one kind: by plays, then by time, then by key, as the models rank. */
export function topOf(
  { filters }: Pick<Desk, 'filters'>,
  reading: Reading,
  kind: Kind,
  title = `Top ${kind}s`,
  shown = SHOWN,
): Promise<Figure> {
  return answer<TopRow>(reading.rows, {
    name: `top-${kind}s`,
    title,
    sql: topSql(kind, shown),
    columns: topColumns(kind, filters, reading),
    chart: topChart(reading),
    notes: ['Ranked by plays, then by time. A play counts for the first artist of its track.'],
    missing: `None of these plays names its ${kind}.`,
  });
}

function topSql(kind: Kind, shown: number): string {
  const { key, table, name, by } = KINDS[kind];
  return `
with

plays as (select * from fct_plays where {in_reports} and {person} and ${key} is not null),

names as (select * from ${table}),

counted as (
    select
        ${key} as item,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms,
        count(case when verdict = 'skipped' then 1 end) as skipped,
        count(case when verdict = 'finished' then 1 end) as finished,
        min(local_date) as first_date,
        max(local_date) as last_date
    from plays
    group by ${key}
),

final as (
    select
        counted.*,
        names.${name} as name,
        ${by === 'artist_name' ? 'names.artist_name' : by} as by_artist
    from counted
    left join names
        on counted.item = names.${key}
)

select * from final
order by plays desc, played_ms desc, item
limit ${shown}`;
}

function topColumns(kind: Kind, filters: Filters, { isTimed }: Reading): Question<TopRow>['columns'] {
  return [
    {
      label: kind[0]!.toUpperCase() + kind.slice(1),
      kind: 'text',
      of: (row) => row.name ?? '(no name)',
      to: (row) => addressOfItem(kind, row.item, filters),
    },
    ...(kind === 'artist' ? [] : [{ label: 'Artist', kind: 'text' as const, of: (row: TopRow) => row.by_artist }]),
    { label: 'Plays', kind: 'number', of: (row) => row.plays },
    {
      label: 'Minutes',
      kind: 'number',
      format: (value) => formatCount(value, 1),
      of: (row) => (isTimed ? row.played_ms / 60_000 : null),
    },
    { label: 'Skipped', kind: 'number', of: (row) => row.skipped },
    { label: 'Finished', kind: 'number', of: (row) => row.finished },
    { label: 'First', kind: 'text', of: (row) => row.first_date },
    { label: 'Last', kind: 'text', of: (row) => row.last_date },
  ];
}

function topChart(reading: Reading): Question<TopRow>['chart'] {
  const timeOf = (row: TopRow): string => (reading.isTimed ? formatMinutes(row.played_ms / 60_000) : '');
  return (rows) => (layout) =>
    rankedLists(
      [
        {
          title: '',
          rows: rows.slice(0, 10).map((row) => ({
            label: row.name ?? '(no name)',
            detail: row.by_artist ?? '',
            value: row.plays,
            valueText: [formatPlural(row.plays, 'play'), timeOf(row)].filter((text) => text !== '').join(' · '),
          })),
        },
      ],
      layout,
    );
}

/** Where one artist, song or album is looked at; keys may hold any character. */
export function addressOfItem(kind: Kind, key: string, filters: Partial<Filters> = {}): string {
  return `/${kind}${searchOf(filters, key)}`;
}

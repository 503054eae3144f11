import type { TopLevelSpec } from 'vega-lite';
import type { Figure } from './figure.ts';
import { formatCount, formatPlural, formatShare, nameInText } from './format.ts';
import { formatHeard, listed, SPOKEN, spokenMark, withoutTables } from './marts.ts';
import type { Chapter, PersonReading } from './person.ts';
import { type RankedPanel, rankedLists } from './rankings.ts';
import { color, type Layout } from './theme.ts';

const SHOWN_RANKS = 5;
/** Shows have a list of their own only in a year without music; beside three lists names would be cut. */
const PANELS = [
  { kind: 'artist', title: 'Artists' },
  { kind: 'song', title: 'Songs' },
  { kind: 'album', title: 'Albums' },
] as const;
const SHOWS = { kind: 'show', title: 'Podcasts and audiobooks' } as const;

const YEARS = `
select
    year,
    minutes,
    plays,
    songs,
    artists,
    new_songs,
    new_artists,
    change
from listening_years
where user_id = ? and year <> 'all'
order by year`;

const TOP = `
select
    year,
    kind,
    rank,
    item_name,
    artist_name,
    plays,
    minutes,
    previous_rank,
    substr(cast(first_played_at as varchar), 1, 4) as first_year
from yearly_top
where
    user_id = ?
    and year <> 'all'
    and measure = ?
    and rank <= ?
order by year, kind, rank`;

/** One year of a person. */
export interface YearRow extends Record<string, string | number | null> {
  year: string;
  minutes: number;
  plays: number;
  songs: number;
  artists: number;
  new_songs: number;
  new_artists: number;
  change: number | null;
}

/** One place of a year's ranking. */
export interface TopRow extends Record<string, string | number | null> {
  year: string;
  kind: string;
  rank: number;
  item_name: string | null;
  artist_name: string | null;
  plays: number;
  minutes: number;
  previous_rank: number | null;
  first_year: string;
}

/** The years with plays of a person, the first one first. */
export async function readYears(reading: PersonReading): Promise<YearRow[]> {
  return reading.rows<YearRow>(YEARS, [reading.userId]);
}

/** The first places of each year's rankings, by time where lengths are known, otherwise by plays. */
export async function readTopOfYears(reading: PersonReading, ranks: number): Promise<TopRow[]> {
  return reading.rows<TopRow>(TOP, [reading.userId, reading.isTimed ? 'minutes' : 'plays', ranks]);
}

/** A person's years: how much each had, and then each year on its own, the newest first. */
export async function yearsChapter(reading: PersonReading): Promise<Chapter> {
  const absent = withoutTables(reading, 'Your years', 'listening_years', 'yearly_top');
  if (absent !== undefined) return { missing: absent };
  const years = await readYears(reading);
  if (years.length === 0) return { missing: 'Your years: no play counts yet. Load an account export to fill them.' };
  const top = await readTopOfYears(reading, SHOWN_RANKS);
  const figures = [...years].reverse().map((year) =>
    yearFigure(
      reading,
      year,
      top.filter((row) => row.year === year.year),
      year === years[0],
    ),
  );
  return {
    section: {
      id: 'years',
      title: 'Your years',
      figures: years.length > 1 ? [allYears(reading, years), ...figures] : figures,
    },
  };
}

function allYears(reading: PersonReading, years: YearRow[]): Figure {
  const amount = (row: YearRow): number => (reading.isTimed ? row.minutes / 60 : row.plays);
  const biggest = years.reduce((best, row) => (amount(row) > amount(best) ? row : best));
  const known = new Map(years.map((row) => [row.year, row]));
  const [first, last] = [Number(years[0]!.year), Number(years.at(-1)!.year)];
  const all = Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
  const silent = all.filter((year) => !known.has(year));
  const bars = all.map((year) => {
    const row = known.get(year);
    return {
      year,
      value: row ? amount(row) : 0,
      text: row ? `${formatCount(amount(row))}${reading.isTimed ? ' h' : ''}` : '',
      spoken: `${year}: ${row ? formatHeard(reading, row) : 'nothing'}`,
      isBiggest: row === biggest,
    };
  });
  return {
    name: 'years',
    title: `${biggest.year} was your biggest year: ${formatHeard(reading, biggest)}`,
    takeaway: `${formatPlural(years.length, 'year')} with listening, ${years[0]!.year} to ${years.at(-1)!.year}.${silent.length > 0 ? ` Nothing was heard in ${listed(silent)}.` : ''}`,
    chart: (layout) => yearBars(bars, layout),
    table: {
      columns: [
        { label: 'Year', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Change of minutes', kind: 'number', format: (value) => formatShare(value) },
        { label: 'Songs', kind: 'number' },
        { label: 'New songs', kind: 'number' },
        { label: 'Artists', kind: 'number' },
        { label: 'New artists', kind: 'number' },
      ],
      rows: years.map((row) => [
        row.year,
        row.plays,
        reading.isTimed ? row.minutes : null,
        row.change,
        row.songs,
        row.new_songs,
        row.artists,
        row.new_artists,
      ]),
    },
    notes: [
      'A year is that of the local date. A year has a change only where your data covers it and the year before nearly whole: an unfinished year has none. New is what was never heard before in this data.',
    ],
  };
}

function yearFigure(reading: PersonReading, year: YearRow, top: TopRow[], isFirst: boolean): Figure {
  const first = (kind: string): TopRow | undefined => top.find((row) => row.kind === kind && row.rank === 1);
  const [artist, song, album, show] = [first('artist'), first('song'), first('album'), first('show')];
  const most = [
    artist ? nameInText(artist.item_name ?? 'an artist without a name', 60) : '',
    song ? `“${nameInText(song.item_name ?? 'a song without a name', 60)}”` : '',
    album ? `the album ${nameInText(album.item_name ?? 'without a name', 60)}` : '',
    show ? `the show ${nameInText(show.item_name ?? 'without a name', 60)}` : '',
  ].filter((text) => text !== '');
  const panels = PANELS.filter(({ kind }) => first(kind) !== undefined);
  const shown = panels.length > 0 ? panels : show ? [SHOWS] : [];
  return {
    name: `year-${year.year}`,
    title: `${year.year}: ${formatHeard(reading, year)}${reading.isTimed ? changeText(year.change) : ''}`,
    takeaway: `${songsText(year, isFirst)}${most.length > 0 ? `Most of all ${listed(most)}.` : 'Nothing in it has a name.'}`,
    ...(shown.length > 0 && {
      chart: (layout: Layout) =>
        rankedLists(
          shown.map((panel) => panelOf(reading, panel, top, year.year, isFirst)),
          layout,
        ),
    }),
    table: {
      columns: [
        { label: 'Kind', kind: 'text' },
        { label: 'Rank', kind: 'number' },
        { label: 'Name', kind: 'text' },
        { label: 'Artist', kind: 'text' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Plays', kind: 'number' },
        { label: 'Rank in the year before', kind: 'number' },
      ],
      rows: [...PANELS, SHOWS].flatMap(({ kind }) =>
        top
          .filter((row) => row.kind === kind)
          .map((row) => [
            kind,
            row.rank,
            row.item_name,
            row.kind === 'artist' ? null : row.artist_name,
            reading.isTimed ? row.minutes : null,
            row.plays,
            row.previous_rank,
          ]),
      ),
    },
    notes: [],
  };
}

function panelOf(
  reading: PersonReading,
  { kind, title }: { kind: string; title: string },
  top: TopRow[],
  year: string,
  isFirst: boolean,
): RankedPanel {
  return {
    title,
    rows: top
      .filter((row) => row.kind === kind)
      .map((row) => ({
        label: row.item_name ?? '(no name)',
        value: reading.isTimed ? row.minutes : row.plays,
        valueText: formatHeard(reading, row),
        below: kind === 'artist' || kind === 'show' ? formatPlural(row.plays, 'play') : (row.artist_name ?? ''),
        belowEnd: isFirst ? '' : rankChange(row, year),
      })),
  };
}

/** How a rank moved against the year before: `↑ 3`, `↓ 1`, `same`, `new`, or `back` after a year without. */
export function rankChange(
  row: { rank: number; previous_rank: number | null; first_year: string },
  year: string,
): string {
  if (row.previous_rank === null) return row.first_year === year ? 'new' : 'back';
  const up = row.previous_rank - row.rank;
  return up === 0 ? 'same' : `${up > 0 ? '↑' : '↓'} ${formatCount(Math.abs(up))}`;
}

/** `, 12% more than the year before`; empty where the years cannot be compared. */
export function changeText(change: number | null): string {
  if (change === null) return '';
  const percent = formatShare(Math.abs(change), 0);
  if (percent === '0%' || percent.startsWith('<')) return ', as much as the year before';
  return `, ${percent} ${change > 0 ? 'more' : 'less'} than the year before`;
}

function songsText(year: YearRow, isFirst: boolean): string {
  if (year.songs === 0) return 'No songs. ';
  const count = (value: number): string => (value === 0 ? 'none' : formatCount(value));
  const fresh = isFirst ? '' : `, ${count(year.new_songs)} of them for the first time`;
  const freshArtists = isFirst ? '' : `, ${count(year.new_artists)} of them new`;
  return `${formatPlural(year.songs, 'song')}${fresh}, by ${formatPlural(year.artists, 'artist')}${freshArtists}. `;
}

function yearBars(rows: { year: string; value: number; isBiggest: boolean }[], layout: Layout): TopLevelSpec {
  const isCrowded = layout.width / rows.length < 44;
  const x = {
    field: 'year',
    type: 'ordinal' as const,
    sort: null,
    title: null,
    scale: { paddingInner: 0.3, paddingOuter: 0.1 },
    axis: { labelExpr: isCrowded ? "'’' + slice(datum.label, 2)" : 'datum.label', labelOverlap: true as const },
  };
  // Each bar says its number; lines behind the numbers would strike them through.
  const y = { field: 'value', type: 'quantitative' as const, axis: null };
  return {
    width: layout.width,
    height: layout.kind === 'wide' ? 240 : 200,
    autosize: { type: 'fit', contains: 'padding' },
    data: { values: rows },
    config: SPOKEN,
    layer: [
      {
        mark: { type: 'bar', cornerRadiusEnd: 3 },
        encoding: {
          x,
          y,
          ...spokenMark(),
          color: {
            field: 'isBiggest',
            type: 'nominal',
            scale: { domain: [true, false], range: [color('primary'), color('primarySoft')] },
            legend: null,
          },
        },
      },
      {
        mark: { type: 'text', dy: -8, color: color('muted'), fontSize: isCrowded ? 10 : 12, aria: false },
        encoding: { x, y, text: { field: 'text', type: 'nominal' } },
      },
    ],
  };
}

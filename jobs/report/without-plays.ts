import type { Section } from './figure.ts';
import { formatCount, formatDate, formatPlural, nameInText } from './format.ts';
import { rankedLists } from './rankings.ts';
import type { Reading } from './reading.ts';

const SHOWN_RANKS = 10;

const CHARTS = `
select
    chart,
    region,
    count(distinct period_start) as periods,
    count(distinct entry_key) as entries,
    min(period_start) as first_date,
    max(period_start) as last_date
from fct_chart_entries
group by chart, region
order by chart, region`;

/** One name of a key suffices: the newest. */
const LONGEST = `
with

entries as (select * from fct_chart_entries),

counted as (
    select
        entry_key,
        count(*) as places,
        min(rank) as best_rank,
        max_by(track_name, period_start) as track_name,
        max_by(artist_name, period_start) as artist_name
    from entries
    group by entry_key
)

select * from counted
order by places desc, best_rank, entry_key
limit ${SHOWN_RANKS}`;

const ARTISTS = `
with

tracks as (select * from dim_tracks),

artists as (select * from dim_artists),

counted as (
    select
        artist_id,
        count(*) as tracks,
        sum(count(*)) over () as all_tracks,
        count(*) over () as all_artists
    from tracks
    where artist_id is not null
    group by artist_id
)

select
    artists.artist_name,
    counted.tracks,
    counted.all_tracks,
    counted.all_artists
from counted
inner join artists
    on counted.artist_id = artists.artist_id
order by counted.tracks desc, counted.artist_id
limit ${SHOWN_RANKS}`;

interface ChartRow extends Record<string, string | number> {
  chart: string;
  region: string;
  periods: number;
  entries: number;
  first_date: string;
  last_date: string;
}

interface EntryRow extends Record<string, string | number | null> {
  places: number;
  best_rank: number;
  track_name: string | null;
  artist_name: string | null;
}

interface ArtistRow extends Record<string, string | number | null> {
  artist_name: string | null;
  tracks: number;
  all_tracks: number;
  all_artists: number;
}

/** What a lake without a play shows: its charts and its catalogue, as far as it has them. */
export async function sectionsWithoutPlays({ rows, tables }: Pick<Reading, 'rows' | 'tables'>): Promise<Section[]> {
  const charts = tables.has('fct_chart_entries') ? await rows<ChartRow>(CHARTS) : [];
  const sections = charts.length === 0 ? [] : [chartsSection(charts, await rows<EntryRow>(LONGEST))];
  if (!tables.has('dim_tracks') || !tables.has('dim_artists')) return sections;
  const artists = await rows<ArtistRow>(ARTISTS);
  return artists.length === 0 ? sections : [...sections, catalogueSection(artists)];
}

function chartsSection(charts: ChartRow[], longest: EntryRow[]): Section {
  const first = longest[0]!;
  const name = (row: EntryRow): string => row.track_name ?? row.artist_name ?? '(no name)';
  return {
    id: 'charts',
    title: 'The charts',
    figures: [
      {
        name: 'charts-longest',
        title: `Most often in the charts: ${nameInText(name(first), 60)}`,
        takeaway: `${formatPlural(first.places, 'place')} in all charts and regions, at best number ${formatCount(first.best_rank)}.`,
        chart: (layout) =>
          rankedLists(
            [
              {
                title: 'Places',
                rows: longest.map((row) => ({
                  label: name(row),
                  value: row.places,
                  valueText: formatPlural(row.places, 'place'),
                  below: row.track_name === null ? '' : (row.artist_name ?? ''),
                  belowEnd: `best ${formatCount(row.best_rank)}`,
                })),
              },
            ],
            layout,
          ),
        table: {
          columns: [
            { label: 'Track', kind: 'text' },
            { label: 'Artist', kind: 'text' },
            { label: 'Places', kind: 'number' },
            { label: 'Best rank', kind: 'number' },
          ],
          rows: longest.map((row) => [row.track_name, row.artist_name, row.places, row.best_rank]),
        },
        notes: ['A place is one rank in one chart, region and period: a day, or a week in weekly charts.'],
      },
      {
        name: 'charts-known',
        title: `${formatPlural(charts.length, 'chart')}, by region`,
        takeaway: `From ${formatDate(charts.map((row) => row.first_date).sort()[0]!)} to ${formatDate(
          charts
            .map((row) => row.last_date)
            .sort()
            .at(-1)!,
        )}.`,
        table: {
          columns: [
            { label: 'Chart', kind: 'text' },
            { label: 'Region', kind: 'text' },
            { label: 'Periods', kind: 'number' },
            { label: 'Entries', kind: 'number' },
            { label: 'First', kind: 'text' },
            { label: 'Last', kind: 'text' },
          ],
          rows: charts.map((row) => [row.chart, row.region, row.periods, row.entries, row.first_date, row.last_date]),
        },
        notes: [],
      },
    ],
  };
}

function catalogueSection(artists: ArtistRow[]): Section {
  const { all_tracks: tracks, all_artists: known } = artists[0]!;
  return {
    id: 'catalogue',
    title: 'The catalogue',
    figures: [
      {
        name: 'catalogue-artists',
        title: `${formatPlural(tracks, 'track')} by ${formatPlural(known, 'artist')}`,
        takeaway: `Most are by ${nameInText(artists[0]!.artist_name ?? 'an artist without a name', 60)}.`,
        chart: (layout) =>
          rankedLists(
            [
              {
                title: 'Artists',
                rows: artists.map((row) => ({
                  label: row.artist_name ?? '(no name)',
                  value: row.tracks,
                  valueText: formatPlural(row.tracks, 'track'),
                })),
              },
            ],
            layout,
          ),
        table: {
          columns: [
            { label: 'Artist', kind: 'text' },
            { label: 'Tracks', kind: 'number' },
          ],
          rows: artists.map((row) => [row.artist_name, row.tracks]),
        },
        notes: ['Tracks count for their first artist; those without a known artist are left out.'],
      },
    ],
  };
}

import { DAY_MS } from '../base/time.ts';
import type { Figure } from './figure.ts';
import { dateMs, formatCount, formatDate, formatMinutes, formatPlural, nameInText } from './format.ts';
import type { Chapter, PersonReading } from './person.ts';
import { type RankedRow, rankedLists } from './rankings.ts';
import { topShows } from './shows.ts';

const SHOWN_RANKS = 10;
/** As in the models' rankings: so many days before the end of the data. */
const PERIODS = [
  { period: '28 days', title: 'Last 28 days', days: 28 },
  { period: 'year', title: 'Last 365 days', days: 365 },
  { period: 'all', title: 'All time', days: undefined },
] as const;

const KINDS = {
  songs: { key: 'song_key', table: 'dim_songs', name: 'dims.song_name', artist: 'dims.artist_name' },
  artists: { key: 'artist_id', table: 'dim_artists', name: 'dims.artist_name', artist: 'cast(null as varchar)' },
  albums: { key: 'album_id', table: 'dim_albums', name: 'dims.album_name', artist: 'dims.artist_name' },
} as const;
type Kind = keyof typeof KINDS;

/**
 * One line of a person's ranking; `previous_rank` is of the equally long period before, null where it was in
 * none.
 */
export interface FavouriteRow extends Record<string, string | number | null> {
  period: string;
  rank: number;
  name: string | null;
  artist_name: string | null;
  plays: number;
  minutes: number;
  previous_rank: number | null;
}

/** A person's most played songs, artists and albums, each of three periods, in the order of their ranks. */
export type Favourites = Record<Kind, FavouriteRow[]>;

/**
 * Ranks what one person played most, by the rules of the models' rankings: by plays, then by time, then by
 * key.
 *
 * @param asOf exclusive end of the data, `YYYY-MM-DD`
 */
export async function favourites(reading: PersonReading, asOf: string): Promise<Favourites> {
  const rowsOf = (kind: Kind): Promise<FavouriteRow[]> =>
    reading.tables.has(KINDS[kind].table)
      ? reading.rows<FavouriteRow>(rankingSql(kind, asOf), [])
      : Promise.resolve([]);
  return { songs: await rowsOf('songs'), artists: await rowsOf('artists'), albums: await rowsOf('albums') };
}

function rankingSql(kind: Kind, asOf: string): string {
  const { key, table, name, artist } = KINDS[kind];
  const before = (days: number): string => new Date(dateMs(asOf) - days * DAY_MS).toISOString().slice(0, 10);
  const bounds = PERIODS.map(({ period, days }) => {
    const [start, previous] = days === undefined ? ['0001-01-01', '0001-01-01'] : [before(days), before(2 * days)];
    return `('${period}', date '${start}', date '${previous}')`;
  });
  return `
with

bounds (period, period_start, previous_start) as (
    values ${bounds.join(', ')}
),

plays as (
    select *
    from fct_plays
    where {in_reports} and {person} and ${key} is not null and played_date < date '${asOf}'
),

dims as (select * from ${table}),

counted as (
    select
        bounds.period,
        case when plays.played_date >= bounds.period_start then 1 else 0 end as is_current,
        plays.${key} as item,
        count(*) as plays,
        cast(coalesce(sum(plays.played_ms), 0) as bigint) as played_ms
    from bounds
    inner join plays
        on plays.played_date >= bounds.previous_start
    group by 1, 2, 3
),

ranked as (
    select
        *,
        row_number() over (
            partition by period, is_current
            order by plays desc, played_ms desc, item
        ) as place
    from counted
)

select
    ranked.period,
    ranked.place as rank,
    ${name} as name,
    ${artist} as artist_name,
    ranked.plays,
    cast(ranked.played_ms as double) / 60000 as minutes,
    previous.place as previous_rank
from ranked
left join ranked as previous
    on
        ranked.period = previous.period
        and ranked.item = previous.item
        and previous.is_current = 0
left join dims
    on ranked.item = dims.${key}
where ranked.is_current = 1 and ranked.place <= ${SHOWN_RANKS}
order by ranked.period, ranked.place`;
}

/** What a person played most: artists, songs and albums by three lengths of looking back, and shows. */
export async function favouritesSection(
  reading: PersonReading,
  { artists, songs, albums }: Favourites,
  asOf: string,
): Promise<Chapter> {
  const shows = reading.tables.has('dim_shows') ? await topShows(reading) : undefined;
  const figures = [
    ...(artists.length > 0 ? [ranking(reading, asOf, 'top-artists', artists, artistTitle)] : []),
    ...(songs.length > 0 ? [ranking(reading, asOf, 'top-tracks', songs, songTitle)] : []),
    ...(albums.length > 0 ? [ranking(reading, asOf, 'top-albums', albums, albumTitle)] : []),
    ...(shows === undefined ? [] : [shows]),
  ];
  if (figures.length > 0) return { section: { id: 'what', title: 'What you love', figures } };
  return {
    missing:
      'Favourites: no play names what was played. The extended account export and recently played name the track of each play.',
  };
}

function artistTitle(first: FavouriteRow): string {
  return `Nobody was with you as often as ${nameInText(first.name ?? 'an artist without a name', 60)}`;
}

function songTitle(first: FavouriteRow): string {
  return `“${nameInText(first.name ?? 'A song without a name', 60)}” is the song you played most`;
}

function albumTitle(first: FavouriteRow): string {
  return `“${nameInText(first.name ?? 'An album without a name', 60)}” is the album you came back to`;
}

function ranking(
  { isTimed }: PersonReading,
  asOf: string,
  name: string,
  rows: FavouriteRow[],
  titleOf: (first: FavouriteRow) => string,
): Figure {
  const first = rows.find(({ period }) => period === 'all') ?? rows[0]!;
  const byArtist = first.artist_name === null ? '' : `By ${nameInText(first.artist_name, 60)}: `;
  const hasArtists = name !== 'top-artists';
  const panels = PERIODS.map(({ period, title }) => ({ title, rows: rows.filter((row) => row.period === period) }));
  const empty = panels.filter((panel) => panel.rows.length === 0).map(({ title }) => title.toLowerCase());
  return {
    name,
    title: titleOf(first),
    takeaway: `${byArtist}${formatPlural(first.plays, 'play')}${isTimed ? ` and ${formatMinutes(first.minutes)}` : ''} of all time.`,
    chart: (layout) =>
      rankedLists(
        panels
          .filter((panel) => panel.rows.length > 0)
          .map((panel) => ({ title: panel.title, rows: panel.rows.map((row) => rankedRow(row, isTimed, hasArtists)) })),
        layout,
      ),
    table: {
      columns: [
        { label: 'Period', kind: 'text' },
        { label: 'Rank', kind: 'number' },
        { label: 'Name', kind: 'text' },
        ...(hasArtists ? [{ label: 'Artist', kind: 'text' as const }] : []),
        { label: 'Plays', kind: 'number' },
        { label: 'Hours', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Rank before', kind: 'number' },
      ],
      rows: PERIODS.flatMap(({ period, title }) =>
        rows
          .filter((row) => row.period === period)
          .map((row) => [
            ...[title, row.rank, row.name],
            ...(hasArtists ? [row.artist_name] : []),
            ...[row.plays, isTimed ? row.minutes / 60 : null, row.previous_rank],
          ]),
      ),
    },
    notes: [
      `Ranked by plays, then by time. An arrow is the change of place against the equally long period before it; days are counted back from ${formatDate(asOf)} (UTC), the end of the data.${
        empty.length > 0 ? ` Nothing was played in the ${empty.join(' and the ')}.` : ''
      }`,
    ],
  };
}

function rankedRow(row: FavouriteRow, isTimed: boolean, hasArtists: boolean): RankedRow {
  const change = changeOf(row);
  const time = isTimed ? formatMinutes(row.minutes) : '';
  return {
    label: row.name ?? '(no name)',
    value: row.plays,
    valueText: formatPlural(row.plays, 'play'),
    below: hasArtists ? (row.artist_name ?? '') : change,
    belowEnd: [hasArtists ? change : '', time].filter((text) => text !== '').join(' · '),
  };
}

/**
 * How the place has changed: `↑ 3`, `↓ 2`, `same`, `new`; nothing of all time, which has no period before it.
 */
function changeOf({ period, rank, previous_rank: before }: FavouriteRow): string {
  if (period === 'all') return '';
  if (before === null) return 'new';
  if (before === rank) return 'same';
  return before > rank ? `↑ ${before - rank}` : `↓ ${rank - before}`;
}

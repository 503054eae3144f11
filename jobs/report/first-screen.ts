import { DAY_MS } from '../base/time.ts';
import type { Favourites } from './favourites.ts';
import type { Hero } from './figure.ts';
import { formatCount, formatDate, formatMinutes, formatPlural, formatShare, nameInText } from './format.ts';
import type { PersonReading } from './person.ts';

const YEARS = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

final as (
    select
        cast(extract(year from local_date) as integer) as year,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms
    from plays
    group by 1
)

select * from final
order by played_ms desc, plays desc, year desc`;

const LONGEST_SHOW = `
with

plays as (select * from fct_plays where {in_reports} and {person} and show_id is not null),

shows as (select * from dim_shows),

counted as (
    select
        show_id,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms
    from plays
    group by show_id
)

select
    shows.show_name,
    counted.plays,
    counted.played_ms
from counted
inner join shows
    on counted.show_id = shows.show_id
order by counted.played_ms desc, counted.plays desc, counted.show_id
limit 1`;

/**
 * What one reads of a person before anything else: how long they listened, their artist, their song (or their
 * show, where they heard no song) and their year. One sentence each.
 */
export async function firstScreen(reading: PersonReading, { artists, songs }: Favourites): Promise<Hero[]> {
  const { totals, isTimed } = reading;
  const amountOf = ({ plays, minutes }: { plays: number; minutes: number }): string =>
    isTimed ? `${formatPlural(plays, 'play')}, ${formatMinutes(minutes)}` : formatPlural(plays, 'play');
  const artist = artists.find(({ period, rank }) => period === 'all' && rank === 1);
  const song = songs.find(({ period, rank }) => period === 'all' && rank === 1);
  return [
    amount(reading),
    ...(artist
      ? [
          {
            label: 'Your artist',
            value: artist.name ?? 'No name',
            detail: `You played them most: ${amountOf(artist)}.`,
          },
        ]
      : []),
    ...(song
      ? [
          {
            label: 'Your song',
            value: song.name ?? 'No name',
            detail: `${song.artist_name ? `By ${nameInText(song.artist_name, 60)}, played` : 'Played'} ${song.plays === 1 ? 'once' : `${formatCount(song.plays)} times`}.`,
          },
        ]
      : await yourShow(reading)),
    await yourYear(reading, isTimed ? totals.played_ms : totals.plays),
  ];
}

function amount({ totals, isTimed }: PersonReading): Hero {
  const since = `${formatPlural(totals.plays, 'play')} on ${formatPlural(totals.days, 'day')} since ${formatDate(totals.first_date!)}`;
  if (!isTimed) return { label: 'You listened to', value: formatPlural(totals.plays, 'play'), detail: `${since}.` };
  const hours = totals.played_ms / 3_600_000;
  return {
    label: 'You listened for',
    value: hours < 10 ? formatMinutes(totals.played_ms / 60_000) : `${formatCount(hours)} hours`,
    detail: hours < 48 ? `${since}.` : `That is ${formatCount(totals.played_ms / DAY_MS)} days on end: ${since}.`,
  };
}

async function yourShow(reading: PersonReading): Promise<Hero[]> {
  if (!reading.tables.has('dim_shows')) return [];
  const [show] = await reading.rows<{ show_name: string | null; plays: number; played_ms: number }>(LONGEST_SHOW);
  if (show === undefined) return [];
  return [
    {
      label: 'Your show',
      value: show.show_name ?? 'No name',
      detail: `You heard it longest: ${formatMinutes(show.played_ms / 60_000)} in ${formatPlural(show.plays, 'play')}.`,
    },
  ];
}

async function yourYear(reading: PersonReading, whole: number): Promise<Hero> {
  const years = await reading.rows<{ year: number; plays: number; played_ms: number }>(YEARS);
  const most = years[0]!;
  const part = reading.isTimed ? most.played_ms : most.plays;
  const wholeText = reading.isTimed ? formatMinutes(whole / 60_000) : formatPlural(whole, 'play');
  const partText = reading.isTimed ? formatMinutes(part / 60_000) : formatPlural(part, 'play');
  return {
    label: 'Your year',
    value: String(most.year),
    detail:
      years.length === 1
        ? `All of it so far: ${partText}.`
        : `You never listened more: ${partText}, ${formatShare(part / whole, 0)} of ${wholeText} in ${formatPlural(years.length, 'year')}.`,
  };
}

import type { SqlEngine } from '../engine/index.ts';
import type { Target } from '../lake/keys.ts';
import { cleanText, formatCount, formatPlural } from './format.ts';
import { readDefinitions, reader } from './reading.ts';

/** Whose artists, albums and shows a person has heard most; a song is named by its artist. */
const STORY = `
with

plays as (
    select *
    from fct_plays
    where user_id = ? and {in_reports}
),

counted as (
    select
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms,
        cast(min(year(local_date)) as integer) as first_year,
        cast(max(year(local_date)) as integer) as last_year
    from plays
),

heard as (
    select
        dim_artists.artist_name,
        row_number() over (
            order by coalesce(sum(plays.played_ms), 0) desc, count(*) desc, plays.artist_id asc
        ) as rank
    from plays
    inner join dim_artists on plays.artist_id = dim_artists.artist_id
    group by plays.artist_id, dim_artists.artist_name
),

streaks as (
    select max(days) as days
    from listening_streaks
    where user_id = ? and is_longest
)

select
    counted.*,
    heard.artist_name,
    streaks.days as streak_days
from counted
left join heard on heard.rank = 1
cross join streaks`;

interface Story extends Record<string, string | number | null> {
  plays: number;
  played_ms: number;
  first_year: number | null;
  last_year: number | null;
  artist_name: string | null;
  streak_days: number | null;
}

/**
 * One sentence on a person, of what counts in reports: plays, hours, years, the artist heard longest, the
 * longest streak of days.
 *
 *     40,000 plays, 2,467 hours, 2020 to 2026; most of all Nova Vale; longest streak 41 days
 *
 * @returns undefined where they have no plays
 */
export async function personStory(engine: SqlEngine, target: Target, userId: string): Promise<string | undefined> {
  const rows = reader(engine, target, readDefinitions());
  const [story] = await rows<Story>(STORY, [userId, userId]);
  if (story === undefined || story.plays === 0) return undefined;
  const { plays, played_ms, first_year, last_year, artist_name, streak_days } = story;
  const years = first_year === last_year ? `${first_year}` : `${first_year} to ${last_year}`;
  const hours = played_ms === 0 ? [] : [`${formatCount(Math.round(played_ms / 3_600_000))} hours`];
  return [
    [formatPlural(plays, 'play'), ...hours, years].join(', '),
    ...(artist_name === null ? [] : [`most of all ${cleanText(artist_name)}`]),
    ...(streak_days === null || streak_days < 2 ? [] : [`longest streak ${formatPlural(streak_days, 'day')}`]),
  ].join('; ');
}

import { DAY_MS } from '../base/time.ts';
import type { Reading, Totals } from './reading.ts';

// The plays are named twice and not once for both: what two parts of a statement share the engine keeps in
// memory, all columns of all rows.
const TOTALS = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

all_plays as (select * from fct_plays where {person}),

left_out as (
    select
        count(case when is_incognito then 1 end) as private_plays,
        count(case when is_implausible then 1 end) as implausible_plays
    from all_plays
),

counted as (
    select
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms,
        count(case when played_ms is null then 1 end) as plays_without_length,
        count(case when track_id is null and content_type = 'episode' then 1 end) as episode_plays,
        count(case when track_id is null and content_type = 'chapter' then 1 end) as chapter_plays,
        count(case when track_id is null and content_type = 'video' then 1 end) as video_plays,
        count(case when track_id is null and content_type in ('track', 'unknown') then 1 end) as nameless_plays,
        count(case when track_id is null and content_type = 'unknown' then 1 end) as unattributed_plays,
        count(distinct user_id) as users,
        count(distinct song_key) as songs,
        count(distinct artist_id) as artists,
        count(distinct local_date) as days,
        count(case when is_qualified then 1 end) as qualified_plays,
        count(case when verdict = 'skipped' then 1 end) as skipped,
        count(case when verdict = 'finished' then 1 end) as finished,
        min(local_date) as first_date,
        max(local_date) as last_date
    from plays
)

select
    counted.*,
    left_out.private_plays,
    left_out.implausible_plays
from counted
cross join left_out`;

/** The exclusive end of the data, as the models took it. */
const AS_OF = `
select max(period_end) as as_of
from top_tracks`;

/** Counts all plays, or those of the page's person: always one row, of zeros where there is no play. */
export async function readTotals(rows: Reading['rows']): Promise<Totals> {
  const [totals] = await rows<Totals>(TOTALS);
  return totals!;
}

/**
 * The exclusive end of the data, `YYYY-MM-DD`: what the models took it for, else the day after the last play.
 */
export async function readAsOf(rows: Reading['rows'], lastDate: string): Promise<string> {
  const [row] = await rows<{ as_of: string | null }>(AS_OF);
  return row?.as_of ?? nextDay(lastDate);
}

function nextDay(date: string): string {
  return new Date(Date.parse(`${date}T00:00:00.000Z`) + DAY_MS).toISOString().slice(0, 10);
}

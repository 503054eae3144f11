-- How many plays each source gives, what they are of, and how many have a track, a length and a verdict.
-- Everything is counted here. Private sessions are in no other answer, nor are implausible plays: those
-- longer than a day.
-- unattributed plays have neither a name nor a URI ("Unknown Track" by "Unknown Artist"): they are plays,
-- and in no ranking.
select
    source,
    content_type,
    count(*) as plays,
    count(track_id) as with_track,
    count(show_id) as with_show,
    count(played_ms) as with_length,
    count(*) filter (where verdict <> 'neutral') as with_verdict,
    count(*) filter (where is_incognito) as private_plays,
    count(*) filter (where is_implausible) as implausible_plays,
    count(*) filter (where content_type = 'unknown' and track_id is null) as unattributed_plays,
    count(*) filter (where is_overlap) as overlapping_plays,
    min(played_date) as first_date,
    max(played_date) as last_date
from fct_plays
group by source, content_type
order by source, content_type

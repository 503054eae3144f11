-- Of the 100 tracks played most ever, the 20 skipped most surely.
-- By the lower end of the skip rate's 95 % interval; tracks without a verdict are left out.
select
    top_tracks.rank,
    skip_rate_by_track.track_name,
    skip_rate_by_track.artist_name,
    skip_rate_by_track.plays,
    skip_rate_by_track.skips,
    skip_rate_by_track.skip_rate,
    skip_rate_by_track.skip_rate_low,
    skip_rate_by_track.skip_rate_high
from top_tracks
inner join skip_rate_by_track
    on top_tracks.track_id = skip_rate_by_track.track_id
where
    top_tracks.period = 'all'
    and top_tracks.rank <= 100
    and skip_rate_by_track.verdict_plays > 0
order by skip_rate_by_track.skip_rate_low desc, top_tracks.rank
limit 20

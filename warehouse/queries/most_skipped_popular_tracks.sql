-- Of the 100 songs played most ever, the 20 whose most played recording is skipped most surely.
-- Skips are counted by recording (track). skip_rate = skips / verdict_plays; the order is that of the lower
-- end of its 95 % interval.
-- Recordings without a verdict are left out; rank is the song's.
select
    top_tracks.rank,
    skip_rate_by_track.track_name,
    skip_rate_by_track.artist_name,
    skip_rate_by_track.plays,
    skip_rate_by_track.verdict_plays,
    skip_rate_by_track.skips,
    round(skip_rate_by_track.skip_rate, 3) as skip_rate,
    round(skip_rate_by_track.skip_rate_low, 3) as skip_rate_low,
    round(skip_rate_by_track.skip_rate_high, 3) as skip_rate_high
from top_tracks
inner join skip_rate_by_track
    on top_tracks.track_id = skip_rate_by_track.track_id
where
    top_tracks.period = 'all'
    and top_tracks.rank <= 100
    and skip_rate_by_track.verdict_plays > 0
order by skip_rate_by_track.skip_rate_low desc, top_tracks.rank
limit 20

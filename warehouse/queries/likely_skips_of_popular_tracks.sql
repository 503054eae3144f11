-- Popular recordings that are likely to be skipped: the 20 likeliest of the quarter with the highest popularity.
-- skip_probability is the model's, with the 95 % interval of its linear part; empty where no model was published.
with

ranked as (
    select
        *,
        ntile(4) over (order by popularity desc, track_id) as quarter
    from skip_predictions
    where popularity is not null
)

select
    dim_tracks.track_name,
    dim_tracks.artist_name,
    ranked.popularity,
    ranked.plays,
    round(ranked.skip_probability, 3) as skip_probability,
    round(ranked.skip_probability_low, 3) as skip_probability_low,
    round(ranked.skip_probability_high, 3) as skip_probability_high
from ranked
inner join dim_tracks
    on ranked.track_id = dim_tracks.track_id
where ranked.quarter = 1
order by ranked.skip_probability desc, ranked.track_id
limit 20

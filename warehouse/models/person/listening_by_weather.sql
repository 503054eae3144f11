-- How much a person listens on days of such and such weather, and whether the two go together.
--
-- Both are compared within calendar months, as differences to the month's means, because winter is dark and cold
-- whatever somebody hears. All sums are of whole numbers and are divided once, so that the engines find the same.
with

plays as (
    select
        user_id,
        ended_at,
        local_date,
        country,
        played_ms
    from {{ ref('int_person_plays') }}
),

countries as (select * from {{ ref('dim_countries') }}),

own_zones as (select * from {{ ref('int_own_time_zones') }}),

coverage as (
    select
        user_id,
        coverage_date,
        cast(round(covered_hours * 3600000e0) as bigint) as covered_ms
    from {{ ref('listening_coverage') }}
),

weather as (select * from {{ source('silver', 'weather_days') }}),

placed_plays as (
    select
        plays.user_id,
        plays.local_date,
        plays.played_ms,
        {{ time_zone() }} as time_zone
    from plays
    left join countries
        on plays.country = countries.country
    left join own_zones
        on plays.user_id = own_zones.user_id and cast(plays.ended_at as date) = own_zones.zone_date
),

-- A day in two zones is of none.
played_days as (
    select
        user_id,
        local_date,
        case when min(time_zone) = max(time_zone) then min(time_zone) else '' end as time_zone,
        {{ total('played_ms') }} as played_ms
    from placed_plays
    group by user_id, local_date
),

known_days as (
    select
        user_id,
        coverage_date,
        lag(coverage_date) over (
            partition by user_id
            order by coverage_date
        ) as date_before,
        lead(coverage_date) over (
            partition by user_id
            order by coverage_date
        ) as date_after
    from coverage
    where covered_ms >= 86400000
),

-- Coverage is by UTC date: a local day lies in its own and one beside it.
covered_days as (
    select
        user_id,
        coverage_date as local_date
    from known_days
    where
        date_before = {{ add_days('coverage_date', -1) }}
        and date_after = {{ add_days('coverage_date', 1) }}
        and coverage_date < {{ as_of_date() }}
),

all_days as (
    select
        user_id,
        local_date
    from played_days

    union distinct

    select
        user_id,
        local_date
    from covered_days
),

-- One number for a day with plays and the silent days after it.
stretches as (
    select
        all_days.user_id,
        all_days.local_date,
        played_days.time_zone,
        coalesce(played_days.played_ms, 0) as played_ms,
        covered_days.local_date is not null as is_covered,
        count(played_days.local_date) over (
            partition by all_days.user_id
            order by all_days.local_date
            rows between unbounded preceding and current row
        ) as stretch
    from all_days
    left join played_days
        on all_days.user_id = played_days.user_id and all_days.local_date = played_days.local_date
    left join covered_days
        on all_days.user_id = covered_days.user_id and all_days.local_date = covered_days.local_date
),

-- On a silent day somebody is where the last play was.
located_days as (
    select
        user_id,
        local_date,
        played_ms,
        is_covered,
        max(time_zone) over (
            partition by user_id, stretch
        ) as time_zone
    from stretches
),

-- Two devices can play more than a day in a day.
days as (
    select
        located_days.user_id,
        located_days.local_date,
        located_days.played_ms,
        {{ lesser('cast(floor(cast(located_days.played_ms as double) / 1000e0) as bigint)', '90000') }} as played_s,
        {{ first_day('month', 'located_days.local_date') }} as month_start,
        weather.place,
        weather.time_zone,
        weather.temperature_c,
        weather.precipitation_mm,
        weather.sunshine_s
    from located_days
    inner join weather
        on
            located_days.time_zone = weather.time_zone
            and located_days.local_date = weather.weather_date
    where located_days.is_covered
),

measured as (
    {% for measure, column, factor in [
        ['temperature', 'temperature_c', 100], ['precipitation', 'precipitation_mm', 100], ['sunshine', 'sunshine_s', 1],
    ] %}
    select
        user_id,
        place,
        time_zone,
        '{{ measure }}' as measure,
        month_start,
        local_date,
        played_ms,
        played_s,
        cast(round({{ factor }}e0 * {{ column }}) as bigint) as amount
    from days
    where {{ column }} is not null
    {% if not loop.last %}union all{% endif %}

    {% endfor %}
),

months as (
    select
        user_id,
        place,
        time_zone,
        measure,
        month_start,
        count(*) as days,
        {{ total('played_s') }} as played_s,
        {{ total('amount') }} as amount,
        {{ total('played_s * played_s') }} as played_squared,
        {{ total('amount * amount') }} as amount_squared,
        {{ total('played_s * amount') }} as played_amount
    from measured
    group by user_id, place, time_zone, measure, month_start
),

-- The sums of products of the differences to the month's means, in thousandths.
spreads as (
    select
        user_id,
        place,
        time_zone,
        measure,
        {{ total('days') }} as days,
        count(*) as months,
        {% for spread, square, first, second in [
            ['played_spread', 'played_squared', 'played_s', 'played_s'],
            ['amount_spread', 'amount_squared', 'amount', 'amount'],
            ['common_spread', 'played_amount', 'played_s', 'amount'],
        ] %}
        {%- set difference = 'days * ' ~ square ~ ' - ' ~ first ~ ' * ' ~ second %}
        {{ total('cast(round(1000e0 * ' ~ rate(difference, 'days') ~ ') as bigint)') }}
        as {{ spread }}
        {%- if not loop.last %},{% endif %}

        {% endfor %}
    from months
    group by user_id, place, time_zone, measure
),

-- By how much a day is warmer, wetter or sunnier than its month: equal differences are equally far.
compared_days as (
    select
        measured.user_id,
        measured.place,
        measured.time_zone,
        measured.measure,
        measured.played_ms,
        measured.amount,
        count(*) over (
            partition by measured.user_id, measured.place, measured.time_zone, measured.measure
        ) as days,
        rank() over (
            partition by measured.user_id, measured.place, measured.time_zone, measured.measure
            order by {{ rate('months.days * measured.amount - months.amount', 'months.days') }}
        ) as place_in_order
    from measured
    inner join months
        on
            measured.user_id = months.user_id
            and measured.place = months.place
            and measured.time_zone = months.time_zone
            and measured.measure = months.measure
            and measured.month_start = months.month_start
),

parted_days as (
    select
        *,
        case
            when measure = 'precipitation' and amount >= 100 then 'high'
            when measure = 'precipitation' then 'low'
            when 3 * (place_in_order - 1) < days then 'low'
            when 3 * (place_in_order - 1) < 2 * days then 'middle'
            else 'high'
        end as part
    from compared_days
),

parts as (
    select
        user_id,
        place,
        time_zone,
        measure,
        {% for part in ['low', 'middle', 'high'] %}
        count(case when part = '{{ part }}' then 1 end) as {{ part }}_days,
        {{ total("case when part = '" ~ part ~ "' then played_ms end") }} as {{ part }}_ms
        {%- if not loop.last %},{% endif %}

        {% endfor %}
    from parted_days
    group by user_id, place, time_zone, measure
),

-- Of as many numbers as there are days, each month's mean has used up one.
correlated as (
    select
        *,
        case
            when days >= {{ var('weather_days_min') }} and days - months > 2
                then {{ rate(
                    'common_spread',
                    'sqrt(cast(played_spread as double) * cast(amount_spread as double))'
                ) }}
        end as raw_correlation,
        1.959963984540054e0 / sqrt(cast({{ greater('days - months - 2', '1') }} as double)) as width
    from spreads
),

-- The spreads are rounded, so that of a straight line the quotient can be a hair beyond 1.
widths as (
    select
        user_id,
        place,
        time_zone,
        measure,
        days,
        months,
        case
            when raw_correlation > 1e0 then 1e0
            when raw_correlation < -1e0 then -1e0
            else raw_correlation
        end as correlation,
        {{ tanh('width') }} as half_width
    from correlated
),

-- Fisher's interval: the hyperbolic tangent of what is added to the area tangent of the correlation.
bounded as (
    select
        *,
        (correlation - half_width) / (1e0 - correlation * half_width) as correlation_low,
        (correlation + half_width) / (1e0 + correlation * half_width) as correlation_high
    from widths
),

told as (
    select
        *,
        case
            when days < {{ var('weather_days_min') }} or days - months <= 2
                then 'too few days to tell: ' || cast(days as varchar)
            when correlation is null then 'nothing to compare: all days were alike'
            when correlation_low <= 0e0 and correlation_high >= 0e0 then 'no clear link: between '
            else
                'more listening goes with '
                || case
                    when measure = 'temperature' and correlation > 0e0 then 'warmer'
                    when measure = 'temperature' then 'colder'
                    when measure = 'precipitation' and correlation > 0e0 then 'wetter'
                    when measure = 'precipitation' then 'drier'
                    when correlation > 0e0 then 'sunnier'
                    else 'less sunny'
                end
                || ' days than usual in the month: ' || {{ two_decimals('correlation') }} || ', between '
        end as opening
    from bounded
),

final as (
    select
        cast(told.user_id as varchar) as user_id,
        cast(told.place as varchar) as place,
        cast(told.time_zone as varchar) as time_zone,
        cast(told.measure as varchar) as measure,
        cast(told.days as bigint) as days,
        cast(told.months as bigint) as months,
        {% for part in ['low', 'middle', 'high'] %}
        cast(parts.{{ part }}_days as bigint) as {{ part }}_days,
        cast({{ rate('parts.' ~ part ~ '_ms', '60000 * parts.' ~ part ~ '_days') }} as double) as {{ part }}_minutes,
        {% endfor %}
        cast(told.correlation as double) as correlation,
        cast(told.correlation_low as double) as correlation_low,
        cast(told.correlation_high as double) as correlation_high,
        cast(
            told.opening
            || coalesce(
                {{ two_decimals('told.correlation_low') }}
                || ' and ' || {{ two_decimals('told.correlation_high') }}
                || ' over ' || cast(told.days as varchar) || ' days',
                ''
            ) as varchar
        ) as in_words
    from told
    inner join parts
        on
            told.user_id = parts.user_id
            and told.place = parts.place
            and told.time_zone = parts.time_zone
            and told.measure = parts.measure
)

select * from final

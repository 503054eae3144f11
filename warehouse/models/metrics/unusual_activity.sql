-- How far each day of a user lies from the user's own days just before, as a robust z-score: the distance from
-- their median, in units of their median absolute deviation (MAD). Both medians are exact.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

by_day as (
    select
        user_id,
        local_date,
        {{ days_between("date '1970-01-01'", 'local_date') }} as day_number,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms,
        count(case when verdict = 'skipped' then 1 end) as skips,
        count(case when verdict = 'finished' then 1 end) as finishes,
        count(case when verdict = 'neutral' then 1 end) as neutral_plays,
        count(distinct device) as devices,
        count(distinct country) as countries
    from plays
    group by user_id, local_date
),

-- What no play of the day says is not known, rather than 0.
days as (
    select
        user_id,
        local_date,
        day_number,
        cast(plays as double) as plays,
        {{ minutes('played_ms') }} as minutes,
        skips,
        finishes,
        neutral_plays,
        {{ rate('skips', 'skips + finishes') }} as skip_rate,
        cast(nullif(devices, 0) as double) as devices,
        cast(nullif(countries, 0) as double) as countries,
        count(*) over (
            partition by user_id
            order by day_number
            range between {{ var('unusual_window_days') }} preceding and 1 preceding
        ) as days_before
    from by_day
),

measured as (
    {% for measure in ['plays', 'minutes', 'skip_rate', 'devices', 'countries'] %}
    select
        user_id,
        day_number,
        '{{ measure }}' as measure,
        {{ measure }} as value
    from days
    where {{ measure }} is not null
    {% if not loop.last %}union all{% endif %}

    {% endfor %}
),

-- The days with enough days before them, on which these are not all the same, which would be a MAD of 0:
-- comparing the rest would be for nothing.
windows as (
    select
        *,
        count(*) over (
            partition by user_id, measure
            order by day_number
            range between {{ var('unusual_window_days') }} preceding and 1 preceding
        ) as values_before,
        min(value) over (
            partition by user_id, measure
            order by day_number
            range between {{ var('unusual_window_days') }} preceding and 1 preceding
        ) as least_before,
        max(value) over (
            partition by user_id, measure
            order by day_number
            range between {{ var('unusual_window_days') }} preceding and 1 preceding
        ) as most_before
    from measured
),

-- A number for each day and measure that is compared: the sorts below take most of the time, and the narrower
-- their rows the less.
targets as (
    select
        *,
        row_number() over (
            order by user_id, measure, day_number
        ) as target_number
    from windows
    where
        values_before >= {{ var('unusual_days_min') }}
        and least_before < most_before
),

compared as (
    select
        targets.target_number,
        targets.values_before,
        earlier.value as earlier_value,
        row_number() over (
            partition by targets.target_number
            order by earlier.value
        ) as place
    from targets
    inner join measured as earlier
        on
            targets.user_id = earlier.user_id
            and targets.measure = earlier.measure
            and earlier.day_number
            between targets.day_number - {{ var('unusual_window_days') }} and targets.day_number - 1
),

-- The middle value, or the mean of the two in the middle.
medians as (
    select
        target_number,
        avg(earlier_value) as median
    from compared
    where 2 * place between values_before and values_before + 2
    group by target_number
),

deviations as (
    select
        compared.target_number,
        compared.values_before,
        case
            when compared.earlier_value < medians.median then medians.median - compared.earlier_value
            else compared.earlier_value - medians.median
        end as deviation
    from compared
    inner join medians
        on compared.target_number = medians.target_number
),

deviations_ranked as (
    select
        *,
        row_number() over (
            partition by target_number
            order by deviation
        ) as place
    from deviations
),

deviation_medians as (
    select
        target_number,
        avg(deviation) as deviation_median
    from deviations_ranked
    where 2 * place between values_before and values_before + 2
    group by target_number
),

scored as (
    select
        targets.user_id,
        targets.measure,
        targets.day_number,
        medians.median,
        0.6745e0 * (targets.value - medians.median) / nullif(deviation_medians.deviation_median, 0e0) as z
    from targets
    inner join medians
        on targets.target_number = medians.target_number
    inner join deviation_medians
        on targets.target_number = deviation_medians.target_number
),

usual as (
    select
        user_id,
        day_number,
        {% for measure in ['plays', 'minutes', 'skip_rate', 'devices', 'countries'] %}
        max(case when measure = '{{ measure }}' then median end) as {{ measure }}_median,
        max(case when measure = '{{ measure }}' then z end) as {{ measure }}_z
        {%- if not loop.last %},{% endif %}

        {% endfor %}
    from scored
    group by user_id, day_number
),

told as (
    select
        days.*,
        {% for measure in ['plays', 'minutes', 'skip_rate', 'devices', 'countries'] %}
        usual.{{ measure }}_median,
        usual.{{ measure }}_z,
        {% endfor %}
        {% for measure, name, factor, unit in [
            ['plays', 'plays', 1, ''], ['minutes', 'minutes', 1, ''], ['skip_rate', 'skipped', 100, ' %'],
            ['devices', 'devices', 1, ''], ['countries', 'countries', 1, ''],
        ] %}
        case
            when
                usual.{{ measure }}_z >= {{ var('unusual_z') }}
                or usual.{{ measure }}_z <= -{{ var('unusual_z') }}
                then
                    '{{ name }} '
                    || {{ one_decimal('(' ~ factor ~ ' * days.' ~ measure ~ ')') }}
                    || '{{ unit }}, usually '
                    || {{ one_decimal('(' ~ factor ~ ' * usual.' ~ measure ~ '_median)') }}
                    || '{{ unit }}; '
            else ''
        end
        {% if not loop.last %}||{% endif %}
        {% endfor %}
        as words
    from days
    left join usual
        on
            days.user_id = usual.user_id
            and days.day_number = usual.day_number
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(local_date as date) as local_date,
        cast(days_before as integer) as days_before,
        cast(plays as bigint) as plays,
        cast(minutes as double) as minutes,
        cast(skips as bigint) as skips,
        cast(finishes as bigint) as finishes,
        cast(neutral_plays as bigint) as neutral_plays,
        cast(skip_rate as double) as skip_rate,
        cast(devices as bigint) as devices,
        cast(countries as bigint) as countries,
        {% for measure in ['plays', 'minutes', 'skip_rate', 'devices', 'countries'] %}
        cast({{ measure }}_median as double) as {{ measure }}_median,
        cast({{ measure }}_z as double) as {{ measure }}_z,
        {% endfor %}
        cast(words <> '' as boolean) as is_unusual,
        cast(case when words <> '' then substr(words, 1, length(words) - 2) end as varchar) as reason
    from told
)

select * from final

{#- Condition: nobody listens for so long at a stretch; the player's counter went on. -#}
{% macro is_implausible() -%}
(coalesce(played_ms, 0) > {{ var('implausible_play_ms') }})
{%- endmacro %}

{#- Condition: the play counts in reports: it is plausible, and the variable include_incognito lets it in. -#}
{% macro in_reports() -%}
(({{ var('include_incognito') }} or not is_incognito) and not {{ is_implausible() }})
{%- endmacro %}

{#- Sum of a bigint column as bigint (DuckDB sums into 128 bits), 0 of nothing. -#}
{% macro total(column) -%}
cast(coalesce(sum({{ column }}), 0) as bigint)
{%- endmacro %}

{#- Milliseconds, summed as integers, in minutes: divided once, so equal sums give equal doubles. -#}
{% macro minutes(ms) -%}
(cast({{ ms }} as double) / 60000e0)
{%- endmacro %}

{#- Milliseconds, summed as integers, in hours. -#}
{% macro hours(ms) -%}
(cast({{ ms }} as double) / 3600000e0)
{%- endmacro %}

{#- The lesser and the greater of two values that are not null (least and greatest treat null in two ways). -#}
{% macro lesser(a, b) -%}
(case when {{ a }} < {{ b }} then {{ a }} else {{ b }} end)
{%- endmacro %}

{% macro greater(a, b) -%}
(case when {{ a }} > {{ b }} then {{ a }} else {{ b }} end)
{%- endmacro %}

{#- part / whole as a double; null of nothing (1/0 is infinity on DuckDB, an error on Trino). -#}
{% macro rate(part, whole) -%}
(cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0e0))
{%- endmacro %}

{#- So many per thousand of a whole number, rounded down (/ keeps a fraction on DuckDB only). -#}
{% macro per_1000(whole, per) -%}
cast(({{ per }} * {{ whole }} - mod({{ per }} * {{ whole }}, 1000)) / 1000 as bigint)
{%- endmacro %}

{#-
Wilson's 95 % interval of a share: within it lies the true rate of which `part` of `whole` is a
sample. The ends 0 and 1 are set, since rounding would miss them by a hair. Null of nothing.
-#}
{% macro wilson_low(part, whole) -%}
case
    when {{ whole }} = 0 then null
    when {{ part }} = 0 then 0e0
    else {{ wilson_bound(part, whole, '-') }}
end
{%- endmacro %}

{% macro wilson_high(part, whole) -%}
case
    when {{ whole }} = 0 then null
    when {{ part }} = {{ whole }} then 1e0
    else {{ wilson_bound(part, whole, '+') }}
end
{%- endmacro %}

{#- z = 1.959963984540054, the normal distribution's 97.5 % point. -#}
{% macro wilson_bound(part, whole, sign) -%}
{%- set z = '1.959963984540054e0' -%}
{%- set n = 'cast(' ~ whole ~ ' as double)' -%}
{%- set p = '(cast(' ~ part ~ ' as double) / nullif(' ~ n ~ ', 0e0))' -%}
(
        {{ p }} + {{ z }} * {{ z }} / (2e0 * {{ n }})
        {{ sign }} {{ z }} * sqrt({{ p }} * (1e0 - {{ p }}) / {{ n }} + {{ z }} * {{ z }} / (4e0 * {{ n }} * {{ n }}))
    ) / (1e0 + {{ z }} * {{ z }} / {{ n }})
{%- endmacro %}

{#- A number from 0 on, as text with at most one decimal: the engines write doubles in different ways. -#}
{% macro one_decimal(number) -%}
replace(
                        cast(cast(floor(round(10e0 * {{ number }}) / 10e0) as bigint) as varchar)
                        || '.' || cast(mod(cast(round(10e0 * {{ number }}) as bigint), 10) as varchar),
                        '.0',
                        ''
                    )
{%- endmacro %}

{#- A number with two decimals, as text: -0.07; a difference that rounds to nothing is 0.00. -#}
{% macro two_decimals(number) -%}
{%- set hundredths = 'cast(round(100e0 * ' ~ number ~ ') as bigint)' -%}
{%- set size = '(case when ' ~ hundredths ~ ' < 0 then -' ~ hundredths ~ ' else ' ~ hundredths ~ ' end)' -%}
(
        case when {{ hundredths }} < 0 then '-' else '' end
        || cast(cast(({{ size }} - mod({{ size }}, 100)) / 100 as bigint) as varchar)
        || '.' || substr(cast(100 + mod({{ size }}, 100) as varchar), 2)
    )
{%- endmacro %}

{#-
Hyperbolic tangent of a number from 0 to 2, by its continued fraction (to 1e-15): the engines' own functions differ in
the last digit, and these four operations do not.
-#}
{% macro tanh(number) -%}
{%- set square = number ~ ' * ' ~ number -%}
{%- set fraction = namespace(text='23e0') -%}
{%- for odd in [21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1] -%}
{%- set fraction.text = '(' ~ odd ~ 'e0 + ' ~ square ~ ' / ' ~ fraction.text ~ ')' -%}
{%- endfor -%}
{{ number }} / {{ fraction.text }}
{%- endmacro %}

{#-
The CTEs periods, bounds, by_date, counted and ranked over `plays`: the plays, played_ms and listeners of each `key`
in each period, with its `place` (by plays, then time, then key) among those of the period (is_current 1) and of the
equally long one before (0). Each period ends before as_of. `all` is everything before it, and has none before.
-#}
{% macro ranked_by_period(key) -%}
periods as (
    select
        listed.period,
        listed.days
    from (values ('7 days', 7), ('28 days', 28), ('year', 365), ('all', null)) as listed (period, days)
),

bounds as (
    select
        period,
        {{ add_days(as_of_date(), '-days') }} as period_start,
        {{ add_days(as_of_date(), '-2 * days') }} as previous_start
    from periods
),

by_date as (
    select
        {{ key }},
        user_id,
        played_date,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from plays
    group by {{ key }}, user_id, played_date
),

counted as (
    select
        bounds.period,
        bounds.period_start,
        case
            when
                bounds.period_start is null
                or by_date.played_date >= bounds.period_start then 1
            else 0
        end as is_current,
        by_date.{{ key }},
        {{ total('by_date.plays') }} as plays,
        {{ total('by_date.played_ms') }} as played_ms,
        count(distinct by_date.user_id) as listeners
    from bounds
    inner join by_date
        on
            bounds.previous_start is null
            or by_date.played_date >= bounds.previous_start
    group by 1, 2, 3, 4
),

ranked as (
    select
        *,
        row_number() over (
            partition by period, is_current
            order by plays desc, played_ms desc, {{ key }}
        ) as place
    from counted
)
{%- endmacro %}

{#- Verdict of a play that an export tells of, from what it says of its end. -#}
{% macro own_verdict() -%}
case
    when is_skipped then 'skipped'
    when reason_end in ('fwdbtn', 'backbtn') then 'skipped'
    when {{ var('is_endplay_skipped') }} and reason_end = 'endplay' then 'skipped'
    when reason_end = 'trackdone' then 'finished'
    else 'neutral'
end
{%- endmacro %}

{#-
Verdict of an event `play`, from the next play or skip of the track in its session (next_action, next_at): an
event without a session is skipped only within the gap that ends one.
-#}
{% macro event_verdict() -%}
case
    when is_skipped then 'skipped'
    when
        next_action = 'skip'
        and (
            session_id is not null
            or {{ epoch_ms('next_at') }} - {{ epoch_ms('ended_at') }}
            < {{ var('session_gap_minutes') }} * 60000
        ) then 'skipped'
    else 'finished'
end
{%- endmacro %}

{#- The values of reason_end that exports were seen to have. -#}
{% macro known_reasons() -%}
'trackdone', 'fwdbtn', 'backbtn', 'endplay', 'logout', 'remote', 'trackerror', 'unexpected-exit',
        'unexpected-exit-while-paused', 'unknown', 'clickrow', 'clickside', 'playbtn', 'popup', 'appload', 'uriopen',
        'switched-to-audio', 'switched-to-video'
{%- endmacro %}

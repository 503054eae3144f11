{#-
Times are `timestamp(3)`: milliseconds on both engines (DuckDB's TIMESTAMP_MS). On such values
date_diff('millisecond', a, b) is the same on both; larger units are not, because DuckDB counts
boundaries and Trino whole units, so differences are taken in milliseconds only.
-#}

{#- Milliseconds since 1970-01-01 (UTC), bigint. -#}
{% macro epoch_ms(ts) -%}
{{ difference_in('millisecond', "timestamp '1970-01-01 00:00:00'", ts) }}
{%- endmacro %}

{#- From one date or timestamp to the next, in units: only milliseconds of timestamps and days of dates, see above. -#}
{% macro difference_in(unit, start, end) -%}
{% if target.type == 'snowflake' -%}
datediff('{{ unit }}', {{ start }}, {{ end }})
{%- else -%}
date_diff('{{ unit }}', {{ start }}, {{ end }})
{%- endif %}
{%- endmacro %}

{#- Whole days from one date to another. -#}
{% macro days_between(start, end) -%}
{{ difference_in('day', start, end) }}
{%- endmacro %}

{#-
A timestamp, some milliseconds (bigint, may be negative) later. Trino's date_add refuses counts
beyond 32 bits, hence whole days first.
-#}
{% macro add_ms(ts, ms) -%}
{% if target.type == 'athena' -%}
date_add('millisecond', mod({{ ms }}, 86400000), date_add('day', ({{ ms }}) / 86400000, {{ ts }}))
{%- elif target.type == 'snowflake' -%}
dateadd('millisecond', {{ ms }}, {{ ts }})
{%- else -%}
({{ ts }} + to_milliseconds({{ ms }}))
{%- endif %}
{%- endmacro %}

{#-
What a clock in the zone shows at a UTC timestamp. `at time zone` on a timestamp without zone
reads it as the zone's time on DuckDB and as the session's on Trino, and Trino takes only
literal zones there.
-#}
{% macro local_time(ts, zone) -%}
{% if target.type == 'athena' -%}
cast(at_timezone(with_timezone({{ ts }}, 'UTC'), {{ zone }}) as timestamp(3))
{%- elif target.type == 'snowflake' -%}
cast(convert_timezone('UTC', {{ zone }}, {{ ts }}) as timestamp(3))
{%- else -%}
(({{ ts }} at time zone 'UTC') at time zone {{ zone }})
{%- endif %}
{%- endmacro %}

{#-
Time zone of a play or event: what the person's own table says for its date (int_own_time_zones, joined as own_zones),
else that of its country (dim_countries, joined as countries).
-#}
{% macro time_zone() -%}
coalesce(own_zones.time_zone, countries.time_zone, 'UTC')
{%- endmacro %}

{#-
What a clock shows at a UTC timestamp, by CTEs that are joined by its date: own_zones (int_own_time_zones), else
offsets, which has the same columns for the zone of the country. Local times cost more than all else, so they are
asked for by day: where a clock is as far from UTC at the end of a day as at its start, it was so all day, because no
zone has changed twice in a day. On the few days with a change each timestamp is asked for.
-#}
{% macro local_time_by_day(ts) -%}
case
            when coalesce(own_zones.start_ms, offsets.start_ms) = coalesce(own_zones.end_ms, offsets.end_ms)
                then {{ add_ms(ts, 'coalesce(own_zones.start_ms, offsets.start_ms)') }}
            else {{ local_time(ts, 'coalesce(own_zones.time_zone, offsets.time_zone)') }}
        end
{%- endmacro %}

{#- The first date that is no longer in the run's interval. -#}
{% macro as_of_date() -%}
cast(substr('{{ var("as_of") }}', 1, 10) as date)
{%- endmacro %}

{#- A date some days later; date plus interval is a timestamp on DuckDB, hence the cast. -#}
{% macro add_days(day, days) -%}
{% if target.type == 'snowflake' -%}
cast(dateadd('day', {{ days }}, {{ day }}) as date)
{%- else -%}
cast({{ day }} + {{ days }} * interval '1' day as date)
{%- endif %}
{%- endmacro %}

{#- The date (UTC) of milliseconds since 1970; whole days first, because / keeps a fraction on DuckDB only. -#}
{% macro date_of_ms(ms) -%}
{{ add_days("date '1970-01-01'", 'cast((' ~ ms ~ ' - mod(' ~ ms ~ ', 86400000)) / 86400000 as integer)') }}
{%- endmacro %}

{#- First day of the unit ('week' begins on Monday) that holds the date. -#}
{% macro first_day(unit, day) -%}
cast(date_trunc('{{ unit }}', {{ day }}) as date)
{%- endmacro %}

{#- 1 on Monday to 7 on Sunday; extract(dow) says 0 on DuckDB and 7 on Trino. -#}
{% macro weekday(day) -%}
(mod({{ days_between("date '1900-01-01'", day) }}, 7) + 1)
{%- endmacro %}

{#- The whole numbers 0 to 99,999 (as days, 273 years): the engines have no common way to make a series. -#}
{% macro day_numbers() -%}
with

    digits as (
        select listed.digit
        from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as listed (digit)
    )

    select
        ones.digit
        + 10 * tens.digit
        + 100 * hundreds.digit
        + 1000 * thousands.digit
        + 10000 * ten_thousands.digit as day_number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as ten_thousands
{%- endmacro %}

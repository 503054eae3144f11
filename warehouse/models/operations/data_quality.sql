-- What can be told of the data as a whole: whether rows and lengths add up from layer to layer, how new each source
-- is, whether its last week is like those before, and what has changed in its form. Each check has a row for each
-- thing that it looks at, whether all is well or not.
with

sums as (select * from {{ ref('int_quality_sums') }}),

rhythm as (select * from {{ ref('int_quality_rhythm') }}),

facts as (select * from {{ ref('fct_plays') }}),

files as (select * from {{ source('silver', 'loaded_files') }}),

quarantine as (select * from {{ source('silver', 'quarantine') }}),

table_stats as (select * from {{ source('silver', 'table_stats') }}),

layers as (
    select
        *,
        case check_name when 'rows_of_files' then 'the files' when 'rows_of_marts' then 'fct_plays'
            when 'length_of_marts' then 'fct_plays' else 'silver' end as earlier,
        case check_name when 'rows_of_files' then 'silver' when 'rows_of_marts' then subject
            when 'length_of_marts' then subject else 'fct_plays' end as later
    from sums
),

reconciled as (
    select
        check_name,
        subject,
        unit,
        observed,
        expected,
        coalesce(observed <> expected, false) as is_warning,
        case
            when expected is null then 'nothing is known of ' || earlier
            when observed < expected
                then
                    unit || ' of ' || earlier || ' that ' || later || ' lacks: '
                    || cast(expected - observed as varchar)
            when observed > expected
                then
                    unit || ' that ' || later || ' has beyond those of ' || earlier || ': '
                    || cast(observed - expected as varchar)
            else later || ' has all of ' || earlier
        end as message,
        case
            when check_name = 'rows_of_files'
                then 'run `listenlake transform --rebuild`, which makes silver anew from bronze'
            else 'run `listenlake enrich --rebuild`, which makes gold anew from silver'
        end || '; if this stays, report it' as remedy
    from layers
),

kept as (
    select
        'rows_kept' as check_name,
        layer || '.' || table_name as subject,
        'rows' as unit,
        rows as observed,
        {{ greater('rows', 'rows_before') }} as expected,
        100 * rows < 99 * rows_before as is_warning,
        case
            when rows < rows_before
                then 'rows fewer than before the last run that changed it: ' || cast(rows_before - rows as varchar)
            else 'no fewer than before'
        end as message,
        'after `listenlake forget` or `retention` this is as asked for; otherwise run `listenlake doctor --verify`'
            as remedy
    from table_stats
    where layer = 'bronze' or table_name in ('plays', 'listening_events')
),

fresh as (
    select
        'freshness' as check_name,
        table_name || ' of ' || part as subject,
        'days' as unit,
        silent_days as observed,
        silent_days_max as expected,
        silent_days > silent_days_max and silent_days <= {{ var('quality_ended_days') }} as is_warning,
        case
            when silent_days > {{ var('quality_ended_days') }} then 'ended on ' || cast(newest_date as varchar)
            else
                'days without a row: ' || cast(silent_days as varchar) || '; the newest is of '
                || cast(newest_date as varchar)
        end as message,
        case table_name
            when 'plays'
                then 'ask Spotify for a new export and load it, or let `listenlake extract api` run every half hour'
            when 'capture_polls'
                then 'see whether `listenlake extract api` still runs; what it misses is lost until an export has it'
            else 'see whether whatever writes these files still does, and whether they reach the landing folder'
        end as remedy
    from rhythm
),

volume as (
    select
        'volume' as check_name,
        table_name || ' of ' || part as subject,
        'rows' as unit,
        week_rows as observed,
        case when weeks_before >= {{ var('quality_weeks_min') }} then week_rows_median end as expected,
        coalesce(
            weeks_before >= {{ var('quality_weeks_min') }}
            and {{ greater('week_rows', 'week_rows_most') }} >= {{ var('quality_week_rows_min') }}
            and (2 * week_rows < week_rows_least or week_rows > 2 * week_rows_most),
            false
        ) as is_warning,
        'rows in the 7 days to ' || cast(newest_date as varchar) || ': ' || cast(week_rows as varchar)
        || case
            when weeks_before >= {{ var('quality_weeks_min') }}
                then
                    '; ' || cast(week_rows_least as varchar) || ' to ' || cast(week_rows_most as varchar)
                    || ' in each of the ' || cast(weeks_before as varchar) || ' weeks before'
            else '; too few weeks before to compare with'
        end as message,
        case
            when 2 * week_rows < week_rows_least
                then 'look for files that have not come, and for gaps in `listening_coverage`'
            else 'look for files that were loaded in two forms, and for a source that counts otherwise than before'
        end as remedy
    from rhythm
    where table_name <> 'capture_polls'
),

refused_by_source as (
    select
        source_key,
        count(*) as row_count,
        max(code) as code
    from quarantine
    where row_number > 0
    group by source_key
),

kinds as (
    select
        files.kind,
        {{ total('files.rows_read') }} as rows_read,
        {{ total('refused_by_source.row_count') }} as rows_refused,
        max(refused_by_source.code) as code
    from files
    left join refused_by_source
        on files.source_key = refused_by_source.source_key
    where not files.is_refused
    group by files.kind
),

refused_rows as (
    select
        'refused_rows' as check_name,
        kind as subject,
        'rows' as unit,
        rows_refused as observed,
        {{ per_1000('rows_read', var('quality_odd_per_1000')) }} as expected,
        1000 * rows_refused > {{ var('quality_odd_per_1000') }} * rows_read as is_warning,
        case
            when rows_refused > 0
                then
                    'rows refused: ' || cast(rows_refused as varchar) || ' of ' || cast(rows_read as varchar)
                    || ', some as ' || code
            else 'no row was refused'
        end as message,
        'look at them: select code, reason, count(*) from silver.quarantine where row_number > 0 group by 1, 2'
            as remedy
    from kinds
),

refused_files as (
    select
        'refused_files' as check_name,
        'files' as subject,
        'files' as unit,
        count(case when is_refused then 1 end) as observed,
        0 as expected,
        count(case when is_refused then 1 end) > 0 as is_warning,
        case
            when count(case when is_refused then 1 end) > 0
                then
                    'files refused: ' || cast(count(case when is_refused then 1 end) as varchar)
                    || '; nothing of them is in any table'
            else 'no file was refused'
        end as message,
        'look why: select file_name, reason from silver.quarantine where row_number = 0; then load them mended'
            as remedy
    from files
),

fact_counts as (
    select
        count(*) as plays,
        count(case when is_implausible then 1 end) as implausible_plays
    from facts
),

implausible as (
    select
        'implausible_plays' as check_name,
        'fct_plays' as subject,
        'rows' as unit,
        implausible_plays as observed,
        {{ per_1000('plays', var('quality_odd_per_1000')) }} as expected,
        1000 * implausible_plays > {{ var('quality_odd_per_1000') }} * plays as is_warning,
        'plays that last longer than a day, in no minute, session or rank: ' || cast(implausible_plays as varchar)
            as message,
        'look at them: select source, started_at, played_ms from fct_plays where is_implausible' as remedy
    from fact_counts
),

file_ages as (
    select
        *,
        {{ days_between('loaded_on', 'max(loaded_on) over (partition by kind)') }} as age_days
    from files
    where not is_refused
),

key_counts as (
    select
        kind,
        count(new_keys) as files_with_new,
        max(new_keys) as new_keys,
        count(missing_keys) as files_with_missing,
        max(missing_keys) as missing_keys
    from file_ages
    where
        has_keys
        and coalesce(age_days, 0) < {{ var('quality_drift_days') }}
    group by kind
),

keys as (
    select
        'new_keys' as check_name,
        kind as subject,
        'files' as unit,
        files_with_new as observed,
        0 as expected,
        files_with_new > 0 as is_warning,
        coalesce('rows have keys that no load before had: ' || new_keys, 'no new key') as message,
        'nothing is lost: short values are kept in bronze (extra); look whether a newer listenlake reads them' as remedy
    from key_counts

    union all

    select
        'missing_keys' as check_name,
        kind as subject,
        'files' as unit,
        files_with_missing as observed,
        0 as expected,
        files_with_missing > 0 as is_warning,
        coalesce('no row has keys that all rows had in the loads before: ' || missing_keys, 'no key is gone')
            as message,
        'its column is null from now on: see whether the source was changed on purpose, else export it again' as remedy
    from key_counts
),

ends as (
    select
        reason_end,
        min(cast(ended_at as date)) as first_date,
        count(*) as row_count
    from {{ source('silver', 'plays') }}
    where source = 'export_extended'
    group by reason_end
),

dated_ends as (
    select
        *,
        {{ days_between('first_date', as_of_date()) }} as age_days
    from ends
),

new_ends as (
    select
        count(*) as reasons,
        coalesce(max(reason_end), '') as reason_end,
        {{ total('row_count') }} as row_count
    from dated_ends
    where
        age_days <= {{ var('quality_new_reason_days') }}
        and reason_end not in ({{ known_reasons() }})
),

reasons as (
    select
        'new_reason_end' as check_name,
        'plays' as subject,
        'rows' as unit,
        row_count as observed,
        0 as expected,
        row_count > 0 as is_warning,
        case
            when row_count > 0
                then 'reasons that are not known here: ' || cast(reasons as varchar) || ', such as ' || reason_end
            else 'no new reason'
        end as message,
        'these plays are neutral in every skip rate; look whether a newer listenlake knows the reason' as remedy
    from new_ends
),

findings as (
{%- for part in [
    'reconciled', 'kept', 'fresh', 'volume', 'refused_files', 'refused_rows', 'implausible', 'keys', 'reasons',
] %}
    select
        check_name,
        subject,
        unit,
        observed,
        expected,
        is_warning,
        message,
        remedy
    from {{ part }}
{%- if not loop.last %}

    union all
{% endif %}
{%- endfor %}
),

final as (
    select
        cast(check_name as varchar) as check_name,
        cast(subject as varchar) as subject,
        cast(case when is_warning then 'warning' else 'ok' end as varchar) as status,
        cast(observed as bigint) as observed,
        cast(expected as bigint) as expected,
        cast(unit as varchar) as unit,
        cast(message as varchar) as message,
        cast(case when is_warning then remedy end as varchar) as remedy
    from findings
)

select * from final

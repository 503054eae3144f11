-- Sums of two layers that must be equal: where they are not, rows were lost or counted twice on the way.
with

files as (select * from {{ source('silver', 'loaded_files') }}),

quarantine as (select * from {{ source('silver', 'quarantine') }}),

facts as (
    select
        user_id,
        played_ms,
        is_implausible,
        case when source = 'events' then 'listening_events' else 'plays' end as subject,
        {{ in_reports() }} as is_in_reports
    from {{ ref('fct_plays') }}
),

users as (select * from {{ ref('dim_users') }}),

subjects as (
    select listed.subject
    from (values ('plays'), ('listening_events')) as listed (subject)
),

-- Files whose rows are plays or events. Of other files one row may make several rows of silver, or none.
subject_files as (
    select
        source_key,
        rows_read,
        case
            when table_name = 'listening_events' then 'listening_events'
            when
                table_name in ('export_extended', 'export_account', 'listenbrainz_listens', 'lastfm_scrobbles')
                or kind = 'recently_played' then 'plays'
        end as subject
    from files
    where not is_refused
),

refused_rows as (
    select
        source_key,
        count(*) as row_count
    from quarantine
    where row_number > 0
    group by source_key
),

read_rows as (
    select
        subjects.subject,
        count(subject_files.source_key) as files,
        {{ total('subject_files.rows_read') }} as rows_read,
        {{ total('refused_rows.row_count') }} as rows_refused
    from subjects
    left join subject_files
        on subjects.subject = subject_files.subject
    left join refused_rows
        on subject_files.source_key = refused_rows.source_key
    group by subjects.subject
),

silver_rows as (
    select
        'plays' as subject,
        count(*) as plays,
        {{ total('copies') }} as copies,
        {{ total('played_ms') }} as played_ms
    from {{ source('silver', 'plays') }}

    union all

    select
        'listening_events' as subject,
        count(case when action = 'play' then 1 end) as plays,
        {{ total('copies') }} as copies,
        {{ total("case when action = 'play' then played_ms end") }} as played_ms
    from {{ source('silver', 'listening_events') }}
),

fact_parts as (
    select
        facts.subject,
        facts.is_in_reports,
        users.has_own_plays and not facts.is_implausible as is_in_cube,
        count(*) as plays,
        {{ total('facts.played_ms') }} as played_ms
    from facts
    left join users
        on facts.user_id = users.user_id
    group by 1, 2, 3
),

fact_rows as (
    select
        subjects.subject,
        {{ total('fact_parts.plays') }} as plays,
        {{ total('fact_parts.played_ms') }} as played_ms
    from subjects
    left join fact_parts
        on subjects.subject = fact_parts.subject
    group by subjects.subject
),

-- What each mart has to hold: all but private and implausible plays, or all own plays that are not implausible.
mart_parts as (
    select
        {{ total('case when is_in_reports then plays end') }} as plays_in_reports,
        {{ total('case when is_in_reports then played_ms end') }} as played_ms_in_reports,
        {{ total('case when is_in_cube then plays end') }} as plays_in_cube,
        {{ total('case when is_in_cube then played_ms end') }} as played_ms_in_cube
    from fact_parts
),

mart_rows as (
{%- for mart, part in [
    ['daily_aggregates', 'reports'], ['fct_user_activity', 'reports'], ['fct_sessions', 'reports'], ['listening_cube', 'cube'],
] %}
    select
        '{{ mart }}' as mart,
        '{{ part }}' as part,
        {{ total('plays') }} as plays,
        {{ total('cast(round(60000e0 * minutes) as bigint)' if mart != 'fct_sessions' else 'played_ms') }} as played_ms
    from {{ ref(mart) }}
{%- if not loop.last %}

    union all
{% endif %}
{%- endfor %}
),

sums as (
    select
        'rows_of_files' as check_name,
        read_rows.subject,
        'rows' as unit,
        silver_rows.copies + read_rows.rows_refused as observed,
        case when read_rows.files > 0 then read_rows.rows_read end as expected
    from read_rows
    inner join silver_rows
        on read_rows.subject = silver_rows.subject

    union all

    select
        'rows_of_facts' as check_name,
        silver_rows.subject,
        'rows' as unit,
        fact_rows.plays as observed,
        silver_rows.plays as expected
    from silver_rows
    inner join fact_rows
        on silver_rows.subject = fact_rows.subject

    union all

    select
        'length_of_facts' as check_name,
        silver_rows.subject,
        'ms' as unit,
        fact_rows.played_ms as observed,
        silver_rows.played_ms as expected
    from silver_rows
    inner join fact_rows
        on silver_rows.subject = fact_rows.subject

    union all

    select
        'rows_of_marts' as check_name,
        mart_rows.mart as subject,
        'rows' as unit,
        mart_rows.plays as observed,
        case mart_rows.part when 'cube' then mart_parts.plays_in_cube else mart_parts.plays_in_reports end as expected
    from mart_rows
    cross join mart_parts

    union all

    select
        'length_of_marts' as check_name,
        mart_rows.mart as subject,
        'ms' as unit,
        mart_rows.played_ms as observed,
        case mart_rows.part when 'cube' then mart_parts.played_ms_in_cube else mart_parts.played_ms_in_reports end
            as expected
    from mart_rows
    cross join mart_parts
),

final as (
    select
        cast(check_name as varchar) as check_name,
        cast(subject as varchar) as subject,
        cast(unit as varchar) as unit,
        cast(observed as bigint) as observed,
        cast(expected as bigint) as expected
    from sums
)

select * from final

-- Which episode (of a podcast) or chapter (of an audiobook) a source means, and whose it is. A source without URIs
-- means the episode that alone has these names, and otherwise one that is known by name only.
with

plays as (
    select
        *,
        {{ episode_source_id() }} as source_episode_id
    from {{ source('silver', 'plays') }}
    where content_type in ('episode', 'chapter') and track_id is null
),

spellings as (
    select
        source_episode_id,
        content_type,
        audiobook_uri,
        track_name,
        album_name,
        max(cast(ended_at as timestamp(3))) as newest_at
    from plays
    group by source_episode_id, content_type, audiobook_uri, track_name, album_name
),

ranked as (
    select
        *,
        row_number() over (
            partition by source_episode_id
            order by
                case when audiobook_uri is null then 1 else 0 end,
                case when album_name is null then 1 else 0 end,
                case when track_name is null then 1 else 0 end,
                newest_at desc,
                album_name,
                track_name,
                audiobook_uri,
                content_type
        ) as choice
    from spellings
),

keyed as (
    select
        source_episode_id,
        content_type,
        audiobook_uri,
        track_name,
        album_name,
        newest_at,
        {{ begins_with('source_episode_id', 'episode:') }} as is_name_only,
        {{ normalise('album_name') }} as show_key,
        {{ normalise('track_name') }} as title_key
    from ranked
    where choice = 1
),

only_audiobook_of_name as (
    select
        show_key,
        min(audiobook_uri) as audiobook_uri
    from keyed
    where audiobook_uri is not null and show_key is not null
    group by show_key
    having min(audiobook_uri) = max(audiobook_uri)
),

with_show as (
    select
        keyed.*,
        coalesce(
            keyed.audiobook_uri,
            case when keyed.content_type = 'chapter' then only_audiobook_of_name.audiobook_uri end,
            'name:' || keyed.show_key
        ) as show_id
    from keyed
    left join only_audiobook_of_name
        on keyed.show_key = only_audiobook_of_name.show_key
),

only_episode_of_names as (
    select
        show_id,
        title_key,
        min(source_episode_id) as episode_id
    from with_show
    where not is_name_only and show_id is not null and title_key is not null
    group by show_id, title_key
    having count(*) = 1
),

final as (
    select
        cast(with_show.source_episode_id as varchar) as source_episode_id,
        cast(
            case
                when not with_show.is_name_only then with_show.source_episode_id
                when with_show.title_key is not null
                    then coalesce(
                        only_episode_of_names.episode_id,
                        'name:' || substr(with_show.source_episode_id, 9)
                    )
            end as varchar
        ) as episode_id,
        cast(with_show.show_id as varchar) as show_id,
        cast(with_show.content_type as varchar) as content_type,
        cast(with_show.track_name as varchar) as episode_name,
        cast(with_show.album_name as varchar) as show_name,
        cast(with_show.is_name_only as boolean) as is_name_only,
        cast(with_show.newest_at as timestamp(3)) as newest_at
    from with_show
    left join only_episode_of_names
        on
            with_show.show_id = only_episode_of_names.show_id
            and with_show.title_key = only_episode_of_names.title_key
)

select * from final

{#-
The form in which names are compared, as silver makes its name: ids: composed Unicode (NFC), lower
case, white space collapsed and cut off at both ends; null when nothing is left. Two differences
between the engines are kept out: DuckDB's regexp_replace replaces the first match unless told
otherwise, and its trim cuts spaces only.
-#}
{% macro normalise(text) -%}
nullif({{ replace_all(replace_all('lower(' ~ compose(text) ~ ')', '[ \\t\\r\\n\\f]+', ' '), '^ | $', '') }}, '')
{%- endmacro %}

{#- Unicode's composed form, so that an accent as a character of its own makes no other name. Trino takes
the form's name in capitals only. Snowflake has no such function: there 20_stage.sql makes one of DuckDB's name. -#}
{% macro compose(text) -%}
{% if target.type == 'athena' -%}
normalize({{ text }}, NFC)
{%- else -%}
nfc_normalize({{ text }})
{%- endif %}
{%- endmacro %}

{#- The one difference: DuckDB needs the option 'g' to replace every match. -#}
{% macro replace_all(text, pattern, replacement) -%}
{% if target.type in ['athena', 'snowflake'] -%}
regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}')
{%- else -%}
regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endif %}
{%- endmacro %}

{#- Condition: the text begins so. Snowflake writes the function as one word. -#}
{% macro begins_with(text, beginning) -%}
{% if target.type == 'snowflake' -%}
startswith({{ text }}, '{{ beginning }}')
{%- else -%}
starts_with({{ text }}, '{{ beginning }}')
{%- endif %}
{%- endmacro %}

{#- Key of a title of an artist, from normalised names: null without a title. -#}
{% macro name_key(artist_key, title_key) -%}
coalesce({{ artist_key }}, '') || '|' || {{ title_key }}
{%- endmacro %}

{#-
Id of an episode or chapter as a source names it: its URI, else episode:<show>|<title>. The show is the audiobook's
URI, else the normalised name; a URI that is the audiobook's own names no chapter. The prefix keeps the id apart from
that of a track by such an artist with such a title.
-#}
{% macro episode_source_id() -%}
coalesce(
                case when content_uri <> coalesce(audiobook_uri, '') then content_uri end,
                'episode:' || coalesce(audiobook_uri, {{ normalise('album_name') }}, '')
                || '|' || coalesce({{ normalise('track_name') }}, '')
            )
{%- endmacro %}

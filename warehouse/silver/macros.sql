-- Readings of single values, shared by every select of this folder. All give null for what they cannot read; none depends on the
-- time zone of the session.

-- Seconds, milliseconds or microseconds since 1970, told apart by magnitude.
create or replace macro instant_of_epoch(number) as
    case
        when number < 100000000000 then make_timestamp(number * 1000000)
        when number < 100000000000000 then make_timestamp(number * 1000)
        when number < 100000000000000000 then make_timestamp(number // 1000 * 1000)
    end;

-- A moment in UTC from what sources write: `2024-05-01T10:00:00Z`, with or without seconds, fraction, zone or `T`, or an epoch number.
-- Without a zone it is UTC. `try_cast` throughout: the engine may evaluate a branch for rows that do not take it. A plain cast would
-- drop an offset, and a cast with zone would read a zoneless text in the session's zone.
create or replace macro parse_instant(text) as
    case
        when strlen(text) = 20 and ends_with(text, 'Z') then try_cast(text as timestamp)
        when regexp_full_match(text, '\d{9,17}') then instant_of_epoch(try_cast(text as bigint))
        when regexp_full_match(text, '\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?Z?')
            then date_trunc('millisecond', try_cast(rtrim(text, 'Z') as timestamp))
        when regexp_full_match(text, '\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?[+-]\d{2}(:?\d{2})?')
            then date_trunc('millisecond', make_timestamp(epoch_us(try_cast(text as timestamptz))))
    end;

-- Moments outside are mistakes of the source, and would make partitions of years that nobody lives in.
create or replace macro is_possible(moment) as
    moment >= timestamp '2006-01-01' and moment < timestamp '2041-01-01';

-- A whole number, also when written as 3.0 or 3e2; null for fractions, texts, NaN.
create or replace macro parse_whole(text) as
    case
        when try_cast(text as double) between -9007199254740992 and 9007199254740992
            and floor(try_cast(text as double)) = try_cast(text as double)
            and strpos(text, '_') = 0
            then cast(try_cast(text as double) as bigint)
    end;

-- A length in milliseconds: whole, 0 or more, at most 10^10 (115 days; more is a broken counter).
create or replace macro parse_length(text) as
    case when parse_whole(text) between 0 and 10000000000 then parse_whole(text) end;

create or replace macro parse_flag(text) as
    case lower(text) when 'true' then true when 'false' then false end;

-- The form in which names are compared across sources.
create or replace macro normalised(name) as
    trim(regexp_replace(lower(nfc_normalize(name)), '\s+', ' ', 'g'));

-- `ZZ` is Spotify's "unknown".
create or replace macro country_of(code) as
    case when regexp_full_match(code, '[A-Z]{2}') and code <> 'ZZ' then code end;

-- Free text before about October 2023 ("iOS 11.2 (iPhone8,1)"), one word since.
create or replace macro device_of(platform) as
    case
        when platform is null or platform = '' then null
        when platform = 'ios' then 'ios'
        when platform = 'android' then 'android'
        when platform = 'windows' then 'windows'
        when regexp_matches(platform, '(?i)car|automotive|tesla') then 'car'
        when regexp_matches(platform, '(?i)playstation|xbox|nintendo|ps[345]') then 'console'
        when regexp_matches(platform, '(?i)tv|roku|chromecast|fire_?stick|viera|bravia') then 'tv'
        when regexp_matches(platform, '(?i)sonos|speaker|cast|echo|alexa|amazon|homepod|bose|denon|yamaha|avr') then 'speaker'
        when regexp_matches(platform, '(?i)web') then 'web'
        when regexp_matches(platform, '(?i)ios|iphone|ipad|watch') then 'ios'
        when regexp_matches(platform, '(?i)android') then 'android'
        when regexp_matches(platform, '(?i)windows') then 'windows'
        when regexp_matches(platform, '(?i)os ?x|macos|mac_?os') then 'macos'
        when regexp_matches(platform, '(?i)linux') then 'linux'
        else 'other'
    end;

-- 22 characters of a track, the URI itself for a local file, null for everything else.
create or replace macro track_id_of(uri) as
    case
        when starts_with(uri, 'spotify:track:') then substr(uri, 15)
        when starts_with(uri, 'spotify:local:') then uri
    end;

-- What makes two rows of one user the same content: the URI, else the names.
create or replace macro content_key(content_uri, artist_name, track_name) as
    case
        when content_uri is not null then content_uri
        when track_name is not null
            then 'name:' || coalesce(normalised(artist_name), '') || '|' || normalised(track_name)
        else 'unattributed'
    end;

-- Tells apart what is compared by name across sources.
create or replace macro name_hash(artist_name, track_name) as
    case when track_name is not null then hash(coalesce(normalised(artist_name), ''), normalised(track_name)) end;

-- A date of which only year or year and month may be known.
create or replace macro parse_release_date(text) as
    case length(text)
        when 4 then try_cast(text || '-01-01' as date)
        when 7 then try_cast(text || '-01' as date)
        else try_cast(left(text, 10) as date)
    end;

create or replace macro release_precision_of(text) as
    case when parse_release_date(text) is not null
        then case length(text) when 4 then 'year' when 7 then 'month' else 'day' end
    end;

-- Whether offline_timestamp is the start of this play.
create or replace macro is_offline_start(offline, offline_at, reported_at, played_ms) as
    coalesce(
        offline = 'true'
        and is_possible(offline_at)
        and offline_at <= reported_at
        and offline_at >= reported_at - interval 45 day
        and played_ms < 86400000,
        false
    );

-- How many of the facts that may be missing a row has: among copies of a play the fullest is kept.
create or replace macro facts_of(a, b, c, d, e, f, g, h) as
    cast(a is not null as integer) + cast(b is not null as integer) + cast(c is not null as integer)
    + cast(d is not null as integer) + cast(e is not null as integer) + cast(f is not null as integer)
    + cast(g is not null as integer) + cast(h is not null as integer);

-- A refused value in a message.
create or replace macro shown(text) as coalesce('"' || left(text, 60) || '"', 'nothing');

-- What spreadsheets write for "nothing" is nothing.
create or replace macro text_or_null(text) as
    case when text is not null and trim(text) <> '' and upper(trim(text)) not in ('NA', 'N/A', 'NULL') then text end;

-- A whole number of 0 or more, also with thousands separators.
create or replace macro parse_chart_number(text) as
    case
        when regexp_full_match(trim(text), '\d{1,15}') then cast(trim(text) as bigint)
        when regexp_full_match(trim(text), '\d{1,3}([,. ]\d{3})+') then cast(regexp_replace(trim(text), '[,. ]', '', 'g') as bigint)
        when regexp_full_match(trim(text), '\d{1,15}\.0+') then cast(split_part(trim(text), '.', 1) as bigint)
    end;

-- The value that was seen last; with equal times the one of the better source, then the greatest, so that order never matters.
create or replace macro newest(seen_at, source_rank, value) as
    (
        max({'at': coalesce(seen_at, timestamp '1970-01-01'), 'rank': source_rank, 'value': value})
        filter (where value is not null)
    ).value;

-- An object, or null for anything else (JSON null, text, list).
create or replace macro json_object_or_null(value) as case when json_type(value) = 'OBJECT' then value end;

-- Key of what is known by name only.
create or replace macro name_id(name) as 'name:' || normalised(name);

-- A number that is one: no NaN, no infinity.
create or replace macro parse_number(text) as
    case when isfinite(try_cast(text as double)) then try_cast(text as double) end;

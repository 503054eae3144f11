-- Readings of single values, shared by every select of this folder. All give null for what they cannot read; none depends on the
-- time zone of the session, and none throws: the engine may evaluate a branch for rows that do not take it, so every cast is a
-- `try_cast`, and arithmetic that can overflow stands in `try`.

-- Bounds: a number beyond them is a broken counter, not a large value. They also keep every sum of a billion rows within 64 bits.

-- Milliseconds of one play or one track: 115 days.
create or replace macro most_length_ms() as 10000000000;
-- Followers of an artist: ten times the people on Earth.
create or replace macro most_followers() as 100000000000;
-- Tracks of an album, items of a list, places in one.
create or replace macro most_items() as 10000000;
-- Streams of a track in one period of a chart.
create or replace macro most_streams() as 1000000000000;
-- An audio feature, of either sign: loudness in dB and tempo in beats per minute are the largest, some hundreds.
create or replace macro most_feature() as 1000000;

-- Seconds, milliseconds or microseconds since 1970, told apart by magnitude: up to the year 5138.
create or replace macro instant_of_epoch(number) as
    case
        when number < 0 then null
        when number < 100000000000 then try(make_timestamp(number * 1000000))
        when number < 100000000000000 then try(make_timestamp(number * 1000))
        when number < 100000000000000000 then try(make_timestamp(number // 1000 * 1000))
    end;

-- A moment in UTC from what sources write: `2024-05-01T10:00:00Z`, with or without seconds, fraction, zone or `T`, or an epoch number.
-- Without a zone it is UTC. A plain cast would drop an offset, and a cast with zone would read a zoneless text in the session's zone.
-- Years have four digits, so a length or a window of days can be added or taken away without leaving what the type holds.
create or replace macro parse_instant(text) as
    case
        when strlen(text) = 20 and ends_with(text, 'Z') and strpos(text, '-') = 5 then try_cast(text as timestamp)
        when regexp_full_match(text, '\d{9,17}') then instant_of_epoch(try_cast(text as bigint))
        when regexp_full_match(text, '\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?Z?')
            then date_trunc('millisecond', try_cast(rtrim(text, 'Z') as timestamp))
        when regexp_full_match(text, '\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?[+-]\d{2}(:?\d{2})?')
            then date_trunc('millisecond', make_timestamp(epoch_us(try_cast(text as timestamptz))))
    end;

-- Moments outside are mistakes of the source, and would make partitions of years that nobody lives in.
create or replace macro is_possible(moment) as
    moment >= timestamp '2006-01-01' and moment < timestamp '2041-01-01';

-- The same of a scrobble: people scrobbled years before there was Spotify.
create or replace macro is_possible_scrobble(moment) as
    moment >= timestamp '2002-01-01' and moment < timestamp '2041-01-01';

-- A start as exporters of scrobbles write it: what `parse_instant` reads, or `31 Dec 2025, 21:38`, which is
-- UTC as well.
create or replace macro parse_scrobble_time(text) as
    coalesce(parse_instant(text), try_strptime(text, ['%d %b %Y, %H:%M', '%d %b %Y %H:%M', '%d %b %Y, %H:%M:%S', '%d %b %Y %H:%M:%S']));

-- Whether a text tells a time to the minute only.
create or replace macro is_minute_only(text) as coalesce(not regexp_matches(text, '\d:\d{2}:\d{2}|^\d+$'), false);

-- The same, and nothing for a mistake.
create or replace macro parse_possible_instant(text) as case when is_possible(parse_instant(text)) then parse_instant(text) end;

-- When something was added to a list: Spotify writes 1970 where it does not know.
create or replace macro parse_added_at(text) as
    case
        when parse_instant(text) >= timestamp '1970-01-01' and parse_instant(text) < timestamp '2041-01-01' then parse_instant(text)
    end;

-- A date from the year 1000 to 2999. The engine's dates reach to the year 5,881,580, where it cannot make a timestamp of them.
create or replace macro parse_date(text) as
    case
        when try_cast(text as date) between date '1000-01-01' and date '2999-12-31' then try_cast(text as date)
    end;

-- A whole number up to 2^53, also when written as 3.0 or 3e2; null for fractions, texts, NaN.
create or replace macro parse_whole(text) as
    case
        when try_cast(text as double) between -9007199254740992 and 9007199254740992
            and floor(try_cast(text as double)) = try_cast(text as double)
            and strpos(text, '_') = 0
            then try_cast(try_cast(text as double) as bigint)
    end;

-- A length in milliseconds: whole, 0 or more, at most `most_length_ms()`.
create or replace macro parse_length(text) as
    case when parse_whole(text) between 0 and most_length_ms() then parse_whole(text) end;

-- A number from 0 to `most` as answers write it, rounded; null for everything else.
create or replace macro parse_up_to(text, most) as
    case when try_cast(text as double) between 0 and most then try_cast(try_cast(text as double) as bigint) end;

-- Whether a text is a number that `parse_up_to` does not take: its row is refused. What is no number at all is a missing one.
create or replace macro is_beyond(text, most) as coalesce(not try_cast(text as double) between 0 and most, false);

-- The two words that exports write come first: a conversion to a number costs eight times as much.
create or replace macro parse_flag(text) as
    case
        when text = 'true' then true
        when text = 'false' then false
        when lower(trim(text)) = 'true' or try_cast(text as double) = 1 then true
        when lower(trim(text)) = 'false' or try_cast(text as double) = 0 then false
    end;

-- True for a flag that is there and says neither yes nor no.
create or replace macro is_unread_flag(text) as
    case when text in ('true', 'false') then false else trim(text) <> '' and parse_flag(text) is null end;

-- The first of some flags that is there and says neither yes nor no; null where there is none.
create or replace macro unread_flag(a, b, c, d) as
    coalesce(
        case when is_unread_flag(a) then a end,
        case when is_unread_flag(b) then b end,
        case when is_unread_flag(c) then c end,
        case when is_unread_flag(d) then d end
    );

-- The form in which names are compared across sources. Few names have more than single blanks to replace, and
-- asking costs a tenth of replacing.
create or replace macro normalised(name) as
    trim(
        case
            when regexp_matches(name, '[\t\n\f\r]|  ') then regexp_replace(lower(nfc_normalize(name)), '\s+', ' ', 'g')
            else lower(nfc_normalize(name))
        end
    );

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

-- A MusicBrainz id of a recording as a URI; null for what is no such id.
create or replace macro recording_uri(mbid) as
    case
        when regexp_full_match(mbid, '(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
            then 'https://musicbrainz.org/recording/' || lower(mbid)
    end;

-- The URI of a track from a link to it.
create or replace macro uri_of_link(link) as
    'spotify:track:' || nullif(regexp_extract(link, '(?:^|/|:)track[/:]([0-9A-Za-z]{22})(?:[?#].*)?$', 1), '');

-- 22 characters of a track, the URI itself for a local file, null for everything else.
create or replace macro track_id_of(uri) as
    case
        when starts_with(uri, 'spotify:track:') then substr(uri, 15)
        when starts_with(uri, 'spotify:local:') then uri
    end;

-- "Unknown Track" by "Unknown Artist" is Spotify's word for a play that it can tell nothing about.
-- The word is looked for first, because both names are compared in full otherwise (10 times the cost), and a
-- `case` is what keeps the engine from doing so.
create or replace macro is_nothing(track_name, artist_name) as
    case
        when contains(lower(track_name), 'unknown')
            then coalesce(
                normalised(track_name) = 'unknown track'
                and coalesce(normalised(artist_name), 'unknown artist') = 'unknown artist',
                false
            )
        else false
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
    parse_date(case length(text) when 4 then text || '-01-01' when 7 then text || '-01' else left(text, 10) end);

create or replace macro release_precision_of(text) as
    case when parse_release_date(text) is not null
        then case length(text) when 4 then 'year' when 7 then 'month' else 'day' end
    end;

-- Whether offline_timestamp is the start of this play.
create or replace macro is_offline_start(offline, offline_at, reported_at, played_ms) as
    coalesce(
        parse_flag(offline)
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

-- Two numbers that stand for the id of an event: rows of one event have both of them in common.
create or replace macro id_hash(id) as cast(hash(id) as ubigint);
create or replace macro id_check(id) as cast(hash(id, 'check') as ubigint);

-- Days from 1970 to a moment.
create or replace macro day_number(moment) as cast(epoch_ms(moment) // 86400000 as bigint);

-- A text that says something.
create or replace macro said(text) as case when trim(text) <> '' then text end;

-- A refused value in a message.
create or replace macro shown(text) as coalesce('"' || left(text, 60) || '"', 'nothing');

-- What spreadsheets write for "nothing" is nothing.
create or replace macro text_or_null(text) as
    case when text is not null and trim(text) <> '' and upper(trim(text)) not in ('NA', 'N/A', 'NULL') then text end;

create or replace macro chart_number_of(text) as
    case
        when regexp_full_match(trim(text), '\d{1,15}') then try_cast(trim(text) as bigint)
        when regexp_full_match(trim(text), '\d{1,3}([,. ]\d{3})+') then try_cast(regexp_replace(trim(text), '[,. ]', '', 'g') as bigint)
        when regexp_full_match(trim(text), '\d{1,15}\.0+') then try_cast(split_part(trim(text), '.', 1) as bigint)
    end;

-- A whole number from 0 to `most`, also with thousands separators.
create or replace macro parse_chart_number(text, most) as
    case when chart_number_of(text) <= most then chart_number_of(text) end;

-- The value that was seen last; with equal times the one of the better source, then the greatest, so that order never matters.
create or replace macro newest(seen_at, source_rank, value) as
    (
        max({'at': coalesce(seen_at, timestamp '1970-01-01'), 'rank': source_rank, 'value': value})
        filter (where value is not null)
    ).value;

-- Key of what is known by name only.
create or replace macro name_id(name) as 'name:' || normalised(name);

-- An audio feature: no NaN, no infinity, nothing of which a deviation or a sum leaves what a double holds.
create or replace macro parse_feature(text) as
    case when try_cast(text as double) between -most_feature() and most_feature() then try_cast(text as double) end;

-- A number's text, unless it is what spreadsheets and Python write for "nothing".
create or replace macro number_or_null(text) as
    case when upper(trim(text)) not in ('NAN', 'NONE', '-') then text_or_null(text) end;

-- With a point where a spreadsheet has put a comma.
create or replace macro plain_number(text) as
    case when regexp_full_match(trim(text), '[+-]?\d*,\d+([eE][+-]?\d+)?') then replace(trim(text), ',', '.') else trim(text) end;

-- An audio feature, with a decimal point or a decimal comma.
create or replace macro feature_number(text) as parse_feature(plain_number(text));

-- A whole number between two others (inclusive).
create or replace macro whole_between(text, low, high) as
    case when parse_whole(plain_number(text)) between low and high then try_cast(parse_whole(plain_number(text)) as integer) end;

-- 0 for C to 11 for B, -1 for "unknown"; also from the name of the note.
create or replace macro pitch_class(text) as
    coalesce(
        whole_between(text, -1, 11),
        nullif(list_position(['C', 'C#', 'D', 'D#', 'E', 'F', 'F#', 'G', 'G#', 'A', 'A#', 'B'], upper(trim(text))), 0) - 1
    );

-- The texts of a list as Python writes it: ['One', "Two's"]. Another text is the only one.
create or replace macro python_list(text) as
    case
        when regexp_full_match(trim(text), '(?s)\[.*\]')
            then list_transform(
                regexp_extract_all(text, '(?s)''(?:[^''\\]|\\.)*''|"(?:[^"\\]|\\.)*"'),
                lambda quoted: regexp_replace(substr(quoted, 2, length(quoted) - 2), '\\(.)', '\1', 'g')
            )
        when text is not null then [text]
    end;

-- A name of the IANA database that has two: the one that dim_countries and the engines know.
create or replace macro zone_name(text) as
    case trim(text)
        when 'Europe/Kyiv' then 'Europe/Kiev'
        when 'America/Nuuk' then 'America/Godthab'
        when 'America/Buenos_Aires' then 'America/Argentina/Buenos_Aires'
        when 'Africa/Asmera' then 'Africa/Asmara'
        when 'Asia/Calcutta' then 'Asia/Kolkata'
        when 'Asia/Katmandu' then 'Asia/Kathmandu'
        when 'Asia/Rangoon' then 'Asia/Yangon'
        when 'Asia/Saigon' then 'Asia/Ho_Chi_Minh'
        when 'Atlantic/Faeroe' then 'Atlantic/Faroe'
        when 'Pacific/Ponape' then 'Pacific/Pohnpei'
        else trim(text)
    end;

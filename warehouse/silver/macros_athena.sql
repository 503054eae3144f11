-- The readings of macros.sql that the selects of events need, in the words of an engine that knows no macros:
-- they are written into the statement. Each gives what its namesake in macros.sql gives, and tests compare them
-- value by value. As there, all give null for what they cannot read, and none throws.

-- A number as a text spells it. The engine's own cast also takes `1d`, `0x1p3` and `NaN`.
create or replace macro number_of(text) as
    case
        when regexp_like(text, '\A[ \t\n\x0B\f\r]*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?[ \t\n\x0B\f\r]*\z')
            then try_cast(text as double)
    end;

create or replace macro parse_whole(text) as
    case
        when number_of(text) between -9007199254740992 and 9007199254740992 and floor(number_of(text)) = number_of(text)
            then try_cast(number_of(text) as bigint)
    end;

create or replace macro parse_length(text) as
    case when parse_whole(text) between 0 and 10000000000 then parse_whole(text) end;

create or replace macro parse_flag(text) as
    case
        when text = 'true' then true
        when text = 'false' then false
        when regexp_like(text, '(?i)\A *true *\z') or number_of(text) = 1 then true
        when regexp_like(text, '(?i)\A *false *\z') or number_of(text) = 0 then false
    end;

create or replace macro country_of(code) as
    case when regexp_like(code, '\A[A-Z]{2}\z') and code <> 'ZZ' then code end;

create or replace macro instant_of_epoch(number) as
    case
        when number < 0 then null
        when number < 100000000000 then timestamp '1970-01-01 00:00:00.000' + number * interval '1' second
        when number < 100000000000000 then timestamp '1970-01-01 00:00:00.000' + number * interval '0.001' second
        when number < 100000000000000000 then timestamp '1970-01-01 00:00:00.000' + number / 1000 * interval '0.001' second
    end;

-- Date and time of a text, up to milliseconds: what comes after them is cut off.
create or replace macro clock_of(text) as
    try_cast(substr(text, 1, 10) || ' ' || regexp_extract(text, '[T ]([0-9:]+([.][0-9]{1,3})?)', 1) as timestamp(3));

-- Minutes that a clock is ahead of UTC.
create or replace macro offset_of(text) as
    (case when regexp_like(text, '-[0-9:]+\z') then -1 else 1 end)
    * (
        60 * try_cast(regexp_extract(text, '[+-]([0-9]{2})(:?[0-9]{2})?\z', 1) as bigint)
        + coalesce(try_cast(regexp_extract(text, '[+-][0-9]{2}:?([0-9]{2})\z', 1) as bigint), 0)
    );

create or replace macro parse_instant(text) as
    case
        when regexp_like(text, '\A[0-9]{9,17}\z') then instant_of_epoch(try_cast(text as bigint))
        when regexp_like(text, '\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?Z?\z') then clock_of(text)
        when regexp_like(text, '\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?[+-][0-9]{2}(:?[0-9]{2})?\z')
            then clock_of(text) - offset_of(text) * interval '1' minute
    end;

create or replace macro is_possible(moment) as
    moment >= timestamp '2006-01-01 00:00:00.000' and moment < timestamp '2041-01-01 00:00:00.000';

create or replace macro facts_of(a, b, c, d, e, f, g, h) as
    cast(a is not null as integer) + cast(b is not null as integer) + cast(c is not null as integer)
    + cast(d is not null as integer) + cast(e is not null as integer) + cast(f is not null as integer)
    + cast(g is not null as integer) + cast(h is not null as integer);

create or replace macro id_hash(id) as from_big_endian_64(xxhash64(to_utf8(id)));
create or replace macro id_check(id) as from_big_endian_64(xxhash64(to_utf8(id || ' check')));

create or replace macro day_number(moment) as date_diff('day', date '1970-01-01', cast(moment as date));

import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { FORMULA_PATTERN, NUMBER_PATTERN } from '../../base/visible.ts';
import type { Exported, ExportRequest, FileFormat, ResultColumn, SqlValue } from '../index.ts';
import { quoteName, quoteText } from './database.ts';
import { describeSelect, translateSqlError } from './select.ts';

/** As other tools write Parquet: groups that are read at once, in a form that all of them know. */
const COPY_OPTIONS: Readonly<Record<FileFormat, string>> = {
  parquet: 'format parquet, compression zstd, row_group_size 122880',
  csv: 'format csv, header true',
  json: 'format json, array true',
  listenbrainz: 'format json, array true',
  'lastfm-csv': 'format csv, header true, force_quote *',
  // Lines as they are: no text in them has a line break, nor this mark between columns.
  m3u: String.raw`format csv, header true, quote '', escape '', delimiter E'\x1f'`,
};

const SPOTIFY_TRACK = "'https://open.spotify.com/track/' || track_id";
const MBID = "nullif(regexp_extract(content_uri, '^https://musicbrainz[.]org/recording/([0-9a-f-]{36})$', 1), '')";
/** Line breaks and other control characters would end a line of a list. */
const inOneLine = (column: string): string =>
  `regexp_replace(${column}, '[\\x{00}-\\x{1f}\\x{7f}\\x{2028}\\x{2029}]+', ' ', 'g')`;

/** What a file of listening holds, made of `LISTENING_COLUMNS`. */
const SHAPES: Readonly<Partial<Record<FileFormat, (rows: string) => string>>> = {
  // https://listenbrainz.readthedocs.io/en/latest/users/json.html; absent is what is not known.
  listenbrainz: (rows) => `
    select
      epoch_ms(started_at) // 1000 as listened_at,
      json_merge_patch('{}', to_json({
        'artist_name': artist_name,
        'track_name': track_name,
        'release_name': album_name,
        'additional_info': {
          'spotify_id': ${SPOTIFY_TRACK},
          'recording_mbid': ${MBID},
          'duration_ms': duration_ms,
          'submission_client': 'listenlake'
        }
      })) as track_metadata
    from (${rows}\n)`,
  // The columns of "Last.fm export" (https://lastfm.ghan.nl/export/).
  'lastfm-csv': (rows) => `
    select
      epoch_ms(started_at) // 1000 as uts,
      strftime(started_at, '%d %b %Y, %H:%M') as utc_time,
      artist_name as artist,
      '' as artist_mbid,
      album_name as album,
      '' as album_mbid,
      track_name as track,
      coalesce(${MBID}, '') as track_mbid
    from (${rows}\n)`,
  m3u: (rows) => `
    select unnest([
      '#EXTINF:' || coalesce(duration_ms // 1000, -1) || ',' || ${inOneLine('artist_name')} || ' - ' || ${inOneLine('track_name')},
      ${SPOTIFY_TRACK}
    ]) as "#EXTM3U"
    from (${rows}\n)`,
};

/**
 * Writes the rows of a select as one file, in the order of the select and within the memory of the
 * connection.
 *
 * @throws as `runSelect`; `disk_full`, `disk_failed` (74) where the file cannot be written
 */
export async function writeRows(connection: DuckDBConnection, request: ExportRequest): Promise<Exported> {
  const { format, path, parameters, isInert } = request;
  const select = SHAPES[format]?.(request.select) ?? request.select;
  const columns = await describeSelect(connection, select);
  const isCsv = format === 'csv' || format === 'lastfm-csv';
  const texts = isCsv && isInert ? columns.filter(({ type }) => type === 'varchar') : [];
  // Counted first: most columns have none, and are copied as they are.
  const counts = texts.length === 0 ? [] : await rowOf(connection, formulasSelect(select, texts), parameters);
  const altered = texts.filter((_, at) => Number(counts[at]) > 0);
  const rows = altered.length === 0 ? select : inertSelect(select, altered);
  const copied = await rowOf(
    connection,
    `copy (${rows}\n) to ${quoteText(path)} (${COPY_OPTIONS[format]})`,
    parameters,
  );
  const inert = counts.reduce<number>((sum, each) => sum + Number(each), 0);
  // Of a list each entry is two lines.
  return { rows: Number(copied[0]) / (format === 'm3u' ? 2 : 1), inert };
}

/** The values of the only row. */
async function rowOf(
  connection: DuckDBConnection,
  sql: string,
  parameters: readonly SqlValue[],
): Promise<DuckDBValue[]> {
  const reader = await translateSqlError(() => connection.runAndReadAll(sql, [...parameters]));
  return reader.getRows()[0] ?? [];
}

function inertSelect(select: string, texts: readonly ResultColumn[]): string {
  const replaced = texts.map(
    ({ name }) => `if(${isFormula(name)}, '''' || ${quoteName(name)}, ${quoteName(name)}) as ${quoteName(name)}`,
  );
  return `select * replace (${replaced.join(', ')}) from (${select}\n)`;
}

function formulasSelect(select: string, texts: readonly ResultColumn[]): string {
  const counted = texts.map(({ name }) => `count(*) filter (where ${isFormula(name)})`);
  return `select ${counted.join(', ')} from (${select}\n)`;
}

/**
 * Most texts begin with a letter or a digit, which is found without the patterns. Only a `case` leaves the
 * patterns out for them: an `and` asks both of every text, which takes as long as writing the file.
 */
function isFormula(name: string): string {
  const column = quoteName(name);
  const mayBe = `${column} < '0' or ${column} >= ':' and ${column} < 'A' or ${column} >= chr(128)`;
  const begins = `regexp_matches(${column}, ${quoteText(FORMULA_PATTERN)})`;
  const isNumber = `regexp_matches(${column}, ${quoteText(NUMBER_PATTERN)})`;
  return `case when ${mayBe} then (case when ${begins} then not ${isNumber} else false end) else false end`;
}

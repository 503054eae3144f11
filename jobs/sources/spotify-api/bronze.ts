import { hash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { type Embedded, literalPath, messageOf, quoteName, quoteText } from '../../engine/duckdb/database.ts';
import { linesOf, writeLines } from '../../formats/json/lines.ts';
import { beyondUsual, refuseLongRows } from '../../formats/long-rows.ts';
import { contractOf } from '../../lake/contracts.ts';
import { type ApiAnswer, type ApiReader, isObject, type Json, type JsonObject, listOf, parseJson } from './answers.ts';

/**
 * Descriptions that are remembered by their hash, so that what comes again and again is written once: about 1
 * KB each.
 */
const REMEMBERED = 20_000;
/** Bytes of rows in a row group: what the engine holds at once when it writes and when it reads. */
const GROUP_BYTES = 8 * 1024 * 1024;
/** The engine reads and writes so many rows at once, so a row group has no fewer. */
const VECTOR_ROWS = 2048;
const GROUP_ROWS_MAX = 30_720;

/** Columns of `bronze.api_answers`; those that are absent are null. */
type Row = Record<string, string | number | null | undefined>;

/**
 * Writes answers as `bronze.api_answers`, Parquet (zstd) in the contract's columns: a row per answer, a row
 * per item, and the description of a track (album, artist, playlist) only where the file has not had the same
 * one before. A poll every few minutes delivers a play some twenty times, with 10 KB that say what the track
 * is: written once, 3 GB of such polls are 8 MB.
 *
 * @param output and `scratch` are local paths that the engine may use; the caller removes the second one
 * @returns rows written, and the items among them
 * @throws `rows_too_long` (65)
 */
export async function writeAnswers(
  engine: Embedded,
  reader: Pick<ApiReader, 'withoutPeople'>,
  answers: AsyncIterable<ApiAnswer>,
  sourceKey: string,
  output: string,
  scratch: string,
): Promise<{ rows: number; items: number }> {
  return alone(async () => {
    const describe = createDescriber(reader);
    let [rows, items, number, longest, beyond] = [0, 0, 0, 0, 0];
    await writeLines(scratch, lines());
    async function* lines(): AsyncGenerator<string> {
      for await (const answer of answers) {
        number += 1;
        for (const row of rowsOf(answer, reader, describe)) {
          rows += 1;
          beyond += beyondUsual(nameBytes(row));
          refuseLongRows(beyond, 'names');
          if (row.position !== 0) items += 1;
          const line = JSON.stringify({ row_number: items, answer: number, ...row });
          longest = Math.max(longest, Buffer.byteLength(line));
          yield line;
        }
      }
    }
    const columns = contractOf('bronze', 'api_answers').columns.filter(({ name }) => name !== 'source_key');
    const types = columns.map(({ name, type }) => `${quoteText(name)}: ${quoteText(type)}`);
    await engine.run(`
    copy (
        select ${quoteText(sourceKey)} as source_key, ${columns.map(({ name }) => quoteName(name)).join(', ')}
        from read_json(${quoteText(literalPath(scratch))}, format = 'newline_delimited', columns = {${types.join(', ')}},
          compression = 'uncompressed', maximum_object_size = ${Math.max(VECTOR_ROWS * 1024, 2 * longest)})
    ) to ${quoteText(output)} (format parquet, compression zstd, row_group_size ${groupRows((await stat(scratch)).size, rows)})`);
    return { rows, items };
  });
}

/**
 * Each answer is parsed into some 10,000 objects that live for a moment. The runtime lets the space for new
 * ones grow to 48 MiB and as much again for large ones; from here on it stays as it is. Measured on three
 * files of 480 MB: 338 MiB at the peak instead of 502, for a quarter more processor time.
 */
const FEW_NEW_OBJECTS = '--semi-space-growth-factor=1';

/** The last file that was asked for. */
let written: Promise<unknown> = Promise.resolve();

/**
 * Runs it when all before it have ended: files that are parsed at once share one thread, are hardly faster,
 * and hold twice as much.
 */
async function alone<T>(write: () => Promise<T>): Promise<T> {
  setFlagsFromString(FEW_NEW_OBJECTS);
  const own = written.then(write);
  written = own.catch(() => {});
  return own;
}

/**
 * Answers of a `bronze.api_pages` object, as older versions of `load` wrote it: personal fields are gone
 * already.
 */
export async function* answersOfPages(path: string): AsyncGenerator<ApiAnswer> {
  for await (const line of linesOf(path)) {
    if (line === '') continue;
    const page = parsed(line) as unknown as {
      kind: ApiAnswer['kind'];
      observed_at: string | null;
      time_range: string | null;
      playlist_id: string | null;
      body: string;
    };
    const body = parsed(page.body);
    yield {
      kind: page.kind,
      observedAt: page.observed_at,
      timeRange: page.time_range,
      playlistId: page.playlist_id,
      body,
      ...listOf(page.kind, body),
      periods: [],
    };
  }
}

/**
 * @throws Error in the engine's words for data that it cannot read, because it stands for such a statement:
 *   the file is refused
 */
function parsed(text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    throw new Error(`Invalid Input Error: Malformed JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** Of what has been described before, too: its names are written again. */
function nameBytes(row: Row): number {
  const names = [row.name, row.artist_name, row.album_name, row.album_artist_name];
  return names.reduce<number>((sum, name) => sum + Buffer.byteLength(String(name ?? '')), 0);
}

function groupRows(bytes: number, rows: number): number {
  const most = Math.floor((GROUP_BYTES * rows) / Math.max(1, bytes * VECTOR_ROWS)) * VECTOR_ROWS;
  return Math.min(GROUP_ROWS_MAX, Math.max(VECTOR_ROWS, most));
}

/** The rows of an answer without their numbers: its own, then its items'. */
function* rowsOf(
  { kind, body, listAt, items, observedAt, timeRange, playlistId }: ApiAnswer,
  reader: Pick<ApiReader, 'withoutPeople'>,
  describe: Describer,
): Generator<Row> {
  const page = pageOf(kind, body, listAt);
  const shared: Row = {
    kind,
    observed_at: observedAt,
    time_range: timeRange,
    playlist_id: playlistId ?? (kind === 'playlist' ? textOf(page.body.id) : undefined),
    page_offset: textOf(page.list.offset),
    page_total: textOf(page.list.total),
  };
  const own: Row = { ...shared, position: 0, items: items.length };
  if (kind === 'playlist') yield { ...own, ...describe('playlist', page.body) };
  else yield { ...own, extra: extraOf(reader.withoutPeople(page.body)) };
  for (const [index, item] of items.entries()) {
    const row: Row = { ...shared, position: index + 1 };
    const found = thingOf(kind, item);
    if (found === undefined) {
      yield { ...row, ...itemColumns(item, reader) };
      continue;
    }
    const { thing, key, value } = found;
    yield {
      ...row,
      ...(key === undefined ? {} : itemColumns(without(item as JsonObject, key), reader)),
      ...describe(thing, value),
    };
  }
}

/** The body without its list, and the object that the list stands in. */
function pageOf(kind: string, body: Json, listAt: ApiAnswer['listAt']): { body: JsonObject; list: JsonObject } {
  if (!isObject(body) || listAt === undefined) return { body: {}, list: {} };
  const [first = '', second] = listAt;
  const inner = body[first] ?? null;
  if (second === undefined || !isObject(inner)) return { body: without(body, first), list: body };
  const list = without(inner, second);
  return { body: { ...without(body, first), [first]: list }, list: kind === 'playlist' ? list : body };
}

/** What an item says of a thing, and under which key; `key` undefined: it is the thing itself. */
function thingOf(kind: string, item: Json): { thing: string; key?: string; value: JsonObject } | undefined {
  if (!isObject(item)) return undefined;
  const under = (thing: string, ...keys: string[]): ReturnType<typeof thingOf> => {
    const key = keys.find((each) => isObject(item[each] ?? null));
    return key === undefined ? undefined : { thing, key, value: item[key] as JsonObject };
  };
  switch (kind) {
    case 'recently_played':
    case 'playlist':
    case 'playlist_items':
    case 'saved_tracks':
      return under('track', 'track', 'item');
    case 'saved_albums':
      return under('album', 'album');
    case 'tracks':
    case 'top_tracks':
      return { thing: 'track', value: item };
    case 'albums':
      return { thing: 'album', value: item };
    case 'artists':
    case 'top_artists':
      return { thing: 'artist', value: item };
    case 'playlists':
      return { thing: 'playlist', value: item };
    default:
      return undefined;
  }
}

/** What an item says besides its thing. */
function itemColumns(item: Json, reader: Pick<ApiReader, 'withoutPeople'>): Row {
  const kept = reader.withoutPeople(item);
  if (!isObject(kept)) return { extra: extraOf(kept) };
  const context = kept.context ?? null;
  return {
    played_at: textOf(kept.played_at),
    added_at: textOf(kept.added_at),
    context_uri: isObject(context) ? textOf(context.uri) : undefined,
    is_local: textOf(kept.is_local),
    extra: extraOf(kept),
  };
}

function extraOf(kept: Json): string | undefined {
  return isObject(kept) && Object.keys(kept).length === 0 ? undefined : JSON.stringify(kept);
}

type Describer = (thing: string, value: JsonObject) => Row;

/** Gives the columns of a thing, and its description where this is the first time. */
function createDescriber(reader: Pick<ApiReader, 'withoutPeople'>): Describer {
  const remembered = new Map<string, Row>();
  return (thing, value) => {
    const given = hash('sha256', `${thing} ${JSON.stringify(value)}`, 'base64');
    const known = remembered.get(given);
    if (known !== undefined) return known;
    const kept = reader.withoutPeople(value) as JsonObject;
    const content = JSON.stringify(kept);
    const key = hash('sha256', `${thing} ${content}`, 'hex').slice(0, 32);
    const row = { ...thingColumns(thing, kept), content_key: key };
    if (remembered.size >= REMEMBERED) remembered.clear();
    remembered.set(given, row);
    return { ...row, content, content_bytes: Buffer.byteLength(content) };
  };
}

function thingColumns(thing: string, value: JsonObject): Row {
  const columns: Row = {
    thing,
    id: textOf(value.id),
    uri: textOf(value.uri),
    name: textOf(value.name),
    type: textOf(value.type),
  };
  if (thing !== 'track') return columns;
  const album = isObject(value.album ?? null) ? (value.album as JsonObject) : {};
  const isLocal = textOf(value.is_local);
  return {
    ...columns,
    ...(/^(?:true|false)$/i.test(isLocal ?? '') ? { is_local: isLocal } : {}),
    duration_ms: textOf(value.duration_ms),
    artist_name: firstName(value.artists),
    album_name: textOf(album.name),
    album_artist_name: firstName(album.artists),
  };
}

function firstName(list: Json | undefined): string | undefined {
  const first = Array.isArray(list) ? (list[0] ?? null) : null;
  return isObject(first) ? textOf(first.name) : undefined;
}

/** A text as it is, anything else as its JSON; nothing for null. */
function textOf(value: Json | undefined): string | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function without(value: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = value;
  return rest;
}

import type { RowSource } from '../../bronze/rows.ts';
import { packingOf } from '../../formats/packing.ts';

/** Instant of a text: ISO with or without zone, `YYYY-MM-DD HH:MM` (both UTC unless they say otherwise), an epoch number. Whatever `parse_instant` of silver reads. */
export const INSTANT_SQL = (column: string): string =>
  `coalesce(try_cast(${column} as timestamptz)::timestamp, try_cast(rtrim(${column}, 'Z') as timestamp), ${epochSql(column)})`;

/** Seconds, milliseconds or microseconds since 1970, told apart by size as by `instant_of_epoch` of silver. Zero and negative numbers are no time. */
function epochSql(column: string): string {
  const number = `try_cast(${column} as bigint)`;
  return `case when ${number} between 1 and 99999999999 then epoch_ms(${number} * 1000) when ${number} between 100000000000 and 99999999999999 then epoch_ms(${number}) when ${number} between 100000000000000 and 99999999999999999 then make_timestamp(${number}) end`;
}

/**
 * Extended streaming history: `Streaming_History_Audio|Video_*.json`, before mid-2023 `endsong_N.json` and `endvideo.json`. The same row in every
 * generation, 19 to 23 keys. Of `username` only the pseudonym is kept, so that the plays of two accounts stay apart;
 * `ip_addr`,
 * `ip_addr_decrypted` and `user_agent_decrypted` are never read.
 */
export const EXTENDED_EXPORT: RowSource = {
  table: 'export_extended',
  kind: 'export_extended',
  name: /^(Streaming_History_(Audio|Video)_|endsong|endvideo)/i,
  required: ['ts', 'ms_played'],
  typical: ['spotify_track_uri', 'master_metadata_track_name', 'reason_start', 'reason_end', 'conn_country'],
  isList: true,
  keyOf: (column) => (column === 'username_pseudonym' ? 'username' : column),
  account: { column: 'username_pseudonym', key: 'username' },
  // An offline play may lie long before the moment it was reported.
  daysSql: `select unnest([${INSTANT_SQL('ts')}, ${epochSql('offline_timestamp')}, ${epochSql('offline_timestamp')} + to_milliseconds(greatest(least(coalesce(try_cast(ms_played as bigint), 0), 86400000), 0))]) as moment`,
  period: 'month',
};

/**
 * Account data of about a year: `StreamingHistory_music|podcast|audiobook_N.json`, older `StreamingHistoryN.json`. Minute precision, no URIs.
 */
export const ACCOUNT_EXPORT: RowSource = {
  table: 'export_account',
  kind: 'export_account',
  name: /^StreamingHistory/i,
  required: ['endTime', 'msPlayed'],
  typical: ['artistName', 'trackName', 'podcastName', 'episodeName', 'audiobookName'],
  isList: true,
  keyOf: (column) => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  daysSql: `select ${INSTANT_SQL('end_time')} as moment`,
  period: 'month',
};

/**
 * What a zip from Spotify holds besides listening, by file name. Account data is never opened: most of it is about
 * the person. A document is
 * one by its name and its first bytes: an export or an archive that was saved under a text's name (`endsong_0.txt`,
 * `my_data.zip.txt`) is data.
 *
 * @param head the first bytes of the file; asked for where the name is that of a text
 * @returns why the file is passed over, or undefined for every other file
 */
export async function reasonToIgnore(name: string, head: () => Promise<Buffer>): Promise<string | undefined> {
  const own = name.slice(name.lastIndexOf('/') + 1);
  if (isAccountFile(own)) return 'account data without listening';
  if (!DOCUMENTS.test(own) || DATA_AS_TEXT.test(own)) return undefined;
  return TEXTS.test(own) && isData(await head()) ? undefined : 'a document, not data';
}

/** Rows or an object of JSON, or an archive of whatever kind. */
function isData(head: Buffer): boolean {
  return packingOf(head) !== undefined || /^(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*"/.test(head.toString('latin1', 0, 512));
}

function isAccountFile(name: string): boolean {
  const original = name.replace(COPY, '$1');
  return ACCOUNT_FILES.test(original) || PERSONAL_FILES.test(original);
}

/** What browsers and desktops put before the ending of a second copy: `(1)`, ` (2)`, ` copy`, ` - Copy`. */
const COPY = /(?:[ _]?\(\d{1,3}\)| - Copy(?: \(\d{1,3}\))?| copy(?: \d{1,3})?)(\.[^.]+)$/i;
/** Spelt as Spotify spells them: in small letters some are what people call their captures of the Web API. */
const ACCOUNT_FILES =
  /^(Playlist\d*|YourLibrary\d*|Follow|Inferences|Marquee|DuoNewFamily|FamilyPlan|MessageData|Comments|Wrapped\d*|SpotifyWrapped\d*|Podcast[A-Z][A-Za-z]*|DataSources|Home|Account_?Data|Voice.*|Technical.*)\.json$/;
/** Names of nothing else, in whatever letters. */
const PERSONAL_FILES =
  /^(Userdata|UserAddress|UserPrompts|UserAttributes|Payments|Identifiers|Identity|SearchQueries|YourSoundCapsule|AccountActivity|KnownDevices)\.json$/i;
/** Documents without a form of their own: an office file is a zip as well, and a picture may hold anything. */
const TEXTS = /(\.(txt|md|html?)|^[^.]+)$/i;
const DOCUMENTS = /(\.(pdf|md|txt|rtf|docx?|html?|png|jpe?g|gif|svg|webp)|^(README|LICENSE|NOTICE|CHANGELOG)[^.]*)$/i;
/** Data to which a mail program or a browser has added an ending. */
const DATA_AS_TEXT = /\.(json|jsonl|ndjson|csv)\.(txt|md|html?)$/i;

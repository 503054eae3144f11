import { DAY_MS } from '../../base/time.ts';
import { ownName } from '../../bronze/own-name.ts';
import { epochSql, instantSql } from '../../bronze/periods.ts';
import type { RowSource } from '../../bronze/source.ts';

/**
 * Extended streaming history: `Streaming_History_Audio|Video_*.json`, before mid-2023 `endsong_N.json` and
 * `endvideo.json`. The row is the same in every generation, with 19 to 23 keys. Of `username` only the
 * pseudonym is kept, so that the plays of two accounts stay apart; `ip_addr`, `ip_addr_decrypted` and
 * `user_agent_decrypted` are never read.
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
  daysSql: `select unnest([
      ${instantSql('ts')},
      ${epochSql('offline_timestamp')},
      ${epochSql('offline_timestamp')}
        + to_milliseconds(greatest(least(coalesce(try_cast(ms_played as bigint), 0), ${DAY_MS}), 0))
    ]) as moment`,
  period: 'month',
  saysOther: (storedName, name) => !isSameMedium(storedName, name),
};

/**
 * Account data of about a year: `StreamingHistory_music|podcast|audiobook_N.json`, older
 * `StreamingHistoryN.json`. Minute precision, no URIs.
 */
export const ACCOUNT_EXPORT: RowSource = {
  table: 'export_account',
  kind: 'export_account',
  name: /^StreamingHistory/i,
  required: ['endTime', 'msPlayed'],
  typical: ['artistName', 'trackName', 'podcastName', 'episodeName', 'audiobookName'],
  isList: true,
  keyOf: (column) => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  daysSql: `select ${instantSql('end_time')} as moment`,
  period: 'month',
};

/** True for the name of an export of plays of videos. */
export function isVideoName(fileName: string): boolean {
  return /(streaming_?history_|end)video/i.test(ownName(fileName));
}

/**
 * True where both names say that the plays are of videos, or of none; a name that no export has says nothing.
 */
export function isSameMedium(storedName: string, name: string): boolean {
  return !EXTENDED_EXPORT.name.test(ownName(name)) || isVideoName(storedName) === isVideoName(name);
}

import { JobError } from '../base/errors.ts';
import { shownColumns } from '../formats/csv.ts';
import type { JsonScan } from '../formats/json/scanner.ts';
import { hasUtf8Mark } from '../formats/text-encoding.ts';

/** True for what Spotify sends as "technical log information": events whose keys all say that they are of the event or of its message. */
export function isTechnicalLog({ form, keys }: JsonScan): boolean {
  return (
    form === 'array' &&
    keys.size > 0 &&
    [...keys.keys()].every((key) => /^(context|message)_|^timestamp_utc$/.test(key))
  );
}

/** The refusal of JSON that other services write: ListenBrainz (https://listenbrainz.readthedocs.io/en/latest/users/json.html). */
export function foreignKeys({ keys }: JsonScan): JobError | undefined {
  if (!keys.has('listened_at') || !keys.has('track_metadata')) return undefined;
  const what = `listens of ListenBrainz, which no table is made of; its keys: ${shownColumns(keys.keys())}`;
  return new JobError('kind_unsupported', 'data', what, {
    hint: 'they do not say how long a track was heard: load the export of Spotify itself',
  });
}

/** The refusal of what is neither JSON nor text in rows, where its first bytes say what it is; archives are told before. */
export function foreignForm(head: Buffer): JobError | undefined {
  const refuse = (code: string, what: string, hint: string) => new JobError(code, 'data', what, { hint });
  if (/^\s*<(!doctype html|html|head|body)\b/i.test(head.toString('latin1', hasUtf8Mark(head) ? 3 : 0, 512))) {
    return refuse('html_page', 'a web page, not data', 'log in and download it again');
  }
  const magic = (text: string, at = 0): boolean => head.toString('latin1', at, at + text.length) === text;
  if (magic('\xd0\xcf\x11\xe0')) return refuse('spreadsheet', 'a spreadsheet', 'save it as CSV (UTF-8)');
  if (magic('PAR1')) return refuse('kind_unknown', 'a Parquet file', 'write it as CSV or JSON lines');
  if (magic('SQLite format 3')) return refuse('kind_unknown', 'a SQLite database', 'write its tables as CSV');
  return undefined;
}

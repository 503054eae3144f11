import { ownName } from '../../bronze/own-name.ts';
import type { Source } from '../../bronze/source.ts';
import type { JsonScan } from '../../formats/json/scanner.ts';
import { packingOf } from '../../formats/packing.ts';
import { EXPORT_CSV } from './csv.ts';
import { ACCOUNT_EXPORT, EXTENDED_EXPORT, isSameMedium, isVideoName } from './rows.ts';

/**
 * What Spotify sends on request, "account data" and "extended streaming history", and copies of it as CSV.
 */
export const ACCOUNT_EXPORTS: Source = {
  name: 'account-export',
  tables: [
    {
      name: EXTENDED_EXPORT.table,
      isOwn: true,
      isSameName: isSameMedium,
      isVideoName,
      plays: { stage: 'stg_plays_extended', isReportedLate: true },
    },
    {
      name: ACCOUNT_EXPORT.table,
      isOwn: true,
      isVideoName,
      plays: { stage: 'stg_plays_account', isReportedLate: true },
    },
  ],
  rows: [EXTENDED_EXPORT, ACCOUNT_EXPORT],
  csv: EXPORT_CSV,
  reasonToIgnore,
  reasonToPassOver: (scan) => (isTechnicalLog(scan) ? 'a technical log without listening' : undefined),
};

/**
 * True for what Spotify sends as "technical log information": all keys are of the event or of its message.
 */
function isTechnicalLog({ form, keys }: JsonScan): boolean {
  return (
    form === 'array' &&
    keys.size > 0 &&
    [...keys.keys()].every((key) => /^(context|message)_|^timestamp_utc$/.test(key))
  );
}

/**
 * What a zip from Spotify holds besides listening, by file name. Account data is never opened: most of it is
 * about the person. A document is one by its name and its first bytes: an export or an archive that was saved
 * under a text's name (`endsong_0.txt`, `my_data.zip.txt`) is data.
 *
 * @param head the first bytes of the file; asked for where the name is that of a text
 * @returns why the file is passed over, or undefined for every other file
 */
async function reasonToIgnore(name: string, head: () => Promise<Buffer>): Promise<string | undefined> {
  const own = ownName(name);
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
/**
 * Documents without a form of their own: an office file is a zip as well, and a picture may hold anything.
 */
const TEXTS = /(\.(txt|md|html?)|^[^.]+)$/i;
const DOCUMENTS = /(\.(pdf|md|txt|rtf|docx?|html?|png|jpe?g|gif|svg|webp)|^(README|LICENSE|NOTICE|CHANGELOG)[^.]*)$/i;
/** Data to which a mail program or a browser has added an ending. */
const DATA_AS_TEXT = /\.(json|jsonl|ndjson|csv)\.(txt|md|html?)$/i;

import { DAY_MS } from '../../base/time.ts';
import { isoSecond, minuteText, utcYear } from './calendar.ts';
import { type Catalogue, mainArtistName } from './catalogue.ts';
import { type ExportOptions, exportDays } from './options.ts';
import { type OwnPlay, ownListening } from './own-listening.ts';
import { type Planted, tally } from './planted.ts';
import { createRandom, type Random } from './random.ts';
import { createSpokenContent, type SpokenContent } from './spoken-content.ts';
import type { FileSet, TextFile } from './text-file.ts';

const EXTENDED = 'export/Spotify Extended Streaming History';
const ACCOUNT = 'export/Spotify Account Data';
/** An account data file of Spotify ends here. */
const ACCOUNT_ROWS = 10_000;
/** Account data reaches back about one year. */
const ACCOUNT_DAYS = 365;
/** Until here the flag `skipped` of real exports is false whatever happened. */
const SKIPPED_SAYS_NOTHING_UNTIL_MS = Date.UTC(2022, 9, 16);

/** Between the elements of an array. */
const SEPARATOR = ',\n';
const BATCH_ROWS = 64;

/** The parts of a row that most rows have alike. */
const NO_MUSIC = metadata(null, null, null);
const NO_EPISODE = episode(null, null, null);
const NO_BOOK = audiobook(null, null, null, null);

export interface ExportCounts {
  /** Rows of the extended history, repeats included. */
  rows: number;
  distinctPlays: number;
  /** Rows of the account data: the last year once more. */
  accountRows: number;
  planted: Planted;
}

/**
 * Writes the account export of one person: the extended history of `exportYears` and the account data of the
 * last year, which tells the same plays by the minute and without ids.
 *
 * - `Streaming_History_Audio_YYYY-YYYY_N.json` and `Streaming_History_Video_YYYY-YYYY.json`: a JSON array,
 *   one compact row a line, 23 keys.
 * - With `faults` the oldest tenth is `endsong_0.json`, as exports before 2023 had it: 21 keys, with user
 *   name and user agent.
 * - `StreamingHistory_music|podcast|audiobook_N.json`: names, `endTime` to the minute (UTC), `msPlayed`.
 *   Every play once.
 *
 * Memory: one audio file (about 16,000 rows) and one day of plays.
 *
 * @param endMs exclusive, Unix milliseconds
 * @param onPlays called with the plays of a window of about a day, all of them (also with an empty list)
 */
export async function writeAccountExport(
  options: ExportOptions,
  catalogue: Catalogue,
  endMs: number,
  files: FileSet,
  onPlays: (plays: OwnPlay[]) => void,
): Promise<ExportCounts> {
  const planted: Planted = {};
  const counts: ExportCounts = { rows: 0, distinctPlays: 0, accountRows: 0, planted };
  if (options.exportPlays === 0) return counts;
  const spoken = createSpokenContent(options.seed);
  const random = createRandom(options.seed, 'export files');
  const rows = createRowWriter(catalogue, spoken, options, planted);
  const firstYear = utcYear(endMs - exportDays(options.exportYears) * DAY_MS);
  const lastYear = utcYear(endMs - 1);
  const audio = createAudioFiles(
    files,
    rows,
    random,
    options.faults ? Math.min(16_000, Math.ceil(options.exportPlays / 10)) : 0,
  );
  const video = createArrayFile(files, `${EXTENDED}/Streaming_History_Video_${yearRange(firstYear, lastYear)}.json`);
  const account = createAccountFiles(files, catalogue, spoken);
  // Plays that the next file repeats.
  let later: OwnPlay[] = [];
  for (const plays of ownListening(options, catalogue, spoken, endMs, planted)) {
    for (const play of plays) {
      counts.distinctPlays++;
      counts.rows++;
      if (play.statedMs >= endMs - ACCOUNT_DAYS * DAY_MS && (await account.add(play))) counts.accountRows++;
      if (play.kind === 'video') {
        if (video.add(rows.render(play, false))) await video.flush();
        continue;
      }
      if (audio.add(play)) {
        await audio.finish();
        // What the next file begins with was in the one before as well.
        for (const repeated of later) audio.add(repeated);
        counts.rows += later.length;
        tally(planted, 'repeat_across_files', later.length);
        later = [];
      }
      if (!options.faults) continue;
      if (random.chance(0.005)) {
        audio.add(play);
        counts.rows++;
        tally(planted, 'repeat_within_file');
      }
      // Some of the last 1,500 rows or so: a newer export overlaps the end of an older one.
      if (random.chance(0.02)) later.push(play);
      if (later.length > 30) later.shift();
    }
    onPlays(plays);
  }
  await audio.finish();
  await video.close();
  await account.close();
  return counts;
}

interface RowWriter {
  /** One row of the extended history, as JSON. The same play gives the same text. */
  render(play: OwnPlay, isOldest: boolean): string;
}

function createRowWriter(
  catalogue: Catalogue,
  spoken: SpokenContent,
  options: ExportOptions,
  planted: Planted,
): RowWriter {
  const music: (string | undefined)[] = new Array(catalogue.size);

  function musicNames(track: number): string {
    const album = catalogue.albums.names[catalogue.trackAlbums[track]!]!;
    music[track] ??= metadata(catalogue.names[track]!, mainArtistName(catalogue, track), album);
    return music[track];
  }

  function content(play: OwnPlay, isOldest: boolean): string {
    const { kind, item } = play;
    const book = isOldest ? '' : NO_BOOK;
    if (kind === 'track') {
      const id = play.isAlternate ? catalogue.alternateIds[item] : catalogue.ids[item];
      return `${musicNames(item)},"spotify_track_uri":"spotify:track:${id}",${NO_EPISODE}${book}`;
    }
    if (kind === 'episode' || kind === 'video') {
      const { id, name, showName } = spoken.episodes[item]!;
      return `${NO_MUSIC},"spotify_track_uri":null,${episode(name, showName, id)}${book}`;
    }
    // The older rows have no place for an audiobook.
    const chapter = kind === 'chapter' && !isOldest ? spoken.chapters[item] : undefined;
    const chapterBook =
      chapter === undefined ? book : audiobook(chapter.showName, chapter.showId, chapter.name, chapter.id);
    return `${NO_MUSIC},"spotify_track_uri":null,${NO_EPISODE}${chapterBook}`;
  }

  function skippedFlag(play: OwnPlay, isOldest: boolean): boolean | null {
    if (isOldest) return null;
    if (!options.faults) return play.isSkipped;
    if (play.statedMs < SKIPPED_SAYS_NOTHING_UNTIL_MS) return false;
    // About one finished play in a hundred is marked as skipped; which ones hangs on the play, so that
    // repeats agree.
    if (play.reasonEnd === 'trackdone' && play.startMs % 97 === 0) {
      tally(planted, 'skipped_though_done');
      return true;
    }
    return play.isSkipped;
  }

  return {
    render(play, isOldest) {
      const { session } = play;
      const ip = session.ip === null ? 'null' : `"${session.ip}"`;
      if (isOldest) tally(planted, 'older_row');
      const head = isOldest
        ? `{"ts":"${isoSecond(play.statedMs)}","username":"synthetic-listener","platform":${JSON.stringify(session.platform)},"ms_played":${play.playedMs},"conn_country":"${session.country}","ip_addr_decrypted":${ip},"user_agent_decrypted":"unknown",`
        : `{"ts":"${isoSecond(play.statedMs)}","platform":${JSON.stringify(session.platform)},"ms_played":${play.playedMs},"conn_country":"${session.country}","ip_addr":${ip},`;
      return (
        head +
        content(play, isOldest) +
        `,"reason_start":"${play.reasonStart}","reason_end":"${play.reasonEnd}","shuffle":${session.isShuffle},"skipped":${skippedFlag(play, isOldest)},"offline":${session.isOffline},"offline_timestamp":${play.offlineTimestamp},"incognito_mode":${session.isIncognito}}`
      );
    },
  };
}

interface AudioFiles {
  /** True when the file is full and wants `finish`. */
  add(play: OwnPlay): boolean;
  /** Writes the file gathered so far: its name states the years of its rows, so it is known only now. */
  finish(): Promise<void>;
}

/** @param oldestRows size of the first file if that is to be an `endsong_0.json`, else 0 */
function createAudioFiles(files: FileSet, rows: RowWriter, random: Random, oldestRows: number): AudioFiles {
  // Rows are joined in batches while they are young: 16,000 unjoined ones cost the garbage collector half of
  // the time.
  let batches: string[] = [];
  let batch: string[] = [];
  let gathered = 0;
  let number = 0;
  let firstYear = 0;
  let lastYear = 0;
  let isOldest = oldestRows > 0;
  let capacity = isOldest ? oldestRows : nextCapacity(random);

  function add(play: OwnPlay): boolean {
    const year = utcYear(play.statedMs);
    firstYear = gathered === 0 ? year : Math.min(firstYear, year);
    lastYear = gathered === 0 ? year : Math.max(lastYear, year);
    batch.push(rows.render(play, isOldest));
    gathered++;
    if (batch.length === BATCH_ROWS) closeBatch();
    return gathered >= capacity;
  }

  function closeBatch(): void {
    if (batch.length > 0) batches.push(batch.join(SEPARATOR));
    batch = [];
  }

  return {
    add,
    async finish() {
      if (gathered === 0) return;
      closeBatch();
      const name = isOldest ? 'endsong_0' : `Streaming_History_Audio_${yearRange(firstYear, lastYear)}_${number++}`;
      const file = createArrayFile(files, `${EXTENDED}/${name}.json`);
      for (const text of batches) {
        if (file.add(text)) await file.flush();
      }
      await file.close();
      batches = [];
      gathered = 0;
      isOldest = false;
      capacity = nextCapacity(random);
    },
  };
}

/** Spotify's files end between about 15,500 and 16,500 rows. */
function nextCapacity(random: Random): number {
  return 15_500 + random.int(1_000);
}

interface AccountFiles {
  /** False for a play that account data does not tell. */
  add(play: OwnPlay): Promise<boolean>;
  close(): Promise<void>;
}

function createAccountFiles(files: FileSet, catalogue: Catalogue, spoken: SpokenContent): AccountFiles {
  const kinds = { track: 'music', episode: 'podcast', chapter: 'audiobook' } as const;
  const open = new Map<string, { file: TextFile; rows: number; number: number }>();

  return {
    async add(play) {
      const { kind, item } = play;
      if (kind !== 'track' && kind !== 'episode' && kind !== 'chapter') return false;
      const name = kinds[kind];
      let current = open.get(name);
      if (current === undefined || current.rows === ACCOUNT_ROWS) {
        await current?.file.close();
        const number = current === undefined ? 0 : current.number + 1;
        current = {
          file: createArrayFile(files, `${ACCOUNT}/StreamingHistory_${name}_${number}.json`),
          rows: 0,
          number,
        };
        open.set(name, current);
      }
      const other = kind === 'chapter' ? spoken.chapters[item]! : spoken.episodes[item]!;
      const [first, second] =
        kind === 'track'
          ? [
              ['artistName', mainArtistName(catalogue, item)],
              ['trackName', catalogue.names[item]!],
            ]
          : kind === 'episode'
            ? [
                ['podcastName', other.showName],
                ['episodeName', other.name],
              ]
            : [
                ['audiobookName', other.showName],
                ['chapterName', other.name],
              ];
      const text = `  {\n    "endTime" : "${minuteText(play.statedMs)}",\n    "${first![0]}" : ${JSON.stringify(first![1])},\n    "${second![0]}" : ${JSON.stringify(second![1])},\n    "msPlayed" : ${play.playedMs}\n  }`;
      current.rows++;
      if (current.file.add(text)) await current.file.flush();
      return true;
    },
    async close() {
      for (const { file } of open.values()) await file.close();
    },
  };
}

/** A JSON array, one element a line. Without elements there is no file. */
function createArrayFile(files: FileSet, name: string): TextFile {
  const file = files.create(name);
  let separator = '[\n';
  return {
    add(text) {
      const isFull = file.add(`${separator}${text}`);
      separator = SEPARATOR;
      return isFull;
    },
    flush: () => file.flush(),
    async close() {
      if (separator !== '[\n') file.add('\n]\n');
      await file.close();
    },
  };
}

function metadata(track: string | null, artist: string | null, album: string | null): string {
  return `"master_metadata_track_name":${JSON.stringify(track)},"master_metadata_album_artist_name":${JSON.stringify(artist)},"master_metadata_album_album_name":${JSON.stringify(album)}`;
}

function episode(name: string | null, show: string | null, id: string | null): string {
  const uri = id === null ? 'null' : `"spotify:episode:${id}"`;
  return `"episode_name":${JSON.stringify(name)},"episode_show_name":${JSON.stringify(show)},"spotify_episode_uri":${uri}`;
}

function audiobook(
  book: string | null,
  bookId: string | null,
  chapter: string | null,
  chapterId: string | null,
): string {
  const uris = [bookId && `spotify:show:${bookId}`, chapterId && `spotify:episode:${chapterId}`].map((uri) =>
    JSON.stringify(uri),
  );
  return `,"audiobook_title":${JSON.stringify(book)},"audiobook_uri":${uris[0]},"audiobook_chapter_uri":${uris[1]},"audiobook_chapter_title":${JSON.stringify(chapter)}`;
}

function yearRange(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}

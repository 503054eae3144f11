import { JobError } from '../../base/errors.ts';
import { writeRecords } from '../../bronze/records.ts';
import type { Source } from '../../bronze/source.ts';
import type { JsonScan } from '../../formats/json/scanner.ts';
import { rowsOf } from '../../formats/json/values.ts';
import { SCROBBLES_CSV } from './csv.ts';
import { SCROBBLES } from './rows.ts';

/** What people scrobbled at Last.fm: the CSV of exporters, and pages of `user.getRecentTracks` as JSON. */
export const LAST_FM: Source = {
  name: 'last-fm',
  tables: [{ name: SCROBBLES.table, isOwn: true, plays: { stage: 'stg_plays_lastfm', isReportedLate: false } }],
  csv: SCROBBLES_CSV,
  documents: {
    fits,
    namesPeople: false,
    write: (staged, scan, people) => writeRecords(staged, SCROBBLES, scrobblesOf(staged.path, scan), people),
  },
};

/** A page, pages one a line or in a list; or the tracks of pages in one of these ways. */
function fits({ keys, firstOtherRow }: JsonScan): boolean {
  const isPage = keys.has('recenttracks');
  const isTrack = ['artist', 'album', 'name', 'date'].every((key) => keys.has(key));
  return (isPage || isTrack) && firstOtherRow === undefined;
}

/**
 * What https://www.last.fm/api/show/user.getRecentTracks answers, as far as it is read. A page with one
 * track has no list.
 */
interface Page {
  recenttracks?: { track?: Track | Track[] };
}

interface Track {
  artist?: Named;
  album?: Named;
  name?: unknown;
  mbid?: unknown;
  date?: { uts?: unknown; '#text'?: unknown } | null;
  '@attr'?: { nowplaying?: unknown };
}

/** With `extended=1` the name of an artist has another key. */
type Named = { '#text'?: unknown; name?: unknown; mbid?: unknown } | string | null;

async function* scrobblesOf(path: string, scan: JsonScan): AsyncGenerator<Record<string, unknown>> {
  let row = 0;
  for await (const text of rowsOf(path, scan)) {
    row += 1;
    const value = JSON.parse(text) as Page & Track;
    const tracks = scan.keys.has('recenttracks') ? [value.recenttracks?.track ?? []].flat() : [value];
    for (const track of tracks) {
      if (typeof track !== 'object' || track === null) {
        throw new JobError('row_not_object', 'data', 'a track that is not an object', {
          hint: 'export or copy it again',
          place: { row },
        });
      }
      yield scrobbleOf(track);
    }
  }
}

function scrobbleOf({ artist, album, name, mbid, date, '@attr': mark }: Track): Record<string, unknown> {
  const [byArtist, ofAlbum] = [named(artist), named(album)];
  return {
    uts: date?.uts,
    played_at: date?.['#text'],
    artist: byArtist.name ?? null,
    artist_mbid: byArtist.mbid,
    album: ofAlbum.name,
    album_mbid: ofAlbum.mbid,
    track: name ?? null,
    track_mbid: mbid,
    now_playing: mark?.nowplaying,
  };
}

function named(given: Named | undefined): { name?: unknown; mbid?: unknown } {
  return typeof given === 'object' && given !== null
    ? { name: given['#text'] ?? given.name, mbid: given.mbid }
    : { name: given ?? undefined };
}

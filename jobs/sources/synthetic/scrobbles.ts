import { MINUTE_MS, SECOND_MS } from '../../base/time.ts';
import { isoDate, minuteText } from './calendar.ts';
import { type Catalogue, mainArtistName } from './catalogue.ts';
import { pick, type Random } from './random.ts';

/** What somebody heard and when it began, whether or not Spotify played it. */
export interface Heard {
  track: number;
  startMs: number;
}

/** Files of scrobbles, and what they hold. */
export interface ScrobbleFiles {
  documents: [name: string, text: string][];
  /** Rows that are scrobbles: the track that was still playing when a page was taken is none. */
  rows: number;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const PAGE = 50;
/** Clients report the start to the second, some of them a second late. */
const LATE = [0, 0, 0, 1] as const;
/** Shares of the listening that files tell besides the one that tells all of it: they overlap. */
const PAGES_FROM = 0.5;
const MINUTES = [0.4, 0.7] as const;
const LISTENS_FROM = 0.05;

/**
 * The same listening as Last.fm and ListenBrainz tell it: the CSV of two exporters, one of which drops the
 * seconds, pages of `user.getRecentTracks` with the track that is just playing at the head of each, and
 * listens by month as in the archive of ListenBrainz, some with a link to Spotify, others with the id of
 * the recording.
 *
 * @param heard in order of time; what begins within two seconds of an equal track is one scrobble
 */
export function scrobbleFiles(random: Random, catalogue: Catalogue, heard: readonly Heard[]): ScrobbleFiles {
  const mbids = catalogue.ids.map(() => mbidOf(random));
  const part = (from: number, to: number): Heard[] =>
    heard.slice(Math.floor(from * heard.length), Math.floor(to * heard.length));
  const namesOf = (track: number) => ({
    artist: mainArtistName(catalogue, track),
    album: catalogue.albums.names[catalogue.trackAlbums[track]!]!,
    track: catalogue.names[track]!,
    mbid: mbids[track]!,
  });
  const lines = heard.map(({ track, startMs }) => {
    const names = namesOf(track);
    const cells = [unix(startMs), lastFmText(startMs), names.artist, '', names.album, '', names.track, names.mbid];
    return `${cells.map(quoted).join(',')}\r\n`;
  });
  const header = 'uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\r\n';
  const minutes = part(...MINUTES).map(({ track, startMs }) => {
    const names = namesOf(track);
    return `${[names.artist, names.album, names.track, lastFmText(startMs).replace(',', '')].map(quoted).join(',')}\n`;
  });
  const tracks = part(PAGES_FROM, 1).map(({ track, startMs }) => ({
    ...trackOf(namesOf(track)),
    date: { uts: unix(startMs), '#text': lastFmText(startMs) },
  }));
  const pages = Array.from({ length: Math.ceil(tracks.length / PAGE) }, (_, number) =>
    tracks.slice(number * PAGE, (number + 1) * PAGE).toReversed(),
  );
  const playing = { ...trackOf(namesOf(0)), '@attr': { nowplaying: 'true' } };
  const listens = part(LISTENS_FROM, 1).map(({ track, startMs }) => {
    const names = namesOf(track);
    const at = Number(unix(startMs + pick(random, LATE) * SECOND_MS));
    const spotify = {
      spotify_id: `https://open.spotify.com/track/${catalogue.ids[track]}`,
      music_service: 'spotify.com',
    };
    return {
      inserted_at: at + 200,
      listened_at: at,
      track_metadata: {
        artist_name: names.artist,
        track_name: names.track,
        release_name: names.album,
        additional_info: random.chance(0.3) ? spotify : { submission_client: 'synthetic' },
        mbid_mapping: { recording_mbid: names.mbid, artists: [{ artist_credit_name: names.artist }] },
      },
    };
  });
  const months = Map.groupBy(listens, ({ listened_at: at }) => isoDate(at * SECOND_MS).slice(0, 7));
  return {
    documents: [
      ['lastfm/recenttracks.csv', `${header}${lines.join('')}`],
      ['lastfm/lastfm-to-csv.csv', minutes.join('')],
      ['lastfm/pages.ndjson', pages.map((page) => `${JSON.stringify(pageOf([playing, ...page]))}\n`).join('')],
      ...[...months].map(([month, rows]): [string, string] => [
        `listenbrainz/listens/${month.slice(0, 4)}/${Number(month.slice(5))}.jsonl`,
        rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
      ]),
    ],
    rows: lines.length + minutes.length + tracks.length + listens.length,
  };
}

function pageOf(track: unknown[]): unknown {
  return { recenttracks: { track, '@attr': { user: 'synthetic-listener', page: '1', perPage: String(PAGE) } } };
}

function trackOf({ artist, album, track, mbid }: Record<'artist' | 'album' | 'track' | 'mbid', string>) {
  return {
    artist: { mbid: '', '#text': artist },
    streamable: '0',
    image: [],
    mbid,
    album: { mbid: '', '#text': album },
    name: track,
    url: `https://music.example/_/${encodeURIComponent(track)}`,
  };
}

/** Seconds since 1970, the fraction cut off. */
function unix(ms: number): string {
  return String(Math.floor(ms / SECOND_MS));
}

/** `31 Dec 2025, 21:38`: how Last.fm writes a time. */
function lastFmText(ms: number): string {
  const [date, time] = minuteText(ms - (ms % MINUTE_MS)).split(' ');
  return `${date!.slice(8)} ${MONTHS[Number(date!.slice(5, 7)) - 1]} ${date!.slice(0, 4)}, ${time}`;
}

function quoted(cell: string): string {
  return `"${cell.replaceAll('"', '""')}"`;
}

/** An id of MusicBrainz's shape. */
function mbidOf(random: Random): string {
  const hex = Array.from({ length: 32 }, () => random.int(16).toString(16)).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join('-');
}

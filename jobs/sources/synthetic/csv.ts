import { DAY_MS } from '../../base/time.ts';
import { isoDate, weekday } from './calendar.ts';
import { ARTIST_PLACES, artistsOf, type Catalogue, GENRES, NONE, popularityWeight } from './catalogue.ts';
import { type Planted, tally } from './planted.ts';
import { base62Id, createRandom, type Random } from './random.ts';
import type { FileSet } from './text-file.ts';

const TRACK_COLUMNS =
  ',track_id,artists,album_name,track_name,popularity,duration_ms,explicit,danceability,energy,key,loudness,mode,' +
  'speechiness,acousticness,instrumentalness,liveness,valence,tempo,time_signature,track_genre';

/**
 * Writes `tracks.csv` in the shape of Kaggle's "Spotify Tracks Dataset": 21 columns, the first without a
 * name, ordered by genre.
 *
 * Without `faults` one row a track. With them as that file is: an id again under another genre (about 20 % of
 * the tracks, the popularity sometimes different), exact copies but for the index, the same recording under
 * its other id, popularity 0 on 14 %, tempo and time signature 0 on 0.14 % (at least one), loudness above 0,
 * and one row without names.
 *
 * @returns rows written, and how many of each fault
 */
export async function writeTracksCsv(
  options: { seed: number; faults: boolean },
  catalogue: Catalogue,
  files: FileSet,
): Promise<{ rows: number; planted: Planted }> {
  const random = createRandom(options.seed, 'tracks.csv');
  const planted: Planted = {};
  const file = files.create('tracks.csv');
  let rows = 0;
  // At least one of the rare faults, however small the catalogue is.
  const oddTempo = random.int(catalogue.size);
  const loud = random.int(catalogue.size);
  const repeatOf: number[][] = GENRES.map(() => []);
  const damage = new Map<number, TrackDamage>();

  function add(fields: string): void {
    file.add(`${rows},${fields}\n`);
    rows++;
  }

  function plant(track: number, genre: number): void {
    const zero = { popularity: random.chance(0.14), tempo: track === oddTempo || random.chance(0.0014) };
    damage.set(track, { ...zero, loudness: track === loud || random.chance(0.001) });
    if (zero.popularity) tally(planted, 'csv_popularity_zero');
    if (zero.tempo) tally(planted, 'csv_tempo_zero');
    if (track === loud || damage.get(track)!.loudness) tally(planted, 'csv_loudness_above_zero');
    const second = catalogue.secondGenres[track]!;
    if (second !== NONE && second !== genre && random.chance(0.24)) repeatOf[second]!.push(track);
  }

  file.add(`${TRACK_COLUMNS}\n`);
  if (options.faults) {
    for (let track = 0; track < catalogue.size; track++) plant(track, catalogue.genres[track]!);
  }
  for (const [genre, tracks] of catalogue.genreTracks.entries()) {
    for (const track of tracks) {
      const id = catalogue.ids[track]!;
      const fields = trackFields(catalogue, track, id, genre, damage.get(track));
      add(fields);
      if (!options.faults) continue;
      if (random.chance(0.004)) {
        add(fields);
        tally(planted, 'csv_exact_copy');
      }
      const alternate = catalogue.alternateIds[track]!;
      if (alternate !== '' && random.chance(0.5)) {
        add(trackFields(catalogue, track, alternate, genre, damage.get(track), ' (Compilation)'));
        tally(planted, 'csv_alternate_id');
      }
    }
    for (const track of repeatOf[genre]!) {
      const damaged = { ...damage.get(track)!, shift: random.chance(0.3) ? 1 : 0 };
      add(trackFields(catalogue, track, catalogue.ids[track]!, genre, damaged));
      tally(planted, 'csv_repeat_other_genre');
    }
    await file.flush();
  }
  if (options.faults) {
    add(`${base62Id(random)},,,,0,0,False,0.501,0.583,7,-9.46,1,0.0605,0.69,0.00396,0.0747,0.734,138.391,4,pop`);
    tally(planted, 'csv_null_names');
  }
  await file.close();
  return { rows, planted };
}

interface TrackDamage {
  popularity: boolean;
  tempo: boolean;
  loudness: boolean;
  /** Added to the popularity, at most 100. */
  shift?: number;
}

/**
 * Writes two weekly charts (`regional-global-weekly-YYYY-MM-DD.csv`, the date being the Thursday that ends
 * the week: BOM, CRLF) and a daily one (`regional-global-daily-YYYY-MM-DD.csv`: a note line before the
 * header, LF) under `charts/`, 200 ranks or one for each track.
 *
 * @param endMs exclusive end of the data set: every chart lies before it
 */
export async function writeCharts(seed: number, catalogue: Catalogue, endMs: number, files: FileSet): Promise<void> {
  const lastDayMs = endMs - DAY_MS;
  const thursdayMs = lastDayMs - ((weekday(lastDayMs) + 3) % 7) * DAY_MS;
  const weeks = [2, 1, 0].map((back) => ({
    ms: thursdayMs - back * 7 * DAY_MS,
    entries: chartOf(seed, catalogue, thursdayMs - back * 7 * DAY_MS, 7),
  }));
  for (const [index, week] of weeks.entries()) {
    const previous = weeks[index - 1];
    if (previous === undefined) continue;
    const before = new Map(previous.entries.map((entry, place) => [entry.track, place + 1]));
    const lines = ['rank,uri,artist_names,track_name,source,peak_rank,previous_rank,weeks_on_chart,streams'];
    for (const [place, { track, streams }] of week.entries.entries()) {
      const rank = place + 1;
      const previousRank = before.get(track) ?? -1;
      const peak = previousRank === -1 ? rank : Math.min(rank, previousRank, 1 + (catalogue.ranks[track]! % 200));
      const onChart = previousRank === -1 ? 1 : 1 + index + (catalogue.ranks[track]! % 60);
      const artists = artistsOf(catalogue, track).map((artist) => catalogue.artists.names[artist]!);
      const label = `Synthetic Records ${1 + (catalogue.trackAlbums[track]! % 9)}`;
      lines.push(
        `${rank},${quoted(`spotify:track:${catalogue.ids[track]}`)},${quoted(artists.join(', '))},${quoted(catalogue.names[track]!)},${quoted(label)},${peak},${previousRank},${onChart},${quoted(String(streams))}`,
      );
    }
    await files.writeWhole(`charts/regional-global-weekly-${isoDate(week.ms)}.csv`, `\uFEFF${lines.join('\r\n')}\r\n`);
  }
  const daily = chartOf(seed, catalogue, lastDayMs, 1).map(
    ({ track, streams }, place) =>
      `${place + 1},${chartField(catalogue.names[track]!)},${chartField(catalogue.artists.names[catalogue.trackArtists[track * ARTIST_PLACES]!]!)},${streams},https://open.spotify.com/track/${catalogue.ids[track]}\n`,
  );
  const note = ',,,"Note: synthetic figures, made to try listenlake with.",\n';
  const header = 'Position,"Track Name",Artist,Streams,URL\n';
  await files.writeWhole(`charts/regional-global-daily-${isoDate(lastDayMs)}.csv`, note + header + daily.join(''));
}

/** The most streamed tracks of a period, the first being rank 1. */
function chartOf(
  seed: number,
  catalogue: Catalogue,
  periodMs: number,
  days: number,
): { track: number; streams: number }[] {
  const random: Random = createRandom(seed, 'chart', days, periodMs);
  // Only a well-known track can enter, so the noise need not be drawn for a million of them.
  const candidates: { track: number; streams: number }[] = [];
  for (let track = 0; track < catalogue.size; track++) {
    const rank = catalogue.ranks[track]!;
    if (rank >= 400) continue;
    const streams = Math.round(1_900_000 * days * popularityWeight(rank) * 4 * Math.exp(0.12 * random.normal()));
    candidates.push({ track, streams });
  }
  return candidates.sort((a, b) => b.streams - a.streams || a.track - b.track).slice(0, 200);
}

function trackFields(
  catalogue: Catalogue,
  track: number,
  id: string,
  genre: number,
  damage: TrackDamage | undefined,
  albumSuffix = '',
): string {
  const { features } = catalogue;
  const artists = artistsOf(catalogue, track).map((artist) => catalogue.artists.names[artist]!);
  const album = catalogue.albums.names[catalogue.trackAlbums[track]!]! + albumSuffix;
  const popularity = damage?.popularity ? 0 : Math.min(100, catalogue.popularity[track]! + (damage?.shift ?? 0));
  return [
    id,
    field(artists.join(';')),
    field(album),
    field(catalogue.names[track]!),
    popularity,
    catalogue.durationMs[track]!,
    catalogue.isExplicit[track] === 1 ? 'True' : 'False',
    features.danceability[track]!,
    features.energy[track]!,
    features.key[track]!,
    damage?.loudness ? 1.864 : features.loudness[track]!,
    features.mode[track]!,
    features.speechiness[track]!,
    features.acousticness[track]!,
    features.instrumentalness[track]!,
    features.liveness[track]!,
    features.valence[track]!,
    damage?.tempo ? '0.0' : features.tempo[track]!,
    damage?.tempo ? 0 : features.timeSignature[track]!,
    GENRES[genre]!,
  ].join(',');
}

/** Quoted where RFC 4180 asks for it. */
function field(value: string): string {
  return /[",\r\n]/.test(value) ? quoted(value) : value;
}

/** The daily charts also quote what holds a space. */
function chartField(value: string): string {
  return value.includes(' ') ? quoted(value) : field(value);
}

function quoted(value: string): string {
  return `"${value.replaceAll('"', '""')}"`;
}

import { DAY_MS } from '../../base/time.ts';
import { isoDate } from './calendar.ts';
import { albumName, artistName, ODD_ARTIST_NAMES, ODD_TRACK_NAMES, trackName } from './names.ts';
import { base62Id, createRandom, createWeightedIndex, type Random, type WeightedIndex } from './random.ts';

/** No artist at that place, no second genre. */
export const NONE = 0xffff_ffff;
/** How many artists one track can have. */
export const ARTIST_PLACES = 3;

const GENRE_TABLE: readonly (readonly [string, ...number[]])[] = [
  // name, share, danceability, energy, speechiness, acousticness, instrumentalness, valence, tempo (BPM),
  // loudness (dB)
  ['acoustic', 5, 0.55, 0.42, 0.04, 0.62, 0.05, 0.43, 117, -9.5],
  ['afrobeat', 4, 0.69, 0.7, 0.09, 0.27, 0.2, 0.68, 115, -7.5],
  ['alt-rock', 7, 0.53, 0.77, 0.05, 0.13, 0.04, 0.52, 124, -6],
  ['ambient', 3, 0.34, 0.24, 0.04, 0.79, 0.72, 0.17, 108, -18.5],
  ['blues', 3, 0.55, 0.58, 0.05, 0.37, 0.07, 0.56, 121, -8.5],
  ['classical', 3, 0.36, 0.19, 0.05, 0.88, 0.61, 0.32, 107, -20],
  ['club', 5, 0.67, 0.74, 0.08, 0.15, 0.31, 0.51, 122, -7.3],
  ['country', 5, 0.58, 0.63, 0.04, 0.29, 0.01, 0.55, 123, -7.1],
  ['dance', 8, 0.69, 0.76, 0.07, 0.11, 0.03, 0.56, 119, -5.3],
  ['drum-and-bass', 3, 0.57, 0.86, 0.08, 0.05, 0.42, 0.38, 159, -5],
  ['electronic', 7, 0.62, 0.73, 0.08, 0.12, 0.26, 0.45, 124, -6.7],
  ['folk', 4, 0.53, 0.44, 0.04, 0.56, 0.06, 0.47, 118, -10],
  ['hip-hop', 9, 0.74, 0.68, 0.17, 0.19, 0.01, 0.55, 119, -6.9],
  ['indie-pop', 7, 0.58, 0.61, 0.05, 0.31, 0.06, 0.5, 121, -7.7],
  ['jazz', 4, 0.51, 0.36, 0.05, 0.7, 0.12, 0.48, 114, -11.8],
  ['latin', 6, 0.73, 0.74, 0.1, 0.2, 0.02, 0.66, 117, -5.4],
  ['metal', 5, 0.43, 0.91, 0.1, 0.02, 0.2, 0.33, 127, -5.1],
  ['pop', 10, 0.64, 0.66, 0.07, 0.28, 0.02, 0.54, 120, -6.6],
  ['sleep', 1, 0.25, 0.2, 0.06, 0.72, 0.78, 0.08, 95, -21],
  ['soul', 4, 0.61, 0.53, 0.07, 0.42, 0.03, 0.54, 113, -8.7],
];

/** In alphabetical order: the order of the tracks file. */
export const GENRES: readonly string[] = GENRE_TABLE.map(([name]) => name);

/** Audio features, one value for each track; units as in the Kaggle tracks file. */
export interface AudioFeatures {
  danceability: Float64Array;
  energy: Float64Array;
  /** 0 (C) to 11 (B). */
  key: Uint8Array;
  /** Decibels. */
  loudness: Float64Array;
  mode: Uint8Array;
  speechiness: Float64Array;
  acousticness: Float64Array;
  instrumentalness: Float64Array;
  liveness: Float64Array;
  valence: Float64Array;
  /** Beats a minute. */
  tempo: Float64Array;
  timeSignature: Uint8Array;
}

/** Everything that is played: columns with one value for each track, artist or album. */
export interface Catalogue {
  size: number;
  ids: string[];
  names: string[];
  isrcs: string[];
  /** A second id of the same recording, on a compilation; '' where there is none (about 7 of 8). */
  alternateIds: string[];
  /** `ARTIST_PLACES` places a track, the album's artist first, `NONE` where there is no further one. */
  trackArtists: Uint32Array;
  trackAlbums: Uint32Array;
  trackNumbers: Uint16Array;
  genres: Uint8Array;
  /** A further genre, or `NONE`. */
  secondGenres: Uint32Array;
  /** 0 to 100. */
  popularity: Uint8Array;
  durationMs: Uint32Array;
  isExplicit: Uint8Array;
  features: AudioFeatures;
  /** 0 is the most played. */
  ranks: Uint32Array;
  artists: { ids: string[]; names: string[]; genres: Uint8Array };
  albums: { ids: string[]; names: string[]; artists: Uint32Array; releaseMs: Float64Array; totalTracks: Uint16Array };
  /** For each genre a draw over `genreTracks` of it; undefined where no track has that genre. */
  genreSamplers: (WeightedIndex | undefined)[];
  genreTracks: Uint32Array[];
}

/** How often the track of a rank is played: Zipf with a flattened head, as play counts of services look. */
export function popularityWeight(rank: number): number {
  return 1 / (rank + 3) ** 0.95;
}

/**
 * Makes the tracks, artists and albums of a data set. Memory grows with `tracks` alone.
 *
 * @param endMs releases are older than this, Unix milliseconds
 */
export function createCatalogue(seed: number, tracks: number, endMs: number): Catalogue {
  const random = createRandom(seed, 'catalogue');
  const artists = createArtists(random, tracks);
  const ranks = shuffledRanks(random, tracks);
  const catalogue: Catalogue = {
    size: tracks,
    ids: [],
    names: [],
    isrcs: [],
    alternateIds: [],
    trackArtists: new Uint32Array(tracks * ARTIST_PLACES).fill(NONE),
    trackAlbums: new Uint32Array(tracks),
    trackNumbers: new Uint16Array(tracks),
    genres: new Uint8Array(tracks),
    secondGenres: new Uint32Array(tracks).fill(NONE),
    popularity: new Uint8Array(tracks),
    durationMs: new Uint32Array(tracks),
    isExplicit: new Uint8Array(tracks),
    features: emptyFeatures(tracks),
    ranks,
    artists,
    albums: {
      ids: [],
      names: [],
      artists: new Uint32Array(0),
      releaseMs: new Float64Array(0),
      totalTracks: new Uint16Array(0),
    },
    genreSamplers: [],
    genreTracks: [],
  };
  const artistSampler = createWeightedIndex(Float64Array.from(artists.ids, (_, index) => popularityWeight(index)));
  const genreSampler = createWeightedIndex(GENRE_TABLE.map((row) => row[1]!));
  for (let track = 0; track < tracks; track++) {
    addTrack(catalogue, random, track, artistSampler.sample(random), artistSampler, genreSampler);
  }
  addAlbums(catalogue, random, endMs);
  addGenreSamplers(catalogue);
  return catalogue;
}

/** The artists of a track, the album's artist first. */
export function artistsOf(catalogue: Catalogue, track: number): number[] {
  const first = track * ARTIST_PLACES;
  return [...catalogue.trackArtists.subarray(first, first + ARTIST_PLACES)].filter((artist) => artist !== NONE);
}

/** The name of the album's artist, which is the first artist of each of its tracks. */
export function mainArtistName(catalogue: Catalogue, track: number): string {
  return catalogue.artists.names[catalogue.trackArtists[track * ARTIST_PLACES]!]!;
}

function createArtists(random: Random, tracks: number): Catalogue['artists'] {
  const size = Math.ceil(tracks / 9);
  const genreSampler = createWeightedIndex(GENRE_TABLE.map((row) => row[1]!));
  const ids: string[] = [];
  const names: string[] = [];
  const genres = new Uint8Array(size);
  for (let artist = 0; artist < size; artist++) {
    ids.push(base62Id(random));
    // The odd names sit among the well-known artists (3, 8, 13, ...), so that plays and charts hold them.
    const odd = artist % 5 === 3 ? ODD_ARTIST_NAMES[(artist - 3) / 5] : undefined;
    names.push(odd ?? artistName(artist));
    genres[artist] = genreSampler.sample(random);
  }
  return { ids, names, genres };
}

function addTrack(
  catalogue: Catalogue,
  random: Random,
  track: number,
  artist: number,
  artistSampler: WeightedIndex,
  genreSampler: WeightedIndex,
): void {
  const rank = catalogue.ranks[track]!;
  const genre = random.chance(0.85) ? catalogue.artists.genres[artist]! : genreSampler.sample(random);
  const second = genreSampler.sample(random);
  catalogue.ids.push(base62Id(random));
  // As with artists: among the much played, at ranks 2, 6, 10, ...
  const odd = rank % 4 === 2 ? ODD_TRACK_NAMES[(rank - 2) / 4] : undefined;
  const name = trackName(random);
  catalogue.names.push(odd ?? name);
  catalogue.isrcs.push(isrc(track));
  catalogue.alternateIds.push(random.chance(0.12) ? base62Id(random) : '');
  catalogue.genres[track] = genre;
  if (second !== genre) catalogue.secondGenres[track] = second;
  const place = track * ARTIST_PLACES;
  catalogue.trackArtists[place] = artist;
  // 26 % of the Kaggle rows name several artists.
  const guests = random.chance(0.28) ? (random.chance(0.25) ? 2 : 1) : 0;
  for (let guest = 0; guest < guests; guest++) {
    const other = artistSampler.sample(random);
    const known = catalogue.trackArtists.subarray(place, place + 1 + guest);
    if (!known.includes(other) && known[guest] !== NONE) catalogue.trackArtists[place + 1 + guest] = other;
  }
  // About 100 at the top and falling by a fixed step each time the rank doubles, blurred a little.
  const score = 98 - 7.2 * Math.log2(1 + (rank * 2_000) / Math.max(2_000, catalogue.size)) + random.normal() * 4;
  catalogue.popularity[track] = Math.round(clamp(score, 1, 100));
  const minutes = random.chance(0.004)
    ? 12 + random.next() * 40
    : clamp(Math.exp(1.26 + random.normal() * 0.28), 1, 11);
  catalogue.durationMs[track] = Math.round(minutes * 60_000);
  catalogue.isExplicit[track] = random.chance(GENRES[genre] === 'hip-hop' ? 0.45 : 0.06) ? 1 : 0;
  fillFeatures(catalogue.features, random, track, GENRE_TABLE[genre]!);
}

function fillFeatures(
  features: AudioFeatures,
  random: Random,
  track: number,
  genre: (typeof GENRE_TABLE)[number],
): void {
  const [, , danceability, energy, speechiness, acousticness, instrumentalness, valence, tempo, loudness] = genre as [
    string,
    ...[number, number, number, number, number, number, number, number, number],
  ];
  // Within a genre, louder tracks are more energetic and less acoustic.
  const drive = random.normal();
  features.danceability[track] = share(danceability + random.normal() * 0.13, 3);
  features.energy[track] = share(energy + drive * 0.13 + random.normal() * 0.05, 3);
  features.key[track] = random.int(12);
  features.loudness[track] = rounded(clamp(loudness + drive * 2 + random.normal() * 1.5, -49, -0.3), 3);
  features.mode[track] = random.chance(0.64) ? 1 : 0;
  features.speechiness[track] = share(0.02 + speechiness * Math.exp(random.normal() * 0.5 - 0.125) * 0.9, 4);
  features.acousticness[track] = share(acousticness - drive * 0.08 + random.normal() * 0.18, 4);
  // Either a track is instrumental or it is sung: the middle is rare.
  const instrumental = random.chance(instrumentalness) ? 0.82 + random.normal() * 0.1 : 0.02 * random.next();
  features.instrumentalness[track] = share(instrumental, 4);
  features.liveness[track] = share(0.08 + 0.12 * -Math.log(1 - random.next()), 4);
  features.valence[track] = share(valence + random.normal() * 0.2, 3);
  features.tempo[track] = rounded(clamp(tempo + random.normal() * 24, 50, 220), 3);
  features.timeSignature[track] = random.chance(0.89) ? 4 : random.chance(0.75) ? 3 : 5;
}

function addAlbums(catalogue: Catalogue, random: Random, endMs: number): void {
  const current = new Uint32Array(catalogue.artists.ids.length).fill(NONE);
  const room: number[] = [];
  const artists: number[] = [];
  const releases: number[] = [];
  const totals: number[] = [];
  for (let track = 0; track < catalogue.size; track++) {
    const artist = catalogue.trackArtists[track * ARTIST_PLACES]!;
    let album = current[artist]!;
    if (album === NONE || totals[album]! >= room[album]!) {
      album = artists.length;
      current[artist] = album;
      catalogue.albums.ids.push(base62Id(random));
      catalogue.albums.names.push(albumName(random));
      room.push(random.chance(0.3) ? 1 : 6 + random.int(9));
      artists.push(artist);
      totals.push(0);
      // Half of the releases fall in the last four years.
      const ageDays = Math.floor(1 + 2_100 * -Math.log(1 - random.next()));
      releases.push(Math.max(Date.UTC(1960, 0, 1), endMs - ageDays * DAY_MS));
    }
    totals[album] = totals[album]! + 1;
    catalogue.trackAlbums[track] = album;
    catalogue.trackNumbers[track] = totals[album]!;
  }
  catalogue.albums.artists = Uint32Array.from(artists);
  catalogue.albums.releaseMs = Float64Array.from(releases);
  catalogue.albums.totalTracks = Uint16Array.from(totals);
}

/** The release date as the Web API writes it: to the day, month or year. */
export function releaseDate(
  catalogue: Catalogue,
  album: number,
): { date: string; precision: 'day' | 'month' | 'year' } {
  const date = isoDate(catalogue.albums.releaseMs[album]!);
  if (album % 17 === 5) return { date: date.slice(0, 4), precision: 'year' };
  if (album % 41 === 7) return { date: date.slice(0, 7), precision: 'month' };
  return { date, precision: 'day' };
}

function addGenreSamplers(catalogue: Catalogue): void {
  const members: number[][] = GENRES.map(() => []);
  for (let track = 0; track < catalogue.size; track++) members[catalogue.genres[track]!]!.push(track);
  for (const tracks of members) {
    catalogue.genreTracks.push(Uint32Array.from(tracks));
    catalogue.genreSamplers.push(
      tracks.length === 0
        ? undefined
        : createWeightedIndex(Float64Array.from(tracks, (track) => popularityWeight(catalogue.ranks[track]!))),
    );
  }
}

function shuffledRanks(random: Random, size: number): Uint32Array {
  const ranks = Uint32Array.from({ length: size }, (_, index) => index);
  for (let index = size - 1; index > 0; index--) {
    const other = random.int(index + 1);
    const kept = ranks[index]!;
    ranks[index] = ranks[other]!;
    ranks[other] = kept;
  }
  return ranks;
}

/** `ZZ` is nobody's country code, so no such recording exists. */
function isrc(track: number): string {
  const registrant = Math.floor(track / 100_000)
    .toString(36)
    .toUpperCase()
    .padStart(2, '0');
  return `ZZS${registrant}26${String(track % 100_000).padStart(5, '0')}`;
}

function emptyFeatures(size: number): AudioFeatures {
  return {
    danceability: new Float64Array(size),
    energy: new Float64Array(size),
    key: new Uint8Array(size),
    loudness: new Float64Array(size),
    mode: new Uint8Array(size),
    speechiness: new Float64Array(size),
    acousticness: new Float64Array(size),
    instrumentalness: new Float64Array(size),
    liveness: new Float64Array(size),
    valence: new Float64Array(size),
    tempo: new Float64Array(size),
    timeSignature: new Uint8Array(size),
  };
}

function share(value: number, digits: number): number {
  return rounded(clamp(value, 0.001, 0.995), digits);
}

function rounded(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

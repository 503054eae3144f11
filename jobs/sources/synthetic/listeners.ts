import { DAY_MS } from '../../base/time.ts';
import { type DaylightRule, zoneOffsetMinutes } from './calendar.ts';
import type { Catalogue } from './catalogue.ts';
import { createRandom, createWeightedIndex, type Random } from './random.ts';
import { DEVICES, type Device, firstSecondsProbability, USER_EFFECT_SD } from './skip-model.ts';

interface Country {
  code: string;
  share: number;
  /** Minutes to add to UTC, without daylight saving. */
  standardMinutes: number;
  rule: DaylightRule;
}

/** One time zone a country, the most populous one. Shares are relative numbers of users. */
export const COUNTRIES: readonly Country[] = [
  { code: 'US', share: 26, standardMinutes: -300, rule: 'us' },
  { code: 'DE', share: 12, standardMinutes: 60, rule: 'eu' },
  { code: 'GB', share: 10, standardMinutes: 0, rule: 'eu' },
  { code: 'BR', share: 10, standardMinutes: -180, rule: 'none' },
  { code: 'MX', share: 8, standardMinutes: -360, rule: 'none' },
  { code: 'IN', share: 7, standardMinutes: 330, rule: 'none' },
  { code: 'FR', share: 6, standardMinutes: 60, rule: 'eu' },
  { code: 'SE', share: 5, standardMinutes: 60, rule: 'eu' },
  { code: 'JP', share: 5, standardMinutes: 540, rule: 'none' },
  { code: 'PT', share: 4, standardMinutes: 0, rule: 'eu' },
  { code: 'NP', share: 2, standardMinutes: 345, rule: 'none' },
  { code: 'NZ', share: 2, standardMinutes: 720, rule: 'none' },
];

const HOURS_OF_WEEKDAYS = [
  0.25, 0.12, 0.08, 0.06, 0.1, 0.3, 0.8, 1.6, 1.7, 1.2, 1.1, 1.1, 1.3, 1.2, 1.1, 1.3, 1.6, 2, 2, 1.8, 1.7, 1.5, 1.1,
  0.6,
];
const HOURS_OF_WEEKENDS = [
  0.6, 0.4, 0.25, 0.12, 0.1, 0.12, 0.25, 0.5, 0.9, 1.3, 1.6, 1.7, 1.7, 1.6, 1.6, 1.6, 1.7, 1.7, 1.8, 1.8, 1.7, 1.6, 1.4,
  1,
];
const WEEKDAY_HOUR = createWeightedIndex(HOURS_OF_WEEKDAYS);
const WEEKEND_HOUR = createWeightedIndex(HOURS_OF_WEEKENDS);
const COUNTRY = createWeightedIndex(COUNTRIES.map((country) => country.share));
const DEVICE_SHARES: Record<Device, number> = {
  smartphone: 10,
  desktop: 4,
  tablet: 1,
  speaker: 2.5,
  tv: 0.8,
  car: 1.5,
};

/** Tracks that a person returns to. */
const FAVOURITES = 24;
/** The share of plays that are favourites. */
const FAVOURITE_SHARE = 0.22;

/** What stays the same about one person. */
export interface Listener {
  /** Index into `COUNTRIES`. */
  home: number;
  isTraveller: boolean;
  /** Mean sessions a day. */
  sessionsPerDay: number;
  /** Log odds that this person adds to every skip. */
  skipEffect: number;
  /** Devices owned; the first is used most. */
  devices: Device[];
  /** One value for each genre, 0 to 1; 1 for the genre liked most. */
  tasteMatch: Float64Array;
  /** Running sum of how often each genre is chosen; the last is 1. */
  genreChoice: Float64Array;
  favourites: Uint32Array;
}

/** The listener of a path below the seed, e.g. `'user', 12`: the same whatever else the data set holds. */
export function createListener(catalogue: Catalogue, seed: number, ...path: (string | number)[]): Listener {
  const random = createRandom(seed, 'listener', ...path);
  const genres = catalogue.genreTracks.length;
  const liking = Float64Array.from({ length: genres }, () => Math.exp(1.3 * random.normal()));
  const most = liking.reduce((a, b) => Math.max(a, b), 0);
  const listener: Listener = {
    home: COUNTRY.sample(random),
    isTraveller: random.chance(0.08),
    sessionsPerDay: Math.min(8, 1.3 * Math.exp(0.7 * random.normal())),
    skipEffect: USER_EFFECT_SD * random.normal(),
    devices: [],
    tasteMatch: liking.map((value) => value / most),
    genreChoice: new Float64Array(genres),
    favourites: new Uint32Array(FAVOURITES),
  };
  const deviceSampler = createWeightedIndex(DEVICES.map((device) => DEVICE_SHARES[device]));
  const owned = 1 + random.int(3);
  for (let place = 0; place < owned; place++) {
    const device = DEVICES[deviceSampler.sample(random)]!;
    if (!listener.devices.includes(device)) listener.devices.push(device);
  }
  let sum = 0;
  for (let genre = 0; genre < genres; genre++) {
    // A genre without tracks is never chosen; a larger one is met more often than a smaller one.
    sum += liking[genre]! * Math.sqrt(catalogue.genreTracks[genre]!.length);
    listener.genreChoice[genre] = sum;
  }
  for (let genre = 0; genre < genres; genre++) listener.genreChoice[genre] = listener.genreChoice[genre]! / sum;
  for (let place = 0; place < FAVOURITES; place++)
    listener.favourites[place] = trackByTaste(listener, catalogue, random);
  return listener;
}

/** The next track that a listener hears: a favourite, or one of a genre by taste, popular ones first. */
export function chooseTrack(listener: Listener, catalogue: Catalogue, random: Random): number {
  if (random.chance(FAVOURITE_SHARE)) return listener.favourites[Math.floor(random.next() ** 2 * FAVOURITES)]!;
  return trackByTaste(listener, catalogue, random);
}

export function chooseDevice(listener: Listener, random: Random): Device {
  return listener.devices[Math.floor(random.next() ** 1.8 * listener.devices.length)]!;
}

/** Where somebody is on a day: at home, or, a traveller, somewhere else for some of the ten-day blocks. */
export function countryOn(listener: Listener, seed: number, user: number | string, dayMs: number): Country {
  if (!listener.isTraveller) return COUNTRIES[listener.home]!;
  const random = createRandom(seed, 'trip', user, Math.floor(dayMs / (10 * DAY_MS)));
  return COUNTRIES[random.chance(0.2) ? COUNTRY.sample(random) : listener.home]!;
}

/** Minutes to add to UTC on that day. */
export function offsetOn(country: Country, dayMs: number): number {
  return zoneOffsetMinutes(country.standardMinutes, country.rule, dayMs);
}

/** A minute of the local day (0 to 1439) at which a session starts. */
export function localStartMinute(random: Random, weekend: boolean): number {
  return (weekend ? WEEKEND_HOUR : WEEKDAY_HOUR).sample(random) * 60 + random.int(60);
}

/** Tracks in one session, 1 to 40: many short ones, a few that fill an afternoon. */
export function sessionLength(random: Random): number {
  return Math.min(40, Math.max(1, Math.round(Math.exp(1.8 + 0.85 * random.normal()))));
}

/** How long a skipped play was heard, in milliseconds: at least 400, less than the track. */
export function heardBeforeSkip(random: Random, durationMs: number, tasteMatch: number, position: number): number {
  const last = durationMs - 1_000;
  if (random.chance(firstSecondsProbability(tasteMatch, position))) {
    return Math.min(last, 400 + Math.min(29_500, Math.floor(-7_000 * Math.log(1 - random.next()))));
  }
  return Math.min(last, 30_000 + Math.floor(random.next() * Math.max(1, durationMs * 0.9 - 30_000)));
}

function trackByTaste(listener: Listener, catalogue: Catalogue, random: Random): number {
  const point = random.next();
  let genre = 0;
  while (listener.genreChoice[genre]! <= point) genre++;
  return catalogue.genreTracks[genre]![catalogue.genreSamplers[genre]!.sample(random)]!;
}

import type { Catalogue } from './catalogue.ts';

export const DEVICES = ['smartphone', 'desktop', 'tablet', 'speaker', 'tv', 'car'] as const;
export type Device = (typeof DEVICES)[number];

/** Log odds of a skip where every input is 0. */
export const SKIP_INTERCEPT = 0;

/** Log odds that one unit of an input adds. What the inputs are stands in `INPUTS`. */
export const SKIP_COEFFICIENTS = {
  danceability: -1.4,
  energy: -0.5,
  valence: -0.7,
  acousticness: 0.6,
  instrumentalness: 1.1,
  speechiness: 1.6,
  duration_minutes: 0.18,
  session_position: 0.3,
  taste_match: -2.2,
  is_night: -0.4,
  is_commute: 0.35,
  device_smartphone: 0.4,
  device_tablet: 0.1,
  device_speaker: -0.8,
  device_tv: -0.5,
  device_car: 0.2,
} as const;

/**
 * Some people skip more than others: a normal effect of the user, with this standard deviation in log odds.
 */
export const USER_EFFECT_SD = 0.3;

/** Given a skip: does it come within the first 30 seconds? */
export const FIRST_SECONDS_INTERCEPT = 1.2;
export const FIRST_SECONDS_COEFFICIENTS = { taste_match: -1.5, session_position: 0.2 } as const;

const INPUTS: Record<keyof typeof SKIP_COEFFICIENTS, string> = {
  danceability: 'audio feature, 0 to 1',
  energy: 'audio feature, 0 to 1',
  valence: 'audio feature, 0 to 1',
  acousticness: 'audio feature, 0 to 1',
  instrumentalness: 'audio feature, 0 to 1',
  speechiness: 'audio feature, 0 to 1',
  duration_minutes: 'length of the track in minutes, at most 10',
  session_position: '(place of the play in its session, from 1) - 1, divided by 10',
  taste_match: "how much the user likes the track's genre: 0 to 1, 1 for the genre liked most; not in the data itself",
  is_night: '1 when the play starts from 22:00 to before 06:00 local time, else 0',
  is_commute: '1 when the play starts from 07:00 to before 09:00 local time, else 0',
  device_smartphone: '1 on this device, else 0; a desktop is the baseline',
  device_tablet: '1 on this device, else 0',
  device_speaker: '1 on this device, else 0',
  device_tv: '1 on this device, else 0',
  device_car: '1 on this device, else 0',
};

/** The part of the log odds that a track brings along: one value for each track. */
export function trackLogOdds(catalogue: Catalogue): Float64Array {
  const { features, durationMs } = catalogue;
  return Float64Array.from(
    durationMs,
    (duration, track) =>
      SKIP_COEFFICIENTS.danceability * features.danceability[track]! +
      SKIP_COEFFICIENTS.energy * features.energy[track]! +
      SKIP_COEFFICIENTS.valence * features.valence[track]! +
      SKIP_COEFFICIENTS.acousticness * features.acousticness[track]! +
      SKIP_COEFFICIENTS.instrumentalness * features.instrumentalness[track]! +
      SKIP_COEFFICIENTS.speechiness * features.speechiness[track]! +
      SKIP_COEFFICIENTS.duration_minutes * Math.min(10, duration / 60_000),
  );
}

/** The part that a device brings. */
export function deviceLogOdds(device: Device): number {
  return device === 'desktop' ? 0 : SKIP_COEFFICIENTS[`device_${device}`];
}

/** The part that the local hour (0 to 23) of the play's start brings. */
export function hourLogOdds(hour: number): number {
  if (hour >= 22 || hour < 6) return SKIP_COEFFICIENTS.is_night;
  return hour >= 7 && hour < 9 ? SKIP_COEFFICIENTS.is_commute : 0;
}

/**
 * The probability that a play is skipped.
 *
 * @param fixed sum of the track's, device's, hour's and user's parts
 * @param tasteMatch 0 to 1
 * @param position place in the session, from 1
 */
export function skipProbability(fixed: number, tasteMatch: number, position: number): number {
  return sigmoid(
    SKIP_INTERCEPT +
      fixed +
      SKIP_COEFFICIENTS.taste_match * tasteMatch +
      (SKIP_COEFFICIENTS.session_position * (position - 1)) / 10,
  );
}

/** The probability that a skip, once it is one, comes within the first 30 seconds. */
export function firstSecondsProbability(tasteMatch: number, position: number): number {
  return sigmoid(
    FIRST_SECONDS_INTERCEPT +
      FIRST_SECONDS_COEFFICIENTS.taste_match * tasteMatch +
      (FIRST_SECONDS_COEFFICIENTS.session_position * (position - 1)) / 10,
  );
}

/** The text of `truth.json`: what a model of skips can be compared with. */
export function truthDocument(seed: number): string {
  const truth = {
    listenlake_truth: 1,
    seed,
    intercept: SKIP_INTERCEPT,
    coefficients: SKIP_COEFFICIENTS,
    definition:
      'A play is skipped with probability 1 / (1 + exp(-(intercept + user effect + sum of coefficient * input))). ' +
      'The user effect is normal with mean 0 and standard deviation user_effect_sd. Holds for the events; ' +
      "the person's export follows the same rule before its faults are planted.",
    inputs: INPUTS,
    user_effect_sd: USER_EFFECT_SD,
    first_seconds: {
      intercept: FIRST_SECONDS_INTERCEPT,
      coefficients: FIRST_SECONDS_COEFFICIENTS,
      definition: 'A skip comes within the first 30 seconds of the play with this probability, by the same formula.',
    },
  };
  return `${JSON.stringify(truth, null, 2)}\n`;
}

function sigmoid(logOdds: number): number {
  return 1 / (1 + Math.exp(-logOdds));
}

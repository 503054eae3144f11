/** What the models of `train` learn from: expressions over columns of gold `model_features`. */

/** One input of a regression. */
export interface Input {
  /** Short and stable: what cards are compared by. */
  name: string;
  /** A double over the columns of a row, in the SQL that the engines share; null leaves the row out. */
  sql: string;
  /** In words, after "more" or, of a yes-no input, after "with": what changes. */
  words: string;
  /** 0 or 1: told by the step from 0 to 1, everything else by one standard deviation. */
  isBinary: boolean;
  /** Of the track itself, or of when, where and by whom it is played. */
  of: 'track' | 'context';
}

const trackInput = (name: string, column: string): Input => ({
  name,
  sql: `cast(${column} as double)`,
  words: name,
  isBinary: false,
  of: 'track',
});

const whether = (name: string, condition: string, words: string): Input => ({
  name,
  sql: `case when ${condition} then 1e0 else 0e0 end`,
  words,
  isBinary: true,
  of: 'context',
});

/** A play deep in an evening's session says little more than one at this place: beyond it the place stays. */
const SESSION_POSITION_MAX = 50;

/**
 * A share of earlier plays is drawn to a broader one as by so many plays: one skip says little of an artist,
 * and less of a track. Six and eight were best on generated listening, and little worse than twice or half of
 * them.
 */
const DRAWN = { artist: 6, track: 8 } as const;

const logOdds = (share: string): string => `ln(${share} / (1e0 - ${share}))`;
/** Each side has one play on top, so that nothing is impossible. */
const userShare = '((user_skips_before + 1e0) / (user_plays_before + 2e0))';
const artistShare = `((artist_skips_before + ${DRAWN.artist}e0 * ${userShare}) / (artist_plays_before + ${DRAWN.artist}e0))`;
const trackShare = `((track_skips_before + ${DRAWN.track}e0 * ${artistShare}) / (track_plays_before + ${DRAWN.track}e0))`;

/**
 * The inputs of the skip model, tracks first. A computer by day, at the start of a session, is the baseline.
 */
export const SKIP_INPUTS: readonly Input[] = [
  trackInput('danceability', 'danceability'),
  trackInput('energy', 'energy'),
  trackInput('valence', 'valence'),
  trackInput('tempo', 'tempo_bpm'),
  trackInput('popularity', 'popularity'),
  whether('is_night', '(local_hour >= 22 or local_hour < 6)', 'a start at night (22:00 to 06:00) instead of by day'),
  whether(
    'is_commute',
    '(local_hour >= 7 and local_hour < 9)',
    'a start in the morning rush (07:00 to 09:00) instead of by day',
  ),
  ...Object.entries({
    ...{ phone: 'a phone', tablet: 'a tablet', speaker: 'a speaker', tv: 'a TV', car: 'a car' },
    other: 'an unknown device',
  }).map(([kind, words]) => whether(`device_${kind}`, `device_kind = '${kind}'`, `${words} instead of a computer`)),
  {
    name: 'session_position',
    sql: `cast(case when session_position > ${SESSION_POSITION_MAX} then ${SESSION_POSITION_MAX} else session_position end as double)`,
    words: 'places further on in the session',
    isBinary: false,
    of: 'context',
  },
  {
    name: 'user_taste',
    sql: logOdds(userShare),
    words: "skips among the user's earlier plays",
    isBinary: false,
    of: 'context',
  },
  {
    name: 'artist_taste',
    sql: `(${logOdds(artistShare)} - ${logOdds(userShare)})`,
    words: "skips among the user's earlier plays of the artist than among all",
    isBinary: false,
    of: 'context',
  },
  {
    name: 'track_taste',
    sql: `(${logOdds(trackShare)} - ${logOdds(artistShare)})`,
    words: "skips among the user's earlier plays of the track than among those of the artist",
    isBinary: false,
    of: 'context',
  },
  {
    name: 'familiarity',
    sql: 'ln(1e0 + track_plays_before)',
    words: 'earlier plays of the same track',
    isBinary: false,
    of: 'context',
  },
];

/** The inputs of the regression of popularity: what a track sounds like. */
export const POPULARITY_INPUTS: readonly Input[] = SKIP_INPUTS.filter(
  ({ of, name }) => of === 'track' && name !== 'popularity',
);

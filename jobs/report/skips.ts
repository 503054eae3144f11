import type { DataTable, Figure, Section } from './figure.ts';
import { formatCount, formatPlural, formatShare, formatShareOf, nameInText } from './format.ts';
import { intervalPoints } from './rankings.ts';
import type { Reading } from './reading.ts';

const SHOWN_GENRES = 20;
const SHOWN_TRACKS = 15;
/** Fewer plays with a verdict say nothing about one track: 5 of 9 skipped may be 25 % or 80 % in truth. */
const TRACK_MIN_PLAYS = 10;
const GENRE_MIN_PLAYS = 30;

const SKIP_RATE_BY_GENRE = `
with

genres as (select * from skip_rate_by_genre),

most_played as (
    select *
    from genres
    where verdict_plays >= ?
    order by verdict_plays desc, genre
    limit ${SHOWN_GENRES}
)

select
    genre,
    verdict_plays,
    skips,
    neutral_plays,
    skip_rate,
    skip_rate_low,
    skip_rate_high
from most_played
order by skip_rate desc, genre`;

/**
 * Skipped more than plays are on the whole, by the low end of the interval: often, and played often enough to
 * be sure of it.
 */
const MOST_SKIPPED_TRACKS = `
select
    track_name,
    artist_name,
    verdict_plays,
    skips,
    neutral_plays,
    skip_rate,
    skip_rate_low,
    skip_rate_high
from skip_rate_by_track
where
    verdict_plays >= ?
    and skip_rate > ?
order by skip_rate_low desc, verdict_plays desc, track_id
limit ${SHOWN_TRACKS}`;

interface RateRow extends Record<string, string | number | null> {
  verdict_plays: number;
  skips: number;
  neutral_plays: number;
  skip_rate: number;
  skip_rate_low: number;
  skip_rate_high: number;
}

/** What was skipped: by genre, and which tracks most surely. */
export async function skipsSection(reading: Reading): Promise<Section> {
  const { skipped, finished, plays } = reading.totals;
  if (skipped + finished === 0) {
    const missing = `None of the ${formatPlural(plays, 'play')} says whether it was skipped or heard to its end. The extended account export says it for every play; recently played, scrobbles and the short account export never do.`;
    return {
      id: 'skips',
      title: 'Skips',
      figures: [{ name: 'skip-rate-by-genre', title: 'Skip rate', missing, notes: [] }],
    };
  }
  return { id: 'skips', title: 'Skips', figures: [await byGenre(reading), await mostSkipped(reading)] };
}

async function byGenre(reading: Reading): Promise<Figure> {
  const rows = await reading.rows<RateRow & { genre: string }>(SKIP_RATE_BY_GENRE, [GENRE_MIN_PLAYS]);
  const notes = [
    verdictNote(reading),
    `The line through each point is the 95% Wilson interval: where the true rate may well lie, given how few or many plays there are. The dashed line is the rate of all plays. A play counts for each genre of its track; genres with fewer than ${GENRE_MIN_PLAYS} plays with a verdict are left out.`,
  ];
  if (rows.length === 0) {
    return {
      name: 'skip-rate-by-genre',
      title: 'Skip rate by genre',
      missing: `No genre has ${GENRE_MIN_PLAYS} plays with a verdict. Genres come with a file of tracks (listenlake extract of a Kaggle-shaped CSV) or with artists from the Web API: load one, then run again.`,
      notes: notes.slice(0, 1),
    };
  }
  const { skipped, finished } = reading.totals;
  const overall = skipped / (skipped + finished);
  const all = `all plays with a verdict: ${formatShare(overall)} of ${formatCount(skipped + finished)}`;
  const rateOf = (row: RateRow & { genre: string }): string =>
    `${formatShareOf(row.skips, row.verdict_plays, 'play')} for ${nameInText(row.genre, 40)}`;
  return {
    name: 'skip-rate-by-genre',
    title: 'Skip rate by genre',
    takeaway:
      rows.length === 1
        ? `${rateOf(rows[0]!)}; ${all}.`
        : `From ${rateOf(rows.at(-1)!)} to ${rateOf(rows[0]!)}; ${all}.`,
    chart: (layout) =>
      intervalPoints(
        rows.map((row) => ({ label: row.genre, ...interval(row) })),
        overall,
        'skip rate',
        layout,
      ),
    table: rateTable([{ label: 'Genre', kind: 'text' }], rows, (row) => [row.genre]),
    notes,
  };
}

async function mostSkipped(reading: Reading): Promise<Figure> {
  const overall = reading.totals.skipped / (reading.totals.skipped + reading.totals.finished);
  const rows = await reading.rows<RateRow & { track_name: string | null; artist_name: string | null }>(
    MOST_SKIPPED_TRACKS,
    [TRACK_MIN_PLAYS, overall],
  );
  const notes = [
    `Recordings are counted here, not songs: the same song on two releases can be skipped differently. Tracks with at least ${TRACK_MIN_PLAYS} plays with a verdict that were skipped more often than plays are on the whole (the dashed line), in the order of the low end of their interval: one that was skipped 3 times of 3 proves less than one that was skipped 40 times of 50.`,
  ];
  if (rows.length === 0) {
    return {
      name: 'most-skipped-tracks',
      title: 'Most skipped tracks',
      missing: `No track with ${TRACK_MIN_PLAYS} plays that have a verdict was skipped more often than plays are on the whole. That comes with more listening.`,
      notes: [],
    };
  }
  const first = rows[0]!;
  return {
    name: 'most-skipped-tracks',
    title: 'Most skipped tracks',
    takeaway: `“${nameInText(first.track_name ?? 'a track without a name', 80)}” was skipped in ${formatCount(first.skips)} of ${formatPlural(first.verdict_plays, 'play')}.`,
    chart: (layout) =>
      intervalPoints(
        rows.map((row) => ({ label: row.track_name ?? '(no name)', detail: row.artist_name ?? '', ...interval(row) })),
        overall,
        'skip rate',
        layout,
      ),
    table: rateTable(
      [
        { label: 'Track', kind: 'text' },
        { label: 'Artist', kind: 'text' },
      ],
      rows,
      (row) => [row.track_name, row.artist_name],
    ),
    notes,
  };
}

/** How a play gets its verdict, in one paragraph; printed where a skip rate is shown. */
export function verdictNote({ definitions, totals }: Reading): string {
  const base = `${formatCount(totals.skipped + totals.finished)} of ${formatPlural(totals.plays, 'play')}`;
  const endplay = definitions.isEndplaySkipped ? ' or by picking something else' : '';
  return `Skip rate = skipped plays / (skipped + finished plays). A play is skipped when it says so or was ended with the forward or back button${endplay}, or when the same user's skip of that track follows it in the session; it is finished when the track ran to its end, or no skip followed. Any other end says neither, is called neutral and stays out of the rate: ${base} have a verdict. In years for which the export never sets its skip flag, only the way the play ended counts.`;
}

function interval(row: RateRow): { share: number; low: number; high: number } {
  return { share: row.skip_rate, low: row.skip_rate_low, high: row.skip_rate_high };
}

function rateTable<Row extends RateRow>(
  columns: DataTable['columns'],
  rows: Row[],
  names: (row: Row) => (string | null)[],
): DataTable {
  return {
    columns: [
      ...columns,
      { label: 'Skipped', kind: 'number' },
      { label: 'With a verdict', kind: 'number' },
      { label: 'Neutral', kind: 'number' },
      { label: 'Skip rate', kind: 'number', format: (value) => formatShare(value) },
      { label: 'from', kind: 'number', format: (value) => formatShare(value) },
      { label: 'to', kind: 'number', format: (value) => formatShare(value) },
    ],
    rows: rows.map((row) => [
      ...names(row),
      row.skips,
      row.verdict_plays,
      row.neutral_plays,
      row.skip_rate,
      row.skip_rate_low,
      row.skip_rate_high,
    ]),
  };
}

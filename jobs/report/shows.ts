import type { Figure } from './figure.ts';
import { formatCount, formatDate, formatMinutes, formatPlural, formatShare, nameInText } from './format.ts';
import { rankedLists } from './rankings.ts';
import type { Reading } from './reading.ts';

const SHOWN_RANKS = 10;
const KINDS = [
  { type: 'podcast', title: 'Podcasts', one: 'Podcast', part: 'episode' },
  { type: 'audiobook', title: 'Audiobooks', one: 'Audiobook', part: 'chapter' },
] as const;

const SHOWS = `
with

plays as (
    select *
    from fct_plays
    where {in_reports} and {person} and show_id is not null
),

shows as (select * from dim_shows),

counted as (
    select
        show_id,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms,
        count(*) as plays,
        count(distinct episode_id) as episodes,
        max(local_date) as last_date
    from plays
    group by show_id
),

ranked as (
    select
        shows.show_type,
        shows.show_name,
        counted.*,
        sum(counted.played_ms) over () as all_ms,
        count(*) over (partition by shows.show_type) as shows_of_type,
        row_number() over (
            partition by shows.show_type
            order by counted.played_ms desc, counted.plays desc, counted.show_id
        ) as rank
    from counted
    inner join shows
        on counted.show_id = shows.show_id
)

select
    show_type,
    show_name,
    played_ms,
    plays,
    episodes,
    last_date,
    cast(all_ms as bigint) as all_ms,
    shows_of_type
from ranked
where rank <= ?
order by played_ms desc, plays desc, show_id`;

interface ShowRow extends Record<string, string | number | null> {
  show_type: string;
  show_name: string | null;
  played_ms: number;
  plays: number;
  episodes: number;
  last_date: string;
  /** Of all shows, those that are not among the first included. */
  all_ms: number;
  /** All shows of that type. */
  shows_of_type: number;
}

/**
 * The podcasts and audiobooks that were heard longest, of all time.
 *
 * @returns undefined where nobody heard any
 */
export async function topShows(reading: Reading): Promise<Figure | undefined> {
  const rows = await reading.rows<ShowRow>(SHOWS, [SHOWN_RANKS]);
  const first = rows[0];
  if (first === undefined) return undefined;
  const heardMs = reading.totals.played_ms;
  const kinds = KINDS.filter(({ type }) => rows.some((row) => row.show_type === type));
  const what = kinds.map(({ title }) => title.toLowerCase()).join(' and ');
  return {
    name: 'top-shows',
    title:
      reading.userId === undefined
        ? `Top ${what}`
        : `“${nameInText(first.show_name ?? 'A show without a name', 60)}” is the show you heard longest`,
    takeaway: `${formatShareOfTime(first.all_ms, heardMs)} went to ${what}. Heard longest: “${nameInText(first.show_name ?? 'a show without a name', 80)}”, ${formatMinutes(first.played_ms / 60_000)}.`,
    chart: (layout) =>
      rankedLists(
        kinds.map(({ type, title, part }) => ({
          title,
          // Hours are hours in both lists.
          most: Math.max(first.played_ms, 1),
          rows: rows
            .filter((row) => row.show_type === type)
            .map((row) => ({
              label: row.show_name ?? '(no name)',
              detail: formatPlural(row.episodes, part),
              value: row.played_ms,
              valueText: formatMinutes(row.played_ms / 60_000),
            })),
        })),
        layout,
      ),
    table: {
      columns: [
        { label: 'Kind', kind: 'text' },
        { label: 'Show', kind: 'text' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Plays', kind: 'number' },
        { label: 'Episodes or chapters', kind: 'number' },
        { label: 'Share of all listening', kind: 'number', format: (value) => formatShare(value) },
        { label: 'Last heard', kind: 'text' },
      ],
      rows: kinds.flatMap(({ type, one }) =>
        rows
          .filter((row) => row.show_type === type)
          .map((row) => [
            one,
            row.show_name,
            row.played_ms / 60_000,
            row.plays,
            row.episodes,
            heardMs > 0 ? row.played_ms / heardMs : null,
            formatDate(row.last_date),
          ]),
      ),
      remark: `Shares are of ${formatMinutes(heardMs / 60_000)} of listening.${leftOut(rows)}`,
    },
    notes: [
      'Of all time, ranked by the time heard. A podcast is known by its name alone, an audiobook by its URI where an export says it. Episodes that were watched as videos are among them.',
    ],
  };
}

/** What the lists cut off, as a sentence; empty where they have everything. */
function leftOut(rows: ShowRow[]): string {
  const cut = KINDS.map(({ type, one }) => ({
    noun: one.toLowerCase(),
    count: (rows.find((row) => row.show_type === type)?.shows_of_type ?? 0) - SHOWN_RANKS,
  })).filter(({ count }) => count > 0);
  if (cut.length === 0) return '';
  return ` Not shown: ${cut.map(({ noun, count }) => formatPlural(count, `more ${noun}`)).join(' and ')}.`;
}

/** `21.0% of 698 h of listening`; without any known length a count has no whole. */
function formatShareOfTime(partMs: number, wholeMs: number): string {
  const whole = `${formatMinutes(wholeMs / 60_000)} of listening`;
  return wholeMs > 0 ? `${formatShare(partMs / wholeMs)} of ${whole}` : whole;
}

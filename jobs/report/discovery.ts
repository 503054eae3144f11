import { type TimeBar, timeBars } from './charts.ts';
import type { Figure } from './figure.ts';
import {
  formatCount,
  formatDate,
  formatMonth,
  formatPlural,
  formatShare,
  monthsBetween,
  nameInText,
} from './format.ts';
import { withoutTables } from './marts.ts';
import type { Chapter, PersonReading } from './person.ts';
import { rankedLists } from './rankings.ts';
import { color } from './theme.ts';

const SHOWN_RANKS = 5;
const SHOWN_RETURNS = 8;
const FATES = ['stayed', 'did not stay', 'too early to tell'] as const;

const BY_MONTH = `
with

discoveries as (
    select *
    from discoveries
    where user_id = ? and not is_at_start
),

final as (
    select
        kind,
        substr(cast(first_date as varchar), 1, 7) || '-01' as month,
        count(*) as found,
        cast(coalesce(sum(case when stayed then 1 else 0 end), 0) as bigint) as stayed,
        cast(coalesce(sum(case when stayed is null then 1 else 0 end), 0) as bigint) as open
    from discoveries
    group by kind, substr(cast(first_date as varchar), 1, 7)
)

select * from final
order by kind, month`;

const BEST = `
with

discoveries as (
    select *
    from discoveries
    where user_id = ? and not is_at_start and plays_90_days > 0
),

ranked as (
    select
        *,
        row_number() over (partition by kind order by plays_90_days desc, first_played_at, item) as place
    from discoveries
)

select
    kind,
    place,
    item_name,
    artist_name,
    first_date,
    plays_90_days,
    plays_365_days
from ranked
where place <= ?
order by kind, place`;

const RETURNS = `
select
    song_name,
    artist_name,
    left_date,
    returned_date,
    gap_days,
    plays_before,
    plays_90_days,
    count(*) over () as returns
from rediscoveries
where user_id = ?
order by gap_days desc, returned_at, song_key
limit ${SHOWN_RETURNS}`;

interface MonthRow extends Record<string, string | number> {
  kind: string;
  month: string;
  found: number;
  stayed: number;
  open: number;
}

interface BestRow extends Record<string, string | number | null> {
  kind: string;
  place: number;
  item_name: string | null;
  artist_name: string | null;
  first_date: string;
  plays_90_days: number;
  plays_365_days: number | null;
}

interface ReturnRow extends Record<string, string | number | null> {
  song_name: string | null;
  artist_name: string | null;
  left_date: string;
  returned_date: string;
  gap_days: number;
  plays_before: number;
  plays_90_days: number | null;
  returns: number;
}

/** What a person found, what of it stayed, and what came back after long. */
export async function discoveryChapter(reading: PersonReading): Promise<Chapter> {
  const absent = withoutTables(reading, 'Your discoveries', 'discoveries', 'rediscoveries');
  if (absent !== undefined) return { missing: absent };
  const months = await reading.rows<MonthRow>(BY_MONTH, [reading.userId]);
  const best = await reading.rows<BestRow>(BEST, [reading.userId, SHOWN_RANKS]);
  const returns = await reading.rows<ReturnRow>(RETURNS, [reading.userId]);
  const songs = months.filter((row) => row.kind === 'song');
  const figures = [
    ...(songs.length > 0 ? [foundByMonth(songs, months)] : []),
    ...(best.length > 0 ? [bestFinds(best)] : []),
    ...(returns.length > 0 ? [cameBack(returns)] : []),
  ];
  if (figures.length === 0) {
    return {
      missing:
        'Your discoveries: they begin after the first 90 days, because what is heard in these may have been known before. Load an export that reaches further back.',
    };
  }
  return { section: { id: 'discovery', title: 'What you discovered', figures } };
}

function foundByMonth(songs: MonthRow[], all: MonthRow[]): Figure {
  const months = monthsBetween(songs[0]!.month, songs.at(-1)!.month);
  const known = new Map(songs.map((row) => [row.month, row]));
  const sum = (rows: MonthRow[], field: 'found' | 'stayed' | 'open'): number =>
    rows.reduce((total, row) => total + row[field], 0);
  const found = sum(songs, 'found');
  const judged = found - sum(songs, 'open');
  const most = songs.reduce((peak, row) => (row.found > peak.found ? row : peak));
  const artists = sum(all, 'found') - found;
  const stayed = judged > 0 ? `, and ${formatShare(sum(songs, 'stayed') / judged, 0)} of them stay` : '';
  const pace =
    found < months.length
      ? `You found ${formatPlural(found, 'new song')}`
      : `You find ${formatPlural(Math.round(found / months.length), 'new song')} a month`;
  const bars = months.flatMap((month): TimeBar[] => {
    const row = known.get(month) ?? { found: 0, stayed: 0, open: 0 };
    const values = [row.stayed, row.found - row.stayed - row.open, row.open];
    return FATES.map((part, index) => ({ date: month, part, value: values[index]! }));
  });
  return {
    name: 'discoveries-by-month',
    title: `${pace}${stayed}`,
    takeaway: `${formatPlural(found, 'song')} and ${formatPlural(artists, 'artist')} since ${formatMonth(months[0]!)}, the most in ${formatMonth(most.month)}: ${formatPlural(most.found, 'song')}.`,
    chart: (layout) =>
      timeBars(bars, 'new songs', 'month', layout, [color('primary'), color('primarySoft'), color('line')]),
    table: {
      columns: [
        { label: 'Month', kind: 'text' },
        { label: 'New songs', kind: 'number' },
        { label: 'Stayed', kind: 'number' },
        { label: 'Too early to tell', kind: 'number' },
        { label: 'New artists', kind: 'number' },
      ],
      rows: months.map((month) => [
        formatMonth(month),
        known.get(month)?.found ?? 0,
        known.get(month)?.stayed ?? 0,
        known.get(month)?.open ?? 0,
        all.find((row) => row.kind === 'artist' && row.month === month)?.found ?? 0,
      ]),
    },
    notes: [
      'A song stayed if it was played again on a day from the 31st to the 365th after it was first heard; it is too early to tell until that year is over. What was heard in your first 90 days may have been known before, so it is left out.',
    ],
  };
}

function bestFinds(rows: BestRow[]): Figure {
  const first = rows.find((row) => row.kind === 'song') ?? rows[0]!;
  const by = first.kind === 'song' && first.artist_name ? ` by ${nameInText(first.artist_name, 60)}` : '';
  return {
    name: 'best-discoveries',
    title: `Your best find: ${nameInText(first.item_name ?? 'something without a name', 80)}${by}`,
    takeaway: `First heard on ${formatDate(first.first_date)}, then ${formatPlural(first.plays_90_days, 'more play')} in 90 days.`,
    chart: (layout) =>
      rankedLists(
        [
          { kind: 'song', title: 'Songs' },
          { kind: 'artist', title: 'Artists' },
        ]
          .map(({ kind, title }) => ({
            title,
            rows: rows
              .filter((row) => row.kind === kind)
              .map((row) => ({
                label: row.item_name ?? '(no name)',
                value: row.plays_90_days,
                valueText: formatPlural(row.plays_90_days, 'play'),
                below: kind === 'song' ? (row.artist_name ?? '') : `found ${formatDate(row.first_date)}`,
                belowEnd: kind === 'song' ? formatDate(row.first_date) : '',
              })),
          }))
          .filter((panel) => panel.rows.length > 0),
        layout,
      ),
    table: {
      columns: [
        { label: 'Kind', kind: 'text' },
        { label: 'Name', kind: 'text' },
        { label: 'Artist', kind: 'text' },
        { label: 'First heard', kind: 'text' },
        { label: 'Plays in 90 days', kind: 'number' },
        { label: 'Plays in 365 days', kind: 'number' },
      ],
      rows: rows.map((row) => [
        row.kind,
        row.item_name,
        row.kind === 'song' ? row.artist_name : null,
        formatDate(row.first_date),
        row.plays_90_days,
        row.plays_365_days,
      ]),
    },
    notes: ['Ranked by the plays that followed the first one within 90 days.'],
  };
}

function cameBack(rows: ReturnRow[]): Figure {
  const first = rows[0]!;
  const by = first.artist_name ? ` by ${nameInText(first.artist_name, 60)}` : '';
  return {
    name: 'rediscoveries',
    title: `“${nameInText(first.song_name ?? 'A song without a name', 80)}”${by} came back after ${formatPlural(first.gap_days, 'day')}`,
    takeaway: `You left it on ${formatDate(first.left_date)} and played it again on ${formatDate(first.returned_date)}. In all ${formatPlural(first.returns, 'return')} like this.`,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: 'Rediscoveries',
            rows: rows.map((row) => ({
              label: row.song_name ?? '(no name)',
              value: row.gap_days,
              valueText: `${formatPlural(row.gap_days, 'day')} away`,
              below: row.artist_name ?? '',
              belowEnd: `back ${formatDate(row.returned_date)}`,
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'Song', kind: 'text' },
        { label: 'Artist', kind: 'text' },
        { label: 'Left', kind: 'text' },
        { label: 'Came back', kind: 'text' },
        { label: 'Days between', kind: 'number' },
        { label: 'Plays before', kind: 'number' },
        { label: 'Plays in the next 90 days', kind: 'number' },
      ],
      rows: rows.map((row) => [
        row.song_name,
        row.artist_name,
        formatDate(row.left_date),
        formatDate(row.returned_date),
        row.gap_days,
        row.plays_before,
        row.plays_90_days,
      ]),
      ...(first.returns > rows.length && {
        remark: `Not shown: ${formatCount(first.returns - rows.length)} that were away for less long.`,
      }),
    },
    notes: [
      'A song came back if it had been played a few times, then not for half a year, while your data has no gap in between.',
    ],
  };
}

import { timeBars } from '../report/charts.ts';
import { beginDrawing } from '../report/draw.ts';
import type { Section } from '../report/figure.ts';
import { formatCount, formatMonth, formatPlural, formatShare, monthsBetween } from '../report/format.ts';
import { genresSection } from '../report/genres.ts';
import { skipModelSection } from '../report/skip-model.ts';
import { skipsSection } from '../report/skips.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { number, type Row, text } from './fields.ts';
import { filtersInWords, narrowedNotice, noFilters } from './filters.ts';
import type { Body } from './overview.ts';

/** What is known of skips, genres and recommendations, and how far each can be trusted. */
export async function modelPage(desk: Desk): Promise<Body> {
  const reading = await desk.readingOf(noFilters(desk.edition.choices));
  const card = skipModelSection(desk.edition.card);
  const hasVerdicts = reading.totals.skipped + reading.totals.finished > 0;
  const quality = await answersOf(desk, [['recommendation_quality', () => answer(desk.rows, RECOMMENDATIONS)]]);
  const sections: Section[] = [
    ...(card === undefined ? [] : [card]),
    ...(hasVerdicts
      ? [
          {
            id: 'skip-history',
            title: 'Skips over time',
            figures: [await desk.figure(() => answer(desk.rows, SKIPS_BY_MONTH))],
          },
        ]
      : []),
    ...(hasVerdicts ? [await desk.section(() => skipsSection(reading))] : []),
    ...(reading.totals.plays > 0 ? [await desk.section(() => genresSection(reading))] : []),
    ...(quality.length > 0 ? [{ id: 'recommendations', title: 'Recommendations', figures: quality }] : []),
  ];
  const none = ['No skip model was tried on these tables. Give listenlake train, then look again.'];
  for (const figure of card?.figures ?? []) beginDrawing(figure);
  const narrowed = narrowedNotice(
    desk.filters,
    'Skips over time follow them.',
    'The model was tried on all plays, and so were the tables of rates, genres and recommendations: they have no part that a filter could leave.',
  );
  const facts = [desk.filters.person ?? 'everybody', ...filtersInWords(desk.filters)];
  const notices = [...(card === undefined ? none : []), ...narrowed];
  return { title: 'Model', facts, notices, headlines: [], sections };
}

/** Of a month with fewer plays that have a verdict a rate says nothing. */
const MONTH_MIN_PLAYS = 10;

const SKIPS_BY_MONTH: Question<Row> = {
  name: 'skips-by-month',
  title: 'Share of plays that were skipped, by month',
  sql: `
with

plays as (
    select *
    from fct_plays
    where {in_reports} and {person} and verdict in ('skipped', 'finished')
)

select
    cast(date_trunc('month', local_date) as date) as month,
    count(*) as verdict_plays,
    count(case when verdict = 'skipped' then 1 end) as skips,
    cast(count(case when verdict = 'skipped' then 1 end) as double) / count(*) as skip_rate
from plays
group by 1
having count(*) >= ${MONTH_MIN_PLAYS}
order by 1`,
  columns: [
    { label: 'Month', kind: 'text', of: (row) => formatMonth(String(row.month)) },
    number('With a verdict', 'verdict_plays'),
    number('Skipped', 'skips'),
    number('Skip rate', 'skip_rate', (value) => formatShare(value)),
  ],
  takeaway: (rows) => {
    const most = rows.reduce((best, row) => (Number(row.skip_rate) > Number(best.skip_rate) ? row : best));
    const [skips, all] = [sumOf(rows, 'skips'), sumOf(rows, 'verdict_plays')];
    return `${formatShare(skips / all)} of ${formatPlural(all, 'play')} with a verdict; at most ${formatShare(Number(most.skip_rate))}, in ${formatMonth(String(most.month))}.`;
  },
  chart: (rows) => (layout) => {
    const rates = new Map(rows.map((row) => [String(row.month), 100 * Number(row.skip_rate)]));
    const months = monthsBetween(String(rows[0]!.month), String(rows.at(-1)!.month));
    return timeBars(
      months.map((date) => ({ date, value: rates.get(date) ?? 0 })),
      'skipped of 100',
      'month',
      layout,
    );
  },
  notes: [`Months with fewer than ${MONTH_MIN_PLAYS} plays that were skipped or heard to the end are left out.`],
  missing: `No month has ${MONTH_MIN_PLAYS} plays with a verdict that these filters leave.`,
};

function sumOf(rows: readonly Row[], column: string): number {
  return rows.reduce((sum, row) => sum + Number(row[column]), 0);
}

const RECOMMENDATIONS: Question<Row> = {
  name: 'recommendation-quality',
  title: 'Do recommendations beat the most popular songs?',
  sql: `
select status, users, hits, popularity_hits, hit_rate, popularity_hit_rate, hit_rate_difference_low, hit_rate_difference_high
from recommendation_quality`,
  columns: [
    text('Verdict', 'status'),
    number('Users', 'users'),
    number('Hits', 'hits'),
    number('Hits of popular songs', 'popularity_hits'),
    number('Hit rate', 'hit_rate', (value) => formatShare(value)),
    number('Of popular songs', 'popularity_hit_rate', (value) => formatShare(value)),
    number('Difference at least', 'hit_rate_difference_low', (value) => formatCount(value, 3)),
    number('At most', 'hit_rate_difference_high', (value) => formatCount(value, 3)),
  ],
  notes: ['Judged on plays that the recommendations have not seen.'],
  missing: 'Nothing could be judged yet.',
};

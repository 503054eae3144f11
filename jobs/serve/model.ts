import type { Section } from '../report/figure.ts';
import { formatCount, formatShare } from '../report/format.ts';
import { genresSection } from '../report/genres.ts';
import { skipModelSection } from '../report/skip-model.ts';
import { skipsSection } from '../report/skips.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { EVERYBODY, number, type Row, text } from './fields.ts';
import type { Body } from './overview.ts';

/** What is known of skips, genres and recommendations, and how far each can be trusted. */
export async function modelPage(desk: Desk): Promise<Body> {
  const reading = await desk.reading();
  const card = skipModelSection(desk.edition.card);
  const hasVerdicts = reading.totals.skipped + reading.totals.finished > 0;
  const quality = await answersOf(desk, [['recommendation_quality', () => answer(desk.rows, RECOMMENDATIONS)]]);
  const sections: Section[] = [
    ...(card === undefined ? [] : [card]),
    ...(hasVerdicts ? [await desk.section(() => skipsSection(reading))] : []),
    ...(reading.totals.plays > 0 ? [await desk.section(() => genresSection(reading))] : []),
    ...(quality.length > 0 ? [{ id: 'recommendations', title: 'Recommendations', figures: quality }] : []),
  ];
  const none = ['No skip model was tried on these tables. Give listenlake train, then look again.'];
  return { title: 'Model', facts: [EVERYBODY], notices: card === undefined ? none : [], headlines: [], sections };
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

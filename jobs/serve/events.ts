import { dayLine } from '../report/charts.ts';
import { daysBetween, formatCount, formatDate, formatPlural, formatShare } from '../report/format.ts';
import { rankedLists } from '../report/rankings.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { bars, bodyOf, number, type Row, text } from './fields.ts';
import type { Body } from './overview.ts';

const DAYS_MAX = 366;

/** A number of each of the last days with plays; days without are zero. */
function byDay(name: string, title: string, column: string, unit: string, note: string): Question<Row> {
  const valuesOf = (rows: Row[]) => {
    const known = new Map(rows.map((row) => [String(row.played_date), Number(row[column])]));
    const days = [...known.keys()];
    return daysBetween(days[0]!, days.at(-1)!)
      .slice(-DAYS_MAX)
      .map((date) => ({ date, value: known.get(date) ?? 0 }));
  };
  return {
    ...{ name, title },
    sql: `select played_date, ${column} from daily_aggregates where ${column} is not null order by played_date`,
    columns: [text('Day (UTC)', 'played_date'), number(unit[0]!.toUpperCase() + unit.slice(1), column)],
    takeaway: (rows) => {
      const values = valuesOf(rows);
      const peak = values.reduce((best, row) => (row.value > best.value ? row : best));
      return `At most ${formatCount(peak.value)} (${formatDate(peak.date)}), ${formatCount(values.reduce((sum, row) => sum + row.value, 0) / values.length, 1)} on an average day of the last ${values.length}.`;
    },
    chart: (rows) => (layout) => dayLine(valuesOf(rows), unit, layout),
    notes: [note],
    missing: 'No day has a play yet.',
  };
}

/** Users, sessions, engagement, devices by region, and what is trending: of everybody. */
export async function eventsPage(desk: Desk): Promise<Body> {
  const ask = (question: Question<Row>) => () => answer(desk.rows, question);
  const figures = await answersOf(desk, [
    [
      'daily_aggregates',
      ask(
        byDay(
          'daily-users',
          'Daily active users',
          'daily_active_users',
          'users',
          'Users with at least one play on the date, in UTC.',
        ),
      ),
    ],
    [
      'daily_aggregates',
      ask(
        byDay(
          'daily-sessions',
          'Sessions by day',
          'sessions',
          'sessions',
          `A session is a user's plays with less than ${desk.edition.definitions.sessionGapMinutes} minutes between them; it counts on the date on which its first play ended.`,
        ),
      ),
    ],
    ['fct_user_activity', ask(ENGAGEMENT)],
    ['device_by_region', ask(DEVICES_BY_REGION)],
    ['activity_by_country', ask(COUNTRIES)],
    ['new_release_trending', ask(TRENDING)],
  ]);
  return bodyOf('Events', 'events', 'Users and events', figures);
}

const ENGAGEMENT: Question<Row> = {
  name: 'engagement',
  title: 'Most engaged users',
  sql: `
select
    user_id,
    avg(engagement_score) as engagement_score,
    cast(sum(plays) as bigint) as plays,
    count(*) as days
from fct_user_activity
group by user_id
order by engagement_score desc, user_id
limit 25`,
  columns: [
    text('User', 'user_id'),
    number('Mean score of a day', 'engagement_score', (value) => formatCount(value, 2)),
    number('Plays', 'plays'),
    number('Days', 'days'),
  ],
  chart: bars('user_id', 'engagement_score', (value) => formatCount(value, 2)),
  notes: [
    'The mean over the days on which the user did anything; how the score is made is in the description of fct_user_activity.',
  ],
  missing: 'No user has done anything yet.',
};

const DEVICES_BY_REGION: Question<Row> = {
  name: 'device-by-region',
  title: 'Devices by region',
  sql: 'select region, device, users, plays, share from device_by_region order by plays desc, region, device limit 60',
  columns: [
    text('Region', 'region'),
    text('Device', 'device'),
    number('Users', 'users'),
    number('Plays', 'plays'),
    number('Share of the region', 'share', (value) => formatShare(value)),
  ],
  chart: (rows) => (layout) =>
    rankedLists(
      [
        {
          title: '',
          rows: rows.slice(0, 12).map((row) => ({
            label: String(row.device ?? 'unknown'),
            detail: String(row.region ?? 'unknown'),
            value: Number(row.plays),
            valueText: formatPlural(Number(row.plays), 'play'),
          })),
        },
      ],
      layout,
    ),
  notes: ['The 60 largest; the chart shows 12 of them.'],
  missing: 'No play says its device and region.',
};

const COUNTRIES: Question<Row> = {
  name: 'countries-of-users',
  title: 'Plays by country',
  sql: `
select
    coalesce(max(country_name), country) as country_name,
    cast(sum(plays) as bigint) as plays,
    sum(minutes) as minutes
from activity_by_country
group by country
order by plays desc, country_name
limit 40`,
  columns: [
    text('Country', 'country_name'),
    number('Plays', 'plays'),
    number('Minutes', 'minutes', (value) => formatCount(value, 1)),
  ],
  chart: bars('country_name', 'plays', (value) => formatPlural(value, 'play')),
  notes: ['The country that a source names for the play.'],
  missing: 'No play yet.',
};

const TRENDING: Question<Row> = {
  name: 'trending',
  title: 'New releases that are trending',
  sql: `
select rank, track_name, artist_name, release_date, plays, previous_plays, trending_score
from new_release_trending
order by rank
limit 25`,
  columns: [
    number('Rank', 'rank'),
    text('Song', 'track_name'),
    text('Artist', 'artist_name'),
    text('Released', 'release_date'),
    number('Plays', 'plays'),
    number('Plays before', 'previous_plays'),
    number('Score', 'trending_score', (value) => formatCount(value, 2)),
  ],
  chart: bars('track_name', 'trending_score', (value) => formatCount(value, 2)),
  notes: ['How the score is made is in the description of new_release_trending.'],
  missing: 'No song that was played came out lately, or no source says when it came out.',
};

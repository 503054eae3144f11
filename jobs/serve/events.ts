import { dayLine } from '../report/charts.ts';
import { daysBetween, formatCount, formatDate, formatPlural, formatShare } from '../report/format.ts';
import { rankedLists } from '../report/rankings.ts';
import type { Layout } from '../report/theme.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { bars, bodyOf, number, type Row, text } from './fields.ts';
import { filtersInWords, narrowedNotice, periodOf } from './filters.ts';
import { addressOfItem, type Body } from './overview.ts';

const DAYS_MAX = 366;
const OF_THE_PERIOD = 'Of the filters it follows the period alone.';

/** A number of each of the last days with plays; days without are zero. */
function byDay(column: string, unit: string, question: Pick<Question<Row>, 'name' | 'title' | 'sql' | 'notes'>) {
  const valuesOf = (rows: Row[]) => {
    const known = new Map(rows.map((row) => [String(row.played_date), Number(row[column])]));
    const days = [...known.keys()];
    return daysBetween(days[0]!, days.at(-1)!)
      .slice(-DAYS_MAX)
      .map((date) => ({ date, value: known.get(date) ?? 0 }));
  };
  return {
    ...question,
    columns: [text('Day (UTC)', 'played_date'), number(unit[0]!.toUpperCase() + unit.slice(1), column)],
    takeaway: (rows: Row[]) => {
      const values = valuesOf(rows);
      const peak = values.reduce((best, row) => (row.value > best.value ? row : best));
      return `At most ${formatCount(peak.value)} (${formatDate(peak.date)}), ${formatCount(values.reduce((sum, row) => sum + row.value, 0) / values.length, 1)} on an average day of the last ${values.length}.`;
    },
    chart: (rows: Row[]) => (layout: Layout) => dayLine(valuesOf(rows), unit, layout),
    missing: 'No day has a play, or none that these filters leave.',
  };
}

/** Users, sessions, engagement, devices by region, and what is trending: of everybody. */
export async function eventsPage(desk: Desk): Promise<Body> {
  const ask = (question: Question<Row>) => () => answer(desk.rows, question);
  const figures = await answersOf(desk, [
    ['fct_plays', ask(DAILY_USERS)],
    ['daily_aggregates', ask(dailySessions(desk))],
    ['fct_user_activity', ask(engagement(desk))],
    ['dim_countries', ask(DEVICES_BY_REGION)],
    ['dim_countries', ask(COUNTRIES)],
    ['new_release_trending', ask(TRENDING)],
  ]);
  const notices = narrowedNotice(
    desk.filters,
    'Users by day, devices and countries follow them.',
    'Sessions and engagement follow the period alone; what is trending is of the last days, whatever the filters say.',
  );
  const facts = ['everybody', ...filtersInWords(desk.filters)];
  return bodyOf('Events', [{ id: 'events', title: 'Users and events', figures }], facts, notices);
}

const DAILY_USERS = byDay('daily_active_users', 'users', {
  name: 'daily-users',
  title: 'Daily active users',
  sql: `
with

plays as (select * from fct_plays where {in_reports})

select
    played_date,
    count(distinct user_id) as daily_active_users
from plays
group by played_date
order by played_date`,
  notes: ['Users with at least one play on the date, in UTC; a period of the filters is of local dates.'],
});

function dailySessions({ filters, edition }: Desk): Question<Row> {
  const { condition, parameters } = periodOf(filters, 'played_date');
  const question = byDay('sessions', 'sessions', {
    name: 'daily-sessions',
    title: 'Sessions by day',
    sql: `
select
    played_date,
    sessions
from daily_aggregates
where sessions is not null and ${condition}
order by played_date`,
    notes: [
      `A session is a user's plays with less than ${edition.definitions.sessionGapMinutes} minutes between them; it counts on the date on which its first play ended. ${OF_THE_PERIOD}`,
    ],
  });
  return { ...question, parameters };
}

function engagement({ filters }: Desk): Question<Row> {
  const { condition, parameters } = periodOf(filters, 'local_date');
  return {
    ...{ name: 'engagement', title: 'Most engaged users', parameters },
    sql: `
select
    user_id,
    avg(engagement_score) as engagement_score,
    cast(sum(plays) as bigint) as plays,
    count(*) as days
from fct_user_activity
where ${condition}
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
      `The mean over the days on which the user did anything; how the score is made is in the description of fct_user_activity. ${OF_THE_PERIOD}`,
    ],
    missing: 'No user has done anything, or nothing in this period.',
  };
}

const DEVICES_BY_REGION: Question<Row> = {
  name: 'device-by-region',
  title: 'Devices by region',
  sql: `
with

plays as (select * from fct_plays where {in_reports}),

countries as (select * from dim_countries),

counted as (
    select
        coalesce(countries.region, 'unknown') as region,
        coalesce(plays.device, 'unknown') as device,
        count(distinct plays.user_id) as users,
        count(*) as plays
    from plays
    left join countries
        on plays.country = countries.country
    group by 1, 2
)

select
    *,
    cast(plays as double) / sum(plays) over (partition by region) as share
from counted
order by plays desc, region, device
limit 60`,
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
with

plays as (select * from fct_plays where {in_reports}),

countries as (select * from dim_countries),

counted as (
    select
        coalesce(country, 'unknown') as country,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms
    from plays
    group by 1
)

select
    counted.country,
    coalesce(countries.country_name, counted.country) as country_name,
    counted.plays,
    cast(counted.played_ms as double) / 60000 as minutes
from counted
left join countries
    on counted.country = countries.country
order by counted.plays desc, country_name
limit 40`,
  columns: [
    {
      ...text('Country', 'country_name'),
      to: (row) => `/events?${new URLSearchParams({ country: String(row.country) })}`,
    },
    number('Plays', 'plays'),
    number('Minutes', 'minutes', (value) => formatCount(value, 1)),
  ],
  chart: bars('country_name', 'plays', (value) => formatPlural(value, 'play')),
  notes: ['The country that a source names for the play. A country of the table leads to its plays alone.'],
  missing: 'No play is left by these filters.',
};

const TRENDING: Question<Row> = {
  name: 'trending',
  title: 'New releases that are trending',
  sql: `
select rank, track_name, artist_id, artist_name, release_date, plays, previous_plays, trending_score
from new_release_trending
order by rank
limit 25`,
  columns: [
    number('Rank', 'rank'),
    text('Song', 'track_name'),
    {
      ...text('Artist', 'artist_name'),
      to: (row) => (row.artist_id === null ? undefined : addressOfItem('artist', String(row.artist_id))),
    },
    text('Released', 'release_date'),
    number('Plays', 'plays'),
    number('Plays before', 'previous_plays'),
    number('Score', 'trending_score', (value) => formatCount(value, 2)),
  ],
  chart: bars('track_name', 'trending_score', (value) => formatCount(value, 2)),
  notes: ['How the score is made is in the description of new_release_trending. No filter narrows it.'],
  missing: 'No song that was played came out lately, or no source says when it came out.',
};

import type { SqlEngine } from '../engine/index.ts';
import { listManifests, readManifest } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { dayLine } from '../report/charts.ts';
import { coverageSection } from '../report/coverage.ts';
import type { Cell, Column, Figure, Section } from '../report/figure.ts';
import { daysBetween, formatCount, formatDate, formatPlural, formatShare } from '../report/format.ts';
import { readCoverage } from '../report/gaps.ts';
import { genresSection } from '../report/genres.ts';
import { rankedLists } from '../report/rankings.ts';
import { skipModelSection } from '../report/skip-model.ts';
import { skipsSection } from '../report/skips.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { addressOfItem, type Body } from './overview.ts';

type Row = Record<string, string | number | boolean | null>;
type Field = Question<Row>['columns'][number];

const DAYS_MAX = 366;
const RUNS_SHOWN = 30;
const EVERYBODY = 'all of the lake: these pages have no filters';

/** A column as it is in the statement's rows. */
function text(label: string, column: string): Field {
  return { label, kind: 'text', of: (row) => cellOf(row[column]) };
}

function number(label: string, column: string, format?: Column['format']): Field {
  return { label, kind: 'number', of: (row) => cellOf(row[column]), ...(format && { format }) };
}

function cellOf(value: Row[string] | undefined): Cell {
  return typeof value === 'boolean' ? String(value) : (value ?? null);
}

/** Bars of one number, the row's first text as its label. */
function bars(label: string, value: string, valueText: (value: number) => string, shown = 12): Question<Row>['chart'] {
  return (rows) => (layout) =>
    rankedLists(
      [
        {
          title: '',
          rows: rows.slice(0, shown).map((row) => ({
            label: String(row[label] ?? '(no name)'),
            value: Number(row[value]),
            valueText: valueText(Number(row[value])),
          })),
        },
      ],
      layout,
    );
}

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

/** Playlists, charts, and recent against older songs. */
export async function cataloguePage(desk: Desk): Promise<Body> {
  const ask = (question: Question<Row>) => () => answer(desk.rows, question);
  const figures = await answersOf(desk, [
    ['popularity_recent_vs_older', ask(RECENT_AGAINST_OLDER)],
    ['current_top_songs', ask(CURRENT_SONGS)],
    ['playlist_top_artists', ask(PLAYLIST_ARTISTS)],
    ['fct_chart_entries', ask(FIRST_PLACES)],
  ]);
  return bodyOf('Catalogue', 'catalogue', 'Songs, playlists and charts', figures);
}

const RECENT_AGAINST_OLDER: Question<Row> = {
  name: 'recent-against-older',
  title: 'Popularity of recent and older songs',
  sql: `
select released, songs, average_popularity, median_popularity, songs_without_popularity
from popularity_recent_vs_older
where average_popularity is not null
order by released desc`,
  columns: [
    text('Released', 'released'),
    number('Songs', 'songs'),
    number('Mean popularity', 'average_popularity', (value) => formatCount(value, 1)),
    number('Median', 'median_popularity', (value) => formatCount(value, 1)),
    number('Without popularity', 'songs_without_popularity'),
  ],
  chart: (rows) => (layout) =>
    rankedLists(
      [
        {
          title: '',
          most: 100,
          isNumbered: false,
          rows: rows.map((row) => ({
            label: String(row.released),
            detail: formatPlural(Number(row.songs), 'song'),
            value: Number(row.average_popularity),
            valueText: formatCount(Number(row.average_popularity), 1),
          })),
        },
      ],
      layout,
    ),
  notes: ['Popularity is a number of Spotify from 0 to 100.'],
  missing: 'The catalogue knows no popularity. Load a file of tracks, or playlists of the Web API.',
};

const CURRENT_SONGS: Question<Row> = {
  name: 'current-songs',
  title: 'Songs of playlists and charts now',
  sql: `
select list_name, region, list_date, place, name, artist_name, popularity
from current_top_songs
order by list_name, region, place
limit 200`,
  columns: [
    text('List', 'list_name'),
    text('Region', 'region'),
    text('Date', 'list_date'),
    number('Place', 'place'),
    text('Song', 'name'),
    text('Artist', 'artist_name'),
    number('Popularity', 'popularity'),
  ],
  notes: ['The first 200 by list and place.'],
  missing: 'No playlist and no chart was read yet.',
};

const PLAYLIST_ARTISTS: Question<Row> = {
  name: 'playlist-artists',
  title: 'Top artists of playlists',
  sql: `
select playlist_name, snapshot_date, rank, artist_id, artist_name, songs
from playlist_top_artists
order by snapshot_date desc, playlist_name, rank
limit 100`,
  columns: [
    text('Playlist', 'playlist_name'),
    text('As of', 'snapshot_date'),
    number('Rank', 'rank'),
    {
      ...text('Artist', 'artist_name'),
      to: (row) => (row.artist_id === null ? undefined : addressOfItem('artist', String(row.artist_id))),
    },
    number('Songs', 'songs'),
  ],
  notes: ['The newest snapshots first, 100 lines at most.'],
  missing: 'No playlist was read yet.',
};

const FIRST_PLACES: Question<Row> = {
  name: 'first-places',
  title: 'First places of charts over time',
  sql: `
select chart, region, period_start, track_name, artist_name, streams
from fct_chart_entries
where rank = 1
order by period_start desc, chart, region
limit 200`,
  columns: [
    text('Chart', 'chart'),
    text('Region', 'region'),
    text('From', 'period_start'),
    text('Song', 'track_name'),
    text('Artist', 'artist_name'),
    number('Streams', 'streams'),
  ],
  notes: ['The newest first, 200 at most.'],
  missing: 'No chart was read yet.',
};

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

/** What the lake holds, what is covered, what to look at, and which runs have made it. */
export async function dataPage(desk: Desk, { engine, store }: { engine: SqlEngine; store: LakeStore }): Promise<Body> {
  const { edition } = desk;
  const notices: string[] = [];
  const sections: Section[] = [];
  const quality = await answersOf(desk, [['data_quality', () => answer(desk.rows, QUALITY)]]);
  if (quality.length > 0) sections.push({ id: 'quality', title: 'Quality', figures: quality });
  const reading = edition.tables.has('fct_plays') ? await desk.reading() : undefined;
  if (reading !== undefined && reading.totals.plays > 0) {
    const coverage = edition.tables.has('listening_coverage') ? await readCoverage(engine, edition.target) : undefined;
    sections.push(await desk.section(() => coverageSection(reading, coverage)));
  } else notices.push('There is no play yet. Give listenlake run an account export, then look again.');
  sections.push({ id: 'runs', title: 'Runs', figures: [await runsOf(store)] });
  return { title: 'Data', facts: [EVERYBODY], notices, headlines: [], sections };
}

const QUALITY: Question<Row> = {
  name: 'data-quality',
  title: 'What to look at',
  sql: `
select status, check_name, subject, observed, expected, unit, message, remedy
from data_quality
order by case status when 'ok' then 1 else 0 end, check_name, subject
limit 200`,
  columns: [
    text('Status', 'status'),
    text('Check', 'check_name'),
    text('Of', 'subject'),
    number('Observed', 'observed'),
    number('Expected', 'expected'),
    text('Unit', 'unit'),
    text('Message', 'message'),
    text('What to do', 'remedy'),
  ],
  notes: ['What is not in order comes first.'],
  missing: 'Nothing was checked yet.',
};

async function runsOf(store: LakeStore): Promise<Figure> {
  const newest = (await listManifests(store)).slice(-RUNS_SHOWN).reverse();
  const commits = [];
  for (const { sequence } of newest) commits.push(await readManifest(store, sequence));
  return {
    name: 'commits',
    title: 'The last commits',
    table: {
      columns: [
        { label: 'Number', kind: 'number' },
        { label: 'Job', kind: 'text' },
        { label: 'Run', kind: 'text' },
        { label: 'Began (UTC)', kind: 'text' },
        { label: 'Seconds', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      rows: commits.map(({ sequence, job, runId, startedAt, elapsedMs }) => [
        ...[sequence, job, runId, startedAt.slice(0, 19).replace('T', ' ')],
        elapsedMs / 1000,
      ]),
    },
    notes: [`The last ${RUNS_SHOWN} commits at most, when this version was first looked at; gc collects old ones.`],
  };
}

function bodyOf(title: string, id: string, section: string, figures: Figure[]): Body {
  const notices = figures.length > 0 ? [] : ['Nothing is published yet. Give listenlake run, then look again.'];
  const sections = figures.length > 0 ? [{ id, title: section, figures }] : [];
  return { title, facts: [EVERYBODY], notices, headlines: [], sections };
}

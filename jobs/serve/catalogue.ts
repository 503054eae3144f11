import { formatCount, formatPlural } from '../report/format.ts';
import { rankedLists } from '../report/rankings.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { bodyOf, number, type Row, text } from './fields.ts';
import { filtersInWords, narrowedNotice, periodOf } from './filters.ts';
import { addressOfItem, type Body } from './overview.ts';
import { listCondition, placesOverTime } from './places.ts';

/** Playlists, charts, and recent against older songs. */
export async function cataloguePage(desk: Desk): Promise<Body> {
  const ask = (question: Question<Row>) => () => answer(desk.rows, question);
  const hasCharts = desk.edition.tables.has('fct_chart_entries');
  const sections = [
    {
      ...{ id: 'catalogue', title: 'Songs and playlists' },
      figures: await answersOf(desk, [
        ['popularity_recent_vs_older', ask(RECENT_AGAINST_OLDER)],
        ['current_top_songs', ask(currentSongs(desk))],
        ['playlist_top_artists', ask(playlistArtists(desk))],
      ]),
    },
    {
      ...{ id: 'charts', title: 'Charts' },
      figures: [
        ...(hasCharts ? await placesOverTime(desk) : []),
        ...(await answersOf(desk, [['fct_chart_entries', ask(firstPlaces(desk))]])),
      ],
    },
  ];
  const notices = narrowedNotice(
    desk.filters,
    'Playlists and charts follow the period, and charts the country, which is the region of a chart.',
    'Popularity is a number of now, which no filter narrows.',
  );
  return bodyOf('Catalogue', sections, ['lists and charts, whoever listens', ...filtersInWords(desk.filters)], notices);
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

function currentSongs({ filters }: Desk): Question<Row> {
  const { condition, parameters } = listCondition(filters, 'list_date');
  return {
    ...CURRENT_SONGS,
    parameters,
    sql: `
select list_name, region, list_date, place, name, artist_name, popularity
from current_top_songs
where ${condition}
order by list_name, region, place
limit 200`,
  };
}

const CURRENT_SONGS: Omit<Question<Row>, 'sql'> = {
  name: 'current-songs',
  title: 'Songs of playlists and charts now',
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
  missing: 'No playlist and no chart was read yet, or these filters leave none.',
};

function playlistArtists({ filters }: Desk): Question<Row> {
  const { condition, parameters } = periodOf(filters, 'snapshot_date');
  return {
    ...PLAYLIST_ARTISTS,
    parameters,
    sql: `
select playlist_name, snapshot_date, rank, artist_id, artist_name, songs
from playlist_top_artists
where ${condition}
order by snapshot_date desc, playlist_name, rank
limit 100`,
  };
}

const PLAYLIST_ARTISTS: Omit<Question<Row>, 'sql'> = {
  name: 'playlist-artists',
  title: 'Top artists of playlists',
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
  missing: 'No playlist was read yet, or none in this period.',
};

function firstPlaces({ filters }: Desk): Question<Row> {
  const { condition, parameters } = listCondition(filters, 'period_start');
  return {
    ...FIRST_PLACES,
    parameters,
    sql: `
select chart, region, period_start, song_key, track_name, artist_name, streams
from fct_chart_entries
where rank = 1 and ${condition}
order by period_start desc, chart, region
limit 200`,
  };
}

const FIRST_PLACES: Omit<Question<Row>, 'sql'> = {
  name: 'first-places',
  title: 'First places of charts over time',
  columns: [
    text('Chart', 'chart'),
    text('Region', 'region'),
    text('From', 'period_start'),
    {
      ...text('Song', 'track_name'),
      to: (row) => (row.song_key === null ? undefined : addressOfItem('song', String(row.song_key))),
    },
    text('Artist', 'artist_name'),
    number('Streams', 'streams'),
  ],
  notes: ['The newest first, 200 at most.'],
  missing: 'No chart was read yet, or these filters leave none.',
};

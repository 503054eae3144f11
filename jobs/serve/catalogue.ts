import { formatCount, formatPlural } from '../report/format.ts';
import { rankedLists } from '../report/rankings.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { bodyOf, number, type Row, text } from './fields.ts';
import { addressOfItem, type Body } from './overview.ts';

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

import { shareAreas } from './charts.ts';
import type { Figure, Section } from './figure.ts';
import { formatCount, formatMonth, formatShare, formatShareOf, monthsBetween, nameInText } from './format.ts';
import { rankedLists } from './rankings.ts';
import type { Reading } from './reading.ts';

const SHOWN_GENRES = 8;
/** An area over fewer months has no shape to see. */
const AREA_MIN_MONTHS = 3;
const OTHER = 'other genres';

const GENRES_BY_MONTH = `
select
    month_start,
    genre,
    weighted_plays,
    share_without_genre
from genre_distribution
order by month_start, genre`;

/** The name under which the model counts plays of tracks that have no genre. */
const NO_GENRE = 'unknown';

interface GenreRow extends Record<string, string | number> {
  month_start: string;
  genre: string;
  weighted_plays: number;
  share_without_genre: number;
}

/** How tastes move: shares of genres by month. */
export async function genresSection(reading: Reading): Promise<Section> {
  return { id: 'genres', title: 'Genres', figures: [await genresByMonth(reading)] };
}

async function genresByMonth(reading: Reading): Promise<Figure> {
  const all = await reading.rows<GenreRow>(GENRES_BY_MONTH);
  const known = all.filter((row) => row.genre !== NO_GENRE);
  const total = sum(all);
  const name = 'genres-by-month';
  const title = 'Genres by month';
  if (known.length === 0) {
    return {
      name,
      title,
      missing:
        'No track that was played has a genre. Genres come with a file of tracks (a Kaggle-shaped CSV) or with artists from the Web API: give one to listenlake extract, then run again.',
      notes: [],
    };
  }
  const withGenre = sum(known);
  const bare = total - withGenre;
  const ranked = [...new Set(known.map((row) => row.genre))]
    .map((genre) => ({ genre, plays: sum(known.filter((row) => row.genre === genre)) }))
    .sort((a, b) => b.plays - a.plays || (a.genre < b.genre ? -1 : 1));
  const shown = ranked.slice(0, SHOWN_GENRES).map(({ genre }) => genre);
  const parts = ranked.length > SHOWN_GENRES ? [...shown, OTHER] : shown;
  const partOf = (genre: string): string => (shown.includes(genre) ? genre : OTHER);
  const months = monthsBetween(known[0]!.month_start, known.at(-1)!.month_start);
  const numbers = months.flatMap((month) => {
    const rows = known.filter((row) => row.month_start === month);
    const whole = sum(rows);
    return parts.map((part) => {
      const plays = sum(rows.filter((row) => partOf(row.genre) === part));
      return { month, part, plays, whole, share: whole === 0 ? 0 : plays / whole };
    });
  });
  const first = ranked[0]!;
  const isArea = months.length >= AREA_MIN_MONTHS;
  return {
    name,
    title: isArea ? title : 'Genres',
    takeaway: `${nameInText(sentence(first.genre), 40)} leads with ${formatShareOf(first.plays, withGenre, 'play', 0)} whose track has a genre, out of ${formatCount(ranked.length)} genres. ${Math.round(bare) === 0 ? 'Every play of a track has one.' : `${formatShareOf(bare, total, 'play')} of tracks are of a track without a known genre and are not in the chart.`}`,
    chart: (layout) =>
      isArea
        ? shareAreas(
            numbers.map((row) => ({ date: row.month, part: row.part, share: row.share })),
            parts,
            layout,
          )
        : rankedLists(
            [
              {
                title: '',
                isNumbered: false,
                rows: parts.map((part) => {
                  const plays = sum(known.filter((row) => partOf(row.genre) === part));
                  return { label: part, value: plays, valueText: formatShare(plays / sum(known)) };
                }),
              },
            ],
            layout,
          ),
    table: {
      columns: [
        { label: 'Month', kind: 'text' },
        { label: 'Genre', kind: 'text' },
        { label: 'Plays, weighted', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Plays of the month', kind: 'number' },
        { label: 'Share', kind: 'number', format: (value) => formatShare(value) },
      ],
      rows: numbers
        .filter((row) => row.plays > 0)
        .map((row) => [formatMonth(row.month), row.part, row.plays, Math.round(row.whole), row.share]),
    },
    notes: [
      'A play is split evenly over the genres of its track, so that each play counts once. Shares are of the plays whose track has a genre; months are UTC.',
      ...(isArea ? [] : [`The share by month is drawn from ${AREA_MIN_MONTHS} months on.`]),
      'Where a track has no genres of its own, those of its artist or of the same title by the same artist stand in.',
    ],
  };
}

function sum(rows: GenreRow[]): number {
  return rows.reduce((total, row) => total + row.weighted_plays, 0);
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

import { JobError } from '../base/errors.ts';
import { headlines } from '../report/compose.ts';
import type { Figure } from '../report/figure.ts';
import { nameInText } from '../report/format.ts';
import { answer, type Desk } from './desk.ts';
import { type Body, emptyBody, factsOf, KINDS, type Kind, topOf, whenOf } from './overview.ts';

const RECORDINGS = `
select
    track_id,
    track_name,
    album_name,
    release_date,
    duration_ms,
    popularity
from dim_tracks
where song_key = ?
order by track_id
limit 50`;

/**
 * One artist, song or album: how much and when it was played, by the filters.
 *
 * @throws `item_unknown` (64) where the lake has no such key
 */
export async function itemPage(desk: Desk, kind: Kind): Promise<Body> {
  const { key: column, table, name, by } = KINDS[kind];
  const key = desk.query.get('key') ?? '';
  const known = desk.edition.tables.has(table)
    ? await desk.rows<{ name: string | null; by_artist: string | null }>(
        `select ${name} as name, ${by} as by_artist from ${table} where ${column} = ?`,
        [key],
      )
    : [];
  if (known.length === 0)
    throw new JobError('item_unknown', 'usage', `the lake has no ${kind} with this key`, {
      hint: 'follow a link of the overview; keys may change when more is known of a song',
    });
  const [row] = known;
  const title = nameInText(row!.name ?? `An ${kind} without a name`, 120);
  const reading = await desk.readingOf(desk.filters, [[`${column} = ?`, key]]);
  const empty = emptyBody(desk, reading, title);
  if (empty !== undefined) return empty;
  const what: Figure[] = [
    ...(kind === 'song' ? [] : [await desk.figure(() => topOf(desk, reading, 'song', 'Its songs', 50))]),
    ...(kind === 'album' ? [] : [await desk.figure(() => topOf(desk, reading, 'album', 'On these albums', 50))]),
    ...(kind === 'artist' ? [] : [await desk.figure(() => topOf(desk, reading, 'artist', 'By'))]),
    ...(kind === 'song' ? [await desk.figure(() => recordings(desk, key))] : []),
  ];
  return {
    title,
    facts: [...(row!.by_artist === null ? [] : [row!.by_artist]), ...factsOf(desk, reading)],
    notices: [],
    headlines: headlines(reading),
    sections: [await whenOf(desk, reading), { id: 'what', title: 'What', figures: what }],
  };
}

function recordings(desk: Desk, key: string): Promise<Figure> {
  return answer<Record<string, string | number | null>>(desk.rows, {
    name: 'recordings',
    title: 'Its recordings',
    sql: RECORDINGS,
    parameters: [key],
    columns: [
      { label: 'Title', kind: 'text', of: (row) => row.track_name! },
      { label: 'Album', kind: 'text', of: (row) => row.album_name! },
      { label: 'Released', kind: 'text', of: (row) => row.release_date! },
      {
        label: 'Minutes',
        kind: 'number',
        of: (row) => (row.duration_ms === null ? null : Number(row.duration_ms) / 60_000),
        format: (value) => value.toFixed(1),
      },
      { label: 'Popularity', kind: 'number', of: (row) => row.popularity! },
    ],
    notes: ['Every recording with one title by one first artist is one song. 50 at most are listed.'],
    missing: 'The catalogue describes no recording of it.',
  });
}

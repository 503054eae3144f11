import type { PersonReading } from './person.ts';
import type { Reading } from './reading.ts';

/** A name that was heard on fewer local dates than this says more of a person than they may want to tell. */
export const RARE_DAYS = 10;

/**
 * By these names the columns of the report's questions say that they hold a name from the data; `what` of a
 * milestone holds two, in one text, which is hidden as a whole.
 */
const NAME_COLUMN = /(?:^|_)name$|^what$/;

/** Every name under which the person's plays can be shown, with the days on which it was heard. */
const COMMON_NAMES = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

named as (
    select plays.local_date, dim_tracks.track_name as name
    from plays
    inner join dim_tracks on plays.track_id = dim_tracks.track_id

    union all

    select plays.local_date, dim_songs.song_name as name
    from plays
    inner join dim_songs on plays.song_key = dim_songs.song_key

    union all

    select plays.local_date, dim_artists.artist_name as name
    from plays
    inner join dim_artists on plays.artist_id = dim_artists.artist_id

    union all

    select plays.local_date, dim_albums.album_name as name
    from plays
    inner join dim_albums on plays.album_id = dim_albums.album_id

    union all

    select plays.local_date, dim_shows.show_name as name
    from plays
    inner join dim_shows on plays.show_id = dim_shows.show_id
)

select name
from named
where name is not null
group by name
having count(distinct local_date) >= ${RARE_DAYS}`;

/**
 * The same reading for a page that others may see: a name of a track, song, artist, album, show or place that was
 * heard on fewer than `RARE_DAYS` local dates becomes `Hidden 1`, `Hidden 2`, ..., the same one throughout the page.
 * It is replaced before anything is drawn or written into a sentence, so the page does not hold it anywhere. Counts
 * and sums stay as they are. Chapters leave out times of day and countries by `isRedacted`.
 */
export async function redacted<T extends PersonReading>(reading: T): Promise<T> {
  const found = await reading.rows<{ name: string }>(COMMON_NAMES);
  const common = new Set(found.map(({ name }) => name));
  const hidden = new Map<string, string>();
  const shown = (name: string): string => {
    if (common.has(name)) return name;
    const label = hidden.get(name) ?? `Hidden ${hidden.size + 1}`;
    hidden.set(name, label);
    return label;
  };
  const rows: Reading['rows'] = async <R extends Record<string, string | number | boolean | null>>(
    ...question: Parameters<Reading['rows']>
  ): Promise<R[]> =>
    (await reading.rows<R>(...question)).map((row) => {
      const entries = Object.entries(row).map(([column, value]) => [
        column,
        typeof value === 'string' && NAME_COLUMN.test(column) ? shown(value) : value,
      ]);
      return Object.fromEntries(entries) as R;
    });
  return { ...reading, rows, isRedacted: true };
}

/** What a redacted page says of itself at its end. */
export const REDACTED_NOTE = `Redacted, to be shown to others: names that were heard on fewer than ${RARE_DAYS} days are hidden, and times of day, devices and countries are left out.`;

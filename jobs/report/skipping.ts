import type { Figure } from './figure.ts';
import { formatCount, formatPlural, formatShare, nameInText } from './format.ts';
import type { Chapter, PersonReading } from './person.ts';
import { rankedLists } from './rankings.ts';

const SHOWN_ARTISTS = 8;
/** Fewer plays with a verdict say little about an artist. */
const ARTIST_MIN_PLAYS = 20;

const SKIPS_BY_ARTIST = `
with

plays as (
    select *
    from fct_plays
    where {in_reports} and {person} and artist_id is not null and verdict in ('skipped', 'finished')
),

artists as (select * from dim_artists),

counted as (
    select
        artist_id,
        count(*) as verdict_plays,
        count(case when verdict = 'skipped' then 1 end) as skips
    from plays
    group by artist_id
    having count(*) >= ${ARTIST_MIN_PLAYS}
)

select
    artists.artist_name,
    counted.verdict_plays,
    counted.skips,
    cast(counted.skips as double) / counted.verdict_plays as skip_rate
from counted
inner join artists
    on counted.artist_id = artists.artist_id
order by skip_rate desc, counted.verdict_plays desc, counted.artist_id`;

interface SkippedArtist extends Record<string, string | number | null> {
  artist_name: string | null;
  verdict_plays: number;
  skips: number;
  skip_rate: number;
}

/** How a person skips, told in words: how often, whom, and who is heard to the end. */
export async function skippingSection(reading: PersonReading): Promise<Chapter> {
  const { skipped, finished } = reading.totals;
  if (skipped + finished === 0) {
    return {
      missing:
        'Skips: no play says whether it was skipped or heard to its end. The extended account export says it for every play.',
    };
  }
  return { section: { id: 'skips', title: 'What you skip', figures: [await skippedArtists(reading)] } };
}

async function skippedArtists(reading: PersonReading): Promise<Figure> {
  const rows = await reading.rows<SkippedArtist>(SKIPS_BY_ARTIST);
  const { skipped, finished } = reading.totals;
  const rate = skipped / (skipped + finished);
  const base = `Of ${formatPlural(skipped + finished, 'play')} whose end says it, you skipped ${formatCount(skipped)} and heard ${formatCount(finished)} to the end.`;
  const shown = rows.filter(({ skips }) => skips > 0).slice(0, SHOWN_ARTISTS);
  const title = skipped === 0 ? 'You skip nothing' : `You skip ${oneIn(rate)}`;
  if (shown.length === 0) return { name: 'skipped-artists', title, takeaway: base, notes: [] };
  const most = shown[0]!;
  const least = rows.at(-1)!;
  const loyal =
    rows.length > 1 && least.skip_rate < most.skip_rate
      ? ` You are most patient with ${nameOf(least)}: ${formatCount(least.skips)} of ${formatPlural(least.verdict_plays, 'play')}.`
      : '';
  return {
    name: 'skipped-artists',
    title,
    takeaway: `${base} The artist you skip most is ${nameOf(most)}: ${formatCount(most.skips)} of ${formatPlural(most.verdict_plays, 'play')}.${loyal}`,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: '',
            most: 1,
            rows: shown.map((row) => ({
              label: row.artist_name ?? '(no name)',
              detail: `${formatCount(row.skips)} of ${formatPlural(row.verdict_plays, 'play')}`,
              value: row.skip_rate,
              valueText: formatShare(row.skip_rate, 0),
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'Artist', kind: 'text' },
        { label: 'Skipped', kind: 'number' },
        { label: 'With a verdict', kind: 'number' },
        { label: 'Skip rate', kind: 'number', format: (value) => formatShare(value) },
      ],
      rows: shown.map((row) => [row.artist_name, row.skips, row.verdict_plays, row.skip_rate]),
    },
    notes: [`Artists with at least ${ARTIST_MIN_PLAYS} plays that were either skipped or heard to the end.`],
  };
}

function nameOf(row: SkippedArtist): string {
  return nameInText(row.artist_name ?? 'an artist without a name', 60);
}

/** A rate as people say it: `one play in 4`. @param rate above 0, at most 1 */
function oneIn(rate: number): string {
  if (rate >= 0.95) return 'nearly everything';
  if (rate > 0.55) return 'more plays than you hear to the end';
  if (rate >= 0.45) return 'every other play';
  return `one play in ${formatCount(Math.round(1 / rate))}`;
}

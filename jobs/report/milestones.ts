import type { TopLevelSpec } from 'vega-lite';
import type { Figure } from './figure.ts';
import { fontFace } from './font.ts';
import { fitText, formatCount, formatDate, formatMinutes, formatPlural, sentenceInText } from './format.ts';
import { pixels, pixelText, withoutTables } from './marts.ts';
import type { Chapter, PersonReading } from './person.ts';
import { color, type Layout } from './theme.ts';

/** More round numbers than these make a list of numbers, not a story. */
const SHOWN_NUMBERS = 8;
const SHOWN_ARTISTS = 5;
const ROW_PX = 52;

const MILESTONES = `
with

milestones as (select * from milestones where user_id = ?),

artists as (select * from dim_artists),

discoveries as (
    select
        item,
        is_at_start
    from discoveries
    where user_id = ? and kind = 'artist'
)

select
    milestones.kind,
    milestones.number,
    milestones.local_date,
    milestones.value,
    milestones.unit,
    milestones.what,
    artists.artist_name,
    coalesce(discoveries.is_at_start, false) as is_at_start
from milestones
left join artists
    on milestones.kind in ('artist_first', 'artist_last') and milestones.item = artists.artist_id
left join discoveries
    on milestones.kind = 'artist_first' and milestones.item = discoveries.item
order by
    milestones.reached_at,
    case when milestones.kind = 'first_play' then 0 else 1 end,
    milestones.kind,
    milestones.number`;

interface MilestoneRow extends Record<string, string | number | boolean | null> {
  kind: string;
  number: number;
  local_date: string;
  value: number;
  unit: string;
  what: string | null;
  artist_name: string | null;
  /** First heard in the person's first days: it may have been known before. */
  is_at_start: boolean;
}

/** The days to remember: first plays, round numbers and records on one line of time. */
export async function milestonesChapter(reading: PersonReading): Promise<Chapter> {
  const absent = withoutTables(reading, 'Your milestones', 'milestones', 'dim_artists', 'discoveries');
  if (absent !== undefined) return { missing: absent };
  const rows = await reading.rows<MilestoneRow>(MILESTONES, [reading.userId, reading.userId]);
  if (rows.length === 0)
    return { missing: 'Your milestones: no play counts yet. Load an account export to fill them.' };
  return { section: { id: 'milestones', title: 'Milestones', figures: [timeline(rows)] } };
}

function timeline(rows: MilestoneRow[]): Figure {
  const shown = chosen(rows);
  const first = rows.find((row) => row.kind === 'first_play') ?? rows[0]!;
  const record = rows.find((row) => row.kind === 'record_day');
  const recordText =
    record === undefined ? '' : ` Your record day: ${formatDate(record.local_date)}, ${formatMinutes(record.value)}.`;
  return {
    name: 'milestones',
    title: `It began on ${formatDate(first.local_date)}${first.what ? `: ${sentenceInText(first.what, 100)}` : ''}`,
    takeaway: `${formatPlural(rows.length, 'milestone')} since then.${recordText}`,
    chart: (layout) => timelineChart(shown, layout),
    table: {
      columns: [
        { label: 'Day', kind: 'text' },
        { label: 'Milestone', kind: 'text' },
        { label: 'What', kind: 'text' },
      ],
      rows: rows.map((row) => [dayText(row), headline(row), row.what]),
    },
    notes: [
      'Days are those of the place where you listened. The artists are the ones that you heard longest, of all years.',
    ],
  };
}

/**
 * What the picture shows: everything but last plays and the artists of the first days, which may have been
 * known before, and of many round numbers those that lie evenly.
 */
function chosen(rows: MilestoneRow[]): MilestoneRow[] {
  const numbers = rows.filter((row) => row.kind === 'nth_play');
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500];
  const every = steps.find((step) => numbers.length / step <= SHOWN_NUMBERS) ?? numbers.length;
  const kept = new Set(numbers.filter((_, index) => (index + 1) % every === 0));
  return rows.filter((row) => {
    if (row.kind === 'nth_play') return kept.has(row);
    if (row.kind === 'artist_first') return row.number <= SHOWN_ARTISTS && !row.is_at_start;
    return row.kind !== 'artist_last';
  });
}

function headline(row: MilestoneRow): string {
  const artist = row.artist_name ?? 'an artist without a name';
  switch (row.kind) {
    case 'first_play':
      return 'Your first play';
    case 'nth_play':
      return `Play number ${formatCount(row.number)}`;
    case 'record_day':
      return row.unit === 'minutes'
        ? `Your longest day: ${formatMinutes(row.value)}`
        : `Your fullest day: ${formatPlural(row.value, 'play')}`;
    case 'record_week':
      return `One song, ${formatPlural(row.value, 'play')} in a week`;
    case 'artist_first':
      return `You met ${artist}`;
    default:
      return `Last play of ${artist}`;
  }
}

function dayText(row: MilestoneRow): string {
  return row.kind === 'record_week' ? `week of ${formatDate(row.local_date)}` : formatDate(row.local_date);
}

/** From the first on top to the last: the day, a dot on the line, and what happened. */
function timelineChart(rows: MilestoneRow[], layout: Layout): TopLevelSpec {
  const isWide = layout.kind === 'wide';
  const line = isWide ? 170 : 8;
  const left = line + 18;
  const room = layout.width - left - 4;
  const widthOf = (weight: 400 | 600, px: number) => (text: string) => fontFace(weight).width(text, px);
  const height = isWide ? ROW_PX : ROW_PX + 14;
  const values = rows.map((row, index) => {
    const y = index * height + height / 2;
    return {
      y,
      line,
      left,
      date: dayText(row),
      dateX: isWide ? line - 18 : left,
      dateY: isWide ? y : y - 20,
      titleY: row.what === null && isWide ? y : isWide ? y - 9 : y - 1,
      whatY: isWide ? y + 10 : y + 17,
      title: fitText(headline(row), room, widthOf(600, 13)),
      what: fitText(row.what ?? '', room, widthOf(400, 12.5)),
      isRecord: row.kind.startsWith('record'),
    };
  });
  return {
    width: layout.width - 2,
    height: rows.length * height,
    layer: [
      {
        data: { values: [{ x: line, from: values[0]!.y, to: values.at(-1)!.y }] },
        mark: { type: 'rule', color: color('line'), strokeWidth: 2 },
        encoding: { x: pixels('x'), y: pixels('from'), y2: { field: 'to' } },
      },
      {
        data: { values },
        mark: { type: 'point', size: 90, opacity: 1 },
        encoding: {
          x: pixels('line'),
          y: pixels('y'),
          color: {
            field: 'isRecord',
            type: 'nominal',
            scale: { domain: [true, false], range: [color('accent'), color('primary')] },
            legend: null,
          },
        },
      },
      {
        data: { values },
        ...pixelText('date', 'dateX', 'dateY', {
          align: isWide ? 'right' : 'left',
          color: color('muted'),
          fontSize: 12.5,
        }),
      },
      { data: { values }, ...pixelText('title', 'left', 'titleY', { fontWeight: 600, fontSize: 13 }) },
      { data: { values }, ...pixelText('what', 'left', 'whatY', { color: color('muted'), fontSize: 12.5 }) },
    ],
  };
}

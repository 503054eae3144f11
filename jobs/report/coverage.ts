import { coveredDays } from './covered-days.ts';
import type { Figure, Section } from './figure.ts';
import { formatBytes, formatCount, formatDate, formatPlural, formatShare } from './format.ts';
import type { Coverage } from './gaps.ts';
import { rankedLists } from './rankings.ts';
import type { Reading } from './reading.ts';

const COMPLETENESS = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

with_genre as (select distinct track_id from bridge_track_genres),

tracks as (select * from dim_tracks),

final as (
    select
        count(*) as plays,
        count(plays.played_ms) as with_length,
        count(
            case
                when plays.track_id is not null or plays.content_type in ('episode', 'chapter', 'video') then 1
            end
        ) as with_name,
        count(with_genre.track_id) as with_genre,
        count(tracks.duration_ms) as with_duration,
        count(plays.country) as with_country,
        count(plays.device) as with_device,
        count(case when plays.verdict in ('skipped', 'finished') then 1 end) as with_verdict
    from plays
    left join with_genre
        on plays.track_id = with_genre.track_id
    left join tracks
        on plays.track_id = tracks.track_id
)

select * from final`;

const PLAYS_BY_SOURCE = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

final as (
    select
        source,
        count(*) as plays,
        count(distinct user_id) as users,
        cast(min(ended_at) as date) as first_date,
        cast(max(ended_at) as date) as last_date
    from plays
    group by source
)

select * from final
order by plays desc, source`;

const RECORD_COUNTS = `
select
    layer,
    table_name,
    rows,
    bytes,
    newest_at,
    change
from record_counts
order by
    case layer when 'bronze' then 1 when 'silver' then 2 else 3 end,
    table_name`;

const SOURCE_NAMES: Record<string, string> = {
  export_extended: 'Extended account export',
  export_account: 'Short account export',
  api: 'Recently played (Web API)',
  listenbrainz: 'Listens (ListenBrainz)',
  lastfm: 'Scrobbles (Last.fm)',
  events: 'Listening events',
};

/**
 * What the numbers rest on: which days are covered, where plays came from, what they lack, and what each
 * table holds.
 *
 * @param coverage undefined where gold was built before there was such a table
 */
export async function coverageSection(reading: Reading, coverage: Coverage | undefined): Promise<Section> {
  return {
    id: 'coverage',
    title: 'Coverage',
    figures: [
      ...(coverage === undefined ? [] : [await coveredDays(reading, coverage)]),
      await completeness(reading),
      await sources(reading),
      await tables(reading),
    ],
  };
}

async function completeness(reading: Reading): Promise<Figure> {
  const [row] = await reading.rows<Record<string, number>>(COMPLETENESS);
  const counts = row!;
  const parts = (
    [
      ['a name', 'with_name'],
      ['a length', 'with_length'],
      ['a verdict (skipped or finished)', 'with_verdict'],
      ['a genre', 'with_genre'],
      ['the length of its track', 'with_duration'],
      ['a country', 'with_country'],
      ['a device', 'with_device'],
    ] as const
  ).map(([label, column]) => ({ label, count: counts[column]!, share: counts[column]! / counts.plays! }));
  const gaps = [
    reading.totals.plays_without_length > 0
      ? `${formatPlural(reading.totals.plays_without_length, 'play')} without a length`
      : '',
    reading.totals.nameless_plays > 0 ? `${formatPlural(reading.totals.nameless_plays, 'play')} without a name` : '',
  ].filter((gap) => gap !== '');
  return {
    name: 'completeness',
    title: 'What is known of a play',
    takeaway:
      gaps.length === 0
        ? `Each of ${formatPlural(counts.plays!, 'play')} has a length and a name.`
        : `${gaps.join(' and ')}, of ${formatCount(counts.plays!)}.`,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: '',
            isNumbered: false,
            most: 1,
            rows: parts.map((part) => ({
              label: part.label,
              detail: formatPlural(part.count, 'play'),
              value: part.share,
              valueText: formatShare(part.share),
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'Plays with', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Share', kind: 'number', format: (value) => formatShare(value) },
      ],
      rows: parts.map((part) => [part.label, part.count, part.share]),
      remark: `Shares are of ${formatPlural(counts.plays!, 'play')}.`,
    },
    notes: [
      `A play of unknown length is counted as a play and adds no time: nothing is guessed.${otherThanSongs(reading)}${unattributed(reading)}`,
    ],
  };
}

/** How many plays are of something else than a song, as a sentence; empty where there are none. */
function otherThanSongs({ totals }: Reading): string {
  const kinds = [
    ['podcast episodes', totals.episode_plays],
    ['audiobook chapters', totals.chapter_plays],
    ['videos', totals.video_plays],
  ] as const;
  const said = kinds.filter(([, plays]) => plays > 0).map(([noun, plays]) => `${noun} (${formatCount(plays)})`);
  if (said.length === 0) return '';
  return ` Plays of ${said.join(' and ')} are no plays of songs: they count in time and sessions, and in no ranking of songs and artists.`;
}

/**
 * Plays of which no source says what they were; Spotify writes some of them as "Unknown Track" by "Unknown
 * Artist".
 */
function unattributed({ totals }: Reading): string {
  if (totals.unattributed_plays === 0) return '';
  return ` ${formatPlural(totals.unattributed_plays, 'play names', 'plays name')} nothing that was played ("Unknown Track" is Spotify's word for it): counted as plays, and in no ranking.`;
}

async function sources(reading: Reading): Promise<Figure> {
  const rows = await reading.rows<{
    source: string;
    plays: number;
    users: number;
    first_date: string;
    last_date: string;
  }>(PLAYS_BY_SOURCE);
  const { private_plays: hidden, implausible_plays: broken } = reading.totals;
  return {
    name: 'sources',
    title: 'Where plays came from',
    takeaway: `The first play ended on ${formatDate(rows.map((row) => row.first_date).sort()[0]!)}, the last on ${formatDate(
      rows
        .map((row) => row.last_date)
        .sort()
        .at(-1)!,
    )}.`,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: '',
            isNumbered: false,
            rows: rows.map((row) => ({
              label: SOURCE_NAMES[row.source] ?? row.source,
              detail: `${formatDate(row.first_date)} to ${formatDate(row.last_date)}`,
              value: row.plays,
              valueText: formatPlural(row.plays, 'play'),
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'Source', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Users', kind: 'number' },
        { label: 'First', kind: 'text' },
        { label: 'Last', kind: 'text' },
      ],
      rows: rows.map((row) => [
        SOURCE_NAMES[row.source] ?? row.source,
        row.plays,
        row.users,
        formatDate(row.first_date),
        formatDate(row.last_date),
      ]),
    },
    notes: [
      'The same play in several files counts once, under the source that says most about it: an export before recently played, both before scrobbles, the extended export before the short one. Dates are UTC.',
      reading.definitions.isIncognitoIncluded
        ? 'Plays of private sessions are included, by the variable include_incognito.'
        : hidden > 0
          ? `${formatPlural(hidden, 'play')} of private sessions ${hidden === 1 ? 'is' : 'are'} left out of every number here.`
          : 'Plays of private sessions would be left out; there are none.',
      ...(broken > 0
        ? [
            `${formatPlural(broken, 'play')} longer than a day ${broken === 1 ? 'is' : 'are'} left out of every number here: a counter that broke.`,
          ]
        : []),
    ],
  };
}

async function tables(reading: Reading): Promise<Figure> {
  const rows = await reading.rows<{
    layer: string;
    table_name: string;
    rows: number;
    bytes: number | null;
    newest_at: string | null;
    change: number | null;
  }>(RECORD_COUNTS);
  const filled = rows.filter((row) => row.rows > 0);
  return {
    name: 'tables',
    title: 'What the lake holds',
    takeaway: `${formatPlural(filled.length, 'table')} with rows; ${formatPlural(rows.length - filled.length, 'more is', 'more are')} empty so far.`,
    table: {
      columns: [
        { label: 'Layer', kind: 'text' },
        { label: 'Table', kind: 'text' },
        { label: 'Rows', kind: 'number' },
        { label: 'Change', kind: 'number', format: (value) => `${value > 0 ? '+' : ''}${formatCount(value)}` },
        { label: 'Size', kind: 'number', format: formatBytes },
        { label: 'Newest', kind: 'text' },
      ],
      rows: rows.map((row) => [
        row.layer,
        row.table_name,
        row.rows,
        row.change,
        row.bytes,
        row.newest_at === null ? null : formatDate(row.newest_at),
      ]),
    },
    notes: [
      'Bronze and silver as of the last run that changed them, gold as of this run; "change" is against the run before, where that is known.',
    ],
  };
}

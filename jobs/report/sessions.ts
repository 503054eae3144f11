import { columns } from './charts.ts';
import type { Figure, Section } from './figure.ts';
import { formatMinutes, formatPlural, formatShare } from './format.ts';
import type { Reading } from './reading.ts';

/** Upper ends of the classes in minutes, each excluded from its own class. */
const CLASSES = [
  { below: 5, label: 'under\n5 min' },
  { below: 15, label: '5 to\n15 min' },
  { below: 30, label: '15 to\n30 min' },
  { below: 60, label: '30 to\n60 min' },
  { below: 120, label: '1 to\n2 h' },
  { below: 240, label: '2 to\n4 h' },
  { below: Number.POSITIVE_INFINITY, label: '4 h\nor more' },
];

const SESSIONS_BY_MINUTES = `
with

sessions as (select * from fct_sessions where {person}),

classed as (
    select
        case
            when session_minutes < 5 then 0
            when session_minutes < 15 then 1
            when session_minutes < 30 then 2
            when session_minutes < 60 then 3
            when session_minutes < 120 then 4
            when session_minutes < 240 then 5
            else 6
        end as length_class,
        plays,
        session_ms
    from sessions
),

final as (
    select
        length_class,
        count(*) as sessions,
        cast(sum(plays) as bigint) as plays,
        cast(sum(session_ms) as bigint) as session_ms
    from classed
    group by length_class
)

select * from final
order by length_class`;

interface ClassRow extends Record<string, number> {
  length_class: number;
  sessions: number;
  plays: number;
  session_ms: number;
}

/** How long people stay. */
export async function sessionsSection(reading: Reading): Promise<Section> {
  return { id: 'sessions', title: 'Sessions', figures: [await sessionLengths(reading)] };
}

/** How many sessions there were of each length. */
export async function sessionLengths(reading: Reading): Promise<Figure> {
  const found = await reading.rows<ClassRow>(SESSIONS_BY_MINUTES);
  const rows = CLASSES.map(
    ({ label }, index) =>
      found.find((row) => row.length_class === index) ?? {
        length_class: index,
        sessions: 0,
        plays: 0,
        session_ms: 0,
        label,
      },
  );
  const sessions = rows.reduce((sum, row) => sum + row.sessions, 0);
  const minutes = rows.reduce((sum, row) => sum + row.session_ms, 0) / 60_000;
  const plays = rows.reduce((sum, row) => sum + row.plays, 0);
  const { sessionGapMinutes } = reading.definitions;
  return {
    name: 'session-lengths',
    title:
      reading.userId === undefined
        ? 'How long sessions last'
        : `Once you listen, you stay for ${formatMinutes(minutes / sessions)}`,
    takeaway: `${formatPlural(sessions, 'session')}, on average ${formatMinutes(minutes / sessions)} and ${formatPlural(Math.round(plays / sessions), 'play')}.`,
    chart: (layout) =>
      columns(
        rows.map((row, index) => ({
          label: CLASSES[index]!.label,
          value: row.sessions,
          valueText: formatShare(row.sessions / sessions, 0),
        })),
        'sessions',
        layout,
      ),
    table: {
      columns: [
        { label: 'Length', kind: 'text' },
        { label: 'Sessions', kind: 'number' },
        { label: 'Share', kind: 'number', format: (value) => formatShare(value) },
        { label: 'Plays', kind: 'number' },
      ],
      rows: rows.map((row, index) => [
        CLASSES[index]!.label.replace('\n', ' '),
        row.sessions,
        row.sessions / sessions,
        row.plays,
      ]),
      remark: `Shares are of ${formatPlural(sessions, 'session')}.`,
    },
    notes: [
      `A session is ${reading.userId === undefined ? "a user's" : 'your'} plays with less than ${sessionGapMinutes} minutes between the end of one and the start of the next; where the data names sessions itself, those count. Its length runs from the first start to the last end, pauses included.${
        reading.totals.plays_without_length > 0
          ? ' A play of unknown length counts as a moment, so sessions of such plays look shorter than they were.'
          : ''
      }`,
    ],
  };
}

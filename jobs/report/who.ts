import type { Figure, Section } from './figure.ts';
import { formatCount, formatMinutes, formatPlural, formatShare, nameInText } from './format.ts';
import { rankedLists } from './rankings.ts';
import type { Reading } from './reading.ts';

const SHOWN_USERS = 15;
const SHOWN_DEVICES = 12;

const PLAYS_BY_USER = `
with

plays as (select * from fct_plays where {in_reports}),

final as (
    select
        user_id,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms,
        count(distinct song_key) as songs,
        count(distinct local_date) as days
    from plays
    group by user_id
)

select * from final
order by played_ms desc, plays desc, user_id
limit ${SHOWN_USERS}`;

const PLAYS_BY_DEVICE = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

final as (
    select
        coalesce(device, 'unknown') as device,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms
    from plays
    group by coalesce(device, 'unknown')
)

select * from final
order by played_ms desc, plays desc, device
limit ${SHOWN_DEVICES}`;

/** Who listened, or, for one person, on what. */
export async function whoSection(reading: Reading): Promise<Section> {
  const figures = reading.totals.users > 1 ? [await users(reading), await devices(reading)] : [await devices(reading)];
  return { id: 'who', title: reading.totals.users > 1 ? 'Who' : 'Where', figures };
}

async function users(reading: Reading): Promise<Figure> {
  const rows = await reading.rows<{ user_id: string; plays: number; played_ms: number; songs: number; days: number }>(
    PLAYS_BY_USER,
  );
  const shown = rows.reduce((sum, row) => sum + amountOf(reading, row), 0);
  const whole = reading.isTimed ? reading.totals.played_ms : reading.totals.plays;
  const rest = reading.totals.users - rows.length;
  return {
    name: 'users',
    title: reading.isTimed ? 'Users by listening time' : 'Users by plays',
    takeaway: `${formatPlural(reading.totals.users, 'user')}; ${
      rest > 0
        ? `the ${rows.length} below stand for ${formatShare(shown / whole, 0)} of ${wholeOf(reading)}`
        : `the first stands for ${formatShare(amountOf(reading, rows[0]!) / whole, 0)} of ${wholeOf(reading)}`
    }.`,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: '',
            rows: rows.map((row) => ({
              label: row.user_id,
              detail: `${formatPlural(row.days, 'day')}, ${formatPlural(row.songs, 'song')}`,
              ...amount(reading, row),
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'User', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Distinct songs', kind: 'number' },
        { label: 'Days with plays', kind: 'number' },
      ],
      rows: rows.map((row) => [
        row.user_id,
        row.plays,
        reading.isTimed ? row.played_ms / 60_000 : null,
        row.songs,
        row.days,
      ]),
      ...(rest > 0 ? { remark: `${formatPlural(rest, 'more user')} below these.` } : {}),
    },
    notes: [
      'Users are labels that the data or its owner chose; real names, addresses and account names are dropped before anything is stored.',
    ],
  };
}

export async function devices(reading: Reading): Promise<Figure> {
  const rows = await reading.rows<{ device: string; plays: number; played_ms: number }>(PLAYS_BY_DEVICE);
  if (rows.length === 1 && rows[0]!.device === 'unknown') {
    return {
      name: 'devices',
      title: 'Devices',
      missing:
        'No play says on which device it was heard. The extended account export says it for every play; recently played, scrobbles and the short account export do not.',
      notes: [],
    };
  }
  const whole = reading.isTimed ? reading.totals.played_ms : reading.totals.plays;
  return {
    name: 'devices',
    title:
      reading.userId === undefined
        ? 'Devices'
        : rows[0]!.device === 'unknown'
          ? 'Most plays do not say on which device you listened'
          : `You listened most on ${nameInText(deviceName(rows[0]!.device), 40)}`,
    takeaway: `${reading.userId === undefined ? `Most on ${nameInText(deviceName(rows[0]!.device), 40)}: ` : ''}${formatShare(amountOf(reading, rows[0]!) / whole, 0)} of ${wholeOf(reading)}.`,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: '',
            rows: rows.map((row) => ({
              label: deviceName(row.device),
              detail: formatShare(amountOf(reading, row) / whole),
              ...amount(reading, row),
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'Device', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Share', kind: 'number', format: (value) => formatShare(value) },
      ],
      rows: rows.map((row) => [
        deviceName(row.device),
        row.plays,
        reading.isTimed ? row.played_ms / 60_000 : null,
        amountOf(reading, row) / whole,
      ]),
      remark: `Shares are of ${wholeOf(reading)}.`,
      parts: { filter: 'device', values: rows.map(({ device }) => device) },
    },
    notes: [
      'The kind of device, read from the platform that the source names. "Unknown" are plays whose source does not say.',
    ],
  };
}

/** Our own names for the kinds that `silver.plays` knows; events may say others. */
function deviceName(device: string): string {
  return DEVICE_NAMES[device] ?? `${device.charAt(0).toUpperCase()}${device.slice(1)}`;
}

const DEVICE_NAMES: Record<string, string> = {
  ios: 'iPhone or iPad',
  android: 'Android',
  windows: 'Windows',
  macos: 'Mac',
  linux: 'Linux',
  web: 'Web player',
  speaker: 'Speaker',
  tv: 'TV',
  car: 'Car',
  console: 'Game console',
  other: 'Other',
  unknown: 'Unknown',
};

function amountOf(reading: Reading, row: { plays: number; played_ms: number }): number {
  return reading.isTimed ? row.played_ms : row.plays;
}

/** What the shares of this section are of. */
function wholeOf({ isTimed, totals }: Reading): string {
  return isTimed ? `${formatMinutes(totals.played_ms / 60_000)} of listening` : formatPlural(totals.plays, 'play');
}

function amount(reading: Reading, row: { plays: number; played_ms: number }): { value: number; valueText: string } {
  return {
    value: amountOf(reading, row),
    valueText: reading.isTimed ? formatMinutes(row.played_ms / 60_000) : formatPlural(row.plays, 'play'),
  };
}

import type { TopLevelSpec } from 'vega-lite';
import { DAY_MS } from '../base/time.ts';
import type { Figure } from './figure.ts';
import { fontFace } from './font.ts';
import {
  dateMs,
  fitText,
  formatCount,
  formatDate,
  formatMinutes,
  formatPlural,
  formatShare,
  nameInText,
} from './format.ts';
import { CAUSE_TEXTS, type Cause, type Coverage, type Gap, IS_OPEN, REMEDIES } from './gaps.ts';
import type { Reading } from './reading.ts';
import { CATEGORIES, color, type Layout } from './theme.ts';

/** Users with a line of their own; those with the most missing come first. */
const USERS_MAX = 12;
const LINE_PX = 30;
const LABEL_PX = 90;

/** Days in a row of the same state. The days on which cover begins and ends count as covered. */
const STRETCHES = `
with

days as (
    select
        user_id,
        coverage_date,
        gap_hours,
        date_diff('day', date '1970-01-01', coverage_date) as day_number,
        case
            when ${IS_OPEN} then 'gap'
            when export_hours >= poll_hours then 'export'
            else 'poll'
        end as state
    from listening_coverage
),

numbered as (
    select
        *,
        day_number - row_number() over (
            partition by user_id, state
            order by coverage_date
        ) as stretch
    from days
),

stretches as (
    select
        user_id,
        state,
        min(coverage_date) as first_date,
        max(coverage_date) as last_date
    from numbered
    group by user_id, state, stretch
),

users as (
    select
        user_id,
        row_number() over (
            order by sum(case when state = 'gap' then gap_hours else 0e0 end) desc, user_id
        ) as place
    from days
    group by user_id
)

select
    stretches.user_id,
    stretches.state,
    stretches.first_date,
    stretches.last_date
from stretches
inner join users on stretches.user_id = users.user_id
where users.place <= ${USERS_MAX}
order by users.place, stretches.first_date`;

interface Stretch extends Record<string, string> {
  user_id: string;
  state: 'export' | 'poll' | 'gap';
  first_date: string;
  last_date: string;
}

const STATES = [
  ['export', 'account export'],
  ['poll', 'recently played (polls)'],
  ['gap', 'something is missing'],
] as const;
const GAP_LABEL = STATES[2][1];

/** Which days are covered by exports or polls, where something is missing, why, and what to do about it. */
export async function coveredDays(reading: Reading, coverage: Coverage): Promise<Figure> {
  const name = 'covered-days';
  const title = 'Is it all there?';
  if (coverage.coveredShare === null) {
    return {
      name,
      title,
      missing:
        'Nothing says whether this is all there was: the plays here come from events or scrobbles. Load an account export, or log in and poll recently played, to see which days are covered.',
      notes: [],
    };
  }
  const stretches = await reading.rows<Stretch>(STRETCHES);
  const isAlone = coverage.users === 1;
  const { longestGaps } = coverage;
  return {
    name,
    title,
    takeaway: takeaway(
      coverage,
      stretches.some(({ state }) => state === 'export'),
    ),
    chart: (layout) => strips(stretches, layout),
    ...(longestGaps.length === 0
      ? {}
      : {
          table: {
            columns: [
              ...(isAlone ? [] : [{ label: 'User', kind: 'text' as const }]),
              { label: 'From', kind: 'text' },
              { label: 'To', kind: 'text' },
              { label: 'Hours missing', kind: 'number', format: (value) => formatCount(value, 1) },
              { label: 'Why', kind: 'text' },
              { label: 'What to do', kind: 'text' },
            ],
            rows: longestGaps.map((gap) => [
              ...(isAlone ? [] : [gap.userId]),
              formatDate(gap.from),
              formatDate(gap.to),
              gap.hours,
              gap.causes.map((cause) => CAUSE_TEXTS[cause]).join('; '),
              remediesOf(gap).join('; '),
            ]),
            ...(coverage.gaps > longestGaps.length
              ? { remark: `The longest ${longestGaps.length} of ${formatCount(coverage.gaps)} gaps.` }
              : {}),
          },
        }),
    notes: [
      `Covered is what one file of an account export spans from its first row to its last, except where it tells of no play for more than ${reading.definitions.exportSilenceDays} days, and what polls of recently played span without an overflow: more than 50 plays between two polls, of which the oldest are lost. Days are UTC; a day on which anything is missing is marked.`,
      ...(coverage.users > USERS_MAX ? [`The ${USERS_MAX} users with the most missing are shown.`] : []),
    ],
  };
}

function takeaway(coverage: Coverage, hasExport: boolean): string {
  const { coveredShare, days, gaps, gapHours, longestGaps, firstDate, users } = coverage;
  const since = `since ${formatDate(firstDate!)}`;
  if (gaps === 0) {
    const before = hasExport ? '' : ` For what was played before, ${REMEDIES.before_first_source}.`;
    return `Nothing is missing ${since}, as far as exports and polls can tell.${before}`;
  }
  const longest = longestGaps[0]!;
  const whose = users === 1 ? '' : ` of ${nameInText(longest.userId, 40)}`;
  const when =
    longest.from === longest.to
      ? `on ${formatDate(longest.from)}`
      : `from ${formatDate(longest.from)} to ${formatDate(longest.to)}`;
  const what = remediesOf(longest)[0]!;
  return `${formatShare(coveredShare!)} of ${formatPlural(24 * days, 'hour')} ${since} are covered; ${formatPlural(gaps, 'gap')} of ${formatMinutes(gapHours * 60)} in all. The longest${whose} is ${when} (${longest.causes.map((cause) => CAUSE_TEXTS[cause]).join('; ')}). What to do: ${what}.`;
}

function remediesOf({ causes }: Gap): string[] {
  const open = causes.filter((cause: Cause) => cause !== 'before_first_source');
  return [...new Set(open.map((cause) => REMEDIES[cause]))];
}

/** Days where there are few, else months, else years. */
function dateFormat(values: readonly { from: number; to: number }[]): string {
  const days = (Math.max(...values.map(({ to }) => to)) - Math.min(...values.map(({ from }) => from))) / DAY_MS;
  return days <= 92 ? '%-d %b' : days <= 3 * 366 ? '%b %Y' : '%Y';
}

/**
 * One strip a user over time; gaps are drawn last and at least two pixels wide, so that an hour in ten years
 * is seen.
 */
function strips(stretches: readonly Stretch[], layout: Layout): TopLevelSpec {
  const users = [...new Set(stretches.map((row) => row.user_id))];
  const face = fontFace(400);
  const isGap = ({ state }: Stretch): number => (state === 'gap' ? 1 : 0);
  const values = [...stretches]
    .sort((a, b) => isGap(a) - isGap(b))
    .map((row) => ({
      user: users.indexOf(row.user_id),
      state: STATES.find(([state]) => state === row.state)![1],
      from: dateMs(row.first_date),
      to: dateMs(row.last_date) + DAY_MS,
    }));
  const labels = users.map((user) => fitText(user, LABEL_PX, (text) => face.width(text, 12)));
  const shown = STATES.filter(([, label]) => values.some((value) => value.state === label));
  const domain = shown.map(([, label]) => label);
  const range = shown.map(([state]) =>
    state === 'export' ? color('primary') : state === 'poll' ? CATEGORIES[1]![0] : color('accent'),
  );
  const encoding = {
    x: {
      field: 'from',
      type: 'temporal' as const,
      scale: { type: 'utc' as const, nice: false as const },
      title: null,
      axis: { tickCount: layout.kind === 'wide' ? 8 : 4, format: dateFormat(values) },
    },
    x2: { field: 'to' },
    y: {
      field: 'user',
      type: 'ordinal' as const,
      title: null,
      axis:
        users.length === 1
          ? null
          : { grid: false, labelExpr: `${JSON.stringify(labels)}[datum.value]`, labelColor: color('text') },
      scale: { paddingInner: 0.3, paddingOuter: 0.1 },
    },
    color: {
      field: 'state',
      type: 'nominal' as const,
      scale: { domain, range },
      legend: {
        orient: 'top' as const,
        direction: layout.kind === 'wide' ? ('horizontal' as const) : ('vertical' as const),
        offset: 14,
      },
    },
  };
  return {
    width: layout.width,
    height: LINE_PX * users.length + 22 + (layout.kind === 'wide' ? 36 : 20 + 20 * shown.length),
    autosize: { type: 'fit', contains: 'padding' },
    data: { values },
    mark: { type: 'bar', strokeWidth: 2 },
    encoding: {
      ...encoding,
      stroke: {
        condition: { test: `datum.state === ${JSON.stringify(GAP_LABEL)}`, value: color('accent') },
        value: null,
      },
    },
  } as TopLevelSpec;
}

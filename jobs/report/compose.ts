import { DAY_MS } from '../base/time.ts';
import type { SqlEngine } from '../engine/index.ts';
import type { Target } from '../lake/keys.ts';
import type { Card } from '../training/card.ts';
import { coverageSection } from './coverage.ts';
import type { Headline } from './figure.ts';
import { formatCount, formatDate, formatMinutes, formatPlural, formatShare } from './format.ts';
import { readCoverage } from './gaps.ts';
import { genresSection } from './genres.ts';
import type { PageContent } from './page.ts';
import { type Definitions, type Reading, readDefinitions, reader, type Totals } from './reading.ts';
import { sessionsSection } from './sessions.ts';
import { skipModelSection } from './skip-model.ts';
import { skipsSection } from './skips.ts';
import { whatSection } from './what.ts';
import { whenSection } from './when.ts';
import { whoSection } from './who.ts';

const PUBLISHED_TABLES = `
select table_name
from information_schema.tables
where table_schema = ?`;

const TOTALS = `
with

all_plays as (select * from fct_plays),

plays as (select * from all_plays where {in_reports}),

left_out as (
    select
        count(case when is_incognito then 1 end) as private_plays,
        count(case when is_implausible then 1 end) as implausible_plays
    from all_plays
),

counted as (
    select
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms,
        count(case when played_ms is null then 1 end) as plays_without_length,
        count(case when track_id is null and content_type = 'episode' then 1 end) as episode_plays,
        count(case when track_id is null and content_type = 'chapter' then 1 end) as chapter_plays,
        count(case when track_id is null and content_type = 'video' then 1 end) as video_plays,
        count(case when track_id is null and content_type in ('track', 'unknown') then 1 end) as nameless_plays,
        count(case when track_id is null and content_type = 'unknown' then 1 end) as unattributed_plays,
        count(distinct user_id) as users,
        count(distinct song_key) as songs,
        count(distinct artist_id) as artists,
        count(distinct local_date) as days,
        count(case when is_qualified then 1 end) as qualified_plays,
        count(case when verdict = 'skipped' then 1 end) as skipped,
        count(case when verdict = 'finished' then 1 end) as finished,
        min(local_date) as first_date,
        max(local_date) as last_date
    from plays
)

select
    counted.*,
    left_out.private_plays,
    left_out.implausible_plays
from counted
cross join left_out`;

/** The exclusive end of the data, as the models took it. */
const AS_OF = `
select max(period_end) as as_of
from top_tracks`;

/** 97.5 % point of the normal distribution, as in the models' Wilson intervals. */
const Z = 1.959963984540054;

/**
 * By these words of its footer a page says which version of gold it shows. @param runId of the run that built
 * the version
 */
export function builtByText(runId: string): string {
  return `(built by ${runId})`;
}

/**
 * Asks gold everything that the report says.
 *
 * @param request.builtBy the run that built what is published; undefined where nothing is
 * @param request.model of the skip model that the shown predictions are of; undefined where none was tried
 * @returns the page's content; without any play it says what is missing and what to do instead
 */
export async function composeReport(
  engine: SqlEngine,
  request: { target: Target; runId: string; builtBy: string | undefined; model?: Card },
): Promise<PageContent> {
  const definitions = readDefinitions();
  const rows = reader(engine, request.target, definitions);
  const published = await rows<{ table_name: string }>(PUBLISHED_TABLES, [`gold_${request.target}`]);
  const tables = new Set(published.map((table) => table.table_name));
  const footer = [
    `Made by listenlake from gold_${request.target}${request.builtBy === undefined ? '' : ` ${builtByText(request.builtBy)}`}, run ${request.runId}. Everything is in this file: it loads nothing and runs no script.`,
  ];
  const title = 'Listening report';
  const notices =
    request.target === 'dev' ? ['A draft: made from gold_dev, which has not been checked and promoted.'] : [];
  const empty = { title, facts: [], headlines: [], sections: [], footer };
  if (!tables.has('fct_plays')) {
    return {
      ...empty,
      notices: [
        ...notices,
        `There is nothing to report yet: gold_${request.target} has no tables. Give listenlake run an account export (a zip, a folder or its files), then look again.`,
      ],
    };
  }
  const [totals] = await rows<Totals>(TOTALS);
  if (totals!.plays === 0) {
    const hidden =
      totals!.private_plays > 0
        ? ` There are ${formatPlural(totals!.private_plays, 'play')} of private sessions, which stay out of reports.`
        : '';
    return {
      ...empty,
      notices: [
        ...notices,
        `There is no play to report yet.${hidden} Give listenlake run an account export (a zip, a folder or its files), then look again.`,
      ],
    };
  }
  const reading: Reading = { rows, definitions, totals: totals!, tables, isTimed: totals!.played_ms > 0 };
  const [{ as_of: known }] = (await rows<{ as_of: string | null }>(AS_OF)) as [{ as_of: string | null }];
  const asOf = known ?? nextDay(totals!.last_date!);
  const model = skipModelSection(request.model);
  const coverage = tables.has('listening_coverage') ? await readCoverage(engine, request.target) : undefined;
  return {
    title,
    facts: [
      `${formatDate(totals!.first_date!)} to ${formatDate(totals!.last_date!)}`,
      totals!.users > 1 ? formatPlural(totals!.users, 'user') : 'one person',
      `as of ${formatDate(asOf)}`,
      privacyFact(definitions, totals!),
    ],
    notices,
    headlines: headlines(reading),
    sections: [
      await whenSection(reading),
      await whatSection(reading, asOf),
      await whoSection(reading),
      await skipsSection(reading),
      ...(model === undefined ? [] : [model]),
      await genresSection(reading),
      await sessionsSection(reading),
      await coverageSection(reading, coverage),
    ],
    footer,
  };
}

function headlines({ totals, definitions, isTimed }: Reading): Headline[] {
  const verdicts = totals.skipped + totals.finished;
  const [low, high] = wilson(totals.skipped, verdicts);
  const span = 1 + Math.round((Date.parse(totals.last_date!) - Date.parse(totals.first_date!)) / DAY_MS);
  const known = totals.plays - totals.plays_without_length;
  return [
    {
      label: 'Plays',
      value: formatCount(totals.plays),
      detail: isTimed
        ? `${formatShare(totals.qualified_plays / known, 0)} of ${formatCount(known)} lasted ${definitions.qualifiedPlaySeconds} s or longer`
        : 'of unknown length',
    },
    isTimed
      ? {
          label: 'Listening time',
          value: formatMinutes(totals.played_ms / 60_000),
          detail: `${formatCount(totals.played_ms / DAY_MS, 1)} days on end`,
        }
      : { label: 'Listening time', value: 'unknown', detail: 'an account export says it' },
    { label: 'Songs', value: formatCount(totals.songs), detail: 'distinct' },
    { label: 'Artists', value: formatCount(totals.artists), detail: 'distinct' },
    { label: 'Days with plays', value: formatCount(totals.days), detail: `of ${formatCount(span)}` },
    verdicts > 0
      ? {
          label: 'Skip rate',
          value: formatShare(totals.skipped / verdicts),
          detail: `of ${formatCount(verdicts)} plays with a verdict, of ${formatCount(totals.plays)}; ${formatShare(low)} to ${formatShare(high)} (95%)`,
        }
      : { label: 'Skip rate', value: 'unknown', detail: 'no play has a verdict' },
  ];
}

function privacyFact(definitions: Definitions, totals: Totals): string {
  if (definitions.isIncognitoIncluded) return 'private sessions included';
  return totals.private_plays > 0
    ? `without ${formatPlural(totals.private_plays, 'play')} of private sessions`
    : 'no private sessions';
}

/** Wilson's 95 % interval of `part` of `whole`, as the models' macros compute it. */
function wilson(part: number, whole: number): [low: number, high: number] {
  if (whole === 0) return [0, 1];
  const p = part / whole;
  const center = p + Z ** 2 / (2 * whole);
  const spread = Z * Math.sqrt((p * (1 - p)) / whole + Z ** 2 / (4 * whole ** 2));
  const scale = 1 + Z ** 2 / whole;
  return [part === 0 ? 0 : (center - spread) / scale, part === whole ? 1 : (center + spread) / scale];
}

function nextDay(date: string): string {
  return new Date(Date.parse(`${date}T00:00:00.000Z`) + DAY_MS).toISOString().slice(0, 10);
}

import type { SqlEngine } from '../engine/index.ts';
import { listManifests, readManifest } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { coverageSection } from '../report/coverage.ts';
import type { Figure, Section } from '../report/figure.ts';
import { formatCount } from '../report/format.ts';
import { readCoverage } from '../report/gaps.ts';
import { answer, answersOf, type Desk, type Question } from './desk.ts';
import { number, type Row, text } from './fields.ts';
import { filtersInWords, narrowedNotice } from './filters.ts';
import type { Body } from './overview.ts';

const RUNS_SHOWN = 30;

/** What the lake holds, what is covered, what to look at, and which runs have made it. */
export async function dataPage(desk: Desk, { engine, store }: { engine: SqlEngine; store: LakeStore }): Promise<Body> {
  const { edition } = desk;
  const notices: string[] = [];
  const sections: Section[] = [];
  const quality = await answersOf(desk, [['data_quality', () => answer(desk.rows, QUALITY)]]);
  if (quality.length > 0) sections.push({ id: 'quality', title: 'Quality', figures: quality });
  const reading = edition.tables.has('fct_plays') ? await desk.reading() : undefined;
  if (reading !== undefined && reading.totals.plays > 0) {
    const coverage = edition.tables.has('listening_coverage') ? await readCoverage(engine, edition.target) : undefined;
    sections.push(await desk.section(() => coverageSection(reading, coverage)));
  } else if (edition.choices.firstDate === undefined)
    notices.push('There is no play yet. Give listenlake run an account export, then look again.');
  else notices.push('No play is left by these filters. Widen them, or reset them.');
  sections.push({ id: 'runs', title: 'Runs', figures: [await runsOf(store)] });
  notices.push(
    ...narrowedNotice(
      desk.filters,
      'Where plays came from and what they lack follow them.',
      'Checks, covered days, tables and runs are of the whole lake.',
    ),
  );
  const facts = [desk.filters.person ?? 'everybody', ...filtersInWords(desk.filters)];
  return { title: 'Data', facts, notices, headlines: [], sections };
}

const QUALITY: Question<Row> = {
  name: 'data-quality',
  title: 'What to look at',
  sql: `
select status, check_name, subject, observed, expected, unit, message, remedy
from data_quality
order by case status when 'ok' then 1 else 0 end, check_name, subject
limit 200`,
  columns: [
    text('Status', 'status'),
    text('Check', 'check_name'),
    text('Of', 'subject'),
    text('Message', 'message'),
    text('What to do', 'remedy'),
    number('Observed', 'observed'),
    number('Expected', 'expected'),
    text('Unit', 'unit'),
  ],
  notes: ['What is not in order comes first.'],
  missing: 'Nothing was checked yet.',
};

async function runsOf(store: LakeStore): Promise<Figure> {
  const newest = (await listManifests(store)).slice(-RUNS_SHOWN).reverse();
  const commits = [];
  for (const { sequence } of newest) commits.push(await readManifest(store, sequence));
  return {
    name: 'commits',
    title: 'The last commits',
    table: {
      columns: [
        { label: 'Number', kind: 'number' },
        { label: 'Job', kind: 'text' },
        { label: 'Run', kind: 'text' },
        { label: 'Began (UTC)', kind: 'text' },
        { label: 'Seconds', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      rows: commits.map(({ sequence, job, runId, startedAt, elapsedMs }) => [
        ...[sequence, job, runId, startedAt.slice(0, 19).replace('T', ' ')],
        elapsedMs / 1000,
      ]),
    },
    notes: [`The last ${RUNS_SHOWN} commits at most, when this version was first looked at; gc collects old ones.`],
  };
}

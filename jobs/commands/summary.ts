import { relative } from 'node:path';
import type { Finding } from '../base/finding.ts';
import { count } from '../base/words.ts';
import type { LoadedFile } from '../bronze/loaded-file.ts';
import type { CheckResult } from '../check.ts';
import type { CoverageResult } from '../coverage.ts';
import type { Effects } from '../effects/index.ts';
import { isElsewhere } from '../lake/store.ts';
import type { LoadResult } from '../load.ts';
import { isChanged, type PromoteResult, type TableDifference } from '../promote.ts';
import { CAUSE_TEXTS, type Cause, REMEDIES } from '../report/gaps.ts';
import type { RunResult } from '../run.ts';
import type { Plan } from '../silver/fan-out/plan.ts';
import type { StageResult } from '../silver/fan-out/stage.ts';
import type { TransformResult } from '../transform.ts';

/** Lists longer than this end in "and N more": the whole of it is a table in the lake. */
const LINES_MAX = 8;
const LABEL_CHARS = 12;

/** What a person reads at the end of `run`. */
export function runText(result: RunResult, effects: Pick<Effects, 'config'>): string {
  const { load, transform, promote } = result;
  const lines = ['', ...heading(result, effects), ''];
  lines.push(
    ...cameIn(load),
    ...accountLines(transform),
    ...upgradeLines(transform),
    ...refusedLines(load.files, transform),
  );
  const failed = result.checks.filter((each) => each.verdict === 'failed');
  if (failed.length > 0) {
    lines.push(
      '',
      ...failed.flatMap((each) => checkText(each).split('\n')),
      '',
      row('production', 'unchanged: what fails its checks is not published'),
    );
  } else if (promote !== undefined) {
    lines.push(
      '',
      ...changeLines(promote),
      row(
        'as of',
        `${promote.asOf.slice(0, 10)} (exclusive; the midnight after the newest listening unless --to says otherwise)`,
      ),
    );
  }
  if (result.report !== undefined) lines.push(row('report', shown(result.report.html)));
  lines.push('', ...nextLines(result, effects));
  return lines.join('\n');
}

function heading(result: RunResult, { config }: Pick<Effects, 'config'>): string[] {
  const words = {
    done: 'done',
    nothing_new: 'nothing new, everything is up to date',
    checks_failed: 'stopped: checks failed',
  };
  return [`listenlake: ${words[result.status]} (lake ${shown(config.lakeUri)})`];
}

function cameIn(load: LoadResult): string[] {
  const by = (status: LoadedFile['status']): LoadedFile[] => load.files.filter((file) => file.status === status);
  const kinds = new Map<string, { files: number; rows: number }>();
  for (const file of by('loaded')) {
    const sum = kinds.get(file.kind) ?? { files: 0, rows: 0 };
    kinds.set(file.kind, { files: sum.files + 1, rows: sum.rows + file.rows });
  }
  const details = [...kinds]
    .sort(([, a], [, b]) => b.rows - a.rows)
    .map(([kind, sum]) =>
      row('', `${kind.replaceAll('_', ' ')}: ${count(sum.files, 'file')}, ${count(sum.rows, 'row')}`),
    );
  const passedOver = new Map<string, number>();
  for (const each of by('loaded').flatMap((file) => file.passedOver ?? []))
    passedOver.set(each.why, (passedOver.get(each.why) ?? 0) + each.rows);
  for (const [why, rows] of passedOver) details.push(row('', `${count(rows, 'row')} passed over: ${why}`));
  const refused = by('refused').filter(({ isRepeated }) => !isRepeated);
  const repeated = by('refused').length - refused.length;
  const parts = [
    count(load.files.length, 'file'),
    ...(by('loaded').length > 0 ? [`${by('loaded').length} new`] : []),
    ...(by('known').length > 0 ? [`${by('known').length} loaded before`] : []),
    ...(by('ignored').length > 0 ? [`${by('ignored').length} without listening in it`] : []),
    ...(refused.length > 0 ? [`${refused.length} refused`] : []),
    ...(repeated > 0 ? [`${repeated} like one that was refused before`] : []),
    ...(by('changed').length > 0 ? [`${by('changed').length} changing while read: run it again`] : []),
  ];
  const warnings = load.warnings.map((text, index) => row(index === 0 ? 'warning' : '', text));
  return [row('came in', parts.join(', ')), ...capped(details), ...capped(warnings)];
}

function accountLines({ accounts }: TransformResult): string[] {
  if (accounts.read === 0) return [];
  return [
    row(
      'rows',
      `${number(accounts.read)} read = ${number(accounts.new)} new + ${number(accounts.duplicate)} duplicate + ${number(accounts.quarantined)} quarantined`,
    ),
  ];
}

function refusedLines(files: LoadedFile[], transform: TransformResult): string[] {
  const refused = files
    .filter((file) => file.status === 'refused' && !file.isRepeated)
    .map((file) => row('', `${file.fileName}: ${file.reason ?? file.code}`));
  // Refused files are in transform's counts as well, under their own codes: they have been named already.
  const codes = new Set(refused.length > 0 ? files.map((file) => file.code) : []);
  const rows = Object.entries(transform.quarantined)
    .filter(([code]) => !codes.has(code))
    .map(([code, n]) => row('', `${count(n, 'row')}: ${code.replaceAll('_', ' ')}`));
  if (refused.length + rows.length === 0) return [];
  // Links, devices and what nobody may read have no content to be kept.
  const isUnread = files.some(({ status, code }) => status === 'refused' && /^input_/.test(code ?? ''));
  const where = `${isUnread ? 'what was read of it' : 'all of it'} is in silver.quarantine`;
  return [row('quarantined', `refused with a reason; ${where}`), ...capped([...refused, ...rows])];
}

function changeLines(promote: PromoteResult): string[] {
  if (promote.status === 'nothing_new') return [row('production', 'unchanged')];
  const changed = promote.differences.filter(isChanged);
  const isFirst = promote.differences.every((difference) => difference.rows.prod === null);
  const rows = promote.differences.reduce((sum, difference) => sum + (difference.rows.dev ?? 0), 0);
  if (isFirst)
    return [
      row(
        'production',
        `built for the first time: ${count(promote.differences.length, 'table')}, ${count(rows, 'row')}`,
      ),
    ];
  return [
    row('production', `${count(changed.length, 'table')} of ${promote.differences.length} changed`),
    ...capped(changed.map((difference) => row('', differenceText(difference)))),
  ];
}

function differenceText({ table, rows, keys, columns }: TableDifference): string {
  const parts = [
    `${rows.prod === null ? 'none' : number(rows.prod)} -> ${rows.dev === null ? 'none' : number(rows.dev)} rows`,
  ];
  if (keys.added) parts.push(`${number(keys.added)} keys added`);
  if (keys.removed) parts.push(`${number(keys.removed)} keys removed`);
  if (columns.added.length > 0) parts.push(`columns added: ${columns.added.join(', ')}`);
  if (columns.removed.length > 0) parts.push(`columns removed: ${columns.removed.join(', ')}`);
  return `${table}: ${parts.join(', ')}`;
}

function nextLines(result: RunResult, { config }: Pick<Effects, 'config'>): string[] {
  const at = config.lakeUri === 'lake' ? '' : ` --lake ${shown(config.lakeUri)}`;
  if (result.status === 'checks_failed')
    return [row('next', `listenlake sql${at} "select * from silver.check_results where status <> 'passed'"`)];
  const page = result.report?.html;
  const open = page !== undefined && isElsewhere(page) ? `fetch the report (aws s3 cp ${page} .)` : 'open the report';
  const isDrawn = page !== undefined || result.status !== 'done';
  const steps = [
    `${isDrawn ? `${open}, or ` : ''}ask: listenlake sql${at} --target prod "select * from top_tracks limit 10"`,
  ];
  if (result.refused > 0)
    steps.push(
      `see what was refused: listenlake sql${at} "select file_name, row_number, reason from silver.quarantine"`,
    );
  return steps.map((step, index) => row(index === 0 ? 'next' : '', step));
}

/** What `load` did, in a few lines. */
export function loadText(result: LoadResult): string {
  const refused = result.files.filter((file) => file.status === 'refused' || file.status === 'changed');
  const lines = [
    ...cameIn(result),
    ...capped(refused.map((file) => row('', `${file.fileName}: ${file.reason ?? file.code}`))),
  ];
  return [...lines, row('next', 'listenlake transform')].join('\n');
}

/** What `transform` did, in a few lines. */
export function transformText(result: TransformResult): string {
  if (result.status === 'nothing_new') return 'silver is up to date';
  const changed = result.tables
    .filter(({ rowsBefore, rowsAfter }) => rowsBefore !== rowsAfter)
    .map(({ table, rowsBefore, rowsAfter }) => row('', `${table}: ${number(rowsBefore)} -> ${number(rowsAfter)} rows`));
  const written = result.tables.reduce((sum, table) => sum + table.written, 0);
  return [
    ...accountLines(result),
    ...upgradeLines(result),
    row(
      'silver',
      `${count(written, 'partition')} written${result.taken > 0 ? `; ${number(result.taken)} were staged` : ''}`,
    ),
    ...changed,
    ...refusedLines([], result),
    row('next', 'listenlake check --scope silver, listenlake enrich'),
  ].join('\n');
}

/** The one line that somebody is owed whose tables were all made again without being asked for it. */
function upgradeLines({ isUpgrade }: TransformResult): string[] {
  return isUpgrade
    ? [row('upgraded', 'this lake was laid out by an older version: all of silver was made again from bronze')]
    : [];
}

/** The intervals of a plan, one a line. */
export function planText({ status, partitions }: Plan): string {
  if (status === 'nothing_new') return 'silver is up to date';
  if (partitions.length === 0) return 'not worth sharing\nnext: listenlake transform';
  const lines = partitions.map(({ from, to, rows }) => `  --from ${from} --to ${to}   about ${count(rows, 'row')}`);
  return [
    `${count(partitions.length, 'share')} for listenlake transform --stage:`,
    ...lines,
    row('next', 'each of them, then listenlake transform'),
  ].join('\n');
}

/** What `transform --stage` did. */
export function stageText({ status, partitions, built }: StageResult): string {
  if (status === 'nothing_new') return 'silver is up to date';
  return [
    row('staged', `${count(partitions, 'partition')}, ${number(built)} of them built now`),
    row('next', 'listenlake transform'),
  ].join('\n');
}

/** One scope's tests: the counts, and each test that did not pass. */
export function checkText(result: CheckResult): string {
  const counts = `${result.passed} passed, ${result.failed} failed, ${result.warned} warned, ${result.errors} could not run`;
  const bad = result.results
    .filter(({ status }) => status !== 'passed')
    .map(({ table_name, test, status, message }) => row('', `${status}: ${table_name} ${test}: ${message}`));
  return [row(result.scope, counts), ...capped(bad)].join('\n');
}

/** The difference between dev and prod, and what was done about it. */
export function promoteText(result: PromoteResult): string {
  const words = { promoted: 'published', dry_run: 'not changed (--dry-run)', nothing_new: 'is what dev is' };
  return [`gold_prod ${words[result.status]}, as of ${result.asOf.slice(0, 10)}`, ...changeLines(result)].join('\n');
}

/** How much of the listening is covered, and the open gaps with what to do. */
export function coverageText(result: CoverageResult): string {
  if (result.status === 'none') {
    return [
      'nothing is covered yet: gold_prod knows of no account export and no poll',
      row('next', 'listenlake run my_spotify_data.zip, or listenlake login'),
    ].join('\n');
  }
  // Never 100 % where anything is missing.
  const share = `${(Math.floor((result.coveredShare ?? 0) * 1000) / 10).toFixed(1)} % of the hours of ${count(result.days, 'day')}`;
  const whose = result.users === 1 ? '' : ` of ${count(result.users, 'user')}`;
  const time = (at: string | null): string => (at === null ? 'never' : `${at.slice(0, 16).replace('T', ' ')} UTC`);
  const gaps = result.longestGaps.flatMap(({ userId, from, to, hours, causes }) => {
    const when = from === to ? from : `${from} to ${to}`;
    const who = result.users === 1 ? '' : ` (${userId})`;
    const why = causes.map((cause) => CAUSE_TEXTS[cause]).join('; ');
    return [row('', `${when}${who}: ${duration(hours)}, ${why}`)];
  });
  const remedies = new Set(
    result.longestGaps.flatMap(({ causes }) => causes.filter(isOpen).map((cause) => REMEDIES[cause])),
  );
  return [
    row('covered', `${share}${whose}, ${result.firstDate} to ${result.lastDate}`),
    row('exports', `newest row ${time(result.newestExport)}`),
    row('polls', `newest ${time(result.newestCapture)}`),
    row('gaps', result.gaps === 0 ? 'none' : `${count(result.gaps, 'gap')}, ${duration(result.gapHours)}`),
    ...capped(gaps),
    ...[...remedies].map((text, index) => row(index === 0 ? 'next' : '', text)),
  ].join('\n');
}

function isOpen(cause: Cause): boolean {
  return cause !== 'before_first_source';
}

function duration(hours: number): string {
  if (hours < 1) return `${Math.max(1, Math.round(hours * 60))} min`;
  return hours < 48 ? `${number(Math.round(hours * 10) / 10)} h` : `${number(Math.round(hours / 2.4) / 10)} days`;
}

/** One line for each finding of `doctor`. */
export function findingsText(findings: Finding[]): string {
  const marks = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' };
  return findings.map(({ name, verdict, text }) => `${marks[verdict]} ${name.padEnd(LABEL_CHARS)} ${text}`).join('\n');
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_CHARS)} ${text}`;
}

function capped(lines: string[]): string[] {
  return lines.length <= LINES_MAX
    ? lines
    : [...lines.slice(0, LINES_MAX - 1), row('', `and ${lines.length - LINES_MAX + 1} more`)];
}

function number(value: number): string {
  return value.toLocaleString('en');
}

/** A path as a person would type it. */
function shown(path: string): string {
  if (isElsewhere(path)) return path;
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}

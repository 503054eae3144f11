import { createInterface } from 'node:readline/promises';
import { JobError } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { count } from '../base/words.ts';
import type { ForgetPreview, ForgetResult } from '../forget.ts';
import type { GcResult } from '../gc.ts';
import type { Proof } from '../removal/proof.ts';
import type { Hit } from '../removal/traces.ts';
import type { RetentionResult } from '../retention.ts';
import { type Arguments, type Command, INTERVAL_OPTIONS, optional, whole } from './command.ts';

const DRY_RUN = {
  'dry-run': { type: 'boolean', default: false, describe: 'Only say what would be deleted' },
} as const;
const KEEP_DAYS = 7;

/** Collects what nobody needs any more. */
export const GC: Command = {
  usage: 'gc',
  summary: 'Delete what no commit of the last days names: old versions, and what killed runs have left',
  reads: 'everything',
  writes: '(deletes)',
  options: {
    ...DRY_RUN,
    'keep-days': {
      type: 'string',
      requiresArg: true,
      describe: `Keep every version that readers saw in the last N days (default: ${KEEP_DAYS})`,
    },
  },
  isWriter: (args) => args['dry-run'] !== true,
  isSweeper: true,
  examples: [['listenlake gc --dry-run', 'see what it would delete']],
  async run(args, effects) {
    const { gc } = await import('../gc.ts');
    const days = optional(args['keep-days']);
    const keepDays = days === undefined ? KEEP_DAYS : whole('--keep-days', days);
    const result = await gc({ keepDays, dryRun: args['dry-run'] === true }, effects);
    const json = {
      status: result.status,
      layers: result.layers,
      tables: result.tables.length,
      unfinished: result.unfinished.length,
      foreign: result.foreign,
      commits: result.commits,
    };
    return { text: gcText(result, keepDays), json };
  },
};

/** Removes a person. */
export const FORGET: Command = {
  usage: 'forget',
  summary: 'Remove a person and everything of them, everywhere and for good, and prove it (give --user)',
  reads: 'everything',
  writes: 'the whole lake (deletes)',
  options: {
    only: { choices: ['api'] as const, describe: 'Only what came from the Web API; the account export stays' },
    unloaded: {
      choices: ['stop', 'delete'] as const,
      default: 'stop',
      describe:
        'Files in landing that were never loaded, so that nobody knows whose they are: stop, or delete them too',
    },
    ...DRY_RUN,
    yes: { type: 'boolean', default: false, describe: 'Do not ask' },
  },
  isWriter: (args) => args['dry-run'] !== true,
  isAnyUser: true,
  examples: [
    ['listenlake forget --user anna --dry-run', 'see what there is of her'],
    ['listenlake forget --user anna --only api', 'her plays from the Web API; her export stays'],
  ],
  async run(args, effects, runId) {
    const { forget } = await import('../forget.ts');
    const userId = optional(args.user);
    if (userId === undefined) {
      throw new JobError('usage_invalid', 'usage', 'whom? No default here: give --user', {
        hint: 'listenlake forget --user <label>',
      });
    }
    const dryRun = args['dry-run'] === true;
    if (!dryRun) requireConsent(args);
    const result = await forget(
      {
        ...{ runId, userId, dryRun, confirm: (preview) => confirmed(args, userId, preview) },
        ...(args.only === 'api' && { only: 'api' }),
        unloaded: args.unloaded === 'delete' ? 'delete' : 'stop',
      },
      effects,
    );
    const { status, preview, purged, proof, checks } = result;
    const json = {
      ...{ status, files: preview.files, rows: preview.rows, landing: preview.landing.length },
      ...(purged && { objects_deleted: purged.objects, old_versions_deleted: purged.oldVersions }),
      ...(proof && { hits: proof.hits.length, objects_scanned: proof.objects, unread: proof.unread.length }),
      ...(checks && { checks }),
    };
    return { text: forgetText(result, userId), json, exit: status === 'found' ? 'data' : 'ok' };
  },
};

/** Removes what has grown too old. */
export const RETENTION: Command = {
  usage: 'retention',
  summary: 'Remove what came from the Web API and is older than LISTENLAKE_API_RETENTION_DAYS, everywhere and for good',
  reads: 'everything',
  writes: 'the whole lake (deletes)',
  options: {
    'as-of': {
      ...INTERVAL_OPTIONS.to,
      describe: 'Moment that ages are counted to, UTC (default: when the newest answer was received)',
    },
    ...DRY_RUN,
  },
  isWriter: (args) => args['dry-run'] !== true,
  async run(args, effects, runId) {
    const { retention } = await import('../retention.ts');
    const asOf = optional(args['as-of']);
    const days = effects.config.apiRetentionDays;
    const result = await retention({ runId, days, dryRun: args['dry-run'] === true, ...(asOf && { asOf }) }, effects);
    const { status, before, files, rows, landing, undated, purged, proof, checks } = result;
    const json = {
      ...{ status: status === 'kept' ? 'nothing_new' : status, before, files, rows, landing, undated },
      ...(purged && { objects_deleted: purged.objects, old_versions_deleted: purged.oldVersions }),
      ...(proof && { hits: proof.hits.length, objects_scanned: proof.objects, unread: proof.unread.length }),
      ...(checks && { checks }),
    };
    return { text: retentionText(result, days), json, exit: status === 'found' ? 'data' : 'ok' };
  },
};

/** Nothing is deleted for good without a word: of a person at a terminal, or `--yes`. */
function requireConsent(args: Arguments): void {
  if (args.yes === true || (process.stdin.isTTY === true && process.stderr.isTTY === true)) return;
  throw new JobError('not_confirmed', 'usage', 'forget deletes for good, and there is nobody to ask here', {
    hint: 'look at it with --dry-run, then give --yes',
  });
}

async function confirmed(args: Arguments, userId: string, preview: ForgetPreview): Promise<boolean> {
  if (args.yes === true) return true;
  process.stderr.write(`${visible(previewLines(preview).join('\n'), '\n')}\n`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`This cannot be taken back. Type the label (${visible(userId)}) to go on: `);
    return answer.trim() === userId;
  } finally {
    terminal.close();
  }
}

function previewLines({ tables, landing, notices, isUnfinished }: ForgetPreview): string[] {
  return [
    ...Object.entries(tables)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([table, sum]) => row('bronze', `${table}: ${count(sum.rows, 'row')} in ${count(sum.files, 'file')}`)),
    ...(landing.length > 0 ? [row('landing', count(landing.length, 'file'))] : []),
    ...(isUnfinished ? [row('unfinished', 'an earlier removal was interrupted; the rest of it is done now')] : []),
    ...notices.map((notice) => row('note', notice)),
  ];
}

function forgetText({ status, preview, purged, proof, checks, users }: ForgetResult, userId: string): string {
  const labels =
    users.length === 0 ? 'there are no people in it' : `it knows ${users.map((user) => visible(user)).join(', ')}`;
  const heads = {
    forgotten: `forget: ${userId} is gone`,
    nothing_new: `forget: nothing in this lake is of ${userId} (${labels})`,
    dry_run: `forget: would remove of ${userId} (--dry-run)`,
    declined: 'forget: not confirmed, nothing was changed',
    found: `forget: something of ${userId} is still there`,
  };
  if (status === 'nothing_new' || status === 'declined') return heads[status];
  return [
    heads[status],
    ...previewLines(preview),
    ...(purged
      ? [row('deleted', `${count(purged.objects, 'object')}, ${count(purged.oldVersions, 'old version')}`)]
      : []),
    ...(checks === 'failed' ? [row('production', 'is built anew and fails its tests: run listenlake check')] : []),
    ...(proof ? [row('proof', proofText(proof))] : []),
    ...(proof?.hits ?? []).slice(0, HITS_MAX).map((hit) => row('', hitText(hit))),
    ...unreadLines(proof),
  ].join('\n');
}

function retentionText(
  { status, before, files, rows, landing, undated, purged, proof, checks }: RetentionResult,
  days: number,
): string {
  const heads = {
    removed: `retention: removed ${count(rows, 'answer')} in ${count(files, 'file')}, received before ${before}`,
    nothing_new: `retention: nothing is older than ${count(days, 'day')}`,
    dry_run: `retention: would remove ${count(rows, 'answer')} in ${count(files, 'file')}, received before ${before} (--dry-run)`,
    kept: 'retention: no limit is set (LISTENLAKE_API_RETENTION_DAYS is 0)',
    found: 'retention: something of what was removed is still there',
  };
  return [
    heads[status],
    ...(landing > 0 ? [row('landing', `${count(landing, 'file')} kept there`)] : []),
    ...(undated > 0
      ? [row('undated', `${count(undated, 'answer')} do not say when they were received, and stay`)]
      : []),
    ...(purged
      ? [row('deleted', `${count(purged.objects, 'object')}, ${count(purged.oldVersions, 'old version')}`)]
      : []),
    ...(checks === 'failed' ? [row('production', 'is built anew and fails its tests: run listenlake check')] : []),
    ...(proof ? [row('proof', proofText(proof))] : []),
    ...(proof?.hits ?? []).slice(0, HITS_MAX).map((hit) => row('', hitText(hit))),
    ...unreadLines(proof),
  ].join('\n');
}

const HITS_MAX = 20;

/** What the proof says nothing about: for a person to see to. */
function unreadLines(proof: Proof | undefined): string[] {
  const unread = proof?.unread ?? [];
  const more = unread.length > HITS_MAX ? [row('', `and ${unread.length - HITS_MAX} more`)] : [];
  return [...unread.slice(0, HITS_MAX).map((place) => row('not read', visible(place))), ...more];
}

function proofText({ hits, objects }: { hits: readonly Hit[]; objects: number }): string {
  return `${count(hits.length, 'hit')} in ${count(objects, 'object')}`;
}

function hitText({ place, what }: Hit): string {
  const words = { label: 'holds the label', value: 'holds a value of theirs', 'old version': 'has an old version' };
  return `${place} ${words[what]}: take it away and run the same command again`;
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(12)} ${text}`;
}

function gcText(result: GcResult, keepDays: number): string {
  const kept = `kept: ${count(result.commits, 'commit')}, all that readers saw in the last ${count(keepDays, 'day')}`;
  const layers = Object.entries(result.layers).filter(([, { objects }]) => objects > 0);
  const lines = layers.map(
    ([layer, sum]) => `  ${layer.padEnd(12)} ${count(sum.objects, 'object')}, ${size(sum.bytes)}`,
  );
  if (result.tables.length > 0) lines.push(`  catalog      ${count(result.tables.length, 'table')} of runs`);
  for (const { name, bytes, startedAt } of result.unfinished)
    lines.push(`  unfinished   ${name}, ${size(bytes)}, begun ${new Date(startedAt).toISOString().slice(0, 16)}Z`);
  if (result.foreign > 0) lines.push(`  left alone   ${count(result.foreign, 'file')} that listenlake has not written`);
  const head = {
    collected: 'gc: deleted',
    dry_run: 'gc: would delete (--dry-run)',
    nothing_new: 'gc: nothing to delete',
  };
  return [`${head[result.status]} (${kept})`, ...lines].join('\n');
}

function size(bytes: number): string {
  const mib = bytes / 1024 ** 2;
  return mib < 0.1 ? `${(bytes / 1024).toFixed(1)} KiB` : `${mib.toFixed(1)} MiB`;
}

import { createInterface } from 'node:readline/promises';
import { JobError } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { count } from '../base/words.ts';
import type { ForgetPreview, ForgetResult } from '../forget.ts';
import type { Arguments, Command } from './command.ts';
import { DRY_RUN, optional } from './command.ts';
import { row } from './lines.ts';
import { removalLines } from './removal.ts';

/** Removes a person. */
export const FORGET: Command = {
  usage: 'forget',
  group: 'delete',
  isPersonal: true,
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

function forgetText(result: ForgetResult, userId: string): string {
  const { status, preview, users } = result;
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
  return [heads[status], ...previewLines(preview), ...removalLines(result)].join('\n');
}

import { count } from '../base/words.ts';
import type { RetentionResult } from '../retention.ts';
import type { Command } from './command.ts';
import { DRY_RUN, INTERVAL_OPTIONS, optional } from './command.ts';
import { row } from './lines.ts';
import { removalLines } from './removal.ts';

/** Removes what has grown too old. */
export const RETENTION: Command = {
  usage: 'retention',
  group: 'delete',
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

function retentionText(result: RetentionResult, days: number): string {
  const { status, before, files, rows, landing, undated } = result;
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
    ...removalLines(result),
  ].join('\n');
}

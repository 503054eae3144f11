import { count } from '../base/words.ts';
import type { TableDifference } from '../gold/differences.ts';
import { isChanged } from '../gold/differences.ts';
import { observed } from '../lineage/observe.ts';
import type { PromoteResult } from '../promote.ts';
import type { Command } from './command.ts';
import { REBUILD_OPTION } from './command.ts';
import { capped, number, row } from './lines.ts';

/** What was checked becomes what people see. */
export const PROMOTE: Command = {
  usage: 'promote',
  group: 'operate',
  summary: 'Compare dev with prod, then publish as prod what dev was checked on',
  reads: 'gold_dev, gold_prod',
  writes: 'gold_prod (and its Iceberg tables)',
  options: {
    'dry-run': { type: 'boolean', default: false, describe: 'Show the difference, change nothing' },
    ...REBUILD_OPTION,
  },
  isWriter: true,
  async run(args, effects, runId) {
    const { promote } = await import('../promote.ts');
    const dryRun = args['dry-run'] === true;
    const work = (): Promise<PromoteResult> => promote({ runId, dryRun, rebuild: args.rebuild === true }, effects);
    const result = await (dryRun ? work() : observed({ job: 'promote', runId }, effects, work));
    return {
      text: promoteText(result),
      json: {
        ...{ status: result.status, as_of: result.asOf, tables: result.differences.length },
        ...(result.iceberg && { iceberg: result.iceberg.status, iceberg_tables: result.iceberg.written }),
      },
    };
  },
};

/** The difference between dev and prod, and what was done about it. */
export function promoteText(result: PromoteResult): string {
  const words = { promoted: 'published', dry_run: 'not changed (--dry-run)', nothing_new: 'is what dev is' };
  const head = `gold_prod ${words[result.status]}, as of ${result.asOf.slice(0, 10)}`;
  return [head, ...changeLines(result), ...copyLines(result)].join('\n');
}

/** What became of the copy as Iceberg tables, where the lake has one. */
export function copyLines({ iceberg }: PromoteResult): string[] {
  if (iceberg === undefined) return [];
  const words = {
    copied: `${count(iceberg.written, 'table')} written as Iceberg tables`,
    nothing_new: 'the Iceberg tables show it',
    withdrawn: 'the Iceberg tables are taken away; listenlake gc deletes their objects',
  };
  return [row('copy', words[iceberg.status])];
}

/** What changes for who reads prod. */
export function changeLines(promote: PromoteResult): string[] {
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

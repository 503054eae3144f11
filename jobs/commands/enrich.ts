import { count } from '../base/words.ts';
import { observed } from '../lineage/observe.ts';
import type { Command } from './command.ts';
import { INTERVAL_OPTIONS, optional, REBUILD_OPTION } from './command.ts';

/** Silver to gold. */
export const ENRICH: Command = {
  usage: 'enrich',
  summary: 'Silver to gold: run the models, publish them by a swap',
  reads: 'silver',
  writes: 'gold_dev',
  options: {
    to: {
      ...INTERVAL_OPTIONS.to,
      describe: 'as_of, the exclusive end (default: the midnight after the newest listening)',
    },
    ...REBUILD_OPTION,
  },
  isWriter: true,
  async run(args, effects, runId) {
    const { enrich } = await import('../enrich.ts');
    const asOf = optional(args.to);
    const input = { runId, ...(asOf && { asOf }), rebuild: args.rebuild === true };
    const result = await observed({ job: 'enrich', runId }, effects, () => enrich(input, effects));
    const rows = result.tables.reduce((sum, table) => sum + table.rows, 0);
    const text =
      result.status === 'nothing_new'
        ? `gold_dev is up to date, as of ${result.asOf.slice(0, 10)}`
        : `gold_dev: ${count(result.tables.length, 'table')} (${result.built.length} built), ${count(rows, 'row')}, as of ${result.asOf.slice(0, 10)}\nnext: listenlake check --scope gold`;
    return {
      text,
      json: {
        ...{ status: result.status, as_of: result.asOf, tables: result.tables.length },
        ...{ built: result.built.length, rows },
      },
    };
  },
};

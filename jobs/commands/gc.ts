import { count } from '../base/words.ts';
import type { GcResult } from '../gc.ts';
import type { Command } from './command.ts';
import { DRY_RUN, optional, whole } from './command.ts';

const KEEP_DAYS = 7;

/** Collects what nobody needs any more. */
export const GC: Command = {
  usage: 'gc',
  group: 'delete',
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

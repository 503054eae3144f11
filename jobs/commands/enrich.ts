import { count } from '../base/words.ts';
import type { RecommendationQuality } from '../gold/recommendations.ts';
import { observed } from '../lineage/observe.ts';
import type { Command } from './command.ts';
import { INTERVAL_OPTIONS, optional, REBUILD_OPTION } from './command.ts';
import { row } from './lines.ts';

/** Silver to gold. */
export const ENRICH: Command = {
  usage: 'enrich',
  group: 'operate',
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
        : [
            `gold_dev: ${count(result.tables.length, 'table')} (${result.built.length} built), ${count(rows, 'row')}, as of ${result.asOf.slice(0, 10)}`,
            ...recommendationLines(result.recommendations),
            'next: listenlake check --scope gold',
          ].join('\n');
    return {
      text,
      json: {
        ...{ status: result.status, as_of: result.asOf, tables: result.tables.length },
        ...{ built: result.built.length, rows },
        ...(result.recommendations && { recommendations: result.recommendations.status }),
      },
    };
  },
};

const WHY_NOT: Readonly<Record<string, string>> = {
  no_plays: 'no play of an export or event tells its song; load an export or events',
  too_short: 'nobody has listened long enough; some eight weeks of plays are needed',
  too_few: 'too little of what was heard later is in these lists or in that of the most popular songs',
  not_better: 'the most popular songs are as good a guess',
};

/** One line: how many of the recommended songs were played in the weeks held out, or why there are none. */
export function recommendationLines(quality: RecommendationQuality | undefined): string[] {
  if (quality === undefined) return [];
  const { status, users, hitRate, popularityHitRate } = quality;
  const rates = `hit rate ${percent(hitRate)}, of the most popular songs ${percent(popularityHitRate)} (${count(users, 'user')})`;
  if (status === 'published') return [row('recommended', rates)];
  const measured = users === 0 ? '' : `: ${rates}`;
  return [row('recommended', `not published (${status}): ${WHY_NOT[status]}${measured}`)];
}

function percent(share: number | null): string {
  return `${((share ?? 0) * 100).toFixed(1)} %`;
}

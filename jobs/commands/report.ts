import { JobError } from '../base/errors.ts';
import { count } from '../base/words.ts';
import { isElsewhere } from '../lake/store.ts';
import { observed } from '../lineage/observe.ts';
import type { Arguments, Command } from './command.ts';
import { OPEN_OPTION, OUT_OPTION, openIfAsked, optional, outDir, TARGET_OPTION, target } from './command.ts';

/** The page, and its charts. */
export const REPORT: Command = {
  usage: 'report',
  group: 'look',
  isPersonal: true,
  summary: 'A page for each person and one about everybody, self-contained',
  reads: 'gold_prod',
  writes: 'report.html, operator.html, people/, charts/; with --card: cards/',
  options: {
    target: { ...TARGET_OPTION.target, default: 'prod', describe: 'Which gold: prod (default) or dev' },
    ...OUT_OPTION,
    ...OPEN_OPTION,
    user: { type: 'string', requiresArg: true, describe: 'Label of the one person whose page is drawn (default: all)' },
    png: { type: 'boolean', default: false, describe: 'Each chart also as a picture (PNG) in charts/' },
    redact: {
      type: 'boolean',
      default: false,
      describe:
        'Pages and cards to show to others: without rarely heard names, times of day and countries (needs --out)',
    },
    card: {
      type: 'string',
      requiresArg: true,
      describe: 'A year: draws no page, but a picture of that year to share for each person (1080 × 1920 PNG)',
    },
  },
  isWriter: false,
  async run(args, effects, runId) {
    const { report, reportCards } = await import('../report.ts');
    const userId = optional(args.user);
    const input = {
      ...{ runId, outDir: outDir(args, effects), target: target(args) },
      ...(userId !== undefined && { userId }),
      hasPngs: args.png === true,
      isRedacted: isRedacted(args),
    };
    const work = { job: 'report', runId, target: input.target } as const;
    const year = cardYear(optional(args.card));
    if (year !== undefined) {
      const cards = await observed(work, effects, () => reportCards({ ...input, year }, effects));
      openIfAsked(args, cards[0]);
      return { text: cards.map((card) => `card: ${card}`).join('\n'), json: { cards } };
    }
    const result = await observed(work, effects, () => report(input, effects));
    openIfAsked(args, result.html);
    return {
      text: [
        `report: ${result.html}`,
        `${count(result.pages.length, 'page')}${input.hasPngs ? ` and ${count(result.charts.length, 'picture')}` : ''} in all`,
        ...(isElsewhere(result.html) ? [`to read it: aws s3 cp ${result.html} .`] : []),
      ].join('\n'),
      json: { report: result.html, charts: result.charts.length },
    };
  },
};

/**
 * A redacted page never takes the place of the whole one.
 *
 * @throws `usage_invalid` (64) without a folder of its own
 */
function isRedacted(args: Arguments): boolean {
  if (args.redact !== true) return false;
  if (optional(args.out) !== undefined) return true;
  throw new JobError('usage_invalid', 'usage', '--redact makes pages to show, which would replace your own', {
    hint: 'say where they go: --redact --out to-show',
  });
}

/** @throws `usage_invalid` (64) for what is no year */
function cardYear(text: string | undefined): string | undefined {
  if (text === undefined || /^(?:19|20)\d{2}$/.test(text)) return text;
  throw new JobError('usage_invalid', 'usage', `--card ${JSON.stringify(text)} is no year`, {
    hint: 'give four digits, such as --card 2025',
  });
}

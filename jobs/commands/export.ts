import { JobError } from '../base/errors.ts';
import { count } from '../base/words.ts';
import type { FileFormat } from '../engine/index.ts';
import type { Command } from './command.ts';
import { list, optional, TARGET_OPTION, target } from './command.ts';

const FORMATS = ['parquet', 'csv', 'json', 'listenbrainz', 'lastfm-csv', 'm3u'] as const satisfies FileFormat[];

/** Ways out. */
export const EXPORT: Command = {
  usage: 'export [tables..]',
  group: 'look',
  isPersonal: true,
  isAnyUser: true,
  summary: 'Tables as Parquet, CSV or JSON; plays as ListenBrainz, Last.fm and players take them',
  reads: 'silver, gold',
  writes: 'files in --to',
  positionals: {
    tables: {
      type: 'string',
      array: true,
      describe: 'top_tracks, silver.plays, ... (default: all of gold; for formats of listening the plays)',
    },
  },
  options: {
    to: { type: 'string', requiresArg: true, demandOption: true, describe: 'Folder for the files' },
    format: { choices: FORMATS, demandOption: true, describe: 'One file a table in this format' },
    target: { ...TARGET_OPTION.target, default: 'prod', describe: 'Which gold: prod (default) or dev' },
    user: { type: 'string', requiresArg: true, describe: 'Rows of this person alone (default: all)' },
    raw: { type: 'boolean', default: false, describe: 'Leave texts of a CSV that a spreadsheet would run as formulas' },
    force: { type: 'boolean', default: false, describe: 'Replace files of the same names' },
  },
  isWriter: false,
  examples: [
    ['listenlake export top_tracks silver.plays --to out --format csv', ''],
    ['listenlake export --to out --format listenbrainz --user me', ''],
  ],
  async runAlone(args) {
    if (optional(args.to) === undefined)
      throw new JobError('usage_invalid', 'usage', '--to is empty', { hint: 'give a folder' });
    return undefined;
  },
  async run(args, effects) {
    const { exportTables } = await import('../export.ts');
    const userId = optional(args.user);
    const input = {
      ...{ tables: list(args.tables), folder: String(args.to), format: args.format as FileFormat },
      ...{ target: target(args), isRaw: args.raw === true, isForced: args.force === true },
      ...(userId !== undefined && { userId }),
    };
    const { files, inert, leftOut } = await exportTables(input, effects);
    return {
      text: [
        ...files.map(({ path, rows }) => `${path}: ${count(rows, 'row')}`),
        ...(inert > 0
          ? [
              `${count(inert, 'text')} a spreadsheet would run as a formula got an apostrophe in front; --raw leaves them`,
            ]
          : []),
        ...(leftOut > 0 ? [`${count(leftOut, 'play')} left out: no song, or no name or address of it`] : []),
      ].join('\n'),
      json: { files: files.length, rows: files.reduce((sum, { rows }) => sum + rows, 0), inert, left_out: leftOut },
    };
  },
};

import { count } from '../base/words.ts';
import type { LoadedFile } from '../bronze/loaded-file.ts';
import { observed } from '../lineage/observe.ts';
import type { LoadResult } from '../load.ts';
import type { Command } from './command.ts';
import { list, PATHS, QUARANTINE_OPTION, refusedExit } from './command.ts';
import { capped, row } from './lines.ts';

/** Files to bronze. */
export const LOAD: Command = {
  usage: 'load [paths..]',
  group: 'operate',
  isPersonal: true,
  summary: 'Landing, and the paths given, to bronze: recognise, check, keep without personal fields',
  reads: 'landing, files',
  writes: 'bronze',
  positionals: PATHS,
  options: QUARANTINE_OPTION,
  isWriter: true,
  needsLake: false,
  async run(args, effects, runId) {
    const { load } = await import('../load.ts');
    const { userId, keepLanding } = effects.config;
    const result = await observed({ job: 'load', runId }, effects, () =>
      load({ runId, paths: list(args.paths), userId, keepLanding }, effects),
    );
    return {
      text: loadText(result),
      json: {
        status: result.accounts.new === 0 ? 'nothing_new' : 'loaded',
        accounts: result.accounts,
        rows: result.rows,
        warnings: result.warnings.length,
      },
      exit: result.exit === 'data' ? refusedExit(args, 1) : result.exit,
    };
  },
};

/** What `load` did, in a few lines. */
export function loadText(result: LoadResult): string {
  const refused = result.files.filter((file) => file.status === 'refused' || file.status === 'changed');
  const lines = [
    ...cameIn(result),
    ...capped(refused.map((file) => row('', `${file.fileName}: ${file.reason ?? file.code}`))),
  ];
  return [...lines, row('next', 'listenlake transform')].join('\n');
}

/** What came in, by kind, and what there is to know about it. */
export function cameIn(load: LoadResult): string[] {
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

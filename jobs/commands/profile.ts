import { count } from '../base/words.ts';
import { type Command, list, OUT_OPTION, outDir } from './command.ts';
import { capped, number, row, shown } from './lines.ts';

/** The first look at data that nobody knows yet. */
export const PROFILE: Command = {
  usage: 'profile [tables..]',
  group: 'look',
  summary: 'What is in silver: each column in numbers and pictures, what stands out, what the pipeline does about it',
  reads: 'silver',
  writes: 'profile.html, profile.json',
  options: OUT_OPTION,
  positionals: { tables: { type: 'string', array: true, describe: 'Tables of silver (default: all)' } },
  isWriter: false,
  examples: [['listenlake profile plays', 'only the table of your plays']],
  async run(args, effects) {
    const { profile } = await import('../profile.ts');
    const result = await profile({ tables: list(args.tables), outDir: outDir(args, effects) }, effects);
    const { html, json, tables, empty, findings } = result;
    const found = findings.map(({ table, column, seen }) =>
      row('', `${column === undefined ? table : `${table}.${column}`}: ${seen}`),
    );
    const rows = tables.map((table) => `${table.table} ${number(table.rows)}`);
    return {
      text: [
        row('tables', rows.length === 0 ? 'none has a row' : rows.join(', ')),
        ...(empty.length > 0 ? [row('empty', empty.join(', '))] : []),
        row('findings', findings.length === 0 ? 'none' : count(findings.length, 'finding')),
        ...capped(found),
        row('page', shown(html)),
      ].join('\n'),
      json: { profile: html, json, tables: tables.length, findings: findings.length },
    };
  },
};

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { visible, visibleField, visibleJson } from '../../jobs/base/visible.ts';
import { formatResult } from '../../jobs/sql.ts';
import { listenlake } from '../fixtures/command-line.ts';

/** What must never reach a terminal from data: anything but our own line breaks. */
const OBEYED = /[^\P{Cc}\n]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
const HOSTILE = 'a\u001b[2Jb\u202ec\rd\u0007e\u009bf\u2066g';

describe('words on the screen', () => {
  it('F31: marks that a terminal obeys are written out, and JSON keeps its value', () => {
    expect(visible(HOSTILE)).toBe('a\\u001b[2Jb\\u202ec\\u000dd\\u0007e\\u009bf\\u2066g');
    expect(visible('two\nlines\tand', '\n')).toBe('two\nlines\\tand');
    const json = visibleJson(JSON.stringify({ [HOSTILE]: HOSTILE }));
    expect(json).not.toMatch(OBEYED);
    expect(JSON.parse(json)).toEqual({ [HOSTILE]: HOSTILE });
  });

  it.each([
    ...[
      '=1+1',
      '+cmd',
      '-cmd',
      '-1+cmd|x',
      '@sum(1)',
      '\t=1',
      '\n=1',
      '\r=1',
      '  =1',
      '\u00a0=1',
      '\u200b=1',
      '\ufeff=1',
    ],
    ...['\uff1d1', '\uff0b1', '\uff0dx', '\uff20x', '\ttab', '\nline', '-', '+49 30', '=', '- a'],
  ])('S8: %j is a text for a spreadsheet, and no formula', (text) => {
    expect(visibleField(text)).toMatch(/^'/);
  });
  it.each(['-1', '+1', '-5.1', '1e-5', '-1.5E+10', '.5', 'AC/DC', 'a=b', '', "it's", '- 5'.trim().slice(2)])(
    'S8: %j stays what it is',
    (text) => {
      expect(visibleField(text)).toBe(text);
    },
  );

  it('F31: a CSV shows them, too, and quotes what could be taken apart', () => {
    const columns = [HOSTILE, '=h'].map((name) => ({ name, type: 'varchar' }));
    const csv = formatResult(
      {
        columns,
        rows: [
          [HOSTILE, 'two\r\nlines'],
          ['a;=1', '-5'],
        ],
      },
      'csv',
    );
    expect(csv.replaceAll('\r\n', '\n')).not.toMatch(OBEYED);
    expect(csv.split('\r\n').slice(1)).toEqual([expect.stringContaining('"two\\u000d\nlines"'), '"a;=1",-5']);
    expect(csv).toContain(",'=h");
  });

  it('F31: names of files, flags, statements and errors of the engine reach the terminal written out', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'listenlake-visible-'));
    try {
      const [source, lake] = [join(folder, `in ${HOSTILE}`), join(folder, 'lake')];
      await mkdir(source);
      await writeFile(join(source, `x${HOSTILE}\nfake line.json`), 'broken');
      await writeFile(
        join(source, 'e.ndjson'),
        JSON.stringify({ event_id: '1', user_id: `u${HOSTILE}`, action: 'play', occurred_at: '2026-01-01T00:00:00Z' }),
      );
      const commands = [
        ['load', source, '--lake', lake],
        ['load', join(folder, HOSTILE), '--lake', lake],
        [`no-${HOSTILE}`],
        ['load', `--flag-${HOSTILE}`],
        ['sql', `select '${HOSTILE}' as "${HOSTILE}"`, '--lake', lake],
        ['sql', '--csv', `select '${HOSTILE}' as "${HOSTILE}"`, '--lake', lake],
        ['sql', '--json', `select '${HOSTILE}' as "${HOSTILE}"`, '--lake', lake],
        ['sql', `select 1 from "${HOSTILE}"`, '--lake', lake],
        ['sql', `select cast('${HOSTILE}' as integer)`, '--lake', lake],
        ['load', source, '--lake', lake, '--user', HOSTILE],
        ['forget', '--user', 'nobody', '--yes', '--lake', lake],
      ];
      for (const args of commands) {
        const { stdout, stderr } = await listenlake(args, { XDG_CACHE_HOME: folder });
        expect([args[0], `${stdout}${stderr}`.replaceAll('\r\n', '\n')]).toEqual([
          args[0],
          expect.not.stringMatching(OBEYED),
        ]);
        expect(stdout + stderr).not.toMatch(/^fake line/m);
        expect(stdout + stderr).toMatch(args[0] === 'forget' ? /nothing/ : /u001b|LISTENLAKE_USER: /);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

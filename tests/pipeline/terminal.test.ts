/** What a person sees on a terminal: a real one, made by the system, in several widths. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { play } from '../bronze/load-fixture.ts';
import { finished, listenlake, PSEUDONYM_KEY, ROOT, start } from '../fixtures/command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-terminal-'));
const lake = join(folder, 'lake');
const cache = join(folder, 'cache');
const CLI = [process.execPath, '--disable-warning=ExperimentalWarning', join(ROOT, 'jobs/cli.ts')];

/** One play a day: `[artist, song]`. */
function history(path: string, plays: readonly [artist: string, song: string][]): string {
  const rows = plays.map(([artist, song], index) =>
    play({
      ts: `2026-${String(1 + Math.floor(index / 28)).padStart(2, '0')}-${String(1 + (index % 28)).padStart(2, '0')}T10:00:00Z`,
      ms_played: 240_000,
      master_metadata_track_name: song,
      master_metadata_album_artist_name: artist,
      spotify_track_uri: `spotify:track:${String(index).padStart(22, '0')}`,
    }),
  );
  writeFileSync(path, JSON.stringify(rows));
  return path;
}

interface Seen {
  code: number | null;
  /** All that the terminal was sent. */
  sent: string;
  /** What stands on it in the end, line by line: redrawn lines as they were last. */
  lines: string[];
}

/** Runs the program on a terminal. @param steps `[seen, typed]`: keys that are typed once a text is seen */
function onTerminal(
  args: string[],
  { columns = 80, steps = [], env = {} }: { columns?: number; steps?: [string, string][]; env?: object } = {},
): Seen {
  const plan = { args: [...CLI, ...args], columns, steps, seconds: 120 };
  const done = spawnSync('python3', [join(ROOT, 'tests/fixtures/terminal.py'), JSON.stringify(plan)], {
    encoding: 'utf8',
    env: {
      ...{ PATH: process.env.PATH, HOME: folder, XDG_CACHE_HOME: cache, TERM: 'xterm-256color' },
      ...{ LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY, TMPDIR: tmpdir(), ...env },
    },
  });
  const plain = stripVTControlCharacters(done.stdout);
  const lines = plain.split(/\r?\n/).map((line) => line.split('\r').at(-1)!);
  return { code: done.status, sent: done.stdout, lines };
}

beforeAll(async () => {
  mkdirSync(cache);
  const songs = Array.from({ length: 50 }, (_, n): [string, string] => [
    n < 30 ? 'Nova Vale' : '北の歌手',
    `Song ${n} ${'long '.repeat(12)}`,
  ]);
  const run = await listenlake([
    'run',
    history(join(folder, 'Streaming_History_Audio_2026_0.json'), songs),
    '--lake',
    lake,
  ]);
  expect([run.code, run.stderr]).toEqual([0, '']);
  expect(run.progress.map((line) => /^\[(\d)\/8\] /.exec(line)?.[1])).toEqual(expect.arrayContaining([...'12345678']));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each([60, 80, 200])('%i columns', (columns) => {
  it('run: steps that are counted, no line that wraps, no JSON', () => {
    const place = join(folder, `lake-${columns}`);
    const source = join(folder, 'Streaming_History_Audio_2026_0.json');
    const { code, sent, lines } = onTerminal(['run', source, '--lake', place, '--no-report'], { columns });
    expect(code).toBe(0);
    const steps = lines.filter((line) => line.startsWith('✓'));
    expect(steps[0]).toMatch(/^✓ \[1\/7\] load +1 new file with 50 rows.* \d+\.\d s$/);
    expect(steps.at(-1)).toMatch(/^✓ \[7\/7\] publish .* \d+\.\d s$/);
    for (const line of sent.split(/[\r\n]+/).filter((text) => text.includes('✓') || text.includes('█')))
      expect(stringWidth(stripVTControlCharacters(line))).toBeLessThan(columns);
    expect(sent).toContain('\u001b[32m✓');
    expect(lines.join('\n')).toMatch(
      /\n {2}you {10}50 plays, 3 hours, 2026; most of all Nova Vale; longest streak 28 days\n/,
    );
    expect(lines.some((line) => line.startsWith('{'))).toBe(false);
  });

  it('sql: fits, 40 rows at most, numbers as they are read', () => {
    const question =
      "select track_name, repeat('北の歌手', 5) as artist, 1234567 as n, 2026 as year, 1.0 / 3 as rate from fct_plays join dim_tracks using (track_id) order by 1";
    const { code, lines } = onTerminal(['sql', '--lake', lake, question], { columns });
    expect(code).toBe(0);
    const table = lines.filter((line) => line !== '');
    for (const line of table) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
    expect(table).toHaveLength(2 + 40 + 1);
    expect(table.at(-1)).toBe('50 rows, 40 shown');
    expect(table[2]).toMatch(/ {2}1,234,567 {2}2026 {2}0\.3333$/);
  });
});

it('identifiers give way before names: shortened first, then left out', () => {
  const statement =
    "select 'spotify:track:0123456789' as track_id, 'A name of some length' as name, 'by somebody' as artist, 7 as plays";
  const shown = (columns: number): string[] =>
    onTerminal(['sql', '--lake', lake, statement], { columns }).lines.filter((line) => line !== '');
  expect(shown(60)[2]).toMatch(/^spotify\S*… {2}A name of some length {2}by somebody +7$/);
  expect(shown(40).at(-1)).toBe('1 row, no room for track_id');
  expect(shown(40)[2]).toMatch(/^A name of some leng… {2}by somebody +7$/);
});

it('a table that has no room at all loses columns from the right, and says which', () => {
  const { lines } = onTerminal(
    ['sql', '--lake', lake, "select 'abcdefghijkl' as first, 1 as number_of_things, 2 as more_of_them, 'x' as last"],
    { columns: 36 },
  );
  expect(lines.filter((line) => line !== '').at(-1)).toBe('1 row, no room for more_of_them, last');
});

it('a pipe gets every row and digit, and words without JSON unless it asks', async () => {
  const all = await listenlake(['sql', '--lake', lake, 'select 1234567.25 as n, played_ms from fct_plays']);
  expect(all.stdout.split('\n')).toHaveLength(2 + 50 + 1 + 1);
  expect(all.stdout).toContain('1234567.25');
  const plain = await listenlake(['run', '--lake', lake], { LISTENLAKE_RESULT_FILE: '' });
  expect(plain.stdout).toMatch(/^\nlistenlake: nothing new/);
  expect(plain.stdout).not.toContain('{"status"');
  const json = await listenlake(['run', '--lake', lake, '--json'], { LISTENLAKE_RESULT_FILE: '' });
  expect(JSON.parse(json.stdout)).toMatchObject({ status: 'nothing_new' });
  const file = join(folder, 'result.json');
  const both = await listenlake(['run', '--lake', lake], { LISTENLAKE_RESULT_FILE: file });
  expect([both.stdout, JSON.parse(readFileSync(file, 'utf8'))]).toEqual([
    plain.stdout,
    { ...JSON.parse(json.stdout), run_id: expect.any(String) },
  ]);
  const quiet = await listenlake(['run', '--lake', lake, '--quiet']);
  expect([quiet.code, quiet.progress]).toEqual([0, []]);
});

it.each([
  ['NO_COLOR', { NO_COLOR: '1' }, /^✓ \[1\/7\] load/m],
  ['TERM=dumb', { TERM: 'dumb' }, /^\[1\/7\] load: /m],
])('%s is honoured', (_, env, first) => {
  const { code, sent, lines } = onTerminal(['run', '--lake', lake, '--no-report'], { env });
  expect([code, lines.join('\n')]).toEqual([0, expect.stringMatching(first)]);
  expect(sent).not.toContain('\u001b[3');
  if ('TERM' in env) expect(sent).not.toContain('\u001b');
});

it('Ctrl-C stands on a line of its own, and what was under way is taken away', () => {
  const place = join(folder, 'stopped');
  const source = join(folder, 'Streaming_History_Audio_2026_0.json');
  const { code, lines } = onTerminal(['run', source, '--lake', place], { steps: [['[4/8]', '\u0003']] });
  expect(code).toBe(75);
  const said = lines.filter((line) => line !== '');
  expect(said.at(-1)).toMatch(/^listenlake: .*stopped by a signal/);
  expect(said.at(-2)).not.toMatch(/listenlake:/);
});

describe('a prompt', () => {
  it('answers one question after the other, says what is wrong with one, and leaves', () => {
    const { code, lines } = onTerminal(['sql', '--lake', lake], {
      steps: [
        ['listenlake> ', 'select count(*) as n\r'],
        ['...> ', 'from fct_plays;\r'],
        ['1 row', 'select nothing from nowhere;\r'],
        ['does not exist', 'select 2 \u0003'],
        ['listenlake> ', 'select max(played_ms) as ms from fct_sess'],
        ['fct_sess', '\t'],
        ['ions', ';\r'],
        ['1 row', '\\q\r'],
      ],
    });
    expect([code, lines.join('\n')]).toEqual([0, expect.stringMatching(/\n n\n──\n50\n1 row\n/)]);
    const kept = readFileSync(join(cache, 'listenlake/sql-history'), 'utf8').split('\n');
    expect(kept).toEqual(expect.arrayContaining(['select max(played_ms) as ms from fct_sessions;', 'from fct_plays;']));
  });

  it('brings back the questions of the last session, and takes none that writes', () => {
    const { code, lines } = onTerminal(['sql', '--lake', lake], {
      steps: [
        ['listenlake> ', '\u001b[A\r'],
        ['1 row', 'drop table fct_plays;\r'],
        ['only statements that read', '\u0004'],
      ],
    });
    expect([code, lines.join('\n')]).toEqual([0, expect.stringMatching(/\n +ms\n─+\n240,000\n/)]);
  });
});

it('a question comes from standard input where none is given', async () => {
  const child = start(['sql', '--lake', lake], {}, ROOT, 'pipe');
  child.stdin!.end('select count(*) as n from fct_plays;\n');
  expect((await finished(child)).stdout).toBe(' n\n──\n50\n1 row\n');
});

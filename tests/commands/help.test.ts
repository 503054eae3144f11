import { spawnSync } from 'node:child_process';
import { nearest } from '../../jobs/commands/suggest.ts';
import { listenlake } from '../fixtures/command-line.ts';

describe('--help', () => {
  it('sorts the commands by what somebody wants, and wraps by words', async () => {
    const { code, stdout } = await listenlake(['--help']);
    expect(code).toBe(0);
    expect(stdout.match(/^\w+:$/gm)).toEqual(['Start:', 'Look:', 'Operate:', 'Delete:', 'Options:']);
    expect(stdout).toMatch(/^ {2}listenlake run \[paths\.\.\] {2,}Everything in order/m);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  });

  it('--user stands where it says whose something is, and nowhere else', async () => {
    for (const [command, isPersonal] of [
      ['load', true],
      ['forget', true],
      ['gc', false],
      ['sql', false],
    ] as const)
      expect([command, (await listenlake([command, '--help'])).stdout.includes('--user')]).toEqual([
        command,
        isPersonal,
      ]);
    expect(await listenlake(['gc', '--user', 'me'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('user'),
    });
  });
});

describe('a mistyped word', () => {
  it.each([
    [['run', '--lak', 'x'], 'did you mean --lake?'],
    [['sql', '--taregt', 'prod', 'select 1'], 'did you mean --target?'],
    [['run', '--on-quarentine', 'warn'], 'did you mean --on-quarantine?'],
    [['run', '--frobnicate'], 'see listenlake --help'],
    [['rpeort'], 'Did you mean report?'],
  ])('%j: %s', async (args, words) => {
    const { code, stderr } = await listenlake(args);
    expect([code, stderr]).toEqual([64, expect.stringContaining(words)]);
  });

  it.each([
    ['lake', 'lake'],
    ['lkae', 'lake'],
    ['la', 'lake'],
    ['l', undefined],
    ['quarantine', undefined],
  ])('nearest to %j among lake, user, json is %j', (word, meant) =>
    expect(nearest(word, ['lake', 'user', 'json'])).toBe(meant),
  );
});

describe('hints', () => {
  it('name the program as it was typed', async () => {
    const typed = await listenlake(['sql', 'select 1', '--lake', '/nowhere/lake'], {
      LISTENLAKE_COMMAND: "./my place/it's",
    });
    expect(typed.stderr).toContain(`'./my place/it'\\''s' run my_spotify_data.zip`);
    const plain = await listenlake(['sql', 'select 1', '--lake', '/nowhere/lake']);
    expect(plain.stderr).toContain('(give --lake, or make one: listenlake run my_spotify_data.zip)');
  });
});

describe('--completion', () => {
  /** What bash offers for words that are typed so far; the last one is under way. */
  async function offered(...words: string[]): Promise<string[]> {
    const { stdout: script } = await listenlake(['--completion', 'bash']);
    const typed = words.map((word) => `'${word}'`).join(' ');
    const done = spawnSync(
      'bash',
      [
        '-c',
        `${script}\nCOMP_WORDS=(${typed}) COMP_CWORD=${words.length - 1}\n_listenlake\nprintf '%s\\n' "\${COMPREPLY[@]}"`,
      ],
      { encoding: 'utf8' },
    );
    expect([done.status, done.stderr]).toEqual([0, '']);
    return done.stdout.split('\n').filter(Boolean);
  }

  it('bash: commands, their flags, values of flags; files elsewhere', async () => {
    expect(await offered('listenlake', 're')).toEqual(['report', 'retention']);
    expect(await offered('listenlake', 'load', '--us')).toEqual(['--user']);
    expect(await offered('listenlake', 'gc', '--us')).toEqual([]);
    expect(await offered('listenlake', 'check', '--scope', '')).toEqual(['silver', 'gold', 'all']);
    expect(await offered('listenlake', 'load', 'my')).toEqual([]);
  });

  it.each(['zsh', 'fish'])('%s has a script that holds every command', async (shell) => {
    const { code, stdout } = await listenlake(['--completion', shell]);
    expect(code).toBe(0);
    for (const command of ['run', 'forget', 'doctor']) expect(stdout).toContain(command);
  });

  it('another shell is refused with what there is', async () => {
    expect(await listenlake(['--completion', 'tcsh'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('bash, zsh, fish'),
    });
  });
});

/** The package that needs no clone: built, installed by npx in an empty folder, and run as its first user does. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { listenlake, PSEUDONYM_KEY, ROOT } from '../fixtures/command-line.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import { layerSkipped } from '../fixtures/layers.ts';

const NO_REGISTRY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|E40[13]/;
const folder = mkdtempSync(join(tmpdir(), 'listenlake-package-'));
const home = join(folder, 'home');
const source = join(folder, 'source');
let tarball = '';

beforeAll(async () => {
  mkdirSync(home);
  const built = spawnSync(process.execPath, [join(ROOT, 'packaging/build.ts'), join(folder, 'dist')], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });
  expect([built.status, built.stderr]).toEqual([0, '']);
  tarball = built.stdout.trim();
  const nothingElse = { users: 1, days: 1, tracks: 200, faults: false, polls: 0 };
  await generateIntoFolder(
    { ...nothingElse, seed: 1, end: '2026-11-01', exportPlays: 400, exportYears: 2 },
    join(folder, 'generated'),
  );
  renameSync(join(folder, 'generated/export'), source);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program in an empty folder, with this Node first on the path and nothing of the clone in its environment. */
function run(program: string, args: string[], cwd: string) {
  const { npm_config_cache: cache, HTTPS_PROXY, NODE_EXTRA_CA_CERTS } = process.env;
  const done = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: 540_000,
    env: {
      PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
      // npm's own cache and settings: what is installed here was installed for the clone before.
      HOME: process.env.HOME,
      TMPDIR: home,
      LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY,
      npm_config_prefer_offline: 'true',
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_update_notifier: 'false',
      ...(cache && { npm_config_cache: cache }),
      ...(HTTPS_PROXY && { HTTPS_PROXY }),
      ...(NODE_EXTRA_CA_CERTS && { NODE_EXTRA_CA_CERTS }),
    },
  });
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

function sizeOf(path: string): number {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(path, name)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}

it('npx runs it in an empty folder: the portrait is there, and the tables are those of a clone', async () => {
  const place = join(folder, 'place');
  mkdirSync(place);
  const began = performance.now();
  // Into the folder itself, as `npm install` does: npx would keep it in the cache of whoever runs the tests.
  const installed = run('npm', ['install', '--prefix', place, '--ignore-scripts', tarball], place);
  if (installed.code !== 0 && NO_REGISTRY.test(installed.stderr)) {
    layerSkipped(
      'the npm package',
      `npm cannot reach its registry: ${installed.stderr.slice(0, 200)}`,
      'let npm reach it once',
    );
    return;
  }
  expect([installed.code, installed.stderr]).toEqual([0, expect.any(String)]);
  const ran = run('npx', ['--no-install', 'listenlake', 'run', source], place);
  expect([ran.code, ran.stdout]).toEqual([0, expect.stringMatching(/\n {2}you +\d/)]);
  expect(ran.stdout).toContain('npx listenlake sql "select');
  const report = readFileSync(join(place, 'lake/report/report.html'), 'utf8');
  expect(report).toMatch(/^<!doctype html>/);
  const seconds = (performance.now() - began) / 1000;
  const megabytes = sizeOf(join(place, 'node_modules')) / 1e6;
  process.stderr.write(`package: installed and run in ${seconds.toFixed(0)} s, ${megabytes.toFixed(0)} MB installed\n`);
  expect(megabytes).toBeLessThan(130);

  const lake = join(folder, 'lake');
  expect((await listenlake(['run', source, '--lake', lake, '--no-report'])).code).toBe(0);
  const ownPaths = ['silver.loaded_files.loaded_on'];
  expect(await fingerprint(join(place, 'lake'), ['gold_prod'], ownPaths)).toEqual(
    await fingerprint(lake, ['gold_prod'], ownPaths),
  );
  for (const [args, words] of [
    [['--version'], /^0\.\d+\.\d+\n$/],
    [['sql', 'select count(*) as n from fct_plays'], /\n1 row\n$/],
    [['doctor'], /the lake|well|ok/],
    [['login', '--help'], /--allow/],
  ] as const) {
    const done = run('npx', ['--no-install', 'listenlake', ...args], place);
    expect([args, done.code, done.stdout]).toEqual([args, 0, expect.stringMatching(words)]);
  }
});

it('holds nothing of the tests, of Terraform or of this machine', () => {
  const listed = spawnSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
  const tops = new Set(listed.map((name) => name.split('/')[1]));
  expect([...tops].sort()).toEqual(
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'jobs', 'listenlake.cjs', 'package.json', 'warehouse'].sort(),
  );
  const unpacked = join(folder, 'unpacked');
  mkdirSync(unpacked);
  spawnSync('tar', ['-xzf', tarball, '-C', unpacked]);
  const files = readdirSync(join(unpacked, 'package/jobs/bundle'), { encoding: 'utf8' });
  expect(files).toContain('cli.js');
  for (const name of files)
    expect(readFileSync(join(unpacked, 'package/jobs/bundle', name), 'utf8')).not.toContain(ROOT);
});

it('an older Node is told what is wrong', () => {
  const launcher = readFileSync(join(ROOT, 'packaging/listenlake.cjs'), 'utf8');
  const script = `Object.defineProperty(process.versions, 'node', { value: '18.20.0' }); Object.defineProperty(process, 'version', { value: 'v18.20.0' });\n${launcher.replace(/^#!.*\n/, '')}`;
  const done = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  expect([done.status, done.stderr]).toEqual([
    69,
    'listenlake: Node 24 or newer is needed, this is v18.20.0 (https://nodejs.org)\n',
  ]);
});

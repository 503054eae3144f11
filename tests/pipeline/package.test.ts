/**
 * The npm package as `make package` makes it, used as by someone who has no clone: an empty folder and `npx`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { play, zipOf } from '../bronze/load-fixture.ts';
import { type Finished, finished, ROOT } from '../fixtures/command-line.ts';
import { layerSkipped } from '../fixtures/layers.ts';
import { personExport } from '../fixtures/person-export.ts';

const MEBIBYTE = 1024 * 1024;
const NPM_TIMEOUT_MS = 600_000;
const packageJson = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));

const folder = await mkdtemp(join(tmpdir(), 'listenlake-package-'));
const empty = join(folder, 'empty');
const cache = join(folder, 'cache');
/** As of someone who has Node 24 and nothing else: no variable of ours or of the npm that runs this test. */
const environment: Record<string, string> = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      (each): each is [string, string] => !/^(LISTENLAKE_|NODE_OPTIONS$|npm_(lifecycle|package))/.test(each[0]),
    ),
  ),
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  TMPDIR: join(folder, 'tmp'),
  LISTENLAKE_RESULT_FILE: '-', // the last line of stdout
};
afterAll(() => rm(folder, { recursive: true, force: true }));

const tarball = await packed();
const installed = join(folder, 'installed/node_modules');
const describePackage = isInstallable() ? describe : describe.skip;

/** The tarball in a folder of its own, and the folders that the tests use. */
async function packed(): Promise<string> {
  for (const path of [empty, cache, environment.TMPDIR!]) await mkdir(path);
  const built = spawnSync(process.execPath, [join(ROOT, 'packaging/build.ts'), join(folder, 'dist')], {
    encoding: 'utf8',
    env: environment,
  });
  if (built.status !== 0) throw new Error(`packaging/build.ts: ${built.stderr}`);
  return built.stdout.trim();
}

/**
 * Installs the tarball, in a cache that shares nothing with this machine's npm but the packages that it has
 * downloaded; false where a package cannot be had, said as a layer that is left out.
 */
function isInstallable(): boolean {
  const npm = (args: string[]) =>
    spawnSync('npm', args, { encoding: 'utf8', env: environment, timeout: NPM_TIMEOUT_MS });
  const downloaded = join(npm(['config', 'get', 'cache']).stdout.trim(), '_cacache');
  environment.npm_config_cache = cache;
  if (existsSync(downloaded)) spawnSync('ln', ['-s', downloaded, join(cache, '_cacache')]);
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  const ran = npm(['install', '--prefix', join(folder, 'installed'), ...options, tarball]);
  if (ran.status === 0) return true;
  // Only a registry that does not answer is no fault of ours.
  const isNetwork = /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|network/.test(ran.stderr);
  if (!isNetwork) throw new Error(`npm install ${tarball}: ${ran.stderr || String(ran.error)}`);
  layerSkipped('npm package', 'npm cannot reach its registry', 'give npm a network or a mirror (npm config registry)');
  return false;
}

async function run(program: string, args: string[], more: Record<string, string> = {}): Promise<Finished> {
  return finished(
    spawn(program, args, { cwd: empty, env: { ...environment, ...more }, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
}

const listenlake = (...args: string[]): Promise<Finished> => run(join(installed, '.bin/listenlake'), args);

const sizeOf = (path: string): number =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);

describePackage('npm package', () => {
  it('in an empty folder, `npx <tarball> run my.zip` ends with a report', async () => {
    const rows = personExport().map((row) => play(row));
    const files = { 'Streaming_History_Audio_2024-2026_0.json': JSON.stringify(rows) };
    await writeFile(join(empty, 'my.zip'), await zipOf(files));
    const began = performance.now();
    const ran = await run('npx', [
      '--yes',
      '--prefer-offline',
      '../dist/'.concat(tarball.split('/').at(-1)!),
      'run',
      'my.zip',
    ]);
    const seconds = (performance.now() - began) / 1000;
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    expect((ran.json.accounts as Record<string, number>).read).toBe(rows.length);
    expect(await readFile(String(ran.json.report), 'utf8')).toContain('<svg');
    expect((await readdir(empty)).sort()).toEqual(['lake', 'my.zip']);
    const megabytes = (sizeOf(installed) / MEBIBYTE).toFixed(0);
    process.stderr.write(`package: npx took ${seconds.toFixed(0)} s, ${megabytes} MiB installed\n`);
  });

  it('asks the lake with sql, and doctor finds it well', async () => {
    const asked = await listenlake('sql', 'select count(*) as plays from fct_plays', '--json', '--target', 'prod');
    expect([asked.code, asked.stderr, asked.stdout]).toEqual([0, '', expect.stringMatching(/\d/)]);
    const well = await listenlake('doctor', '--json');
    expect([well.code, well.stderr, well.json.status]).toEqual([0, '', 'well']);
  });

  it('tells its version and its commands', async () => {
    expect((await listenlake('--version')).stdout.trim()).toBe(packageJson.version);
    const help = await listenlake('--help');
    expect([help.code, help.stderr, help.stdout]).toEqual([0, '', expect.stringContaining('transform')]);
  });

  it('installs what is not in the bundle at the exact versions of the clone, and nothing twice', async () => {
    const { dependencies, devDependencies } = JSON.parse(
      await readFile(join(installed, 'listenlake/package.json'), 'utf8'),
    );
    expect(devDependencies).toBeUndefined();
    expect(Object.keys(dependencies).sort()).toEqual([
      '@duckdb/node-api',
      '@platformatic/kafka',
      '@resvg/resvg-js',
      'subset-font',
    ]);
    for (const [name, version] of Object.entries(dependencies)) {
      expect([name, version]).toEqual([name, packageJson.dependencies[name]]);
      expect(JSON.parse(await readFile(join(installed, name, 'package.json'), 'utf8')).version).toBe(version);
    }
    expect(readdirSync(installed)).not.toEqual(expect.arrayContaining(['vega']));
    // 84 MiB on Linux, 70 of them the engine.
    expect(sizeOf(installed)).toBeLessThan(110 * MEBIBYTE);
  });

  it('holds every file that is read at run time, the licences of what is bundled, and nothing personal', async () => {
    const at = join(installed, 'listenlake');
    expect(readdirSync(at).sort()).toEqual(
      ['LICENSE', 'README.md', 'THIRD_PARTY_LICENSES.txt', 'bundle', 'files', 'listenlake.cjs', 'package.json'].concat(
        'warehouse',
      ),
    );
    const licences = await readFile(join(at, 'THIRD_PARTY_LICENSES.txt'), 'utf8');
    for (const name of ['vega', 'zod', 'yargs', '@aws-sdk/client-s3'])
      expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'));
    const all = readdirSync(at, { recursive: true, encoding: 'utf8' });
    expect(all.filter((name) => /\.local\.sql$|\.env|\.parquet$|\.duckdb$/.test(name))).toEqual([]);
    for (const name of all.filter((each) => each.endsWith('.js')))
      expect(await readFile(join(at, name), 'utf8')).not.toContain(ROOT.slice(0, -1));
  });

  it('opens the parts for AWS and for a login too: each file of the bundle can be imported', async () => {
    const bundle = join(installed, 'listenlake/bundle');
    const script = `for (const name of fs.readdirSync(${JSON.stringify(bundle)}))
      if (name.endsWith('.js') && name !== 'cli.js') await import(${JSON.stringify(bundle)} + '/' + name);
      console.log('{"status":"imported"}'); process.exit()`;
    const ran = await run(process.execPath, ['--input-type=module', '-e', script]);
    expect([ran.code, ran.json.status, ran.stderr]).toEqual([0, 'imported', '']);
  });

  it('on an older Node, ends with one line and 69', async () => {
    const older = join(folder, 'older.cjs');
    await writeFile(older, "Object.defineProperty(process.versions, 'node', { value: '20.11.1' });");
    const ran = await run(process.execPath, [
      '--require',
      older,
      join(installed, 'listenlake/listenlake.cjs'),
      'doctor',
    ]);
    expect([ran.code, ran.stdout]).toEqual([69, '']);
    expect(ran.stderr).toBe('listenlake: Node 24 or newer is needed, and this is 20.11.1 (https://nodejs.org)\n');
  });
});

/**
 * Builds the package that runs without a clone: dist/listenlake-<version>.tgz.
 *
 *     node packaging/build.ts [folder]        folder: where the tarball goes (default: dist)
 *
 * Node strips no types below `node_modules`, so the jobs are bundled to JavaScript. What is pure code is bundled
 * with them and need not be installed; the package depends on nothing but programs of the machine's kind, fonts,
 * and libraries that read files of their own, each at the version that the lock file names.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { sourceHash } from '../jobs/silver/fan-out/code.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Why each of them is installed instead of bundled. */
const INSTALLED = {
  '@duckdb/node-api': 'the engine: one build for each kind of machine',
  '@resvg/resvg-js': 'draws PNGs: one build for each kind of machine',
  '@expo-google-fonts/inter': 'font files',
  'subset-font': 'runs WebAssembly that it reads beside itself',
  'spotify-web-api-node': 'loaded by `login` alone',
  yargs: 'reads its words for people beside itself',
} as const;

/** One level below `jobs/` like the modules that look for `../../warehouse/` from where they stand. */
const BUNDLE = 'jobs/bundle';

const out = resolve(process.argv[2] ?? join(ROOT, 'dist'));
const work = mkdtempSync(join(tmpdir(), 'listenlake-package-'));
try {
  process.stdout.write(`${await pack(work, out)}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** @returns path of the tarball */
async function pack(folder: string, target: string): Promise<string> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['jobs/cli.ts'],
    outdir: join(folder, BUNDLE),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: true,
    external: Object.keys(INSTALLED),
    define: { BUNDLED_CODE_HASH: JSON.stringify(sourceHash()) },
    // Libraries in the older module system ask for Node's own modules by `require`.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    logLevel: 'error',
  });
  cpSync(join(ROOT, 'warehouse'), join(folder, 'warehouse'), { recursive: true });
  for (const name of ['LICENSE', 'README.md', 'CHANGELOG.md']) cpSync(join(ROOT, name), join(folder, name));
  cpSync(join(ROOT, 'packaging/listenlake.cjs'), join(folder, 'listenlake.cjs'));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
  mkdirSync(target, { recursive: true });
  const packed = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', target], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (packed.status !== 0) throw new Error(`npm pack: ${packed.stderr}`);
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  return join(target, filename);
}

/** The package's own `package.json`: that of the clone, with what has to be installed and nothing else. */
function manifest(): Record<string, unknown> {
  const { name, version, description, license, type, engines, dependencies } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  );
  const installed = Object.keys(INSTALLED).map((each) => [each, dependencies[each]]);
  return {
    ...{ name, version, description, license, type, engines },
    bin: { listenlake: 'listenlake.cjs' },
    dependencies: Object.fromEntries(installed),
  };
}

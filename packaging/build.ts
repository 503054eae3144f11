/**
 * `make package`: the npm package as `dist/listenlake-VERSION.tgz`.
 *
 *     node packaging/build.ts [folder]        default: dist/
 *
 * It holds our code and that of most dependencies as a bundle (docs/decisions/0037-a-bundle-for-npm.md). The
 * package's own `package.json` names only the dependencies that npm still has to install.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MODULES = join(ROOT, 'node_modules');

/** What cannot be bundled: two hold native code, two open their WebAssembly by their own path. */
const EXTERNAL = ['@duckdb/node-api', '@platformatic/kafka', '@resvg/resvg-js', 'subset-font'];
/** Vega draws on it where it is there; we draw SVG, and never install it. */
const NEVER_INSTALLED = ['canvas'];
/** Files of dependencies that are read at run time (`dependencyFile`), and the licence of these files. */
const FILES = [
  '@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf',
  '@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf',
  '@expo-google-fonts/inter/LICENSE_FONT',
  '@expo-google-fonts/noto-emoji/400Regular/NotoEmoji_400Regular.ttf',
  '@expo-google-fonts/noto-emoji/LICENSE_FONT',
  '@expo-google-fonts/noto-sans-arabic/400Regular/NotoSansArabic_400Regular.ttf',
  '@expo-google-fonts/noto-sans-arabic/LICENSE_FONT',
  '@expo-google-fonts/noto-sans-hebrew/400Regular/NotoSansHebrew_400Regular.ttf',
  '@expo-google-fonts/noto-sans-hebrew/LICENSE_FONT',
];
/** What the image leaves out too (.dockerignore): a person's own queries, and what dbt leaves behind. */
const NOT_PACKED = /\.local\.sql$|\.env|\.log$|\.duckdb$|\.parquet$|(^|\/)(target|dbt_packages|__pycache__)(\/|$)/;
/** Packages in CommonJS ask for these, which a module in ESM does not have. */
const BANNER = [
  "import { createRequire as createRequireOfBundle } from 'node:module';",
  "import { dirname as dirnameOfBundle } from 'node:path';",
  "import { fileURLToPath as fileURLToPathOfBundle } from 'node:url';",
  'const require = createRequireOfBundle(import.meta.url);',
  'const __filename = fileURLToPathOfBundle(import.meta.url);',
  'const __dirname = dirnameOfBundle(__filename);',
].join('\n');

interface PackageJson {
  version: string;
  description: string;
  license: string;
  engines: Record<string, string>;
  dependencies: Record<string, string>;
}

const out = resolve(process.argv[2] ?? join(ROOT, 'dist'));
const folder = join(out, 'package');
/** The address of the repository; npm's provenance wants it to be the one that the workflow ran in. */
const source = process.env.SOURCE;
const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageJson;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const metafile = await bundle();
cpSync(join(ROOT, 'warehouse'), join(folder, 'warehouse'), {
  recursive: true,
  filter: (path) => !NOT_PACKED.test(relative(ROOT, path)),
});
for (const file of FILES) {
  mkdirSync(dirname(join(folder, 'files', file)), { recursive: true });
  cpSync(join(MODULES, file), join(folder, 'files', file));
}
cpSync(join(ROOT, 'packaging/launcher.cjs'), join(folder, 'listenlake.cjs'));
chmodSync(join(folder, 'listenlake.cjs'), 0o755);
cpSync(join(ROOT, 'packaging/README.md'), join(folder, 'README.md'));
cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
writeFileSync(join(folder, 'THIRD_PARTY_LICENSES.txt'), licensesOf(metafile));
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(packageJson(), undefined, 2)}\n`);
const packed = spawnSync('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', out], {
  cwd: folder,
  stdio: ['ignore', 'ignore', 'inherit'],
});
rmSync(folder, { recursive: true });
if (packed.status !== 0) throw new Error(`npm pack failed: ${packed.error ?? `exit ${packed.status}`}`);
process.stdout.write(`${join(out, `listenlake-${own.version}.tgz`)}\n`);

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { cli: 'jobs/cli.ts' },
    outdir: join(folder, 'bundle'),
    // All files lie in one folder, so that each of them finds the package's root one folder up.
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: true,
    external: [...EXTERNAL, ...NEVER_INSTALLED],
    banner: { js: BANNER },
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
  });
  return metafile;
}

function packageJson(): object {
  const { version, description, license, engines, dependencies } = own;
  return {
    name: 'listenlake',
    ...{ version, description, license, engines },
    ...(source ? { repository: { type: 'git', url: `git+${source}.git` } } : {}),
    type: 'module',
    bin: { listenlake: 'listenlake.cjs' },
    dependencies: Object.fromEntries(EXTERNAL.map((name) => [name, dependencies[name]])),
  };
}

/** The licence of each package whose code is in the bundle, under its name and version. */
function licensesOf({ inputs }: Metafile): string {
  const folders = Object.keys(inputs).flatMap(
    (path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? [],
  );
  return [...new Set(folders)]
    .sort()
    .map((path) => {
      const at = join(ROOT, path);
      const { name, version, license } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'));
      const file = existsSync(at) ? readdirSync(at).find((each) => /^(licen[cs]e|copying)/i.test(each)) : undefined;
      const text = file === undefined ? `License: ${license}` : readFileSync(join(at, file), 'utf8').trim();
      return `${name} ${version}\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

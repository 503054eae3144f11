/** The project's own rules, as tests: dependencies, documents, layout, no foreign traces. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../jobs/commands/registry.ts';
import { references } from '../docs/references.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const packageJson = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const names = COMMANDS.map((command) => command.usage.split(' ', 1)[0]!);

/** Every runtime dependency and what it is for; a new one comes with a line here. */
const RUNTIME_DEPENDENCIES = {
  '@aws-sdk/client-athena': 'SQL on AWS',
  '@aws-sdk/client-glue': 'the catalog on AWS',
  '@aws-sdk/client-s3': 'the lake on AWS',
  '@aws-sdk/client-secrets-manager': 'the login at Spotify on AWS',
  '@duckdb/node-api': 'the embedded engine: reads JSON and Parquet, writes Parquet, runs the models',
  '@expo-google-fonts/inter': 'the font of charts, so that they look the same on every machine',
  '@expo-google-fonts/noto-emoji': 'pictures in names, on machines without such a font',
  '@expo-google-fonts/noto-sans-arabic': 'names in Arabic script, on machines without such a font',
  '@expo-google-fonts/noto-sans-hebrew': 'names in Hebrew, on machines without such a font',
  '@hono/node-server': 'carries hono on the HTTP server of Node',
  '@huggingface/jinja': 'renders the models; nunjucks is in maintenance mode',
  '@modelcontextprotocol/sdk': 'the protocol by which assistants ask the lake',
  '@platformatic/kafka': 'speaks to Kafka: alive, typed, no native build',
  '@resvg/resvg-js': 'SVG to PNG without a browser',
  'csv-parse': 'CSV with quotes, BOMs and line breaks inside fields',
  hono: 'routes, cookies and compression of the dashboard',
  'ml-matrix': 'solves the few equations of a regression',
  pino: 'log lines',
  'prom-client': 'the metrics of the consumer in the text format of Prometheus',
  'spotify-web-api-node': 'the address of the page of consent',
  'string-width': 'how wide a text is on a terminal',
  'subset-font': 'cuts the font of the report down to what it shows',
  vega: 'charts to SVG on the server',
  'vega-lite': 'the charts are declared in it',
  yaml: 'reads the .yml files of the models',
  yargs: 'the command line',
  yauzl: 'reads zip files by their directory, streaming',
  zod: 'checks configuration and contracts',
};

function trackedFiles(): string[] {
  return execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
    .split('\0')
    .filter((name) => name !== '' && existsSync(join(ROOT, name)));
}

describe('dependencies', () => {
  it('S21: are pinned to exact versions', () => {
    for (const [name, version] of Object.entries({ ...packageJson.dependencies, ...packageJson.devDependencies })) {
      expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+(-[\w.]+)?$/)]);
    }
  });

  it('are the ones with a reason', () => {
    expect(Object.keys(packageJson.dependencies).sort()).toEqual(Object.keys(RUNTIME_DEPENDENCIES).sort());
  });

  it('lock file names no registry host and knows the packages of other platforms', () => {
    const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
    expect(lock).not.toContain('"resolved"');
    const { packages } = JSON.parse(lock);
    for (const name of [
      '@duckdb/node-bindings-darwin-arm64',
      '@duckdb/node-bindings-win32-x64',
      '@duckdb/node-bindings-linux-arm64',
    ]) {
      expect(Object.keys(packages)).toContain(`node_modules/${name}`);
    }
  });

  it('S21: every package of the lock file, of every platform, has its hash, and only from the lock file is installed', () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { integrity?: string }>;
    };
    const unchecked = Object.entries(packages).filter(
      ([path, { integrity }]) => path !== '' && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
    );
    // Mended by taking them out of the lock file and `npm install --package-lock-only --ignore-scripts`.
    expect(unchecked.map(([path]) => path)).toEqual([]);
    for (const name of ['listenlake', 'Makefile', 'Dockerfile']) {
      const text = readFileSync(join(ROOT, name), 'utf8');
      expect([name, text.match(/npm (?:ci|install)\b[^\n]*/g)]).toEqual([
        name,
        expect.arrayContaining([expect.stringMatching(/^npm ci .*--ignore-scripts/)]),
      ]);
    }
  });
});

describe('documents', () => {
  it('generated pages are up to date (make docs)', async () => {
    for (const [path, text] of Object.entries(await references())) {
      expect([path, existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : 'absent']).toEqual([
        path,
        text,
      ]);
    }
  });

  it('README names the first commands, and the page of commands each of them', () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    for (const text of ['make demo', 'make test', './listenlake run my_spotify_data.zip', '(docs/steps/README.md)'])
      expect(readme).toContain(text);
    const page = readFileSync(join(ROOT, 'docs/steps/README.md'), 'utf8');
    const rows = [...page.matchAll(/^\| \[`(\w+)`\]\(\1\.md\) \|/gm)].map(([, name]) => name!);
    expect(rows.toSorted()).toEqual(names.toSorted());
  });

  it('the index of docs leads to every page, and that of decisions tells each by its title and number', () => {
    const index = readFileSync(join(ROOT, 'docs/README.md'), 'utf8');
    const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md') && name !== 'README.md');
    expect(pages.filter((name) => !index.includes(`](${name})`))).toEqual([]);

    const folder = join(ROOT, 'docs/decisions');
    const files = readdirSync(folder).filter((name) => /^\d{4}-.*\.md$/.test(name));
    const decisions = readFileSync(join(folder, 'README.md'), 'utf8');
    const rows = [...decisions.matchAll(/^\| (\d+) \| (.*) \|$/gm)].map(([, number, text]) => [Number(number), text]);
    const told = new Map(
      files.map((name) => {
        const [, number, title] = /^# (\d+)\. (.*)$/m.exec(readFileSync(join(folder, name), 'utf8'))!;
        expect([name, Number(name.slice(0, 4))]).toEqual([name, Number(number)]);
        return [Number(number), `[${title}](${name})`];
      }),
    );
    expect(told.size).toBe(files.length);
    const numbers = Array.from({ length: Math.max(...told.keys()) }, (_, index) => index + 1);
    expect(rows).toEqual(numbers.map((number) => [number, told.get(number) ?? 'never written, see below']));
  });

  it('every command has a page of its step, and every link between pages leads somewhere', () => {
    for (const name of names)
      expect(existsSync(join(ROOT, 'docs/steps', `${name}.md`)) ? name : `no docs/steps/${name}.md`).toBe(name);
    const pages = trackedFiles().filter((name) => name.endsWith('.md'));
    const dead = pages.flatMap((page) =>
      [...readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)/g)]
        .map((match) => join(page, '..', match[1]!))
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${page} -> ${target}`),
    );
    expect(dead).toEqual([]);
  });

  it('S20: images have a digest, or an exact tag until the workflow fills it in', async () => {
    const { pinned } = (await import(join(ROOT, '.github/pin-images.mjs'))) as {
      pinned: (text: string, digestOf: (image: string) => string) => string;
    };
    const digest = `sha256:${'0'.repeat(64)}`;
    for (const name of ['docker-compose.yml', 'Dockerfile', 'airflow/Dockerfile']) {
      const images: string[] = [];
      const text = readFileSync(join(ROOT, name), 'utf8');
      const filled = pinned(text, (image) => {
        images.push(image);
        return digest;
      });
      expect(images.length).toBeGreaterThan(0);
      for (const image of images) expect(image).toMatch(/:v?[\d.]+[\w.-]*\d[\w.-]*$/);
      // Again, and with another digest, only the digests change; nothing else ever does.
      expect(pinned(filled, () => digest)).toBe(filled);
      expect(filled.replaceAll(`@${digest}`, '')).toBe(text.replaceAll(/@sha256:[0-9a-f]{64}/g, ''));
      const unpinned = [...filled.matchAll(/^\s*(?:image:|FROM|ARG BASE_IMAGE=).*$/gm)].filter(
        ([line]) => !/@sha256:|:local|BASE_IMAGE\}/.test(line),
      );
      expect(unpinned).toEqual([]);
    }
  });

  it('S20: actions are pinned by commit', () => {
    const workflows = readdirSync(join(ROOT, '.github/workflows')).map((name) =>
      readFileSync(join(ROOT, '.github/workflows', name), 'utf8'),
    );
    const uses = workflows.flatMap((text) => [...text.matchAll(/uses: (\S+)/g)].map((match) => match[1]));
    expect(uses.length).toBeGreaterThan(0);
    for (const use of uses) expect(use).toMatch(/@[0-9a-f]{40}$/);
  });
});

it('every test file lies in a folder that belongs to one layer of `make test`', () => {
  const driver = readFileSync(join(ROOT, 'tests/run.ts'), 'utf8');
  const lists = [...driver.matchAll(/ folders: \[([^\]]+)\]/g)].map(([, list]) => list!);
  const folders = lists.flatMap((list) => [...list.matchAll(/'([^']+)'/g)].map(([, name]) => name!));
  expect(folders.toSorted()).toEqual([...new Set(folders)].sort());
  const files = trackedFiles().filter((name) => /^tests\/.*\.test\.ts$/.test(name));
  expect([...new Set(files.map((name) => name.split('/')[1]!))].sort()).toEqual(folders.toSorted());
  expect(files.filter((name) => name.split('/').length !== 3)).toEqual([]);
});

describe('layout', () => {
  const sources = trackedFiles().filter((name) => name.startsWith('jobs/') && name.endsWith('.ts'));
  /** The code without its comments. */
  const codeOf = (name: string): string => textOf(name).replaceAll(/^\s*(\/?\*|\/\/).*$/gm, '');
  const textOf = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

  it('every command is a job of the same name', () => {
    expect(names.filter((name) => !sources.includes(`jobs/${name}.ts`))).toEqual([]);
  });

  it('only config.ts and the entries read the environment', () => {
    expect(sources.filter((name) => /process\.env|loadEnvFile/.test(textOf(name))).sort()).toEqual([
      'jobs/base/config.ts',
      'jobs/cli.ts',
      'jobs/lambda.ts',
    ]);
  });

  it("no engine's name stands outside engine/", () => {
    const offenders = sources.filter(
      (name) =>
        !name.startsWith('jobs/engine/') &&
        name !== 'jobs/base/config.ts' && // a variable may name what it sets, a key what made it
        /duckdb|athena|trino/i.test(
          textOf(name).replaceAll(/lake\.duckdb|athena-results|(from |import\()'[^']+'/g, ''),
        ),
    );
    expect(offenders).toEqual([]);
  });

  it('keys of the lake are built in lake/ alone', () => {
    const offenders = sources.filter(
      (name) =>
        !name.startsWith('jobs/lake/') &&
        /[`'"](bronze|silver|gold|manifests|state|leases|landing)\/\$?\{?/.test(codeOf(name)),
    );
    expect(offenders).toEqual([]);
  });

  it('no file has outgrown its room (400 lines) without a reason, none is called utils or helpers', () => {
    const reasons: Record<string, string> = {
      'jobs/formats/json/scanner.ts':
        'one hot loop over bytes and what it calls: split, it is slower and harder to follow',
    };
    expect(sources.filter((name) => textOf(name).split('\n').length > 401 && reasons[name] === undefined)).toEqual([]);
    expect(sources.filter((name) => /(utils?|helpers?|manager|common|misc)\.ts$/.test(name))).toEqual([]);
  });

  it('jobs compute nothing from the clock', () => {
    const offenders = sources.filter(
      (name) =>
        !['jobs/commands/effects.ts', 'jobs/lambda.ts'].includes(name) &&
        /new Date\(\)|Date\.now\(\)/.test(textOf(name)),
    );
    expect(offenders).toEqual([]);
  });
});

describe('what is committed', () => {
  const texts = trackedFiles().filter((name) => !/\.(png|ttf|lock)$/.test(name) && name !== 'package-lock.json');

  it('S1: holds no secret', () => {
    const pattern = /AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|refresh_token"?\s*[:=]\s*"?AQ/;
    expect(
      texts.filter(
        (name) => name !== 'tests/project/project.test.ts' && pattern.test(readFileSync(join(ROOT, name), 'utf8')),
      ),
    ).toEqual([]);
  });

  it('holds no IP address outside the documentation ranges, but those that AWS gives its own agents on every host and the network that Terraform makes', () => {
    const address = /(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])/g;
    const JDBC_RELEASE = '1.5.6.0'; // of DuckDB's driver, whose releases have four parts
    const isFine = (ip: string): boolean =>
      ip === JDBC_RELEASE ||
      /^(192\.0\.2|198\.51\.100|203\.0\.113|127\.0\.0|0\.0\.0)\./.test(ip) ||
      ['169.254.169.254', '169.254.170.23', '10.64.0.0'].includes(ip) ||
      ip.split('.').some((part) => Number(part) > 255);
    const found = texts.flatMap((name) =>
      [...readFileSync(join(ROOT, name), 'utf8').matchAll(address)]
        .map((match) => match[0])
        .filter((ip) => !isFine(ip))
        .map((ip) => `${name}: ${ip}`),
    );
    expect(found).toEqual([]);
  });

  it('holds no path of a machine', () => {
    expect(texts.filter((name) => readFileSync(join(ROOT, name), 'utf8').includes(ROOT.slice(0, -1)))).toEqual([]);
  });
});

describe('F79: a busy machine', () => {
  const tests = readdirSync(join(ROOT, 'tests'), { recursive: true })
    .map((name) => `tests/${name}`)
    .filter((name) => name.endsWith('.ts') && name !== 'tests/project/project.test.ts')
    .map((name) => ({ name, text: readFileSync(join(ROOT, name), 'utf8') }));

  it('ends no test before the ten minutes that jest.config.mjs gives to each', () => {
    // A call of `it` and the like ends with its time limit: a number, a name of one, or numbers times each
    // other.
    const limits = tests.flatMap(({ name, text }) => {
      const msOf = (limit: string): number =>
        limit.split('*').reduce((product, part) => {
          const digits = new RegExp(`const ${part.trim()} = ([\\d_]+);`).exec(text)?.[1] ?? part;
          return product * Number(digits.replaceAll('_', ''));
        }, 1);
      const written = text.matchAll(
        /^( *)(?:it|test|before|after|\]\))[\w.]*\(.*\n(?:\1 .*\n|\n)*?\1(?:\}, | {2})(\w[\w *]*),?(?:\n\1)?\);$/gm,
      );
      return [...written].map(([, , limit]) => ({ name, limit, ms: msOf(limit!) }));
    });
    expect(limits.length).toBeGreaterThan(50);
    expect(limits.filter(({ ms }) => !(ms >= 600_000))).toEqual([]);
  });

  it('wants nothing to be done within a time', () => {
    const timed = /expect\(.*(performance|Date)\.now\(\) - .*toBeLess|AbortSignal\.timeout\(/;
    expect(tests.filter(({ text }) => timed.test(text)).map(({ name }) => name)).toEqual([]);
  });
});

/**
 * Controls that stand in files: arguments, limits of archives, the image, the workflow, what is said of
 * people's data.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse as parseYaml } from 'yaml';
import { COMMANDS } from '../../jobs/commands/registry.ts';
import { openArchive } from '../../jobs/formats/zip.ts';
import { readContracts } from '../../jobs/lake/contracts.ts';
import { zipOf } from '../bronze/load-fixture.ts';
import { finished, ROOT, start } from '../fixtures/command-line.ts';

const textOf = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'listenlake-security-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('S2: secrets', () => {
  it('are no argument of any command', () => {
    for (const { usage, options, positionals = {} } of COMMANDS) {
      const names = [...Object.keys(options), ...Object.keys(positionals)];
      expect([usage, names.filter((name) => /secret|token|passw|key$|credential/i.test(name))]).toEqual([usage, []]);
    }
  });

  it('stand in no argument of the process that has them, and in nothing that it says', async () => {
    const secret = `CANARY-${'s'.repeat(32)}`;
    const child = start(['doctor'], {
      LISTENLAKE_LAKE: join(folder, 'lake'),
      LISTENLAKE_SPOTIFY_CLIENT_ID: 'c'.repeat(32),
      LISTENLAKE_SPOTIFY_CLIENT_SECRET: secret,
      LISTENLAKE_PSEUDONYM_KEY: secret,
    });
    const end = finished(child);
    const seen = new Set<string>();
    while (child.exitCode === null && child.signalCode === null) {
      try {
        seen.add(readFileSync(`/proc/${child.pid}/cmdline`, 'latin1'));
      } catch {
        break; // it has ended, or this is no Linux
      }
      await sleep(20);
    }
    const { stdout, stderr } = await end;
    for (const text of [...seen, stdout, stderr]) expect(text).not.toContain('CANARY');
  });

  it('are in no field of a DAG: the variables that a pod gets are listed, and none is a secret', () => {
    const python = ['job', 'kubernetes_job', 'docker_job']
      .map((name) => textOf(`airflow/include/${name}.py`))
      .join('\n');
    const listed = /^SETTINGS = \(\n([^)]*)\)/m.exec(python)?.[1] ?? '';
    const names = [...listed.matchAll(/"([A-Z_]+)"/g)].map(([, name]) => name!);
    expect(names).toContain('LISTENLAKE_LAKE');
    // These are names of secrets in Secrets Manager, which only the job's own role may read.
    expect(names.filter((name) => /SECRET|TOKEN|PASSWORD|_KEY|CREDENTIAL/.test(name))).toEqual([
      'LISTENLAKE_PSEUDONYM_SECRET',
      'LISTENLAKE_SPOTIFY_TOKEN_SECRET',
    ]);
    // What a container gets from the worker comes as `private_environment`, which Airflow neither renders nor
    // keeps.
    expect(python).toContain('_private_environment');
    expect(python).not.toMatch(/environment\s*=\s*\{[^}]*(SECRET|TOKEN|PASSWORD)/);
    for (const dag of ['daily', 'capture', 'playlists', 'maintenance', 'backfill'])
      expect(textOf(`airflow/dags/listenlake_${dag}.py`)).not.toMatch(/SECRET|PASSWORD|env_vars|environment=/);
  });
});

describe('S5: limits of an archive', () => {
  const MIB = 1024 ** 2;
  /** A zip whose directory says of each entry what it is told to say: declared sizes cost nothing. */
  async function declaring(sizes: [packed: number, unpacked: number][]): Promise<string> {
    const names = sizes.map((_, index) => `Streaming_History_Audio_${index}.json`);
    const zip = await zipOf(Object.fromEntries(names.map((name) => [name, '[]'])));
    let at = 0;
    for (const [packed, unpacked] of sizes) {
      at = zip.indexOf(Buffer.from('504b0102', 'hex'), at);
      zip.writeUInt32LE(packed, at + 20);
      zip.writeUInt32LE(unpacked, at + 24);
      at += 4;
    }
    const path = join(folder, `${Math.random()}.zip`);
    writeFileSync(path, zip);
    return path;
  }
  const verdict = async (path: string): Promise<string[]> => {
    try {
      const archive = await openArchive(path);
      archive.close();
      return archive.entries.map(({ refusal }) => refusal?.code ?? 'fine');
    } catch (error) {
      return [(error as { code: string }).code];
    }
  };

  it('one entry up to 2 GiB, packed up to 200:1', async () => {
    expect(await verdict(await declaring([[2, 2]]))).toEqual(['fine']);
    expect(await verdict(await declaring([[400 * MIB, 2 ** 31 + 1]]))).toEqual(['zip_bomb']);
    expect(await verdict(await declaring([[MIB, 201 * MIB]]))).toEqual(['zip_bomb']);
  });

  it('all entries up to 4 GiB', async () => {
    const big: [number, number] = [400 * MIB, 1_900 * MIB];
    const [code] = await verdict(await declaring([big, big, big]));
    expect(['zip_too_large', 'zip_bomb']).toContain(code);
  });

  it('up to 10,000 entries', async () => {
    const files = Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`${index}.json`, '[]']));
    const path = join(folder, 'crowd.zip');
    writeFileSync(path, await zipOf(files));
    expect(await verdict(path)).toEqual(['zip_too_large']);
  });

  it('the checksum of what comes out', async () => {
    const zip = await zipOf({ 'Streaming_History_Audio_1.json': '[{"ts":"as it was"}]' }, { compress: false });
    zip.write('as it is!', zip.indexOf('as it was'));
    const path = join(folder, 'altered.zip');
    writeFileSync(path, zip);
    const archive = await openArchive(path);
    await expect(archive.entries[0]!.unpack(join(folder, 'unpacked'))).rejects.toMatchObject({
      code: 'zip_entry_invalid',
    });
    archive.close();
  });
});

describe('S16: the image', () => {
  const lines = textOf('Dockerfile')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));

  it('is made in stages from a base that is named by its digest', () => {
    expect(lines.filter((line) => line.startsWith('ARG BASE_IMAGE='))).toEqual([
      expect.stringMatching(/^ARG BASE_IMAGE=node:24[\w.-]*@sha256:[0-9a-f]{64}$/),
    ]);
    const stages = lines.filter((line) => line.startsWith('FROM '));
    expect(stages.length).toBeGreaterThan(1);
    for (const stage of stages) expect(stage).toMatch(/^FROM \$\{BASE_IMAGE\}( AS \w+)?$/);
  });

  it('runs as 65532, without a shell between, and nothing after that is root again', () => {
    expect(last.filter((line) => line.startsWith('USER '))).toEqual(['USER 65532:65532']);
    const entry = last.find((line) => line.startsWith('ENTRYPOINT '))!;
    expect(JSON.parse(entry.slice('ENTRYPOINT '.length))[0]).toBe('/usr/local/bin/node');
    expect(last.filter((line) => line.startsWith('VOLUME ') || line.startsWith('EXPOSE '))).toEqual([]);
  });

  it('gets no secret by argument or copy, and no package by a script', () => {
    for (const line of lines) {
      expect(line).not.toMatch(/^(ARG|ENV) .*(SECRET|TOKEN|PASSWORD|KEY)/);
      expect(line).not.toMatch(/^ADD |^COPY \. |\.env|\.npmrc|curl|wget|apt-get/);
    }
    expect(lines.filter((line) => line.includes('npm ci'))).toEqual([expect.stringContaining('--ignore-scripts')]);
  });
});

describe('S18, S19: the workflow', () => {
  interface Step {
    uses?: string;
    run?: string;
    with?: Record<string, unknown>;
  }
  const { jobs, permissions } = parseYaml(textOf('.github/workflows/ci.yml')) as {
    permissions: unknown;
    jobs: Record<string, { permissions?: unknown; steps: Step[] }>;
  };
  const steps = Object.values(jobs).flatMap((job) => job.steps);
  const using = (action: string): Step[] => steps.filter(({ uses }) => uses?.startsWith(`${action}@`));

  it('scans packages and image: what is high, known and mended fails it', () => {
    const commands = steps.map(({ run }) => run);
    expect(commands).toEqual(
      expect.arrayContaining(['npm audit --omit=dev --audit-level=high', 'npm audit signatures', 'make image']),
    );
    const options = { image: 'listenlake:local', 'fail-build': true, 'severity-cutoff': 'high', 'only-fixed': true };
    expect(using('anchore/scan-action').map((step) => step.with)).toEqual([expect.objectContaining(options)]);
  });

  it('keeps a bill of materials of the image', () => {
    const options = { image: 'listenlake:local', format: 'cyclonedx-json' };
    expect(using('anchore/sbom-action').map((step) => step.with)).toEqual([expect.objectContaining(options)]);
  });

  it('may read the repository and nothing else, and hands no secret to a step', () => {
    expect([permissions, ...Object.values(jobs).flatMap((job) => job.permissions ?? [])]).toEqual(
      expect.arrayContaining([{ contents: 'read' }]),
    );
    for (const job of Object.values(jobs)) expect([undefined, { contents: 'read' }]).toContainEqual(job.permissions);
    expect(textOf('.github/workflows/ci.yml')).not.toMatch(/\$\{\{\s*secrets\./);
  });
});

describe('S27: what is said of threats and data', () => {
  it('SECURITY.md says how to report, what threatens, and names proofs that are there', () => {
    const text = textOf('SECURITY.md');
    for (const heading of ['## Report a weakness', '## Threat model', '## What it does not protect against'])
      expect(text).toContain(heading);
    const proofs = [...text.matchAll(/`((?:tests|airflow\/tests)\/[\w./-]*)`/g)].map(([, path]) => path!);
    expect(proofs.length).toBeGreaterThan(10);
    for (const path of proofs) expect(path.endsWith('/') || textOf(path).length > 0).toBe(true);
  });

  it('the data map has every silver column, once, and none that there is not', () => {
    const rows = [...textOf('docs/data-map.md').matchAll(/^\| `(\w+)` \| ([^|]*) \| ([^|]+) \| ([^|]+) \|$/gm)];
    const mapped = rows.flatMap(([, table, columns]) =>
      [...columns!.matchAll(/`(\w+)`/g)].map(([, name]) => `${table}.${name}`),
    );
    const silver = readContracts().filter(({ layer }) => layer === 'silver');
    const there = silver.flatMap(({ table, columns, partition }) => [
      ...new Set([...columns, ...partition].map(({ name }) => `${table}.${name}`)),
    ]);
    expect(mapped.sort()).toEqual(there.sort());
  });
});

describe('the workflow of a release', () => {
  const text = textOf('.github/workflows/release.yml');
  const release = parseYaml(text) as {
    on: unknown;
    permissions: unknown;
    jobs: Record<string, { if?: string; needs?: string; permissions: unknown; steps: { run?: string }[] }>;
  };

  it('is run by a tag alone, and by nothing before its owner has said so', () => {
    expect(release.on).toEqual({ push: { tags: ['v*'] } });
    for (const job of Object.values(release.jobs)) if (!job.needs) expect(job.if).toBe("vars.PUBLISH == 'true'");
  });

  it('publishes to npm with provenance and without a token, and only there may ask for an identity', () => {
    expect(release.permissions).toEqual({ contents: 'read' });
    expect(Object.entries(release.jobs).map(([name, { permissions }]) => [name, permissions])).toEqual([
      ['package', { contents: 'read', 'id-token': 'write' }],
      ['image', { contents: 'read', packages: 'write' }],
      ['index', { contents: 'read', packages: 'write' }],
    ]);
    expect(text).not.toMatch(/\$\{\{\s*secrets\./);
    const commands = release.jobs.package!.steps.map(({ run }) => run);
    expect(commands).toEqual(
      expect.arrayContaining(['make package', expect.stringMatching(/^npm publish --provenance /)]),
    );
  });

  it('puts nothing that a tag is called into a shell text', () => {
    for (const { steps } of Object.values(release.jobs))
      for (const { run = '' } of steps) expect(run).not.toContain('${{');
  });
});

describe('the workflow of the sample page', () => {
  const text = textOf('.github/workflows/pages.yml');
  const pages = parseYaml(text) as {
    permissions: unknown;
    jobs: Record<
      string,
      { if?: string; needs?: string; permissions: unknown; steps: { run?: string; uses?: string }[] }
    >;
  };

  it('publishes nothing before its owner has said so, and what builds may not publish', () => {
    for (const job of Object.values(pages.jobs)) if (!job.needs) expect(job.if).toBe("vars.PAGES == 'true'");
    expect(pages.permissions).toEqual({ contents: 'read' });
    expect(Object.entries(pages.jobs).map(([name, { permissions }]) => [name, permissions])).toEqual([
      ['build', { contents: 'read' }],
      ['deploy', { pages: 'write', 'id-token': 'write' }],
    ]);
    expect(pages.jobs.deploy!.steps.filter(({ run }) => run !== undefined)).toEqual([]);
    expect(text).not.toMatch(/\$\{\{\s*secrets\./);
  });

  it('shows the pages that `make demo` made, and nothing else of the lake', () => {
    const commands = pages.jobs.build!.steps.flatMap(({ run }) => run ?? []);
    expect(commands[0]).toBe('make demo');
    expect([...commands.join('\n').matchAll(/demo\/\S+/g)].map(([path]) => path)).toEqual([
      ...['demo/lake/report/report.html', 'demo/lake/report/report.html', 'demo/lake/report/operator.html'],
    ]);
    expect(pages.jobs.deploy!.needs).toBe('build');
  });
});

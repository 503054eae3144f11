/** The image: what it is, what it holds, and that jobs run in it with nothing but their lake. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { play, zipOf } from '../bronze/load-fixture.ts';
import { finished, listenlake, PSEUDONYM_KEY, ROOT } from '../fixtures/command-line.ts';
import { buildImage, docker, HARDENED, IMAGE } from '../fixtures/image.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import { personExport } from '../fixtures/person-export.ts';

const MEBIBYTE = 1024 * 1024;
const describeImage = buildImage('image') ? describe : describe.skip;
let folder: string;
let source: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-image-'));
  await chmod(folder, 0o755);
  source = join(folder, 'source');
  await generateIntoFolder(
    { seed: 3, users: 4, days: 4, tracks: 150, end: '2026-11-01', exportPlays: 900, exportYears: 2, faults: true },
    source,
  );
}, 900_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As Airflow does it: the lake at the same path, as the owner of its folder. */
const inContainer = (lake: string, ...more: string[]): string[] => [
  'run',
  '--rm',
  ...HARDENED,
  `--user=${process.getuid!()}:${process.getgid!()}`,
  `--env=LISTENLAKE_LAKE=${lake}`,
  `--env=LISTENLAKE_PSEUDONYM_KEY=${PSEUDONYM_KEY}`,
  `--volume=${folder}:${folder}`,
  ...more,
  IMAGE,
];

describeImage('image', () => {
  it('is the CLI, run by a nobody, and says where it comes from', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
    const [image] = JSON.parse(docker(['image', 'inspect', IMAGE]).stdout);
    expect(image.Config).toMatchObject({
      User: '65532:65532',
      Entrypoint: ['/usr/local/bin/node', '--disable-warning=ExperimentalWarning', '/app/jobs/cli.ts'],
      StopSignal: 'SIGTERM',
      Labels: {
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
        'org.opencontainers.image.source': expect.any(String),
      },
    });
    expect(image.Config.ExposedPorts).toBeUndefined();
    expect(image.Config.Volumes ?? null).toBeNull();
  });

  it('is under 300 MB over its base, without tests, tools, data or settings of whoever built it', () => {
    const layers = docker(['history', '--human=false', '--format', '{{.Size}} {{.CreatedBy}}', IMAGE]).stdout.split(
      '\n',
    );
    const ours = layers.slice(0, layers.findIndex((line) => /WORKDIR \/app/.test(line)) + 1);
    const bytes = ours.reduce((sum, line) => sum + Number(line.split(' ', 1)[0]), 0);
    process.stderr.write(`image: ${(bytes / MEBIBYTE).toFixed(0)} MiB over its base\n`);
    expect(bytes).toBeGreaterThan(50 * MEBIBYTE);
    expect(bytes).toBeLessThan(300e6);
    const script =
      'console.log(JSON.stringify(fs.globSync(["/app/*", "/app/.*", "/app/node_modules/*", "/tmp/*", "/data/*"])))';
    const found: string[] = JSON.parse(docker(['run', '--rm', '--entrypoint=node', IMAGE, '-e', script]).stdout);
    const outside = found.filter((path) => !path.startsWith('/app/node_modules/')).sort();
    expect(outside).toEqual(
      ['.compile-cache', 'LICENSE', 'jobs', 'node_modules', 'package.json', 'warehouse'].map((name) => `/app/${name}`),
    );
    expect(found.filter((path) => /node_modules\/(jest|typescript|node|playwright-core|esbuild)$/.test(path))).toEqual(
      [],
    );
  });

  it('holds no secret of the build: neither in a layer nor in its history', () => {
    const history = docker(['history', '--no-trunc', IMAGE]).stdout;
    expect(history).not.toMatch(/BEGIN CERTIFICATE|_authToken|password/i);
    const script =
      'console.log(fs.existsSync("/run/ca.pem") || fs.existsSync("/app/.npmrc") || fs.existsSync("/app/.env"))';
    expect(docker(['run', '--rm', '--entrypoint=node', IMAGE, '-e', script]).stdout.trim()).toBe('false');
  });

  it('doctor is well inside, with a read-only root, no rights and no network', () => {
    const began = performance.now();
    const ran = docker(['run', '--rm', ...HARDENED, '--env=LISTENLAKE_LAKE=/tmp/lake', IMAGE, 'doctor', '--json']);
    process.stderr.write(
      `image: doctor took ${((performance.now() - began) / 1000).toFixed(1)} s, container included\n`,
    );
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    expect(JSON.parse(ran.stdout).status).toBe('well');
  });

  it('a whole run in a container makes the tables that a run outside makes', async () => {
    const [inside, outside] = [join(folder, 'inside'), join(folder, 'outside')];
    const args = ['run', source, '--on-quarantine', 'warn', '--no-report', '--quiet'];
    const ran = docker([...inContainer(inside), ...args]);
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    expect((await listenlake([...args, '--lake', outside])).code).toBe(0);
    expect(await fingerprint(inside)).toEqual(await fingerprint(outside));
  }, 900_000);

  it('with a folder mounted at /data, reads an export from it and leaves the lake in it, owned by who ran it', async () => {
    const data = join(folder, 'data');
    await mkdir(data);
    const rows = personExport().map((row) => play(row));
    const files = { 'Streaming_History_Audio_2024-2026_0.json': JSON.stringify(rows) };
    await writeFile(join(data, 'my.zip'), await zipOf(files));
    // Somebody that the image does not know; root may read and write what others may not.
    const isRoot = process.getuid!() === 0;
    const [uid, gid] = isRoot ? [1_000, 1_000] : [process.getuid!(), process.getgid!()];
    if (isRoot) await chown(data, uid, gid);
    const mounted = ['run', '--rm', `--user=${uid}:${gid}`, `--volume=${data}:/data`, IMAGE];
    const ran = docker([...mounted, 'run', '/data/my.zip', '--quiet']);
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    expect((await readdir(data)).sort()).toEqual(['lake', 'my.zip']);
    expect(await readFile(join(data, 'lake/report/report.html'), 'utf8')).toContain('<svg');
    const { uid: owner, gid: group } = await stat(join(data, 'lake'));
    expect([owner, group]).toEqual([uid, gid]);
    // Paths are relative to /data too, and the next command finds the lake.
    const again = docker([...mounted, 'run', 'my.zip', '--json']);
    expect([again.code, JSON.parse(again.stdout).status]).toEqual([0, 'nothing_new']);
  }, 900_000);

  it('needs no shell', () => {
    const name = `${IMAGE.split(':')[0]}:no-shell-${process.pid}`;
    const file = `FROM ${IMAGE}\nUSER 0\nRUN rm -f /usr/bin/env /bin/bash /usr/bin/bash && rm -f /bin/sh /usr/bin/sh /bin/dash /usr/bin/dash\nUSER 65532:65532\n`;
    const child = spawn('docker', ['build', '--quiet', '--tag', name, '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.end(file);
    return once(child, 'exit')
      .then(([code]) => {
        expect(code).toBe(0);
        expect(docker(['run', '--rm', '--entrypoint=/bin/sh', name, '-c', 'true']).code).toBe(127);
        const ran = docker(['run', '--rm', ...HARDENED, name, 'run', '/tmp/none', '--lake=/tmp/lake']);
        expect([ran.code, ran.stderr]).toEqual([64, expect.stringContaining('/tmp/none')]);
        const well = docker(['run', '--rm', ...HARDENED, '--env=LISTENLAKE_LAKE=/tmp/lake', name, 'doctor']);
        expect([well.code, well.stderr]).toEqual([0, '']);
      })
      .finally(() => docker(['image', 'rm', '--force', name]));
  }, 900_000);

  it('SIGTERM ends it as its first process: at a whole step, with 75, and the next run goes on', async () => {
    const lake = join(folder, 'stopped');
    const name = `listenlake-stopped-${process.pid}`;
    const args = ['run', source, '--on-quarantine', 'warn', '--no-report', '--quiet'];
    const child = spawn('docker', [...inContainer(lake, `--name=${name}`), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const done = finished(child);
    // It is at work once it holds the lease.
    const held = async (): Promise<string[]> =>
      (await readdir(join(lake, 'leases')).catch(() => [])).filter((name) => name !== 'clock');
    const isAtWork = async (): Promise<boolean> => (await held()).length > 0;
    while (!(await isAtWork()) && child.exitCode === null) await sleep(50);
    expect(docker(['stop', '--time=60', name]).code).toBe(0);
    const first = await done;
    expect([first.code, first.stderr]).toEqual([75, expect.stringContaining('stopped by a signal')]);
    expect(await held()).toEqual([]);
    const second = docker([...inContainer(lake), ...args]);
    expect([second.code, second.stderr]).toEqual([0, '']);
    expect(await fingerprint(lake)).toEqual(await fingerprint(join(folder, 'outside')));
  }, 900_000);

  it('SIGTERM ends it at once while it starts, although it is the first process', async () => {
    const name = `listenlake-starting-${process.pid}`;
    const run = ['run', '--rm', ...HARDENED, `--name=${name}`, '--entrypoint=/usr/local/bin/node', IMAGE];
    // A start that lasts: cli.ts is read and has refused a command, so no job listens; what is left waits.
    const script =
      'process.argv.push("cli", "no-such-command"); await import("/app/jobs/cli.ts"); setInterval(() => {}, 1000); console.log("up")';
    const child = spawn('docker', [...run, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const done = finished(child);
    await new Promise<void>((up) => child.stdout!.on('data', (chunk: Buffer) => String(chunk).includes('up') && up()));
    docker(['stop', '--time=60', name]);
    expect((await done).code).toBe(143);
  }, 900_000);

  it('two runs at once make one commit of the same files', async () => {
    const lake = join(folder, 'at-once');
    const children = [1, 2].map(() =>
      finished(
        spawn(
          'docker',
          [...inContainer(lake, '--env=LISTENLAKE_NOTHING_NEW_EXIT=99'), 'load', source, '--on-quarantine=warn'],
          {
            stdio: ['ignore', 'pipe', 'pipe'],
          },
        ),
      ),
    );
    const codes = (await Promise.all(children)).map(({ code }) => code).sort();
    // The other one was refused the lease, or came when all was done.
    expect(codes[0]).toBe(0);
    expect([75, 99]).toContain(codes[1]);
    expect((await readdir(join(lake, 'manifests'))).filter((name) => name.endsWith('.json'))).toHaveLength(1);
  }, 900_000);

  it('a job that finds nothing new ends with the code that it was given, and with 0 where it was given none', () => {
    const lake = join(folder, 'outside');
    const load = ['load', source, '--on-quarantine=warn'];
    expect(docker([...inContainer(lake, '--env=LISTENLAKE_NOTHING_NEW_EXIT=99'), ...load]).code).toBe(99);
    expect(docker([...inContainer(lake), ...load]).code).toBe(0);
    const wrong = docker([...inContainer(lake, '--env=LISTENLAKE_NOTHING_NEW_EXIT=256'), ...load]);
    expect([wrong.code, wrong.stderr]).toEqual([
      78,
      expect.stringContaining('LISTENLAKE_NOTHING_NEW_EXIT: at most 255'),
    ]);
  }, 900_000);
});

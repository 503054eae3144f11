/**
 * `astro dev start` without the Astro CLI: docker-compose.override.yml as Docker Compose itself merges it
 * into a file with the services, mounts and orders that the CLI documents for Airflow 3. No image is pulled.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { airflowSettings } from '../../airflow/local.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { DOCKER, layerSkipped } from '../fixtures/layers.ts';

const PROJECT = join(ROOT, 'airflow');
const OVERRIDE = readFileSync(join(PROJECT, 'docker-compose.override.yml'), 'utf8');
/** Those that the CLI starts for Airflow 3, beside its database (docs of `astro dev start`). */
const COMPONENTS = ['api-server', 'dag-processor', 'scheduler', 'triggerer'];

interface Service {
  command?: string[];
  depends_on?: Record<string, { condition: string }>;
  environment?: Record<string, string>;
  group_add?: string[];
  volumes?: { source: string; target: string }[];
}

const isThere = spawnSync('docker', ['compose', 'version']).status === 0;
if (!isThere) layerSkipped('astro dev start', 'no docker compose (version 2) here', DOCKER);
const describeCompose = isThere ? describe : describe.skip;

/**
 * What the CLI would start: its own file merged with the override, in the project's folder, with variables of
 * the shell.
 */
function merged(shell: Record<string, string> = {}): Record<string, Service> {
  const component = (name: string): object => ({
    image: 'listenlake-airflow/airflow:latest',
    command: ['airflow', name],
    depends_on: ['db-migration'],
    environment: { AIRFLOW__CORE__EXECUTOR: 'LocalExecutor' },
    user: 'astro',
    volumes: ['dags', 'include'].map((folder) => `${PROJECT}/${folder}:/usr/local/airflow/${folder}:z`),
  });
  const services = {
    postgres: { image: 'postgres:17' },
    'db-migration': { image: 'listenlake-airflow/airflow:latest', depends_on: ['postgres'] },
    ...Object.fromEntries(COMPONENTS.map((name) => [name, component(name)])),
  };
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-astro-'));
  const base = join(folder, 'compose.json');
  writeFileSync(base, JSON.stringify({ name: 'astro', services }));
  const clean = Object.entries(process.env).filter(
    ([name]) => !/^(LISTENLAKE|AIRFLOW|DOCKER_GID|DOCKER_SOCKET)/.test(name),
  );
  const files = ['--file', base, '--file', 'docker-compose.override.yml', '--project-directory', PROJECT];
  const done = spawnSync('docker', ['compose', ...files, 'config', '--format', 'json'], {
    cwd: PROJECT,
    env: { ...Object.fromEntries(clean), PWD: PROJECT, ...shell },
    encoding: 'utf8',
  });
  rmSync(folder, { recursive: true, force: true });
  if (done.status !== 0) throw new Error(done.stderr);
  return JSON.parse(done.stdout).services;
}

describeCompose('astro dev start', () => {
  it('tells every component what the jobs need, the same as `make airflow`', () => {
    const services = merged();
    // The lake itself need not be there yet, but has an owner.
    const home = mkdtempSync(join(tmpdir(), 'listenlake-astro-'));
    const options = { home, lake: ROOT, inbox: join(ROOT, 'inbox'), image: 'listenlake:local', port: 8080 };
    const local: Record<string, string> = { ...airflowSettings(options), LISTENLAKE_LAKE: join(ROOT, 'lake') };
    rmSync(home, { recursive: true, force: true });
    const ofJobs = Object.keys(local).filter((name) => name.startsWith('LISTENLAKE_'));
    expect(ofJobs.length).toBeGreaterThanOrEqual(6);
    for (const name of COMPONENTS) {
      const { environment = {} } = services[name]!;
      expect(
        Object.keys(environment)
          .filter((each) => each.startsWith('LISTENLAKE_'))
          .sort(),
      ).toEqual(ofJobs.sort());
      expect(environment).toMatchObject({ AIRFLOW__CORE__EXECUTOR: 'LocalExecutor', PYTHONPATH: '/usr/local/airflow' });
      for (const same of ['LISTENLAKE_JOB_RUNNER', 'LISTENLAKE_JOB_IMAGE', 'LISTENLAKE_JOB_POOL'])
        expect([same, environment[same]]).toEqual([same, local[same]]);
      for (const folder of ['LISTENLAKE_LAKE', 'LISTENLAKE_JOB_INBOX'])
        expect([folder, resolve(environment[folder]!)]).toEqual([folder, resolve(local[folder]!)]);
    }
  });

  it('hands the engine on to the scheduler alone, and starts it when folders and socket are there', () => {
    const services = merged({ DOCKER_SOCKET: '/run/user/1000/docker.sock' });
    const holding = (end: string): string[][] =>
      Object.entries(services).flatMap(([name, { volumes = [] }]) =>
        volumes.filter(({ source }) => source.endsWith(end)).map(({ source, target }) => [name, source, target]),
      );
    expect(holding('docker.sock')).toEqual([['engine', '/run/user/1000/docker.sock', '/var/run/docker.sock']]);
    expect(holding('engine').map(([name]) => name)).toEqual(['engine', 'scheduler']);
    const { scheduler, engine } = services;
    expect([scheduler!.command, scheduler!.group_add]).toEqual([['airflow', 'scheduler'], ['0']]);
    expect(scheduler!.environment!.DOCKER_HOST).toBe('unix:///engine/docker.sock');
    // What the CLI mounts and waits for stays.
    expect(scheduler!.volumes!.map(({ target }) => target)).toEqual(
      expect.arrayContaining(['/usr/local/airflow/dags', '/usr/local/airflow/include']),
    );
    expect(Object.keys(scheduler!.depends_on!).sort()).toEqual(['db-migration', 'engine']);
    expect(engine!.depends_on!.folders).toMatchObject({ condition: 'service_completed_successfully' });
  });

  it('hands it on by the same few lines as docker-compose.yml', () => {
    const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true });
    const { services: astro } = parse(OVERRIDE, { merge: true }) as { services: Record<string, Service> };
    expect(astro.engine!.command).toEqual(services.engine.command);
  });

  it('takes another lake, inbox, image and user from the shell', () => {
    const shell = {
      LISTENLAKE_LAKE: 's3://bucket',
      LISTENLAKE_JOB_INBOX: '/srv/inbox',
      LISTENLAKE_JOB_IMAGE: 'registry.example/listenlake:2',
      LISTENLAKE_JOB_USER: '1001:1001',
    };
    const { scheduler } = merged({ ...shell, LISTENLAKE_LAKE: '/srv/lake' });
    expect(scheduler!.environment).toMatchObject({ ...shell, LISTENLAKE_LAKE: '/srv/lake' });
  });
});

describe('the Astro project', () => {
  it('the container that prepares the folders gives them to the user of the jobs', () => {
    const { services } = parse(OVERRIDE, { merge: true }) as { services: Record<string, Service> };
    const folder = mkdtempSync(join(tmpdir(), 'listenlake-astro-'));
    for (const name of ['lake', 'inbox']) mkdirSync(join(folder, name));
    const script = services.folders!.command!.join('\n').replaceAll(/"\/(lake|inbox)/g, `"${folder}/$1`);
    const user = process.getuid!() === 0 ? '12345:12346' : `${process.getuid!()}:${process.getgid!()}`;
    const done = spawnSync(process.execPath, ['-e', script], { env: { LISTENLAKE_JOB_USER: user }, encoding: 'utf8' });
    expect([done.status, done.stderr]).toEqual([0, '']);
    for (const name of ['lake', 'inbox']) {
      const { uid, gid } = statSync(join(folder, name));
      expect(`${uid}:${gid}`).toBe(user);
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('the manifest names the runtime of the Dockerfile, and the pool that the jobs wait in is made', () => {
    const manifest = readFileSync(join(PROJECT, 'pyproject.toml'), 'utf8');
    const manifestValue = (key: string): string => new RegExp(`^${key} = "(.+)"$`, 'm').exec(manifest)![1]!;
    expect(manifest).toMatch(/^\[tool\.astro\]$/m);
    const tag = /^FROM \S+\/runtime:(\S+?)(@sha256:\w+)?$/m.exec(
      readFileSync(join(PROJECT, 'Dockerfile'), 'utf8'),
    )![1]!;
    // A tag may name the Python beside the runtime: 3.3-8-python-3.12.
    expect(tag.replace(/-python-.*$/, '')).toBe(manifestValue('runtime-version'));
    expect(manifestValue('airflow-version').startsWith(/^\d+\.\d+/.exec(tag)![0])).toBe(true);
    expect(manifestValue('mode')).toBe('docker');
    const { airflow } = parse(readFileSync(join(PROJECT, 'airflow_settings.yaml'), 'utf8'));
    expect(airflow.pools).toMatchObject([{ pool_name: 'listenlake_writer', pool_slot: 1 }]);
  });
});

/** docker-compose.yml as Docker Compose itself reads it; no image is pulled. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { ROOT } from '../fixtures/command-line.ts';
import { DOCKER, layerSkipped } from '../fixtures/layers.ts';

interface Service {
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  ports?: { host_ip?: string; published: string }[];
  volumes?: { type: string; source: string; target: string; read_only?: boolean }[];
  profiles?: string[];
  cap_drop?: string[];
  user?: string;
  group_add?: string[];
}

const version = spawnSync('docker', ['compose', 'version'], { encoding: 'utf8' });
const isThere = version.status === 0;
if (!isThere) layerSkipped('compose', 'no docker compose (version 2) here', DOCKER);
const describeCompose = isThere ? describe : describe.skip;

function config(env: Record<string, string> = {}, ...profiles: string[]): Record<string, Service> {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(LISTENLAKE|AIRFLOW)_/.test(name)),
  );
  const args = ['compose', ...profiles.flatMap((name) => ['--profile', name]), 'config', '--format', 'json'];
  const done = spawnSync('docker', args, {
    cwd: ROOT,
    env: { ...clean, PWD: ROOT.replace(/\/$/, ''), ...env },
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(done.stderr);
  return JSON.parse(done.stdout).services;
}

describeCompose('docker-compose.yml', () => {
  it('is Airflow with its database by default; the S3 stand-in and the dashboard come with their profiles', () => {
    const airflow = [
      'api-server',
      'dag-processor',
      'engine',
      'folders',
      'migrate',
      'postgres',
      'scheduler',
      'triggerer',
    ];
    expect(Object.keys(config()).sort()).toEqual(airflow);
    expect(Object.keys(config({}, 's3')).sort()).toEqual([...airflow, 's3'].sort());
    expect(Object.keys(config({}, 'dashboard')).sort()).toEqual([...airflow, 'dashboard'].sort());
    expect(Object.keys(config({}, 'stream')).sort()).toEqual([...airflow, ...STREAM].sort());
  });

  it('takes images of a fixed version and is reached from this machine only', () => {
    const services = config({}, 's3', 'stream');
    for (const { image, ports } of Object.values(services)) {
      expect(image).toMatch(/:(local|v?[\d.]+[\w.-]*(@sha256:[0-9a-f]{64})?)$/);
      for (const port of ports ?? []) expect(port.host_ip).toBe('127.0.0.1');
    }
  });

  it('gives the engine to nobody but the scheduler, whatever group its socket has, and the code to all, read only', () => {
    const services = config();
    const holders = (socket: RegExp): string[] =>
      Object.entries(services)
        .filter(([, { volumes }]) => volumes?.some(({ source }) => socket.test(source)))
        .map(([name]) => name);
    // One that is root hands it on by a socket of its own.
    expect(holders(/docker\.sock$/)).toEqual(['engine']);
    expect(holders(/^engine$/)).toEqual(['engine', 'scheduler']);
    expect([services.engine!.user, services.engine!.cap_drop]).toEqual(['0:0', ['ALL']]);
    expect(services.scheduler!.environment!.DOCKER_HOST).toBe('unix:///engine/docker.sock');
    expect(services.scheduler!.group_add).toBeUndefined();
    for (const name of ['api-server', 'scheduler', 'dag-processor', 'triggerer']) {
      expect(services[name]!.cap_drop).toEqual(['ALL']);
      const code = services[name]!.volumes!.filter(({ target }) => /\/(dags|include)$/.test(target));
      expect(code.map(({ read_only }) => read_only)).toEqual([true, true]);
    }
  });

  it('names the lake and the inbox as the engine knows them, and where they are asked to be', () => {
    const folders = (services: Record<string, Service>): unknown => [
      services.scheduler!.environment!.LISTENLAKE_LAKE,
      services.folders!.volumes!.find(({ target }) => target === '/lake')!.source,
    ];
    expect(folders(config())).toEqual([join(ROOT, 'lake'), join(ROOT, 'lake')]);
    expect(folders(config({ LISTENLAKE_LAKE: '/srv/music' }))).toEqual(['/srv/music', '/srv/music']);
  });

  it('starts producer and consumer on the broker of its own, and shows the dashboard to this machine alone', async () => {
    const { VARIABLES } = await import('../../jobs/base/config.ts');
    const services = config({}, 'stream');
    for (const name of ['producer', 'consumer']) {
      const { environment = {}, volumes, user, cap_drop } = services[name]!;
      expect(Object.keys(environment).filter((each) => !(each in VARIABLES))).toEqual([]);
      const inside = /INSIDE:\/\/([\w.:]+)/.exec(services.kafka!.environment!.KAFKA_ADVERTISED_LISTENERS!)?.[1];
      expect(environment.LISTENLAKE_KAFKA_BROKERS).toBe(inside);
      expect([volumes?.[0]?.source, user, cap_drop]).toEqual([join(ROOT, 'lake'), '1000:1000', ['ALL']]);
    }
    // The lake outlives the containers, so the topic must: made anew under its old name it is another one.
    const records = services.kafka!.volumes!.find(({ type }) => type === 'volume')!;
    expect(records.target).toBe(services.kafka!.environment!.KAFKA_LOG_DIRS);
    const targets = parse(readFileSync(join(ROOT, 'deploy/stream/prometheus/prometheus.yml'), 'utf8'));
    const port = services.consumer!.command![services.consumer!.command!.indexOf('--metrics-port') + 1];
    expect(targets.scrape_configs[0].static_configs[0].targets).toEqual([`consumer:${port}`]);
    const mounted = ['prometheus', 'grafana'].flatMap((name) => services[name]!.volumes!);
    for (const { source, read_only } of mounted) expect([existsSync(source), read_only]).toEqual([true, true]);
  });

  it('sets only what a job or Airflow reads', async () => {
    const { VARIABLES } = await import('../../jobs/base/config.ts');
    const settings = readFileSync(join(ROOT, 'airflow/include/job.py'), 'utf8');
    const names = Object.keys(config().scheduler!.environment!).filter((name) => name.startsWith('LISTENLAKE_'));
    const unknown = names.filter((name) => !settings.includes(`"${name}"`) && !(name in VARIABLES));
    expect(unknown).toEqual([]);
  });
});

const STREAM = ['kafka', 'producer', 'consumer', 'prometheus', 'grafana'];
const WITHOUT_SECRETS = ['engine', 's3', 'dashboard', ...STREAM];

/** As it is written: what Docker Compose would fill in is not there. */
interface Written {
  command?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
}

describe('docker-compose.yml as it is written', () => {
  it('S1: holds no secret: they are made at random at the first start, once, for the user of Airflow alone', () => {
    const content = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
    const { services } = parse(content, { merge: true }) as { services: Record<string, Written> };
    for (const { environment = {} } of Object.values(services)) {
      for (const [name, value] of Object.entries(environment))
        if (/SECRET|PASSWORD|CONN|KEY/.test(name))
          expect([name, value]).toEqual([expect.stringMatching(/_(CMD|FILE)$/), expect.stringContaining('/secrets/')]);
    }
    const holders = Object.entries(services).filter(([, { volumes }]) =>
      volumes?.some((volume) => /^secrets:\/secrets(:ro)?$/.test(volume)),
    );
    expect(holders.map(([name]) => name)).toEqual(
      Object.keys(services).filter((name) => !WITHOUT_SECRETS.includes(name)),
    );
    // The very script that the container runs, on folders of this test.
    const folder = mkdtempSync(join(tmpdir(), 'listenlake-compose-'));
    for (const name of ['lake', 'inbox', 'secrets']) mkdirSync(join(folder, name));
    const script = services
      .folders!.command!.join('\n')
      .replaceAll(/"\/(lake|inbox|secrets)/g, `"${folder}/$1`)
      .replace('50000, 0', 'process.getuid(), process.getgid()');
    const run = (): string[] => {
      const env = { LISTENLAKE_JOB_USER: `${process.getuid!()}:${process.getgid!()}` };
      const done = spawnSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
      expect(done.stderr).toBe('');
      return ['airflow', 'postgres', 'fernet'].map((name) => readFileSync(join(folder, 'secrets', name), 'utf8'));
    };
    const [airflow, postgres, fernet] = run();
    expect([airflow, postgres]).toEqual([
      expect.stringMatching(/^[0-9a-f]{64}$/),
      expect.stringMatching(/^[0-9a-f]{64}$/),
    ]);
    expect(airflow).not.toBe(postgres);
    // 32 bytes (github.com/fernet/spec), without which Airflow stores connections in the clear.
    expect([fernet, Buffer.from(fernet!, 'base64url').length]).toEqual([expect.stringMatching(/^[\w-]{43}=$/), 32]);
    expect(
      Object.values(services).filter(({ environment = {} }) => 'AIRFLOW__CORE__FERNET_KEY_CMD' in environment),
    ).toHaveLength(5);
    expect(run()).toEqual([airflow, postgres, fernet]);
    expect(statSync(join(folder, 'secrets/airflow')).mode & 0o777).toBe(0o440);
    rmSync(folder, { recursive: true, force: true });
  });

  it('the engine is reached through the socket that is handed on, answers and half-closed connections included', async () => {
    const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true });
    const folder = mkdtempSync(join(tmpdir(), 'listenlake-socket-'));
    const script = services.engine.command
      .join('\n')
      .replace('/engine/', `${folder}/`)
      .replace('/var/run/', `${folder}/real-`);
    // It answers once the other side has said all that it has to say, as an engine does with what is
    // attached.
    const far = createServer({ allowHalfOpen: true }, (socket) => {
      let heard = '';
      socket.on('data', (chunk) => {
        heard += chunk;
      });
      socket.on('end', () => socket.end(`heard ${heard}`));
    }).listen(join(folder, 'real-docker.sock'));
    const relay = spawn(process.execPath, ['-e', script], { stdio: 'inherit' });
    const near = join(folder, 'docker.sock');
    while (!(existsSync(near) && (statSync(near).mode & 0o777) === 0o660)) await sleep(20);
    const answers = ['one', 'two'].map(async (word) => {
      const socket = connect({ path: near, allowHalfOpen: true });
      socket.end(word);
      return text(socket);
    });
    expect(await Promise.all(answers)).toEqual(['heard one', 'heard two']);
    relay.kill();
    far.close();
    rmSync(folder, { recursive: true, force: true });
  });
});

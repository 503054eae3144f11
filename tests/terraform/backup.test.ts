/**
 * The backup of Airflow's database on the EC2 host: its own script, on a real PostgreSQL. `docker exec` runs
 * the program here instead of in the container, and the bucket is a folder.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { layerSkipped } from '../fixtures/layers.ts';
import { type Done, runProgram, TERRAFORM_DIR } from './terraform.ts';

const SCRIPTS = join(TERRAFORM_DIR, 'airflow_ec2');
/** PostgreSQL refuses to run as root. */
const NOBODY = 65534;
const READY_MS = 120_000;

const programs = postgresPrograms();
if (programs === undefined)
  layerSkipped('backup of the EC2 host', 'no PostgreSQL server', 'install postgresql (initdb, postgres, pg_dump)');
const describePostgres = programs === undefined ? describe.skip : describe;

let folder: string;
let end: (() => Promise<void>) | undefined;

beforeAll(async () => {
  if (programs === undefined) return;
  // Another user than this one must reach it, and the folder of the tests in memory is closed to others.
  folder = mkdtempSync(join(process.getuid?.() === 0 ? '/tmp' : tmpdir(), 'listenlake-backup-'));
  end = await startPostgres(programs);
  makeStandIns();
});
afterAll(async () => {
  await end?.();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

describePostgres('listenlake-backup', () => {
  it('dumps the database into the bucket under its time, and says so in the log group', async () => {
    sql('create table dag_run (run_id text primary key, state text); create sequence ids');
    sql("insert into dag_run select 'run ' || n, 'success' from generate_series(1, 5000) n; select nextval('ids')");
    const done = await backup();
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(dumps()).toEqual([expect.stringMatching(/^\d{8}t\d{6}\.dump$/)]);
    expect(calls().filter((call) => call.includes('put-log-events'))).toEqual([
      expect.stringMatching(
        /--log-group-name \/lake\/airflow .*timestamp=\d{13},message="backup of the database of Airflow written"$/,
      ),
    ]);
  });

  it('brings it back whole, keeps what was there, and stops Airflow only while names are changed', async () => {
    sql(
      "delete from dag_run where run_id <> 'run 1'; drop sequence ids; insert into dag_run values ('after', 'failed')",
    );
    const done = await backup('restore');
    expect([done.code, done.stderr]).toEqual([0, '']);
    const former = /the former database is (airflow_before_\w+)/.exec(done.stdout)![1]!;
    const count = 'select count(*), min(run_id) from dag_run';
    expect([sql(count), sql("select nextval('ids')")]).toEqual(['5000|run 1', '2']);
    expect(sql(count, former)).toBe('2|after');
    expect(calls().filter((call) => /^(systemctl|docker stop)/.test(call))).toEqual([
      'systemctl stop listenlake-airflow',
      expect.stringMatching(/^docker stop .*scheduler.*api-server.*dag-processor.*triggerer/),
      'systemctl start listenlake-airflow',
    ]);
  });

  it('writes no half dump, and leaves the database and Airflow alone where a dump is damaged', async () => {
    const before = dumps();
    const failed = await backup('dump', { PGPORT: '1' });
    expect(failed.code).not.toBe(0);
    expect([dumps(), calls()]).toEqual([before, []]);

    const name = before[0]!;
    const whole = readFileSync(join(folder, 'bucket/airflow-backup', name));
    writeFileSync(join(folder, 'bucket/airflow-backup/20991231t000000.dump'), whole.subarray(0, whole.length / 2));
    const refused = await backup('restore');
    expect(refused.code).not.toBe(0);
    expect([sql('select count(*) from dag_run'), calls()]).toEqual(['5000', []]);
    const stuck = await backup(`restore ${name}`, { STOP_CODE: '1' });
    expect([stuck.code, sql('select count(*) from dag_run')]).toEqual([1, '5000']);
    expect(calls().at(-1)).toBe('systemctl start listenlake-airflow');
    const older = await backup(`restore ${name}`);
    expect([older.code, older.stderr]).toEqual([0, expect.not.stringMatching(/error/i)]);
    // At once again: what was there has a name of its own each time.
    expect(await backup(`restore ${name}`)).toMatchObject({ code: 0 });

    rmSync(join(folder, 'bucket/airflow-backup'), { recursive: true });
    expect(await backup('restore')).toMatchObject({ code: 66, stderr: expect.stringContaining('there is no backup') });
  });
});

/** The newest PostgreSQL of this machine; undefined where its server is not there. */
function postgresPrograms(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const named = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' }).stdout?.trim();
  return [...versions.map((version) => `${root}/${version}/bin`), named].find(
    (bin) => bin && ['initdb', 'postgres', 'pg_dump', 'psql'].every((name) => existsSync(join(bin, name))),
  );
}

/** With the user and the database that compose.yaml makes; reached by a socket in `folder` alone. */
async function startPostgres(bin: string): Promise<() => Promise<void>> {
  const data = join(folder, 'data');
  const socket = join(folder, 'socket');
  const isRoot = process.getuid!() === 0;
  for (const path of [folder, data, socket]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (isRoot) chownSync(path, NOBODY, NOBODY);
  }
  const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const made = spawnSync(join(bin, 'initdb'), ['--username=airflow', '--auth=trust', '--no-sync', data], {
    ...as,
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(made.stderr);
  const options = ['-D', data, '-k', socket, '-c', 'listen_addresses=', '-F'];
  const server = spawn(join(bin, 'postgres'), options, { ...as, cwd: data, stdio: 'ignore' });
  const ended = once(server, 'exit');
  const deadline = Date.now() + READY_MS;
  const ready = (): boolean => spawnSync(join(bin, 'pg_isready'), ['--host', socket]).status === 0;
  while (!ready()) {
    if (Date.now() > deadline || server.exitCode !== null) throw new Error('PostgreSQL does not start');
    await sleep(200);
  }
  const created = spawnSync(join(bin, 'createdb'), ['--host', socket, '--username', 'airflow', 'airflow'], {
    encoding: 'utf8',
  });
  if (created.status !== 0) throw new Error(created.stderr);
  return async () => {
    server.kill('SIGINT');
    await ended;
  };
}

/**
 * `aws` with a folder as its bucket, `docker exec` that runs the program here; both note how they are called.
 */
function makeStandIns(): void {
  const bin = join(folder, 'bin');
  for (const path of [bin, join(folder, 'etc'), join(folder, 'srv'), join(folder, 'bucket/airflow-backup')])
    mkdirSync(path, { recursive: true });
  const note = 'echo "$(basename "$0") $*" >>"$CALLS"';
  const standIns: Record<string, string> = {
    aws: `case "$1 $2" in
      "s3 ls") ls "$(echo "$3" | sed "s|s3://lake|$BUCKET|")" 2>/dev/null | sed 's/^/2026-01-01 00:00:00 1 /';;
      "s3 cp") cp "$(echo "$4" | sed "s|s3://lake|$BUCKET|")" "$(echo "$5" | sed "s|s3://lake|$BUCKET|")";;
      *) ${note};; esac`,
    docker: `case "$1" in exec) shift 3; exec "$@";; *) ${note}; exit "\${STOP_CODE:-0}";; esac`,
    'listenlake-tell': `exec bash "${join(SCRIPTS, 'tell.sh')}" "$@"`,
    systemctl: note,
  };
  for (const [name, script] of Object.entries(standIns))
    writeFileSync(join(bin, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'etc/host.env'), 'BACKUPS="s3://lake/airflow-backup"\nLOG_GROUP="/lake/airflow"\n');
}

/** Runs the host's script as it is. */
function backup(args = 'dump', more: Record<string, string> = {}): Promise<Done> {
  writeFileSync(join(folder, 'calls'), '');
  const environment = {
    PATH: `${join(folder, 'bin')}:${programs}:${process.env.PATH}`,
    PGHOST: join(folder, 'socket'),
    LISTENLAKE_HOST_DIR: join(folder, 'etc'),
    LISTENLAKE_DATA_DIR: join(folder, 'srv'),
    BUCKET: join(folder, 'bucket'),
    CALLS: join(folder, 'calls'),
    ...more,
  };
  return runProgram('bash', [join(SCRIPTS, 'backup.sh'), ...args.split(' ')], { environment });
}

function sql(statement: string, database = 'airflow'): string {
  const args = ['--host', join(folder, 'socket'), '--username', 'airflow', '--dbname', database];
  const done = spawnSync(join(programs!, 'psql'), [...args, '-At', '--set', 'ON_ERROR_STOP=1', '-c', statement], {
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(done.stderr);
  return done.stdout.trim();
}

function dumps(): string[] {
  return readdirSync(join(folder, 'bucket/airflow-backup')).sort();
}

function calls(): string[] {
  return readFileSync(join(folder, 'calls'), 'utf8').split('\n').filter(Boolean);
}

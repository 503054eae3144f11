/**
 * Tests of the EC2 host of Airflow without EC2: what cloud-init would write, and its scripts with stand-ins
 * for the programs that reach out.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parse } from 'yaml';
import { DOCKER, layerSkipped } from '../fixtures/layers.ts';
import { type Done, runProgram } from './terraform.ts';

export interface UserData {
  packages: string[];
  runcmd: string[][];
  write_files: { path: string; content: string; permissions: string }[];
}

export function parseUserData(text: string): UserData {
  if (!text.startsWith('#cloud-config\n')) throw new Error(`cloud-init would not take this: ${text.slice(0, 40)}`);
  return parse(text);
}

export interface Host {
  /** Where a file of `write_files` lies, by the last part of its path. */
  path(name: string): string;
  data: string;
  roles: string;
  login: string;
  /**
   * Runs one of the host's scripts. `words` are for the stand-ins: `aws` answers no request and `docker pull`
   * no image that has one of them in it.
   */
  run(name: string, words?: string): Promise<Done & { calls: string[] }>;
}

/**
 * Lays the files out in a folder. `aws` and `docker` are stand-ins that note how they are called; owners are
 * not changed, because that takes root.
 */
export function makeHost(folder: string, userData: UserData): Host {
  const path = (name: string): string => join(folder, 'etc', name);
  mkdirSync(join(folder, 'etc'), { recursive: true });
  for (const file of userData.write_files) {
    writeFileSync(path(basename(file.path)), file.content);
    chmodSync(path(basename(file.path)), Number.parseInt(file.permissions, 8));
  }
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const calls = 'echo "$(basename "$0") $*" >&3';
  const standIns: Record<string, string> = {
    aws: `${calls}\ncase "$*" in *"\${REFUSED:-nothing}"*) exit 254;; *assume-role*) printf 'ASIAEXAMPLE\\tkey/+of %s\\ttoken==\\n' "$4" | tr ' ' _;; *) echo password;; esac`,
    blkid: 'exit 0',
    chown: 'exit 0',
    // It has an image of each repository from an earlier version, and one without a tag.
    docker: `${calls}\ncase "$*" in *" pull "*"\${REFUSED:-nothing}"*) exit 1;; "image ls "*) for tag in 1.2.0 1.1.0 '<none>'; do echo "$(eval echo \\$$#):$tag"; done;; esac`,
    install:
      'while [ $# -gt 0 ]; do case "$1" in -o|-g) shift 2;; *) args="$args $1"; shift;; esac; done\nexec /usr/bin/install $args',
    mountpoint: 'exit 0',
    stat: 'echo 991',
  };
  for (const [name, script] of Object.entries(standIns)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  const data = join(folder, 'data');
  const roles = join(folder, 'roles');
  const login = join(folder, 'registry');
  mkdirSync(data);
  return {
    path,
    data,
    roles,
    login,
    async run(name, words) {
      const environment = {
        PATH: `${bin}:${process.env.PATH}`,
        LISTENLAKE_HOST_DIR: join(folder, 'etc'),
        LISTENLAKE_DATA_DIR: data,
        LISTENLAKE_ROLES_DIR: roles,
        LISTENLAKE_LOGIN_DIR: login,
        REFUSED: words,
      };
      const done = await runProgram('bash', ['-c', `exec 3>&1 >/dev/null; exec bash "${path(name)}"`], { environment });
      return { ...done, calls: done.stdout.split('\n').filter(Boolean) };
    },
  };
}

/** @param userDataOf the host's user data, as planned */
export function describeHost(work: string, userDataOf: () => UserData): void {
  describe('the EC2 host', () => {
    it('cloud-init gets every file that another one names, scripts that parse, and no secret', async () => {
      const { packages, runcmd, write_files: files } = userDataOf();
      expect(packages).toEqual(['docker']);
      const paths = files.map(({ path }) => path);
      const all = files.map(({ content }) => content).join('\n');
      for (const [, path] of all.matchAll(/ExecStart=(\S+)/g)) expect(paths).toContain(path);
      for (const [, unit] of JSON.stringify(runcmd).matchAll(/"(listenlake-\S+?)"/g))
        expect(paths).toContain(`/etc/systemd/system/${unit}`);
      const { path } = makeHost(mkdtempSync(join(work, 'host-')), userDataOf());
      for (const script of paths.filter((name) => name.startsWith('/usr/local/sbin/')))
        expectToSucceed(await runProgram('bash', ['-n', path(basename(script))]));
      expect(JSON.parse(readFileSync(path('daemon.json'), 'utf8'))['log-opts']['awslogs-group']).toBe(
        '/listenlake/airflow',
      );
      // Whatever is called a password, secret, key or token is a reference, made on the host, or a secret's
      // name.
      const assigned = [...all.matchAll(/^\s*\w*(?:PASSWORD|SECRET|KEY|TOKEN)\s*[:=]\s*(.+)$/gim)];
      expect(assigned.length).toBeGreaterThan(3);
      for (const [line, value] of assigned)
        expect([line, value]).toEqual([line, expect.stringMatching(/^\$\{|^listenlake\/[\w-]+$/)]);
      expect(all).not.toMatch(/AKIA|ASIA|-----BEGIN/);
    });

    it('start makes its passwords once, waits for images, and starts what Docker Compose understands', async () => {
      const { path, data, run } = makeHost(mkdtempSync(join(work, 'host-')), userDataOf());
      const early = await run('listenlake-start', 'mocked:1.2.0');
      expect([early.code, early.stderr]).toEqual([75, expect.stringContaining('push it')]);
      expect(early.calls.some((call) => call.includes('compose'))).toBe(false);
      const secrets = join(data, 'secrets.env');
      const first = readFileSync(secrets, 'utf8');
      expect(statSync(secrets).mode & 0o777).toBe(0o600);
      expect(first).toMatch(
        /^POSTGRES_PASSWORD=[\w-]{43}\nFERNET_KEY=[\w-]{43}=\nJWT_SECRET=[\w-]{43}=\nAPI_SECRET=[\w-]{43}=\n$/,
      );
      const passwords = readFileSync(join(data, 'auth/passwords.json'), 'utf8');
      expect(JSON.parse(passwords)).toEqual({ admin: expect.stringMatching(/^[\w-]{43}$/) });

      const done = await run('listenlake-start');
      expectToSucceed(done);
      expect(done.calls.find((call) => call.includes('docker compose'))).toMatch(
        /^docker run --rm .*docker compose .*--env-file \S+host.env --env-file \S+secrets.env up --detach --remove-orphans$/,
      );
      expect([readFileSync(secrets, 'utf8'), readFileSync(join(data, 'auth/passwords.json'), 'utf8')]).toEqual([
        first,
        passwords,
      ]);

      const args = ['--file', path('compose.yaml'), '--env-file', path('host.env'), '--env-file', secrets];
      const environment = { DATA_DIR: data, HOST_DIR: dirname(path('jobs.env')), DOCKER_GID: '991' };
      const version = await runProgram('docker', ['compose', 'version']);
      if (version.code !== 0) return layerSkipped('docker compose', 'not installed', DOCKER);
      const config = await runProgram(
        'docker',
        ['compose', '--project-name', 'host', ...args, 'config', '--format', 'json'],
        {
          environment,
        },
      );
      expectToSucceed(config);
      const { services } = JSON.parse(config.stdout);
      const published = Object.values<{ ports?: { host_ip: string }[] }>(services).flatMap(({ ports = [] }) => ports);
      expect(published.map((port) => port.host_ip)).toEqual(['127.0.0.1']);
      const withSocket = Object.entries<{ volumes?: { source: string }[] }>(services).filter(([, { volumes = [] }]) =>
        volumes.some(({ source }) => source === '/var/run/docker.sock'),
      );
      expect(withSocket.map(([name]) => name)).toEqual(['scheduler']);
      expect(services.scheduler.environment).toMatchObject({
        AIRFLOW__CORE__FERNET_KEY: /FERNET_KEY=(.+)/.exec(first)![1],
        AWS_SHARED_CREDENTIALS_FILE: '/run/aws/credentials',
        LISTENLAKE_JOB_ROLES: '/run/listenlake/roles',
        LISTENLAKE_LAKE: 's3://listenlake-123456789012-eu-west-1',
        // Where Terraform has made room for a secret, jobs are told its name.
        LISTENLAKE_PSEUDONYM_SECRET: 'listenlake/pseudonym-key',
      });
    });

    it('removes the images of other versions by name once Airflow is up, and never by age', async () => {
      const { path, run } = makeHost(mkdtempSync(join(work, 'host-')), userDataOf());
      const done = await run('listenlake-start');
      expectToSucceed(done);
      const [jobs, airflow] = ['JOB', 'AIRFLOW'].map(
        (name) => new RegExp(`^${name}_IMAGE="(.+):1.2.0"$`, 'm').exec(readFileSync(path('host.env'), 'utf8'))![1]!,
      );
      const removals = done.calls.filter((call) => /^docker image (rm|prune)/.test(call));
      // Without --all, what has a tag stays, whenever it was built.
      expect(removals).toEqual([
        ...[jobs, airflow].map((repository) => `docker image rm ${repository}:1.1.0`),
        'docker image prune --force',
      ]);
      const up = done.calls.findIndex((call) => call.endsWith('up --detach --remove-orphans'));
      expect(done.calls.indexOf(removals[0]!)).toBeGreaterThan(up);
    });

    it('keeps one login at the registry, which the timer renews and with which host and scheduler pull', async () => {
      const { login, run } = makeHost(mkdtempSync(join(work, 'host-')), userDataOf());
      expectToSucceed(await run('listenlake-roles'));
      const file = join(login, 'config.json');
      const held = readFileSync(file, 'utf8');
      const auth = Buffer.from('AWS:password').toString('base64');
      expect(JSON.parse(held)).toEqual({ auths: { '123456789012.dkr.ecr.eu-west-1.amazonaws.com': { auth } } });
      expect(statSync(file).mode & 0o777).toBe(0o400);
      const started = await run('listenlake-start');
      const pulls = started.calls.filter((call) => call.includes(' pull '));
      expect(pulls).toEqual([1, 2].map(() => expect.stringMatching(`^docker --config ${login} pull `)));
      const refused = await run('listenlake-roles', 'get-login-password');
      expect([refused.code, refused.stderr]).toEqual([1, 'no login at 123456789012.dkr.ecr.eu-west-1.amazonaws.com\n']);
      expect(readFileSync(file, 'utf8')).toBe(held);
      const { services } = parse(contentOf(userDataOf(), 'compose.yaml'), { merge: true });
      expect(services.scheduler.environment.DOCKER_CONFIG).toBe('/run/listenlake/registry');
      expect(services.scheduler.volumes).toContain('/run/listenlake/registry:/run/listenlake/registry:ro');
    });

    it('S15: gives each job the short-lived credentials of its own role, and keeps the old ones where new ones are refused', async () => {
      const { path, roles, run } = makeHost(mkdtempSync(join(work, 'host-')), userDataOf());
      const jobs = /JOB_ROLES="(.+)"/.exec(readFileSync(path('host.env'), 'utf8'))![1]!.split(' ');
      expect(jobs).toEqual(expect.arrayContaining(['extract', 'load', 'transform', 'promote']));
      const credentialsOf = (job: string): string => readFileSync(join(roles, job, 'credentials'), 'utf8');
      expectToSucceed(await run('listenlake-roles'));
      for (const job of jobs) {
        const role = `arn:aws:iam::123456789012:role/listenlake-${job}`;
        expect(credentialsOf(job)).toBe(
          `[default]\naws_access_key_id = ASIAEXAMPLE\naws_secret_access_key = key/+of_${role}\naws_session_token = token==\n`,
        );
        expect(statSync(join(roles, job, 'credentials')).mode & 0o777).toBe(0o400);
      }
      const refused = await run('listenlake-roles', 'listenlake-load');
      expect([refused.code, refused.stderr]).toEqual([1, 'no credentials for load\n']);
      expect(refused.calls.filter((call) => call.includes('assume-role')).length).toBe(jobs.length);
      expect(credentialsOf('load')).toContain('listenlake-load');
    });
  });
}

function contentOf({ write_files: files }: UserData, name: string): string {
  return files.find(({ path }) => basename(path) === name)!.content;
}

function expectToSucceed(done: Done): void {
  expect([done.code, done.code === 0 ? '' : done.stderr]).toEqual([0, '']);
}

/**
 * A second Docker Engine of this machine, on a socket of its own, that runs with the `daemon.json` of the EC2
 * host; its log group is moto's. It needs root (or sudo that asks nothing) and a C compiler.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REGION } from '../aws/local.ts';
import { startMoto } from '../aws/moto.ts';

import { ROOT } from '../fixtures/command-line.ts';

const GROUP = '/listenlake/airflow';
const START_MS = 60_000;
/** The smallest job: its result, and then a last word on stderr. */
const PROGRAM = `#include <stdio.h>
#include <unistd.h>
int main(void) { puts("{\\"checked\\": 1}"); fflush(stdout); usleep(200000); fputs("the last word\\n", stderr); return 0; }
`;

/** Its network, in a range for documentation: nothing is reached through it. */
const BRIDGE = 'listenlake0';
const BRIDGE_ADDRESS = '192.0.2.1/24';

export interface HostEngine {
  /** Value of DOCKER_HOST. */
  address: string;
  /** Its image of the jobs: prints `{"checked": 1}`, and then a line on stderr. */
  image: string;
  /** What CloudWatch was told. */
  logged(): Promise<string[]>;
  close(): Promise<void>;
}

/** Why there can be no such engine here; undefined: there can. */
export function hostEngineMissing(): string | undefined {
  if (dockerd() === undefined) return 'no dockerd';
  if (spawnSync('cc', ['--version']).status !== 0) return 'no C compiler';
  if (spawnSync('ip', ['-V']).status !== 0) return 'no ip (iproute2)';
  if (asRoot(['true']).status !== 0) return 'neither root nor sudo without a password';
  return undefined;
}

/**
 * @param log how containers log: the host's own settings, or a log driver of the engine
 */
export async function startHostEngine(folder: string, log: 'host' | 'json-file' | 'local'): Promise<HostEngine> {
  const moto = await startMoto();
  const call = async (action: string, body: unknown): Promise<unknown> => {
    const headers = {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `Logs_20140328.${action}`,
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/logs/aws4_request, SignedHeaders=host, Signature=x`,
    };
    return (await fetch(moto.url, { method: 'POST', headers, body: JSON.stringify(body) }))
      .json()
      .catch(() => undefined);
  };
  await call('CreateLogGroup', { logGroupName: GROUP });
  const template = readFileSync(join(ROOT, 'terraform/airflow_ec2/daemon.json'), 'utf8');
  const settings = JSON.parse(template.replace('${log_group}', GROUP).replace('${region}', REGION));
  settings['log-opts']['awslogs-endpoint'] = moto.url;
  if (log !== 'host') Object.assign(settings, { 'log-driver': log, 'log-opts': {} });
  const path = (name: string): string => join(folder, name);
  writeFileSync(path('daemon.json'), JSON.stringify(settings));
  const address = `unix://${path('docker.sock')}`;
  const args = [
    ...['env', 'AWS_ACCESS_KEY_ID=test', 'AWS_SECRET_ACCESS_KEY=test', dockerd()!],
    ...['--config-file', path('daemon.json'), '--host', address, '--group', String(process.getgid!())],
    ...['--data-root', path('data'), '--exec-root', path('exec'), '--pidfile', path('dockerd.pid')],
    // Beside another engine: a bridge of its own, because one that is told to have none deletes the other's
    // docker0, and names of its own in a containerd that both use.
    ...[
      '--bridge',
      BRIDGE,
      '--iptables=false',
      '--containerd-namespace',
      'listenlake',
      '--containerd-plugins-namespace',
      'listenlake-plugins',
    ],
  ];
  const [program, ...rest] = rootCommand(args);
  asRoot(['ip', 'link', 'delete', BRIDGE]); // of a run that was killed
  asRoot(['ip', 'link', 'add', BRIDGE, 'type', 'bridge']);
  asRoot(['ip', 'address', 'add', BRIDGE_ADDRESS, 'dev', BRIDGE]);
  let words = '';
  const engine = spawn(program!, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
  engine.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2_000);
  });
  const docker = (...given: string[]): { status: number | null; stderr: string } =>
    spawnSync('docker', ['--host', address, ...given], { encoding: 'utf8' });
  const close = async (): Promise<void> => {
    if (existsSync(path('dockerd.pid'))) asRoot(['kill', readFileSync(path('dockerd.pid'), 'utf8').trim()]);
    else engine.kill();
    while (engine.exitCode === null && engine.signalCode === null) await sleep(50);
    await moto.close();
    asRoot(['ip', 'link', 'delete', BRIDGE]);
    asRoot(['rm', '-rf', path('data'), path('exec')]);
  };
  try {
    for (const deadline = Date.now() + START_MS; docker('version').status !== 0; await sleep(200)) {
      if (engine.exitCode !== null || Date.now() > deadline) throw new Error(`the engine did not start: ${words}`);
    }
    const image = 'listenlake:engine';
    writeFileSync(path('job.c'), PROGRAM);
    for (const [command, ...given] of [
      ['cc', '-static', '-o', path('job'), path('job.c')],
      ['tar', '-C', folder, '-cf', path('job.tar'), 'job'],
      ['docker', '--host', address, 'import', '--change', 'ENTRYPOINT ["/job"]', path('job.tar'), image],
    ]) {
      const done = spawnSync(command!, given, { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`${command}: ${done.stderr}`);
    }
    const logged = async (): Promise<string[]> => {
      const { events = [] } = (await call('FilterLogEvents', { logGroupName: GROUP })) as {
        events?: { message: string }[];
      };
      return events.map(({ message }) => message).sort();
    };
    return { address, image, logged, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function dockerd(): string | undefined {
  return ['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'].find((path) => existsSync(path));
}

function rootCommand(args: string[]): string[] {
  return process.getuid!() === 0 ? args : ['sudo', '-n', ...args];
}

function asRoot(args: string[]): { status: number | null } {
  const [program, ...rest] = rootCommand(args);
  return spawnSync(program!, rest, { stdio: 'ignore' });
}

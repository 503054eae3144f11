/** The image of the jobs as `make image` builds it, and containers of it, on the Docker Engine that the environment names. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { ROOT } from './command-line.ts';
import { DOCKER, layerSkipped } from './layers.ts';

const BUILD_TIMEOUT_MS = 1_200_000;
/** Not the one in use: tests of another clone on the same engine have their own, too. */
export const IMAGE = `listenlake:test-${createHash('sha256').update(ROOT).digest('hex').slice(0, 8)}`;

/** What jobs run under, here and in airflow/include/job.py: nothing of the image can be changed, no rights, no network. */
export const HARDENED = [
  '--read-only',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--network=none',
  '--pids-limit=256',
  '--memory=1g',
  '--tmpfs=/tmp:rw,nosuid,nodev,size=256m,mode=1777',
];

/** Builds the image once for all tests (a cached build takes a second); false where no engine answers, said as a skipped layer. */
export function buildImage(layer: string): boolean {
  const engine = spawnSync('docker', ['version', '--format', '{{.Server.Version}}'], { encoding: 'utf8' });
  if (engine.status !== 0) {
    layerSkipped(layer, `no Docker Engine answers: ${(engine.stderr || String(engine.error)).slice(0, 200)}`, DOCKER);
    return false;
  }
  const built = spawnSync('make', ['image', `IMAGE=${IMAGE}`], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: BUILD_TIMEOUT_MS,
  });
  if (built.status !== 0) throw new Error(`make image: ${`${built.stdout}${built.stderr}`.slice(-3000)}`);
  return true;
}

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export function docker(args: string[], timeout = 300_000): Ran {
  const { status, stdout, stderr } = spawnSync('docker', args, { encoding: 'utf8', timeout });
  return { code: status, stdout, stderr };
}

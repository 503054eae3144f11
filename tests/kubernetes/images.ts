/** Images of the tests on Kubernetes. Docker must be there; what is built is tagged `:test` and stays for the next run. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../command-line.ts';

/**
 * A small image with a shell and without root: it stands for the sidecar that keeps a task's result, whose usual image a cluster without
 * a way to a registry cannot pull.
 *
 * @returns its name
 */
export async function buildShellImage(): Promise<string> {
  const name = 'listenlake-shell:test';
  await docker(
    ['build', '--quiet', '--tag', name, '-'],
    `FROM ${baseImage()}\nUSER 65532:65532\nENTRYPOINT []\nCMD ["sh"]\n`,
  );
  return name;
}

/** BASE_IMAGE, else the one that the Dockerfile names. */
function baseImage(): string {
  if (process.env.BASE_IMAGE) return process.env.BASE_IMAGE;
  const [, named] = /^ARG BASE_IMAGE=(\S+)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')) ?? [];
  if (named === undefined) throw new Error('the Dockerfile names no BASE_IMAGE');
  return named;
}

function docker(args: string[], input = ''): Promise<string> {
  const child = spawn('docker', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let words = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4_000);
  });
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(out) : reject(new Error(`docker ${args.join(' ')} ended with ${code}: ${words}`)),
    );
  });
}

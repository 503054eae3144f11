/** The image that stands for the sidecar's in tests on Kubernetes. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../fixtures/command-line.ts';

export const SHELL_IMAGE = 'listenlake-shell:test';

/**
 * A small image with a shell and without root: it stands for the sidecar that keeps a task's result, whose
 * usual image a cluster without a way to a registry cannot pull. KubernetesPodOperator ends the sidecar by
 * `pgrep`, which slim images lack: the shell is process 1.
 *
 * @returns its name
 */
export async function buildShellImage(): Promise<string> {
  const pgrep = `RUN printf '#!/bin/sh\\necho 1\\n' > /usr/local/bin/pgrep && chmod 755 /usr/local/bin/pgrep`;
  await docker(
    ['build', '--quiet', '--tag', SHELL_IMAGE, '-'],
    `FROM ${baseImage()}\n${pgrep}\nUSER 65532:65532\nENTRYPOINT []\nCMD ["sh"]\n`,
  );
  return SHELL_IMAGE;
}

/** BASE_IMAGE, else the one that the Dockerfile names. */
function baseImage(): string {
  if (process.env.BASE_IMAGE) return process.env.BASE_IMAGE;
  const [, named] = /^ARG BASE_IMAGE=(\S+)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')) ?? [];
  if (named === undefined) throw new Error('the Dockerfile names no BASE_IMAGE');
  return named;
}

function docker(args: string[], input = ''): Promise<string> {
  const child = spawn('docker', args, {
    env: { ...process.env, DOCKER_BUILDKIT: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
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

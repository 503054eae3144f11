/** The programs that a deployment is made with, and what Terraform says of it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What a person can mend; its message is all that they see. */
export class DeployError extends Error {}

/** Output `deployment` of terraform/deployment.tf. */
export interface Deployment {
  account: string;
  airflow_host: 'none' | 'ec2' | 'eks';
  airflow_image: string | null;
  cluster: string | null;
  instance: string | null;
  job_image: string;
  platform: string;
  region: string;
  version: string | null;
}

/** One lake among several: its variables, and by its name its state. */
export interface Environment {
  /** Folder of the configuration: terraform/. */
  folder: string;
  /** The lake's name, as the variable `name` says it. */
  name: string;
  /** Its variables; may not be there yet. */
  variables: string;
  /** File of variables that leads `./listenlake` to it. */
  dotenv: string;
}

/**
 * @param environment of `make aws ENV=...`: terraform/environments/<environment>.tfvars; empty:
 *   terraform/terraform.tfvars
 */
export function openEnvironment(environment: string, folder = join(ROOT, 'terraform')): Environment {
  if (!/^[A-Za-z0-9_-]*$/.test(environment))
    throw new DeployError(`ENV=${environment}: letters, digits, _ and - alone`);
  const variables = join(folder, environment === '' ? 'terraform.tfvars' : `environments/${environment}.tfvars`);
  const text = existsSync(variables) ? readFileSync(variables, 'utf8') : '';
  const fallback = environment === '' ? 'listenlake' : `listenlake-${environment}`;
  const dotenv = join(folder, '../.env');
  return { folder, variables, dotenv, name: /^name\s*=\s*"([^"]+)"/m.exec(text)?.[1] ?? fallback };
}

/**
 * Runs a program in the project's folder; what it prints is seen.
 *
 * @throws DeployError where it is not there or fails
 */
export function run(program: string, args: readonly string[], input?: string): void {
  const done = spawnSync(program, args, {
    cwd: ROOT,
    input,
    stdio: [input === undefined ? 'inherit' : 'pipe', 'inherit', 'inherit'],
  });
  if (done.error !== undefined)
    throw new DeployError(`${program} cannot be started: install it first (${done.error.message})`);
  if (done.status !== 0)
    throw new DeployError(`${[program, ...args].join(' ').slice(0, 200)} ended with ${done.status ?? done.signal}`);
}

/**
 * What a program prints on stdout, without the line's end; undefined where it fails.
 *
 * @throws DeployError where it is not there
 */
export function ask(program: string, args: readonly string[]): string | undefined {
  const done = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  if (done.error !== undefined)
    throw new DeployError(`${program} cannot be started: install it first (${done.error.message})`);
  return done.status === 0 ? done.stdout.trim() : undefined;
}

/** As `ask`. @param why what to do where it fails @throws DeployError */
export function told(why: string, program: string, args: readonly string[]): string {
  const answer = ask(program, args);
  if (answer === undefined || answer === '')
    throw new DeployError(`${[program, ...args].join(' ').slice(0, 120)} has no answer: ${why}`);
  return answer;
}

/** @throws DeployError before the first apply */
export function readDeployment({ folder }: Environment): Deployment {
  return JSON.parse(told('run `make aws` first', 'terraform', [`-chdir=${folder}`, 'output', '-json', 'deployment']));
}

export function say(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

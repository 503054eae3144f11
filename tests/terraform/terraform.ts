/** Terraform and checkov for the tests and for `make aws-local`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDir, runTool } from '../aws/moto.ts';
import { layerSkipped } from '../fixtures/layers.ts';

export const TERRAFORM_DIR = fileURLToPath(new URL('../../terraform/', import.meta.url));
const WAREHOUSE_DIR = fileURLToPath(new URL('../../warehouse/', import.meta.url));
const CHECKOV = 'checkov==3.3.30';
export const OFFLINE_INIT = ['init', '-backend=false', '-lockfile=readonly', '-no-color'];
/** Services that the configuration calls; each is told where it is. */
const SERVICES = [
  'athena',
  'budgets',
  'cloudwatch',
  'ec2',
  'ecr',
  'eks',
  'glue',
  'iam',
  'kms',
  'lakeformation',
  'lambda',
  'logs',
  'rds',
  's3',
  'scheduler',
  'secretsmanager',
  'sfn',
  'sns',
  'sqs',
  'ssm',
  'sts',
];

export interface Done {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end without blocking this process, whose endpoint it may be calling.
 *
 * @returns code 127 where there is no such program
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { cwd?: string; environment?: Record<string, string | undefined> } = {},
): Promise<Done> {
  const { cwd, environment } = options;
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const done: Done = { code: 127, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    done.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    done.stderr += text;
  });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { ...done, code: code ?? 1 };
  } catch {
    return done; // no such program
  }
}

/** Terraform in a folder. What `init` brings goes to `dataDir`, so that the folder stays as it is. */
export function terraformIn(folder: string, dataDir: string): (...args: string[]) => Promise<Done> {
  const environment = { TF_DATA_DIR: dataDir, TF_IN_AUTOMATION: '1', TF_INPUT: '0', CHECKPOINT_DISABLE: '1' };
  return (...args) => runProgram('terraform', [`-chdir=${folder}`, ...args], { environment });
}

/**
 * Initializes a folder; false, with the reason reported, where Terraform or its provider cannot be had.
 *
 * @param what is left out then
 * @param terraform of `terraformIn`, in a folder that names the AWS provider
 */
export async function isTerraformUsable(what: string, terraform: ReturnType<typeof terraformIn>): Promise<boolean> {
  if ((await runProgram('terraform', ['version'])).code !== 0) {
    layerSkipped(what, 'not installed', 'https://developer.hashicorp.com/terraform/install');
    return false;
  }
  const init = await terraform(...OFFLINE_INIT);
  if (init.code === 0) return true;
  if (!/Failed to query available provider packages|could not connect/i.test(init.stderr)) throw new Error(init.stderr);
  layerSkipped(what, 'no AWS provider', 'let it reach the registry, or name a mirror in TF_CLI_ARGS_init');
  return false;
}

/**
 * Copies the configuration to where it may be applied to a local endpoint: state in the folder, every service
 * at one address. The override file that says so is not part of the product.
 *
 * @param work empty folder; gets `terraform/` (to run in) and `warehouse/`
 * @param variables go into `local.auto.tfvars.json`
 */
export async function copyForEndpoint(
  work: string,
  endpoint: string,
  region: string,
  variables: Record<string, unknown>,
): Promise<string> {
  const folder = join(work, 'terraform');
  const isConfiguration = (path: string): boolean =>
    !/\/(\.terraform|bootstrap|tests)$|\.tfstate|\.tfvars|_override\.tf$|backend\.hcl$/.test(path);
  await cp(TERRAFORM_DIR.replace(/\/$/, ''), folder, { recursive: true, filter: isConfiguration });
  await symlink(WAREHOUSE_DIR, join(work, 'warehouse'));
  const lines = [
    'terraform {',
    '  backend "local" {}',
    '}',
    'provider "aws" {',
    `  region = "${region}"`,
    '  access_key = "test"',
    '  secret_key = "test"',
    '  s3_use_path_style = true',
    '  skip_credentials_validation = true',
    '  skip_metadata_api_check = true',
    '  max_retries = 3',
    '  endpoints {',
    ...SERVICES.map((service) => `    ${service} = "${endpoint}"`),
    '  }',
    '}',
  ];
  await writeFile(join(folder, 'local_override.tf'), `${lines.join('\n')}\n`);
  await writeFile(join(folder, 'local.auto.tfvars.json'), JSON.stringify(variables));
  return folder;
}

/**
 * Path of checkov, installed into the user's cache at the first call. @throws Unavailable where it cannot be
 * had
 */
export async function openCheckov(): Promise<string> {
  const folder = join(cacheDir(), 'checkov');
  const marker = join(folder, 'installed.txt');
  const program = join(folder, 'bin', 'checkov');
  if (existsSync(program) && existsSync(marker) && (await readFile(marker, 'utf8')) === CHECKOV) return program;
  await mkdir(folder, { recursive: true });
  await runTool('python3', ['-m', 'venv', '--clear', folder]);
  await runTool(join(folder, 'bin', 'python'), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    CHECKOV,
  ]);
  await writeFile(marker, CHECKOV);
  return program;
}

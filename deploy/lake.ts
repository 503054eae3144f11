/** `make aws`: the state's bucket, the lake and Airflow's host, as terraform/ says; safe to run again. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ask, type Environment, ROOT, readDeployment, run, say, told } from './tools.ts';

/**
 * Makes or changes all of it; Terraform shows its plan and asks before it does. The file `.env` beside the
 * folder gets the lines that lead `./listenlake` to the lake; others of it stay.
 *
 * @param options of `terraform apply`: `-auto-approve` where nobody can be asked
 * @throws DeployError
 */
export function applyLake(environment: Environment, options: readonly string[] = []): void {
  const { dotenv, folder, name, variables } = environment;
  const login = 'log in first (aws configure, or export AWS_PROFILE=...)';
  const account = told(login, 'aws', ['sts', 'get-caller-identity', '--query', 'Account', '--output', 'text']);
  const region =
    process.env.AWS_REGION || told('export AWS_REGION=eu-west-1, or another', 'aws', ['configure', 'get', 'region']);
  if (!existsSync(variables)) {
    mkdirSync(dirname(variables), { recursive: true });
    writeFileSync(variables, firstVariables(name));
    say(`wrote ${variables}: look at it, what can be set is in terraform/variables.tf`);
  }
  const bucket = `${name}-state-${account}-${region}`;
  if (ask('aws', ['s3api', 'head-bucket', '--bucket', bucket]) === undefined) {
    const bootstrap = `-chdir=${join(folder, 'bootstrap')}`;
    // Its own state is a file here, one for each lake.
    const state = name === 'listenlake' ? [] : [`-state=${name}.tfstate`];
    run('terraform', [bootstrap, 'init', '-input=false']);
    run('terraform', [bootstrap, 'apply', ...state, `-var=name=${name}`, `-var=region=${region}`, ...options]);
  }
  const backend = { bucket, key: `${name}/terraform.tfstate`, region };
  const lines = Object.entries(backend).map(([key, value]) => `${key} = "${value}"\n`);
  writeFileSync(join(folder, 'backend.hcl'), lines.join(''));
  run('terraform', [`-chdir=${folder}`, 'init', '-input=false', '-reconfigure', '-backend-config=backend.hcl']);
  run('terraform', [`-chdir=${folder}`, 'apply', `-var-file=${variables}`, ...options]);
  const answer = told('apply again', 'terraform', [`-chdir=${folder}`, 'output', '-raw', 'environment']);
  writeFileSync(dotenv, withLines(existsSync(dotenv) ? readFileSync(dotenv, 'utf8') : '', answer.split('\n')));
  say('', `the lake is there, and .env leads to it: ./listenlake doctor --aws looks whether all is well`);
  const { airflow_host } = readDeployment(environment);
  say(airflow_host === 'none' ? 'next: ./listenlake run my_spotify_data.zip' : 'next: make aws-images');
}

/** Of a kind of host that this machine can build images for: under emulation Node often dies. */
function firstVariables(name: string): string {
  const version = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version as string;
  const type = process.arch === 'arm64' ? 't4g.large' : 't3.large';
  const lines = [
    'host = "ec2"',
    'airflow = {',
    `  version = "${version}" # the tag of the images: a new one for each release`,
    `  ec2     = { instance_type = "${type}" }`,
    '}',
    '# alarms = { email = "owner@example.com" }',
    '# budget = { email = "owner@example.com", monthly_usd = 100 }',
  ];
  return `${[...(name === 'listenlake' ? [] : [`name = "${name}"`]), ...lines].join('\n')}\n`;
}

/** The text with each of these assignments once, as given. */
function withLines(text: string, assignments: string[]): string {
  const names = new Set(assignments.map((line) => line.split('=')[0]));
  const kept = text.split('\n').filter((line) => !names.has(line.split('=')[0]!));
  return `${[...kept.join('\n').trimEnd().split('\n'), ...assignments].filter((line, at) => line !== '' || at > 0).join('\n')}\n`;
}

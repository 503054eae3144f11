/** `make aws-images`: both images into the account's registry, and on EKS what runs in the cluster. */
import { arch } from 'node:os';
import { ask, DeployError, type Deployment, type Environment, readDeployment, run, say, told } from './tools.ts';

const PLATFORMS: Record<string, string> = { arm64: 'linux/arm64', x64: 'linux/amd64' };

/**
 * Builds and pushes what is not there yet under the version: a tag is never moved.
 *
 * @param machine what this one is, as Node calls it
 * @throws DeployError
 */
export function pushImages(environment: Environment, machine = arch()): void {
  const deployment = readDeployment(environment);
  const { airflow_image, job_image, platform, region, version } = deployment;
  if (version === null || airflow_image === null)
    throw new DeployError(
      `no host of Airflow: set host = "ec2" and airflow = { version = "..." } in ${environment.variables}, then make aws`,
    );
  const missing = [
    { image: job_image, context: '.' },
    { image: airflow_image, context: 'airflow' },
  ].filter(({ image }) => !isPushed(image, version, region));
  if (missing.length > 0 && PLATFORMS[machine] !== platform)
    throw new DeployError(
      `the host is ${platform} and this machine ${PLATFORMS[machine] ?? machine}, where a build is emulated and Node often dies: ` +
        `choose another airflow.*.instance_type in ${environment.variables}, or let the workflow deploy.yml build`,
    );
  if (missing.length > 0) {
    const registry = job_image.split('/')[0]!;
    const password = told('may this profile use ECR?', 'aws', ['ecr', 'get-login-password', '--region', region]);
    run('docker', ['login', '--username', 'AWS', '--password-stdin', registry], password);
  }
  for (const { image, context } of missing) {
    const options = ['--platform', platform, '--provenance=false', '--push', '--tag', `${image}:${version}`];
    run('docker', [
      'buildx',
      'build',
      ...options,
      ...(context === '.' ? ['--build-arg', `VERSION=${version}`] : []),
      context,
    ]);
  }
  say(
    '',
    missing.length > 0
      ? `both images are there as ${version}`
      : `both images were there as ${version} already: for a new release set another airflow.version, make aws, and this again`,
  );
  if (deployment.airflow_host === 'eks') fillCluster(environment, deployment);
  else say('the host takes them within a minute');
  say(
    'next: ./listenlake extract my_spotify_data.zip, and make aws-run (or make aws-run GENERATE=1, on synthetic listening)',
  );
}

function isPushed(image: string, version: string, region: string): boolean {
  const repository = image.slice(image.indexOf('/') + 1);
  const args = ['ecr', 'describe-images', '--region', region, '--repository-name', repository];
  return ask('aws', [...args, '--image-ids', `imageTag=${version}`]) !== undefined;
}

/** What terraform output airflow says between the images and Airflow's page, line for line. */
function fillCluster({ folder }: Environment, { cluster }: Deployment): void {
  for (const line of clusterSteps(
    told('run `make aws` first', 'terraform', [`-chdir=${folder}`, 'output', '-raw', 'airflow']),
  )) {
    say(`+ ${line}`);
    run('sh', ['-euc', line]);
  }
  say(`the cluster ${cluster} runs Airflow`);
}

/** The commands from the cluster's comment up to that of the password. */
export function clusterSteps(steps: string): string[] {
  const lines = steps.split('\n');
  const from = lines.findIndex((line) => line.startsWith('# the cluster'));
  const to = lines.findIndex((line) => line.startsWith('# the password'));
  if (from < 0 || to < from)
    throw new DeployError('terraform output airflow names no steps of a cluster: make aws first');
  return lines.slice(from, to).filter((line) => !line.startsWith('#'));
}

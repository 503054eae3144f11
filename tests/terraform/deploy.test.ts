/**
 * `make aws`, `aws-images` and `aws-run` with stand-ins for `aws` and `docker` that note how they are called;
 * the first also with the real Terraform on moto, its state in a bucket there.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { parse } from 'yaml';
import { clusterSteps } from '../../deploy/images.ts';
import { startLocalAwsOrSkip } from '../aws/local.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { copyForEndpoint, type Done, isTerraformUsable, runProgram, TERRAFORM_DIR, terraformIn } from './terraform.ts';

const REGISTRY = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const DEPLOYMENT = {
  account: '123456789012',
  airflow_host: 'ec2',
  airflow_image: `${REGISTRY}/listenlake-airflow`,
  cluster: null,
  instance: 'i-0123456789abcdef0',
  job_image: `${REGISTRY}/listenlake`,
  platform: process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64',
  region: 'eu-west-1',
  version: '1.2.0',
};

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'listenlake-deploy-'));
  for (const folder of ['bin', 'terraform/bootstrap']) mkdirSync(join(work, folder), { recursive: true });
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

/** @param script what it does after its call was noted; `$*` are its arguments */
function standIn(name: string, script = ''): void {
  const text = `#!/bin/bash\necho "${name} $*" >>"${work}/calls"\n${script}\n`;
  writeFileSync(join(work, 'bin', name), text, { mode: 0o755 });
}

function deploy(
  command: string,
  environment: Record<string, string | undefined> = {},
  more: readonly string[] = [],
): Promise<Done> {
  const args = [
    '--disable-warning=ExperimentalWarning',
    join(ROOT, 'deploy/main.ts'),
    command,
    join(work, 'terraform'),
    ...more,
  ];
  const PATH = `${join(work, 'bin')}:${process.env.PATH}`;
  const clean = { ENV: undefined, GENERATE: undefined, NODE_OPTIONS: undefined, AWS_REGION: 'eu-west-1', CI: 'true' };
  return runProgram(process.execPath, args, { environment: { ...clean, PATH, ...environment } });
}

function calls(): string[] {
  const path = join(work, 'calls');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
}

const TERRAFORM = `case "$*" in
  *"-json deployment"*) echo '${JSON.stringify(DEPLOYMENT)}';;
  *"-raw environment"*) printf 'LISTENLAKE_LAKE=s3://new\\nAWS_REGION=eu-west-1\\n';;
esac`;

describe('make aws', () => {
  it('makes the bucket of the state once, a first file of variables, and .env with each line once', async () => {
    standIn(
      'aws',
      `case "$*" in *get-caller-identity*) echo 123456789012;; *head-bucket*) [ -e "${work}/bucket" ];; esac`,
    );
    standIn('terraform', `case "$*" in *bootstrap*apply*) touch "${work}/bucket";; esac\n${TERRAFORM}`);
    writeFileSync(join(work, '.env'), 'LISTENLAKE_USER=me\nLISTENLAKE_LAKE=old\n');
    const first = await deploy('lake', { ENV: 'dev' });
    expect([first.code, first.stderr]).toEqual([0, '']);
    const variables = readFileSync(join(work, 'terraform/environments/dev.tfvars'), 'utf8');
    expect(variables).toMatch(/^name = "listenlake-dev"\nhost = "ec2"\nairflow = \{\n {2}version = "\d+\.\d+\.\d+" /);
    expect(readFileSync(join(work, 'terraform/backend.hcl'), 'utf8')).toBe(
      'bucket = "listenlake-dev-state-123456789012-eu-west-1"\nkey = "listenlake-dev/terraform.tfstate"\nregion = "eu-west-1"\n',
    );
    const bootstrap = calls().filter((call) => call.includes('/bootstrap'));
    expect(bootstrap).toEqual([
      expect.stringMatching(/init/),
      expect.stringMatching(
        /apply -state=listenlake-dev.tfstate -var=name=listenlake-dev -var=region=eu-west-1 -auto-approve/,
      ),
    ]);
    expect(readFileSync(join(work, '.env'), 'utf8')).toBe(
      'LISTENLAKE_USER=me\nLISTENLAKE_LAKE=s3://new\nAWS_REGION=eu-west-1\n',
    );
    expect(first.stdout).toMatch(/next: make aws-images\n$/);

    rmSync(join(work, 'calls'));
    writeFileSync(join(work, 'terraform/environments/dev.tfvars'), `${variables}# mine\n`);
    expect(await deploy('lake', { ENV: 'dev' })).toMatchObject({ code: 0 });
    expect(calls().filter((call) => call.includes('/bootstrap'))).toEqual([]);
    expect(readFileSync(join(work, 'terraform/environments/dev.tfvars'), 'utf8')).toMatch(/# mine\n$/);
  });

  it('says in one line what is missing', async () => {
    standIn('aws', 'exit 255');
    const done = await deploy('lake');
    expect([done.code, done.stderr]).toEqual([1, expect.stringMatching(/^aws sts .*log in first .*\n$/)]);
    expect(calls().length).toBe(1);
  });

  it('on moto: Terraform keeps its state in the bucket that was made', async () => {
    const bootstrap = terraformIn(join(TERRAFORM_DIR, 'bootstrap'), join(work, 'data'));
    if (!(await isTerraformUsable('terraform: make aws', bootstrap))) return; // reported as left out
    const local = await startLocalAwsOrSkip('make aws', { isTrinoNeeded: false });
    if (local === undefined) return; // reported as left out
    const { url } = local.endpoint;
    try {
      const region = 'eu-west-1';
      const folder = await copyForEndpoint(join(work, 'copy'), url, region, {});
      cpSync(folder, join(work, 'terraform'), { recursive: true });
      cpSync(join(TERRAFORM_DIR, 'bootstrap/main.tf'), join(work, 'terraform/bootstrap/main.tf'));
      // One table of each layer: terraform.test.ts applies them all, and each takes seconds.
      for (const part of ['contracts', 'models', 'queries'])
        mkdirSync(join(work, 'warehouse', part), { recursive: true });
      for (const table of ['bronze.tracks_csv', 'silver.tracks'])
        cpSync(join(ROOT, `warehouse/contracts/${table}.json`), join(work, `warehouse/contracts/${table}.json`));
      const override = readFileSync(join(folder, 'local_override.tf'), 'utf8');
      const provider = override.slice(override.indexOf('provider "aws"'));
      writeFileSync(join(work, 'terraform/bootstrap/local_override.tf'), provider);
      const keys = 'access_key = "test"\n secret_key = "test"\n use_path_style = true';
      const skipped = [
        'credentials_validation',
        'metadata_api_check',
        'region_validation',
        'requesting_account_id',
        's3_checksum',
      ];
      const backend = `backend "s3" {\n use_lockfile = true\n ${keys}\n endpoints = { s3 = "${url}" }\n${skipped.map((what) => ` skip_${what} = true\n`).join('')}}`;
      writeFileSync(join(work, 'terraform/local_override.tf'), `terraform {\n${backend}\n}\n${provider}`);
      writeFileSync(join(work, 'terraform/terraform.tfvars'), 'name = "made-here"\n');
      standIn(
        'aws',
        `case "$*" in *get-caller-identity*) echo 123456789012;; *head-bucket*) curl --silent --fail --head "${url}/$4";; esac`,
      );
      const first = await deploy('lake');
      expect([first.code, first.stderr]).toEqual([0, expect.not.stringContaining('Error')]);
      expect(first.stdout).toMatch(/next: .\/listenlake run my_spotify_data.zip\n$/);
      expect(readFileSync(join(work, '.env'), 'utf8')).toContain(
        'LISTENLAKE_LAKE=s3://made-here-123456789012-eu-west-1\n',
      );
      const s3 = new S3Client({
        endpoint: url,
        region,
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        forcePathStyle: true,
      });
      const Bucket = 'made-here-state-123456789012-eu-west-1';
      const state = await s3.send(new GetObjectCommand({ Bucket, Key: 'made-here/terraform.tfstate' }));
      const { resources } = JSON.parse(await state.Body!.transformToString()) as { resources: { type: string }[] };
      const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
      s3.destroy();
      expect(resources.map(({ type }) => type)).toEqual(
        expect.arrayContaining(['aws_s3_bucket', 'aws_athena_workgroup']),
      );
      // The lock is gone again.
      expect(Contents?.map(({ Key }) => Key)).toEqual(['made-here/terraform.tfstate']);
    } finally {
      await local.close();
    }
  }, 900_000);
});

describe('make aws-images', () => {
  it('builds and pushes what is not there under the version, for the host, and never moves a tag', async () => {
    standIn('terraform', TERRAFORM);
    standIn('docker', '[ "$1" != login ] || cat >/dev/null');
    standIn(
      'aws',
      'case "$*" in *describe-images*listenlake-airflow*) exit 0;; *describe-images*) exit 254;; *) echo password;; esac',
    );
    const done = await deploy('images');
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(calls().filter((call) => call.startsWith('docker'))).toEqual([
      `docker login --username AWS --password-stdin ${REGISTRY}`,
      `docker buildx build --platform ${DEPLOYMENT.platform} --provenance=false --push --tag ${REGISTRY}/listenlake:1.2.0 --build-arg VERSION=1.2.0 .`,
    ]);
    standIn('aws');
    rmSync(join(work, 'calls'));
    const again = await deploy('images');
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('were there as 1.2.0 already')]);
    expect(calls().filter((call) => call.startsWith('docker'))).toEqual([]);
  });

  it('refuses to build for a host of another kind', async () => {
    const other = DEPLOYMENT.platform === 'linux/arm64' ? 'linux/amd64' : 'linux/arm64';
    standIn('terraform', TERRAFORM.replace(DEPLOYMENT.platform, other));
    standIn('docker');
    standIn('aws', 'case "$*" in *describe-images*) exit 254;; esac');
    const done = await deploy('images');
    expect([done.code, done.stderr]).toEqual([
      1,
      expect.stringMatching(/^the host is linux\/\w+ .*instance_type.*\n$/),
    ]);
    expect(calls().some((call) => call.startsWith('docker'))).toBe(false);
  });

  it('on a cluster takes what Terraform prints between the images and the page', () => {
    const text = readFileSync(join(TERRAFORM_DIR, 'airflow_steps.tf'), 'utf8');
    const eks = text.slice(text.indexOf('eks = join'));
    const lines = [...eks.matchAll(/^ +"(.*)",$/gm)].map(([, line]) => line!);
    const steps = clusterSteps(['# both images', 'docker push', ...lines].join('\n'));
    expect(steps.map((step) => step.split(' ').slice(0, 2).join(' '))).toEqual([
      'aws eks',
      'kubectl apply',
      'helm upgrade',
      expect.stringContaining('keys.sh'),
      'terraform -chdir=terraform',
      'helm upgrade',
      'kubectl exec',
    ]);
  });
});

describe('the workflow', () => {
  const script = (name: string, args: string[], environment: Record<string, string> = {}): Promise<Done> => {
    const PATH = `${join(work, 'bin')}:${process.env.PATH}`;
    return runProgram('bash', [join(ROOT, 'deploy', name), ...args], { environment: { PATH, ...environment } });
  };

  it('takes a role by the OIDC token of the job, hides it, and leaves it to the steps that follow', async () => {
    standIn('curl', `echo '{"count":1,"value":"to.ke.n"}'`);
    standIn('aws', "printf 'ASIAEXAMPLE\\tkey/+\\tsession==\\n'");
    const file = join(work, 'github-env');
    const environment = {
      ACTIONS_ID_TOKEN_REQUEST_URL: 'https://token.example/?api-version=2.0',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request',
      GITHUB_ENV: file,
    };
    const done = await script('github-role.sh', ['arn:aws:iam::123456789012:role/listenlake-plan'], environment);
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(readFileSync(file, 'utf8')).toBe(
      'AWS_ACCESS_KEY_ID=ASIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=key/+\nAWS_SESSION_TOKEN=session==\n',
    );
    expect(done.stdout.split('\n').filter(Boolean)).toEqual(
      ['to.ke.n', 'ASIAEXAMPLE', 'key/+', 'session=='].map((each) => `::add-mask::${each}`),
    );
    expect(calls()[0]).toContain('https://token.example/?api-version=2.0&audience=sts.amazonaws.com');
    expect(calls()[1]).toMatch(
      /--role-arn arn:aws:iam::123456789012:role\/listenlake-plan .*--web-identity-token to.ke.n/,
    );
    expect(await script('github-role.sh', ['x'], { GITHUB_ENV: file })).toMatchObject({
      code: 77,
      stderr: expect.stringContaining('id-token: write'),
    });
  });

  it('pushes by digest what is not there for a platform, and makes one index over both', async () => {
    const release = { REGISTRY, NAME: 'listenlake', VERSION: '1.2.0' };
    standIn(
      'aws',
      'case "$*" in *listenlake-airflow*"imageTag=1.2.0-arm64"*) exit 0;; *describe-images*) exit 254;; *) echo password;; esac',
    );
    const digest = `sha256:${'a'.repeat(64)}`;
    standIn(
      'docker',
      `case "$*" in login*) cat >/dev/null;; *--metadata-file*) while [ "$1" != --metadata-file ]; do shift; done; echo '{ "containerimage.digest": "${digest}" }' >"$2";; esac`,
    );
    const built = await script('push-images.sh', ['arm64'], release);
    expect([built.code, built.stderr]).toEqual([0, '']);
    expect(calls().filter((call) => /^docker buildx (build|imagetools)/.test(call))).toEqual([
      expect.stringMatching(/--platform linux\/arm64 .*name=\S+\/listenlake,push-by-digest=true.* \.$/),
      `docker buildx imagetools create --tag ${REGISTRY}/listenlake:1.2.0-arm64 ${REGISTRY}/listenlake@${digest}`,
    ]);
    rmSync(join(work, 'calls'));
    expect(await script('push-images.sh', ['index'], release)).toMatchObject({ code: 0 });
    expect(calls().filter((call) => call.includes('imagetools'))).toEqual(
      ['listenlake', 'listenlake-airflow'].map(
        (name) =>
          `docker buildx imagetools create --tag ${REGISTRY}/${name}:1.2.0 ${REGISTRY}/${name}:1.2.0-amd64 ${REGISTRY}/${name}:1.2.0-arm64`,
      ),
    );
    expect(await script('push-images.sh', ['riscv'], release)).toMatchObject({ code: 64 });
  });

  it('knows the lake and the release of an environment by its file of variables', async () => {
    const done = await script('lake-of.sh', ['example']);
    expect([done.code, done.stdout]).toEqual([0, 'name=listenlake-example\nversion=1.0.0\n']);
    expect(await script('lake-of.sh', ['nowhere'])).toMatchObject({ code: 66 });
    expect(await script('lake-of.sh', ['../x'])).toMatchObject({ code: 64 });
  });

  it('takes roles that Terraform makes, from the environments that they trust, and only pinned actions', () => {
    const text = readFileSync(join(ROOT, '.github/workflows/deploy.yml'), 'utf8');
    const { jobs } = parse(text) as {
      jobs: Record<string, { environment?: string; permissions: Record<string, string> }>;
    };
    const roles = [...text.matchAll(/role\/\$\{\{ \S+ \}\}-(\w+)"/g)].map(([, role]) => role);
    expect(roles).toEqual(['plan', 'image', 'image', 'deploy']);
    for (const { environment, permissions } of Object.values(jobs))
      expect([environment === undefined, permissions['id-token']]).toEqual([false, 'write']);
    for (const [, action] of text.matchAll(/uses: (.+)/g)) expect(action).toMatch(/@[0-9a-f]{40} # v/);
  });
});

describe('make aws-run', () => {
  /** Systems Manager and Airflow: `answers` by the command of Airflow that was sent last. */
  const host = (answers: string): string => `case "$*" in
    *send-command*) echo "$*" >"${work}/last"; echo 11111111-2222;;
    *"--query Status"*) echo Success;;
    *StandardOutputContent*) case "$(cat "${work}/last")" in ${answers} esac;;
  esac`;

  it('switches the DAG on, triggers it, and follows it until it is green', async () => {
    standIn('terraform', TERRAFORM);
    standIn(
      'aws',
      host(`*"dags state"*) echo 'success, {"generate_events": true}';; *states-for*) echo 'load success';;`),
    );
    const done = await deploy('run', { GENERATE: '1' });
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(done.stdout).toMatch(/load success\n\ngreen\nnext: .\/listenlake sql --target prod/);
    const sent = calls().flatMap(
      (call) => /airflow (dags unpause|dags trigger|dags state|tasks \S+)/.exec(call)?.[1] ?? [],
    );
    expect(sent).toEqual(['dags unpause', 'dags trigger', 'tasks states-for-dag-run', 'dags state']);
    expect(calls().find((call) => call.includes('trigger'))).toMatch(
      /--instance-ids i-0123456789abcdef0 .*docker exec listenlake-scheduler-1 airflow dags trigger listenlake_daily --run-id by_hand_\d{14} --conf .*generate_events.*true/,
    );
  });

  it('ends with 1 where the run fails, and says where to look', async () => {
    standIn('terraform', TERRAFORM);
    standIn('aws', host(`*"dags state"*) echo failed;; *states-for*) echo 'load failed';;`));
    const done = await deploy('run');
    expect([done.code, done.stderr]).toEqual([1, expect.stringMatching(/^the run by_hand_\d+ failed: .*aws-open/)]);
    expect(done.stdout).toContain('load failed');
  });
});

describe('make aws-smoke', () => {
  const greenHost = `case "$*" in
    *get-caller-identity*) echo 123456789012;;
    *send-command*) echo "$*" >"\${0%/*}/last"; echo 11111111-2222;;
    *"--query Status"*) echo Success;;
    *StandardOutputContent*) case "$(cat "\${0%/*}/last")" in *"dags state"*) echo STATE;; *) echo 'load STATE';; esac;;
  esac`;
  beforeEach(() => {
    cpSync(join(TERRAFORM_DIR, 'disposable.tf.example'), join(work, 'terraform/disposable.tf.example'));
    writeFileSync(join(work, 'terraform/terraform.tfvars'), 'name = "mine"\n');
    writeFileSync(join(work, '.env'), 'LISTENLAKE_LAKE=s3://mine\n');
    standIn('terraform', TERRAFORM);
    standIn('docker', 'case "$*" in login*) cat >/dev/null;; esac');
    standIn('aws', greenHost.replaceAll('STATE', 'success'));
  });
  const smoke = (): Promise<Done> => deploy('smoke', {}, [join(work, 'bin/listenlake')]);
  const report = (): string => readFileSync(join(work, 'aws-smoke-report.md'), 'utf8');

  it('applies a lake of its own, runs a day, compares ten answers, and leaves nothing behind', async () => {
    standIn('listenlake', 'printf "n\\r\\n%s\\n" 1');
    const done = await smoke();
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(done.stdout).toContain(report());
    expect(report()).toContain('16 of 16 steps as expected');
    expect(existsSync(join(work, 'terraform-smoke'))).toBe(false);
    expect(readFileSync(join(work, '.env'), 'utf8')).toBe('LISTENLAKE_LAKE=s3://mine\n');
    const applied = calls().filter((call) => /^terraform .*terraform-smoke (apply|destroy)/.test(call));
    expect(applied).toEqual([
      expect.stringMatching(/terraform-smoke apply -var-file=\S+smoke\.tfvars/),
      expect.stringMatching(/terraform-smoke destroy -var-file=\S+smoke\.tfvars -auto-approve$/),
    ]);
    const asked = calls().filter((call) => call.startsWith('listenlake '));
    expect(asked.filter((call) => call.includes(' sql '))).toHaveLength(20);
    expect(asked.filter((call) => / (extract|run|doctor) /.test(call))).toHaveLength(3);
  });

  it('destroys the lake, and keeps the way back to it, where a step failed', async () => {
    standIn('listenlake');
    standIn('aws', greenHost.replaceAll('STATE', 'failed'));
    expect(await smoke()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^a daily run on synthetic listening: see aws-smoke-report.md/),
    });
    expect(report()).toMatch(/\| a daily run on synthetic listening \| \d+ \| the run by_hand_\d+ failed/);
    expect(report()).not.toContain('question');
    expect(calls().at(-1)).toMatch(/^terraform .* destroy /);
    expect(existsSync(join(work, 'terraform-smoke/backend.hcl'))).toBe(true);
  });

  it('says which answer differs, and asks the others all the same', async () => {
    standIn(
      'listenlake',
      'case "$*" in *skip_rate_by_genre*) echo "genre,rate"; echo "folk,${LISTENLAKE_LAKE:+0.5}";; *) echo 1;; esac',
    );
    expect(await smoke()).toMatchObject({ code: 1, stderr: expect.stringMatching(/^question skip_rate_by_genre: /) });
    expect(report()).toContain('| differs in line 2: folk, there, folk,0.5 here |');
    expect(report().match(/\| question /g)).toHaveLength(10);
    expect(report()).toContain('15 of 16 steps');
  });
});

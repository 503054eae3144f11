/**
 * host = lambda from its first apply to its end: a second plan is empty although the lake is at work, and after
 * `destroy`, as terraform/disposable.tf.example says it, AWS has nothing of it any more.
 */
import { mkdtempSync } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateTableCommand, GlueClient } from '@aws-sdk/client-glue';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { applyLakeOrSkip } from '../aws/applied-lake.ts';
import { REGION, startLocalAwsOrSkip } from '../aws/local.ts';
import { TERRAFORM_DIR } from '../terraform/terraform.ts';

/** No other thing on the same moto has it in its name. */
const NAME = 'goner';

/** How each service is asked for all that it has. What it answers names the lake, or the lake has nothing there. */
const LISTINGS: Record<string, { service: string; path?: string; target?: string; action?: string }> = {
  alarms: { service: 'monitoring', action: 'DescribeAlarms' },
  buckets: { service: 's3', path: '/' },
  databases: { service: 'glue', target: 'AWSGlue.GetDatabases' },
  functions: { service: 'lambda', path: '/2015-03-31/functions/' },
  images: { service: 'ecr', target: 'AmazonEC2ContainerRegistry_V20150921.DescribeRepositories' },
  logs: { service: 'logs', target: 'Logs_20140328.DescribeLogGroups' },
  mappings: { service: 'lambda', path: '/2015-03-31/event-source-mappings/' },
  queues: { service: 'sqs', target: 'AmazonSQS.ListQueues' },
  roles: { service: 'iam', action: 'ListRoles' },
  schedules: { service: 'scheduler', path: '/schedules' },
  secrets: { service: 'secretsmanager', target: 'secretsmanager.ListSecrets' },
  'state machines': { service: 'states', target: 'AWSStepFunctions.ListStateMachines' },
  topics: { service: 'sns', action: 'ListTopics' },
  workgroups: { service: 'athena', target: 'AmazonAthena.ListWorkGroups' },
};

const work = mkdtempSync(join(tmpdir(), 'listenlake-destroy-'));
const local = await startLocalAwsOrSkip('destroy of functions', { isTrinoNeeded: false });
const applied =
  local &&
  (await applyLakeOrSkip('destroy of functions', local, join(work, 'lambda'), {
    name: NAME,
    host: 'lambda',
    serverless: { version: '1.2.0' },
    secrets: ['pseudonym-key', 'spotify'],
    alarms: { email: 'owner@example.com' },
  }));
afterAll(async () => {
  await local?.close();
  await rm(work, { recursive: true, force: true });
});

if (local === undefined || applied === undefined) {
  it('the end of the functions is left out here, which is no answer under CI', () =>
    expect(process.env.CI).not.toBe('true'));
} else {
  const { terraform } = applied;
  const ask = async ({ service, path = '/', target, action }: (typeof LISTINGS)[string]): Promise<string> => {
    const isPost = target !== undefined || action !== undefined;
    const response = await fetch(`${local.motoUrl}${path}`, {
      method: isPost ? 'POST' : 'GET',
      headers: {
        Authorization: `AWS4-HMAC-SHA256 Credential=test/20261127/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
        'Content-Type': action === undefined ? 'application/x-amz-json-1.1' : 'application/x-www-form-urlencoded',
        ...(target === undefined ? {} : { 'X-Amz-Target': target }),
      },
      ...(isPost ? { body: action === undefined ? '{}' : `Action=${action}&Version=2010-05-08` } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${service}: ${response.status} ${text.slice(0, 300)}`);
    return text;
  };
  /** Services that have something of the lake. */
  const holders = async (): Promise<string[]> => {
    const answers = await Promise.all(
      Object.entries(LISTINGS).map(async ([name, listing]) => [name, await ask(listing)] as const),
    );
    return answers.filter(([, text]) => text.includes(NAME)).map(([name]) => name);
  };

  it('a lake at work: the second plan is empty, and each service has something of it', async () => {
    const settings = {
      ...{ endpoint: applied.environment.AWS_ENDPOINT_URL, region: REGION },
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    };
    const s3 = new S3Client({ ...settings, forcePathStyle: true });
    const bucket = applied.uri.slice('s3://'.length);
    // An older version, and a message of each arrival in the queue.
    for (const body of ['first', 'second'])
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'landing/x/tracks.csv', Body: body }));
    s3.destroy();
    // Tables that sessions of the jobs build are none of Terraform's.
    const glue = new GlueClient(settings);
    const table = { Name: 'top_tracks_of_a_run', TableType: 'EXTERNAL_TABLE' };
    await glue.send(new CreateTableCommand({ DatabaseName: `${NAME}_gold_prod`, TableInput: table }));
    glue.destroy();
    const plan = await terraform('plan', '-detailed-exitcode', '-no-color');
    expect([plan.code, plan.stdout.split('\n').filter((line) => /^ {2}# /.test(line))]).toEqual([0, []]);
    expect(await holders()).toEqual(Object.keys(LISTINGS));
  }, 600_000);

  it('made disposable, it leaves nothing', async () => {
    const example = join(TERRAFORM_DIR, 'disposable.tf.example');
    await copyFile(example, join(work, 'lambda/terraform/disposable_override.tf'));
    for (const step of ['apply', 'destroy']) {
      const done = await terraform(step, '-auto-approve', '-no-color', '-refresh=false', '-parallelism=20');
      if (done.code !== 0) throw new Error(`terraform ${step}: ${done.stderr.slice(-2_000)}`);
    }
    expect((await terraform('state', 'list')).stdout).toBe('');
    expect(await holders()).toEqual([]);
  }, 1_200_000);
}

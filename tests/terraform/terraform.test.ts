/**
 * The lake on AWS as Terraform describes it: checked offline against the contracts and keys of the jobs, then
 * applied to moto.
 */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AthenaClient, UpdateWorkGroupCommand } from '@aws-sdk/client-athena';
import { GetTableCommand, GlueClient, UpdateTableCommand } from '@aws-sdk/client-glue';
import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutPublicAccessBlockCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Finding } from '../../jobs/base/finding.ts';
import { contractTable } from '../../jobs/engine/athena/catalog.ts';
import { openAthenaEngine } from '../../jobs/engine/athena/engine.ts';
import { inspectCatalog } from '../../jobs/engine/athena/inspect.ts';
import { goldModelsOf, readProject } from '../../jobs/gold/project.ts';
import { readContracts } from '../../jobs/lake/contracts.ts';
import { bronzeKey, goldKey, type PartitionValues, silverKey } from '../../jobs/lake/keys.ts';
import {
  commitManifest,
  EMPTY_STATE,
  latestManifest,
  NO_ACCOUNTS,
  putState,
  type SilverFile,
} from '../../jobs/lake/manifest.ts';
import { inspectBucket } from '../../jobs/lake/s3/inspect.ts';
import { openS3Lake } from '../../jobs/lake/s3/store.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { type LocalAws, REGION, startLocalAwsOrSkip } from '../aws/local.ts';
import { Unavailable } from '../aws/moto.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import {
  copyForEndpoint,
  type Done,
  isTerraformUsable,
  OFFLINE_INIT,
  openCheckov,
  runProgram,
  TERRAFORM_DIR,
  terraformIn,
} from './terraform.ts';
import { describeHost, parseUserData, type UserData } from './terraform-host.ts';

interface Column {
  name: string;
  type: string;
}

interface Table {
  parameters: Record<string, string>;
  partition_keys: Column[];
  storage_descriptor: { location: string; columns: Column[] }[];
}

const HOURS = { start: 'cron(0 3 * * ? *)', stop: 'cron(0 6 * * ? *)' };
const BUCKET = 'listenlake-123456789012-eu-west-1';
const GLUE_TYPES: Record<string, string> = { varchar: 'string', integer: 'int' };
const glueType = (type: string): string => GLUE_TYPES[type] ?? type;
const sources = readdirSync(TERRAFORM_DIR)
  .filter((name) => name.endsWith('.tf'))
  .map((name) => ({ name, text: readFileSync(join(TERRAFORM_DIR, name), 'utf8') }));
const textOf = (name: string): string => sources.find((source) => source.name === name)!.text;

const work = mkdtempSync(join(tmpdir(), 'listenlake-terraform-'));
const root = terraformIn(TERRAFORM_DIR, join(work, 'root'));
const bootstrap = terraformIn(join(TERRAFORM_DIR, 'bootstrap'), join(work, 'bootstrap'));

afterAll(() => rmSync(work, { recursive: true, force: true }));

function expectSuccess(done: Done): void {
  expect(done.code === 0 ? '' : `${done.stdout}\n${done.stderr}`.slice(-4_000)).toBe('');
}

/** A change of a plan, as far as it is read here. */
interface PlannedChange {
  type: string;
  name: string;
  index: string;
  change: { after: unknown };
}

/** A line of `terraform test -json`, as far as it is read here (its fields by `type`). */
interface TestEvent {
  type: string;
  '@testrun'?: string;
  diagnostic: { severity: string; detail: string };
  test_plan: { resource_changes: PlannedChange[] };
  test_summary: { status: string; passed: number; failed: number; errored: number; skipped: number };
}

describe('the Terraform files', () => {
  it('have at most twenty-three variables, typed and described, and both variables and outputs in alphabetical order', () => {
    const variables = [
      ...textOf('variables.tf').matchAll(/^variable "(\w+)" \{\n {2}description = ".+"\n {2}type\s+=/gm),
    ].map((match) => match[1]);
    expect(variables).toEqual([...textOf('variables.tf').matchAll(/^variable "(\w+)"/gm)].map((match) => match[1]));
    expect(variables.length).toBeLessThanOrEqual(23);
    expect(variables).toEqual(variables.toSorted());
    const outputs = [...textOf('outputs.tf').matchAll(/^output "(\w+)" \{\n {2}description = ".+"/gm)].map(
      (match) => match[1],
    );
    expect(outputs).toEqual([...textOf('outputs.tf').matchAll(/^output "(\w+)"/gm)].map((match) => match[1]));
    expect(outputs).toEqual(outputs.toSorted());
  });

  it('give the state no key that two lakes would share', () => {
    expect(/backend "s3" \{[^}]*\}/.exec(textOf('versions.tf'))![0]).not.toMatch(/\bkey\b/);
  });

  // The locked version is far newer, so what the oldest allowed one lacks would be seen by users alone.
  it('allow no version of the provider that lacks what they use', () => {
    const omitted = /resource "aws_iam_openid_connect_provider"[\s\S]*?\n\}/.exec(textOf('github.tf'))![0];
    // It could be left out since 5.81 (hashicorp/terraform-provider-aws 37255).
    const [major, minor] = omitted.includes('thumbprint_list') ? [5, 80] : [5, 81];
    const bootstrapText = readFileSync(join(TERRAFORM_DIR, 'bootstrap/main.tf'), 'utf8');
    for (const text of [textOf('versions.tf'), bootstrapText]) {
      const floor = /version = ">= (\d+)\.(\d+), < 7\.0"/.exec(text)!.slice(1).map(Number);
      expect(floor[0]! * 1000 + floor[1]!).toBeGreaterThanOrEqual(major! * 1000 + minor!);
    }
  });

  it('S22: hold no value of a secret and no key of an account', () => {
    for (const { name, text } of sources)
      expect([name, text.match(/secret_string|secret_version|access_key|AKIA/)]).toEqual([name, null]);
  });
});

// Where it is not usable that is reported, and nothing below is declared.
if (await isTerraformUsable('terraform', root))
  describe('terraform', () => {
    it('fmt: the files have the one format', async () => {
      expectSuccess(await root('fmt', '-check', '-recursive', '-diff', '-no-color'));
    });

    it('S22: validate: both configurations are valid with the locked provider, and each lake has a state of its own', async () => {
      expectSuccess(await bootstrap(...OFFLINE_INIT));
      expectSuccess(await bootstrap('validate', '-no-color'));
      expectSuccess(await bootstrap('test', '-no-color'));
      expectSuccess(await root('validate', '-no-color'));
    });

    describe('test, offline', () => {
      let tables: { layer: string; key: string; table: Table }[] = [];
      let host: UserData;
      /** Of both processes, in order. */
      let events: TestEvent[] = [];

      // Only these runs are looked into: with the plans of all, what Terraform prints is longer than a string
      // can be.
      const shown = ['airflow.tftest.hcl', 'catalog.tftest.hcl'];

      beforeAll(async () => {
        const files = readdirSync(join(TERRAFORM_DIR, 'tests')).filter((name) => name.endsWith('.tftest.hcl'));
        const others = files.filter((name) => !shown.includes(name));
        const test = async (names: readonly string[], ...options: string[]): Promise<TestEvent[]> => {
          const { stdout } = await root('test', '-json', ...options, ...names.map((name) => `-filter=tests/${name}`));
          const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
          return lines.map((line) => JSON.parse(line));
        };
        events = [...(await test(shown, '-verbose')), ...(await test(others))];
        const changesOf = (run: string): PlannedChange[] =>
          events.find((event) => event.type === 'test_plan' && event['@testrun'] === run)?.test_plan.resource_changes ??
          [];
        const instance = changesOf('ec2').find(({ type }) => type === 'aws_instance');
        host = parseUserData((instance!.change.after as { user_data: string }).user_data);
        tables = changesOf('catalog')
          .filter(({ type }) => type === 'aws_glue_catalog_table')
          .map(({ name, index, change }) => ({ layer: name, key: index, table: change.after as Table }));
      }, 1_200_000);

      it('S11 to S14, S22: every run passes', () => {
        const faults = events
          .filter((event) => event.type === 'diagnostic' && event.diagnostic.severity === 'error')
          .map((event) => `${event['@testrun']}: ${event.diagnostic.detail}`);
        expect(faults).toEqual([]);
        const summaries = events.filter((event) => event.type === 'test_summary').map((event) => event.test_summary);
        const passed = { status: 'pass', failed: 0, errored: 0, skipped: 0 };
        expect(summaries).toEqual([expect.objectContaining(passed), expect.objectContaining(passed)]);
        expect(summaries.reduce((sum, summary) => sum + summary.passed, 0)).toBeGreaterThanOrEqual(48);
      });

      it('has the partition keys of each contract, and locations that the keys of the jobs lie below', () => {
        for (const contract of readContracts().filter(({ layer }) => layer === 'silver')) {
          const { table } = found(tables, 'silver', contract.table);
          expect(table.partition_keys).toMatchObject(
            contract.partition.map(({ name, type }) => ({ name, type: glueType(type) })),
          );
          const { Location } = contractTable(contract, `s3://${BUCKET}`).StorageDescriptor!;
          expect([contract.table, table.storage_descriptor[0]!.location]).toEqual([contract.table, Location]);
          expect([contract.table, table.parameters]).toEqual([
            contract.table,
            contractTable(contract, `s3://${BUCKET}`).Parameters,
          ]);
        }
        for (const contract of readContracts().filter(({ layer }) => layer === 'bronze')) {
          const location = found(tables, 'bronze', contract.table).table.storage_descriptor[0]!.location;
          expect(
            `s3://${BUCKET}/${bronzeKey(contract.table, 'a'.repeat(64), contract.format)}`.startsWith(location),
          ).toBe(true);
        }
      });

      it('has the columns of every contract and model, in order, with their types', () => {
        for (const contract of readContracts()) {
          const declared = contract.columns.map(({ name, type }) => [name, glueType(type)]);
          expect(columnsOf(found(tables, contract.layer, contract.table).table)).toEqual(declared);
        }
        const models = [...readProject().models.values()].filter(
          ({ config, columns }) => config.materialized !== 'ephemeral' && columns.length > 0,
        );
        expect(tables.filter(({ layer }) => layer === 'gold').length).toBe(models.length * 2);
        for (const model of models) {
          const declared = model.columns.map(({ name, type }) => [name, glueType(type)]);
          for (const target of ['dev', 'prod'] as const) {
            const { table } = found(tables, 'gold', `${target}/${model.name}`);
            expect(columnsOf(table)).toEqual(declared);
            expect(`${table.storage_descriptor[0]!.location}part-0.parquet`).toBe(
              `s3://${BUCKET}/${goldKey(target, 'none', model.name)}`,
            );
          }
        }
      });

      describeHost(work, () => host);
    });

    it('S12, S13: checkov finds nothing, and every check that is left out says why where it is left out', async () => {
      let checkov: string;
      try {
        checkov = await openCheckov();
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        layerSkipped('checkov', error.message, PYTHON);
        return;
      }
      const args = ['--directory', TERRAFORM_DIR, '--framework', 'terraform', '--output', 'json', '--skip-download'];
      const scan = await runProgram(checkov, args);
      const { summary, results } = JSON.parse(scan.stdout);
      expect(
        results.failed_checks.map(
          (each: { check_id: string; resource: string }) => `${each.check_id} ${each.resource}`,
        ),
      ).toEqual([]);
      expect(summary).toMatchObject({ failed: 0, parsing_errors: 0 });
      expect(summary.passed).toBeGreaterThan(100);
      for (const { check_id, check_result } of results.skipped_checks) {
        expect([check_id, check_result.suppress_comment]).toEqual([check_id, expect.stringMatching(/^.{30,}$/)]);
      }
    }, 900_000);

    describe('on moto', () => {
      const address = process.env.LISTENLAKE_TEST_AWS_ENDPOINT;
      let local: LocalAws | undefined;
      let endpoint: string | undefined;

      beforeAll(async () => {
        if (address === undefined) local = await startLocalAwsOrSkip('terraform apply', { isTrinoNeeded: false });
        endpoint = address ?? local?.endpoint.url;
      }, 600_000);
      afterAll(async () => local?.close());

      it('S22: apply makes the lake, a second plan is empty after a published run, destroy is refused unless the lake is disposable, and then leaves nothing', async () => {
        if (endpoint === undefined) return; // reported as left out
        // moto has no budgets' subscribers: the offline tests cover those.
        const variables = {
          name: 'tf-test',
          // A moto of somebody else's may have no policies of AWS's own, which the host needs one of.
          host: address === undefined ? 'ec2' : 'none',
          airflow: address === undefined ? { version: '1.2.0', ec2: { hours: HOURS } } : {},
          alarms: address === undefined ? { email: 'owner@example.com' } : {},
          github: { repository: 'example/listenlake' },
          secrets: ['pseudonym-key', 'spotify'],
        };
        const folder = await copyForEndpoint(join(work, 'moto'), endpoint, REGION, variables);
        const terraform = terraformIn(folder, join(work, 'moto-data'));
        // moto forgets the groups of an instance that is given a public address.
        const ignored = /resource "aws_instance" "airflow" \{[\s\S]*?ignore_changes = \[(.*)\]/.exec(
          textOf('airflow_ec2.tf'),
        )![1];
        const forgetful = `resource "aws_instance" "airflow" {\n  lifecycle {\n    ignore_changes = [${ignored}, vpc_security_group_ids]\n  }\n}\n`;
        writeFileSync(join(folder, 'forgetful_override.tf'), forgetful);
        expectSuccess(await terraform('init', '-no-color'));
        const disposable = join(folder, 'disposable_override.tf');
        copyFileSync(join(TERRAFORM_DIR, 'disposable.tf.example'), disposable);
        expectSuccess(await terraform('apply', '-auto-approve', '-no-color'));
        const environment = await terraform('output', '-raw', 'environment');
        const bucket = /LISTENLAKE_LAKE=s3:\/\/(\S+)/.exec(environment.stdout)![1]!;
        expect(bucket).toMatch(/^tf-test-\d{12}-eu-west-1$/);
        const backup = address === undefined ? { 'airflow-backup/': 14 } : {};
        expect(await expiries(endpoint, bucket)).toEqual({ 'athena-results/': 7, ...backup });
        expect((await inspected(endpoint, bucket)).filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
        await publish(endpoint, bucket);
        await publishSilver(endpoint, bucket);
        expect(await terraform('plan', '-detailed-exitcode', '-no-color')).toMatchObject({ code: 0 });
        expect(await planWhileStopped(folder, terraform)).not.toMatch(/must be replaced|will be destroyed/);
        await compareByDoctor(endpoint, bucket);
        // It takes the projection of older versions away, and leaves alone what the jobs have registered and
        // pointed elsewhere.
        expectSuccess(await terraform('apply', '-auto-approve', '-no-color'));
        const left = (await inspected(endpoint, bucket)).filter(({ verdict }) => verdict !== 'ok');
        expect(left.map(({ text }) => text)).toEqual([expect.stringMatching(/^gold_dev.top_tracks lies in/)]);

        renameSync(disposable, `${disposable}.off`);
        const refused = await terraform('plan', '-destroy', '-refresh=false', '-no-color');
        expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('prevent_destroy')]);
        renameSync(`${disposable}.off`, disposable);
        expectSuccess(await terraform('destroy', '-auto-approve', '-refresh=false', '-no-color'));
        expect((await terraform('state', 'list')).stdout).toBe('');
      }, 1_200_000);
    });
  });

/**
 * The plan where the host is stopped: as the provider reads it back then, without a public address
 * (moto keeps it).
 */
async function planWhileStopped(folder: string, terraform: ReturnType<typeof terraformIn>): Promise<string> {
  const path = join(folder, 'terraform.tfstate');
  const kept = readFileSync(path, 'utf8');
  const address = '"associate_public_ip_address": true';
  if (!kept.includes(address)) return 'no host was made here';
  writeFileSync(path, kept.replace(address, address.replace('true', 'false')));
  const plan = await terraform('plan', '-refresh=false', '-no-color');
  writeFileSync(path, kept);
  expectSuccess(plan);
  return plan.stdout;
}

/** Days after which current objects go, by prefix. */
async function expiries(endpoint: string, bucket: string): Promise<Record<string, number>> {
  const s3 = new S3Client({ ...settingsOf(endpoint), forcePathStyle: true });
  const { Rules: rules = [] } = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
  s3.destroy();
  return Object.fromEntries(
    rules.flatMap(({ Filter, Expiration }) => (Expiration?.Days ? [[Filter?.Prefix ?? '', Expiration.Days]] : [])),
  );
}

/** What `doctor --aws` says of the lake. */
async function inspected(endpoint: string, bucket: string): Promise<Finding[]> {
  const place = { endpoint, region: REGION };
  const store = await storeOf(endpoint, bucket);
  const state = (await latestManifest(store))?.state ?? EMPTY_STATE;
  return [
    ...(await inspectBucket(store.uri, { ...place, isPathStyle: true })),
    ...(await inspectCatalog({
      ...place,
      store,
      name: 'tf-test',
      workGroup: undefined,
      state,
      models: goldModelsOf(readProject()),
    })),
  ];
}

function storeOf(endpoint: string, bucket: string): Promise<LakeStore> {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  const scratch = join(work, 'scratch');
  return openS3Lake(`s3://${bucket}`, { endpoint, region: REGION, isPathStyle: true, scratch });
}

/** Alters by hand what Terraform has made: each change is a finding with what to do. */
async function compareByDoctor(endpoint: string, bucket: string): Promise<void> {
  const settings = settingsOf(endpoint);
  const glue = new GlueClient(settings);
  const { Table: plays } = await glue.send(new GetTableCommand({ DatabaseName: 'tf_test_silver', Name: 'plays' }));
  const { Name, TableType, Parameters, PartitionKeys, StorageDescriptor } = plays!;
  const Columns = StorageDescriptor!.Columns!.map((column) =>
    column.Name === 'played_ms' ? { ...column, Type: 'string' } : column,
  );
  const TableInput = {
    Name,
    TableType,
    Parameters: { ...Parameters, 'projection.enabled': 'true' },
    PartitionKeys,
    StorageDescriptor: { ...StorageDescriptor, Columns },
  };
  await glue.send(new UpdateTableCommand({ DatabaseName: 'tf_test_silver', TableInput }));
  glue.destroy();
  const s3 = new S3Client({ ...settings, forcePathStyle: true });
  const protect = async (isOn: boolean): Promise<void> => {
    const Status = isOn ? 'Enabled' : 'Suspended';
    await s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status } }));
    const block = {
      ...{ BlockPublicAcls: isOn, BlockPublicPolicy: true },
      ...{ IgnorePublicAcls: true, RestrictPublicBuckets: isOn },
    };
    await s3.send(new PutPublicAccessBlockCommand({ Bucket: bucket, PublicAccessBlockConfiguration: block }));
  };
  await protect(false);
  const athena = new AthenaClient(settings);
  await athena.send(
    new UpdateWorkGroupCommand({
      WorkGroup: 'tf-test-dev',
      ConfigurationUpdates: { EnforceWorkGroupConfiguration: false },
    }),
  );
  athena.destroy();
  const faults = (await inspected(endpoint, bucket)).filter(({ verdict }) => verdict !== 'ok');
  await protect(true);
  s3.destroy();
  expect(faults.map(({ verdict, text }) => [verdict, text])).toEqual([
    [
      'fail',
      expect.stringMatching(
        /public access is not blocked by BlockPublicAcls, RestrictPublicBuckets: run `terraform apply`$/,
      ),
    ],
    ['fail', expect.stringMatching(/versions are not kept.*run `terraform apply`$/)],
    ['fail', 'silver.plays has the column played_ms as string instead of bigint: run `terraform apply`'],
    ['fail', 'silver.plays has projection.enabled true instead of not set: run `terraform apply`'],
    [
      'fail',
      expect.stringMatching(
        /^gold_dev.top_tracks lies in .* instead of .*none\/top_tracks\/: run `listenlake enrich`$/,
      ),
    ],
    ['fail', expect.stringMatching(/^tf-test-dev lets the client choose where results go: run `terraform apply`$/)],
  ]);
}

function settingsOf(endpoint: string): {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
} {
  return { endpoint, region: REGION, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
}

/** As `transform` does it: a commit, and then the partitions and locations of its tables. */
async function publishSilver(endpoint: string, bucket: string): Promise<void> {
  const store = await storeOf(endpoint, bucket);
  const sha256 = 'a'.repeat(64);
  const fileOf = (table: string, partition: PartitionValues): SilverFile => ({
    ...{ key: silverKey(table, partition, sha256), partition },
    ...{ rows: 1, bytes: 4, sha256 },
  });
  const silver = {
    plays: await putState(store, 'silver', [fileOf('plays', { year: 2025 }), fileOf('plays', { year: 2026 })]),
    tracks: await putState(store, 'silver', [fileOf('tracks', {})]),
  };
  const state = { ...EMPTY_STATE, silver, silverSequence: 1 };
  await commitManifest(store, {
    ...{ format: 2, sequence: 1, job: 'transform', runId: 'tf', startedAt: '2026-11-21T06:54:00.000Z', elapsedMs: 0 },
    ...{
      versions: {},
      interval: { from: null, to: null },
      inputs: [],
      outputs: [],
      accounts: NO_ACCOUNTS,
      details: {},
    },
    state,
  });
  const engine = openAthenaEngine({ store, name: 'tf-test', endpoint, region: REGION });
  await engine.publish(state);
  await engine.close();
}

/** As `enrich` does it: an object of a run, and the table that points at it. */
async function publish(endpoint: string, bucket: string): Promise<void> {
  const settings = settingsOf(endpoint);
  const s3 = new S3Client({ ...settings, forcePathStyle: true });
  const key = goldKey('dev', '20261121t065400-3f9a', 'top_tracks');
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'PAR1' }));
  s3.destroy();
  const glue = new GlueClient(settings);
  const { Table: table } = await glue.send(
    new GetTableCommand({ DatabaseName: 'tf_test_gold_dev', Name: 'top_tracks' }),
  );
  const { Name, Description, TableType, Parameters, StorageDescriptor } = table!;
  const Location = `s3://${bucket}/${key.replace(/part-0\.parquet$/, '')}`;
  const input = {
    Name,
    Description,
    TableType,
    Parameters: { ...Parameters, run: 'x' },
    StorageDescriptor: { ...StorageDescriptor, Location },
  };
  await glue.send(new UpdateTableCommand({ DatabaseName: 'tf_test_gold_dev', TableInput: input }));
  glue.destroy();
}

function found(tables: { layer: string; key: string; table: Table }[], layer: string, key: string): { table: Table } {
  const table = tables.find((each) => each.layer === layer && each.key === key);
  if (table === undefined) throw new Error(`no table ${layer} ${key} among ${tables.length}`);
  return table;
}

function columnsOf(table: Table): [string, string][] {
  return table.storage_descriptor[0]!.columns.map(({ name, type }) => [name, type]);
}

/**
 * A lake on the proving ground: a bucket, databases and tables as Terraform makes them, workgroups, and the
 * real engine over them.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AthenaClient, CreateWorkGroupCommand } from '@aws-sdk/client-athena';
import { CreateDatabaseCommand, CreateTableCommand, GlueClient } from '@aws-sdk/client-glue';
import { contractTable } from '../../jobs/engine/athena/catalog.ts';
import { type AthenaOptions, openAthenaEngine } from '../../jobs/engine/athena/engine.ts';
import { openEmbedded } from '../../jobs/engine/duckdb/database.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { readContracts } from '../../jobs/lake/contracts.ts';
import {
  commitManifest,
  EMPTY_STATE,
  LAKE_FORMAT,
  type LakeState,
  latestManifest,
  type Manifest,
  NO_ACCOUNTS,
  putState,
} from '../../jobs/lake/manifest.ts';
import { openS3Lake } from '../../jobs/lake/s3/store.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { type Row, writeSilver } from '../fixtures/effects.ts';
import { type LocalAws, REGION } from './local.ts';

export interface AwsLake {
  store: LakeStore;
  uri: string;
  /** A private folder of this machine. */
  scratch: string;
  /** What Terraform's `name` would be. */
  name: string;
  engine: SqlEngine;
  glue: GlueClient;
  commitSilver(tables: Record<string, readonly Row[]>): Promise<LakeState>;
  commitState(state: LakeState): Promise<Manifest>;
  state(): Promise<LakeState>;
  openEngine(more?: Partial<AthenaOptions>): Promise<SqlEngine>;
  close(): Promise<void>;
}

/** Scanned bytes after which the workgroups cancel; Athena's least is 10 MB. */
const CUTOFF_BYTES = 10_000_000;
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };
/** Several test files have their lakes on one moto. */
const OF_THIS_FILE = randomBytes(3).toString('hex');
let lakes = 0;

/** @param local with Trino, where anything is to be asked */
export async function openAwsLake(local: LocalAws): Promise<AwsLake> {
  lakes += 1;
  const name = `lake-${OF_THIS_FILE}-${lakes}`;
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-'));
  const place = { endpoint: local.endpoint.url, region: REGION };
  await local.makeBucket(`${name}-bucket`);
  const uri = `s3://${name}-bucket`;
  const glue = new GlueClient({ ...place, credentials: CREDENTIALS });
  await makeCatalog(glue, name, uri);
  await makeWorkGroups(new AthenaClient({ ...place, credentials: CREDENTIALS }), name, uri);
  const scratch = join(folder, 'scratch');
  mkdirSync(scratch);
  const store = await openS3Lake(uri, { ...place, isPathStyle: true, scratch });
  const engines: SqlEngine[] = [];
  const openEngine = async (more: Partial<AthenaOptions> = {}): Promise<SqlEngine> => {
    const engine = openAthenaEngine({ ...place, store, name, ...more });
    engines.push(engine);
    return engine;
  };
  const writer = await openEmbedded({ memoryMb: 256, threads: 2, tempDir: join(folder, 'spill'), folders: [folder] });
  const commitState = async (state: LakeState): Promise<Manifest> => {
    const manifest = manifestOf(((await latestManifest(store))?.sequence ?? 0) + 1, state);
    if (!(await commitManifest(store, manifest))) throw new Error('somebody else committed');
    return manifest;
  };
  return {
    store,
    uri,
    scratch,
    name,
    glue,
    engine: await openEngine(),
    openEngine,
    commitState,
    async commitSilver(tables) {
      const base = await latestManifest(store);
      const state = base?.state ?? EMPTY_STATE;
      const silver = { ...state.silver };
      for (const [table, rows] of Object.entries(tables)) {
        silver[table] = await putState(store, 'silver', await writeSilver(writer, store, folder, table, rows));
      }
      return (await commitState({ ...state, silver, silverSequence: (base?.sequence ?? 0) + 1 })).state;
    },
    async state() {
      return (await latestManifest(store))?.state ?? EMPTY_STATE;
    },
    async close() {
      for (const engine of engines) await engine.close();
      glue.destroy();
      writer.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function makeCatalog(glue: GlueClient, name: string, uri: string): Promise<void> {
  const prefix = `${name.replaceAll('-', '_')}_`;
  for (const layer of ['bronze', 'silver', 'gold_dev', 'gold_prod']) {
    await glue.send(new CreateDatabaseCommand({ DatabaseInput: { Name: `${prefix}${layer}` } }));
  }
  await Promise.all(
    readContracts().map((contract) =>
      glue.send(
        new CreateTableCommand({
          DatabaseName: `${prefix}${contract.layer}`,
          TableInput: contractTable(contract, uri),
        }),
      ),
    ),
  );
}

async function makeWorkGroups(athena: AthenaClient, name: string, uri: string): Promise<void> {
  for (const target of ['dev', 'prod']) {
    await athena.send(
      new CreateWorkGroupCommand({
        Name: `${name}-${target}`,
        Configuration: {
          EnforceWorkGroupConfiguration: true,
          BytesScannedCutoffPerQuery: CUTOFF_BYTES,
          ResultConfiguration: { OutputLocation: `${uri}/athena-results/${target}/` },
        },
      }),
    );
  }
  athena.destroy();
}

function manifestOf(sequence: number, state: LakeState): Manifest {
  return {
    format: LAKE_FORMAT,
    sequence,
    job: 'test',
    runId: `test-${sequence}`,
    startedAt: '2026-11-21T06:54:00.000Z',
    elapsedMs: 0,
    versions: {},
    interval: { from: null, to: null },
    inputs: [],
    outputs: [],
    accounts: NO_ACCOUNTS,
    details: {},
    state,
  };
}

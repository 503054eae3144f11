/**
 * S3, Glue and Athena on this machine: moto with patches, a real Trino on its tables, and one address that
 * speaks for both.
 *
 *     node tests/aws/local.ts                    starts it, prints `export` lines, runs until Ctrl-C
 *     node tests/aws/local.ts -- command ...     starts it, runs the command with those variables, and ends
 *
 * Needs Python 3.10, Maven and Java 24 or newer. The first start downloads about 250 MB into the cache. What
 * lies in it is gone when it ends.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, PutPublicAccessBlockCommand, S3Client } from '@aws-sdk/client-s3';
import { PSEUDONYM_KEY } from '../fixtures/command-line.ts';
import { AWS_GROUND, layerSkipped } from '../fixtures/layers.ts';
import { type AthenaFront, athenaFront } from './athena-front.ts';
import { type Call, type Endpoint, startEndpoint } from './endpoint.ts';
import { type Service, startMoto, Unavailable } from './moto.ts';
import { joinRealms } from './realm.ts';
import { type EngineCall, readEngineCalls, sharedAws } from './shared.ts';
import { startTrino } from './trino.ts';

export const REGION = 'eu-west-1';

/** What the SDKs (and Terraform) need to find it. The keys are any: moto does not look at them. */
export function environmentOf(url: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
    LISTENLAKE_S3_PATH_STYLE: 'true',
    LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY,
  };
}

export interface LocalAws {
  endpoint: Endpoint;
  /** Undefined where it was started without Trino. */
  athena: AthenaFront | undefined;
  motoUrl: string;
  /**
   * Calls that the engine itself makes to S3 and Glue; undefined where they are not counted in this process.
   */
  engineCalls: Call[] | undefined;
  /**
   * Calls that the engine has made so far, where they are counted: also those that it made for other test
   * files.
   */
  readEngineCalls(): Promise<readonly EngineCall[]>;
  /** Makes a bucket, as private as Terraform makes it. */
  makeBucket(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface LocalAwsOptions {
  isTrinoNeeded: boolean;
  /**
   * Address that the SDKs' calls come to; default loopback. Containers need one of this machine that they can
   * reach.
   */
  host?: string;
  /** The engine's own calls to S3 and Glue are seen too, through a further address. */
  isEngineCounted?: boolean;
}

/** @throws Unavailable where this machine lacks a part */
export async function startLocalAws({ isTrinoNeeded, host, isEngineCounted }: LocalAwsOptions): Promise<LocalAws> {
  const services: Service[] = [];
  const close = async (): Promise<void> => {
    for (const service of services.toReversed()) await service.close();
  };
  try {
    const shared = sharedAws();
    const moto = shared === undefined ? await startMoto() : undefined;
    if (moto !== undefined) services.push(moto);
    const motoUrl = moto?.url ?? shared!.motoUrl;
    let trinoUrl = shared?.trinoUrl;
    let engineCalls: Call[] | undefined;
    if (isTrinoNeeded && trinoUrl === undefined) {
      const seen = isEngineCounted === true ? await startEndpoint(motoUrl, () => undefined) : undefined;
      if (seen !== undefined) services.push(seen);
      engineCalls = seen?.calls;
      const trino = await startTrino(seen?.url ?? motoUrl, REGION);
      services.push(trino);
      trinoUrl = trino.url;
    }
    const athena = isTrinoNeeded ? athenaFront(motoUrl, trinoUrl!, REGION) : undefined;
    const endpoint = await startEndpoint(motoUrl, (operation) => athena?.handlerOf(operation), host);
    services.push(endpoint);
    return {
      ...{ endpoint, athena, motoUrl, engineCalls, close },
      makeBucket: (name) => makeBucket(motoUrl, name),
      readEngineCalls: async () => (shared === undefined ? (engineCalls ?? []) : readEngineCalls(shared)),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * As `startLocalAws`; undefined where this machine lacks a part, which is then reported as left out (under CI
 * that counts as a failure).
 *
 * @param what the tests that need it, for the report
 */
export async function startLocalAwsOrSkip(what: string, options: LocalAwsOptions): Promise<LocalAws | undefined> {
  joinRealms();
  try {
    return await startLocalAws(options);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    layerSkipped(what, error.message, AWS_GROUND);
    return undefined;
  }
}

async function makeBucket(url: string, name: string): Promise<void> {
  const client = new S3Client({
    endpoint: url,
    region: REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  await client.send(
    new CreateBucketCommand({ Bucket: name, CreateBucketConfiguration: { LocationConstraint: REGION } }),
  );
  await client.send(
    new PutPublicAccessBlockCommand({
      Bucket: name,
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, BlockPublicPolicy: true },
    }),
  );
  client.destroy();
}

async function main(command: string[]): Promise<number> {
  const local = await startLocalAws({ isTrinoNeeded: true });
  try {
    const environment = environmentOf(local.endpoint.url);
    const [program, ...args] = command;
    const child =
      program === undefined
        ? undefined
        : spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
    if (child === undefined) {
      process.stdout.write(
        Object.entries(environment)
          .map(([name, value]) => `export ${name}=${value}\n`)
          .join(''),
      );
      process.stderr.write('running; Ctrl-C ends it\n');
    }
    return await new Promise((resolve) => {
      child?.on('exit', (code) => resolve(code ?? 1));
      child?.on('error', (error) => {
        process.stderr.write(`${error.message}\n`);
        resolve(127);
      });
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.on(signal, () => (child === undefined ? resolve(0) : child.kill(signal)));
      }
    });
  } finally {
    await local.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const separator = process.argv.indexOf('--');
  try {
    process.exitCode = await main(separator < 0 ? [] : process.argv.slice(separator + 1));
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 69;
  }
}

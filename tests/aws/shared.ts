/**
 * One moto and one Trino for all test files of a run: `tests/run.ts` starts them once and names them in the
 * environment. A test file that is run by itself finds no names there, and starts its own.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startEndpoint } from './endpoint.ts';
import { type Service, startMoto } from './moto.ts';
import { startTrino } from './trino.ts';

const NAMES = {
  motoUrl: 'LISTENLAKE_TEST_MOTO',
  trinoUrl: 'LISTENLAKE_TEST_TRINO',
  engineCallsUrl: 'LISTENLAKE_TEST_ENGINE_CALLS',
} as const;

/** A call of Trino itself to S3 or Glue. */
export interface EngineCall {
  operation: string;
  /** Path and query as sent; the path begins with the bucket. */
  url: string;
}

export type SharedAws = Record<keyof typeof NAMES, string>;

/** What the run has started for all its files; undefined where it has not. */
export function sharedAws(): SharedAws | undefined {
  const given = Object.entries(NAMES).map(([key, name]) => [key, process.env[name]] as const);
  return given.every(([, url]) => url) ? (Object.fromEntries(given) as SharedAws) : undefined;
}

/** Every call that the shared Trino has made so far, for whatever file. */
export async function readEngineCalls({ engineCallsUrl }: SharedAws): Promise<EngineCall[]> {
  return (await (await fetch(engineCallsUrl)).json()) as EngineCall[];
}

/**
 * Starts moto and Trino.
 *
 * @returns `environment` for the test processes, and how to end both
 * @throws Unavailable where this machine lacks a part
 */
export async function startSharedAws(
  region: string,
): Promise<{ environment: Record<string, string>; close(): Promise<void> }> {
  const services: Service[] = [];
  const close = async (): Promise<void> => {
    for (const service of services.toReversed()) await service.close();
  };
  try {
    const moto = await startMoto();
    services.push(moto);
    const calls: EngineCall[] = [];
    const seen = await startEndpoint(moto.url, () => undefined);
    services.push(seen);
    // The bodies of all statements of a run would fill the memory.
    const keep = (): void => {
      calls.push(...seen.calls.splice(0).map(({ operation, url }) => ({ operation, url })));
    };
    const keeping = setInterval(keep, 1_000);
    const told = await serve(() => {
      keep();
      return calls;
    });
    services.push({ ...told, close: () => told.close().finally(() => clearInterval(keeping)) });
    const trino = await startTrino(seen.url, region);
    services.push(trino);
    const environment = {
      [NAMES.motoUrl]: moto.url,
      [NAMES.trinoUrl]: trino.url,
      [NAMES.engineCallsUrl]: told.url,
    };
    return { environment, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Answers every request with what `answer` gives, as JSON. */
async function serve(answer: () => unknown): Promise<Service> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer()));
  });
  await new Promise<void>((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

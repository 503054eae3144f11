/** What Athena says of a query that failed, in its own words, and what a person is told to do. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { statementRunner } from '../../jobs/engine/athena/client.ts';
import { failureOf } from '../fixtures/failure.ts';

const S3 = 'Service: Amazon S3; Status Code:';
let server: Server;
let endpoint: string;
/** How the next query ends, or is refused at its start. */
let ending: { reason: string; category?: number; type?: number; isRefused?: boolean };

beforeAll(async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  server = createServer((request, response) => {
    const { reason, category = 2, type = 1, isRefused = false } = ending;
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    if (String(request.headers['x-amz-target']).endsWith('StartQueryExecution')) {
      if (isRefused) response.statusCode = 400;
      const refused = { __type: 'InvalidRequestException', message: reason };
      return response.end(JSON.stringify(isRefused ? refused : { QueryExecutionId: 'q-1' }));
    }
    const AthenaError = { ErrorCategory: category, ErrorType: type, ErrorMessage: reason };
    const Status = { State: 'FAILED', StateChangeReason: reason, AthenaError };
    response.end(JSON.stringify({ QueryExecution: { QueryExecutionId: 'q-1', Status } }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close().closeAllConnections());

async function told(as: typeof ending): Promise<unknown> {
  ending = as;
  const runner = statementRunner({ endpoint, region: 'eu-west-1' });
  const statement = { sql: 'select 1', database: 'd', workGroup: 'w', identity: [1], isRepeatable: false };
  const { code, exit, hint = '' } = await failureOf(runner.run(statement));
  runner.close();
  return [code, exit, hint];
}

it.each([
  `HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://b/k (offset=0, length=9): Slow Down (${S3} 503; Error Code: 503 Slow Down)`,
  'HIVE_CURSOR_ERROR: Please reduce your request rate.',
  `HIVE_FILESYSTEM_ERROR: Failed to list directory: s3://b/k (${S3} 503; Error Code: ServiceUnavailable)`,
  'HIVE_METASTORE_ERROR: Rate exceeded (Service: AWSGlue; Status Code: 400; Error Code: ThrottlingException)',
])('throttling is told as such, whatever Athena was doing, and the run comes back (75): %s', async (reason) => {
  expect(await told({ reason })).toEqual(['engine_busy', 'tempfail', 'run it again later']);
});

it.each([
  `HIVE_FILESYSTEM_ERROR: Failed to get status of s3://b/k: Access Denied (${S3} 403; Error Code: AccessDenied)`,
  `HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://b/k: User: arn:aws:sts::1:x is not authorized to perform: kms:Decrypt (${S3} 403)`,
  'Insufficient Lake Formation permission(s) on plays',
  'line 1:15: Insufficient permissions to execute the query. User: arn:aws:sts::1:x is not authorized to perform: glue:GetTable',
])('a right that is missing is told as such (77), with where rights are given: %s', async (reason) => {
  const hint = expect.stringMatching(/terraform\/jobs\.tf.*Lake Formation/);
  expect(await told({ reason })).toEqual(['engine_denied', 'auth', hint]);
  expect(await told({ reason, isRefused: true })).toEqual(['engine_denied', 'auth', hint]);
});

it('results that cannot be written are a missing right, and no mistake in the statement', async () => {
  const reason = 'Unable to verify/create output bucket lake';
  expect(await told({ reason, isRefused: true })).toMatchObject(['engine_denied', 'auth', expect.anything()]);
});

it.each([
  'Query exhausted resources at this scale factor',
  'EXCEEDED_LOCAL_MEMORY_LIMIT: Query exceeded per-node total memory limit of 20GB',
])('a query that needs too much memory is a case of its own (69): %s', async (reason) => {
  const hint = expect.stringContaining('smaller question');
  expect(await told({ reason })).toEqual(['engine_exhausted', 'unavailable', hint]);
});

it.each([
  `HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://b/k: We encountered an internal error (${S3} 500; Error Code: InternalError)`,
  'HIVE_CURSOR_ERROR: Failed to read s3://b/k: Unable to execute HTTP request: connection reset',
])('a service that failed says nothing of the file (69): %s', async (reason) => {
  expect(await told({ reason })).toEqual(['engine_failed', 'unavailable', expect.stringContaining('run it again')]);
});

it.each([
  'HIVE_BAD_DATA: s3://b/k is not a valid Parquet File',
  `HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://b/k: The specified key does not exist. (${S3} 404; Error Code: NoSuchKey)`,
  'HIVE_FILESYSTEM_ERROR: Incorrect file size (9) for file (end of stream not reached): s3://b/k',
])('a file that is not what it was is damaged still (65): %s', async (reason) => {
  expect(await told({ reason })).toEqual(['object_damaged', 'data', expect.stringContaining('doctor --verify')]);
});

it('a mistake in a statement stays one, whatever it names', async () => {
  const reason = "COLUMN_NOT_FOUND: line 1:8: Column 'access denied' cannot be resolved";
  expect(await told({ reason })).toMatchObject(['sql_invalid', 'usage', '']);
});

/**
 * Credentials for AWS that come late or are renewed, as the SDK finds them: a file that is named by a
 * variable (the EC2 host's), the agent of EKS Pod Identity.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSecret } from '../../jobs/base/secret.ts';

const NAMES = Object.keys(process.env).filter((name) => name.startsWith('AWS_'));
const before = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));
const folder = mkdtempSync(join(tmpdir(), 'listenlake-credentials-'));
const file = join(folder, 'credentials');
const servers: Server[] = [];
let isExpired: (key: string) => boolean = () => false;
let refusal = 'ExpiredTokenException';
let keysSeen: string[] = [];
let region: { region: string; endpoint: string };

/** Secrets Manager: one secret, and an opinion of each access key. */
const service: RequestListener = (request, response) => {
  const key = /Credential=([^/]+)\//.exec(request.headers.authorization ?? '')?.[1] ?? 'none';
  keysSeen.push(key);
  response.setHeader('content-type', 'application/x-amz-json-1.1');
  if (!isExpired(key)) return response.end(JSON.stringify({ SecretString: 'the secret' }));
  response.statusCode = 400;
  response.end(JSON.stringify({ __type: refusal, message: 'The security token is expired' }));
};

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const credentials = (key: string): string =>
  `[default]\naws_access_key_id = ${key}\naws_secret_access_key = s\naws_session_token = t\n`;

beforeAll(async () => {
  region = { region: 'eu-west-1', endpoint: await listen(service) };
});
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  // Neither this machine's role nor a person's files.
  Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: join(folder, 'none') });
  isExpired = () => false;
  keysSeen = [];
  rmSync(file, { force: true });
});
afterAll(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  Object.assign(process.env, before);
  for (const server of servers) server.close().closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

it('a file of credentials that is written late is waited for', async () => {
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  setTimeout(() => writeFileSync(file, credentials('FIRST')), 700);
  expect(await readSecret('a', region)).toBe('the secret');
  expect(keysSeen).toEqual(['FIRST']);
});

it('a file that is renewed while a job is at work is read anew, as often as it takes', async () => {
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  writeFileSync(file, credentials('OLD'));
  isExpired = (key) => key === 'OLD';
  setTimeout(() => writeFileSync(file, credentials('NEW')), 700);
  expect(await readSecret('a', region)).toBe('the secret');
  expect(keysSeen.slice(0, 2)).toEqual(['OLD', 'OLD']);
  expect(keysSeen.at(-1)).toBe('NEW');
});

it('an agent of Pod Identity that drops early connections is asked again', async () => {
  let asked = 0;
  // Four attempts of the SDK's own, and then some.
  process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI = await listen((_, response) => {
    asked += 1;
    if (asked <= 5) return response.destroy();
    const Expiration = new Date(Date.now() + 3_600_000).toISOString();
    response.end(JSON.stringify({ AccessKeyId: 'POD', SecretAccessKey: 's', Token: 't', Expiration }));
  });
  expect(await readSecret('a', region)).toBe('the secret');
  expect([keysSeen, asked]).toEqual([['POD'], 6]);
}, 600_000);

it('credentials that the machine does not renew in time end with 75: a later run may find them', async () => {
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  const missing = { code: 'credentials_late', exit: 'tempfail', hint: expect.stringContaining(file) };
  await expect(readSecret('a', { ...region, credentialsTimeoutMs: 300 })).rejects.toMatchObject(missing);
  writeFileSync(file, credentials('OLD'));
  isExpired = () => true;
  const expired = { ...missing, message: expect.stringContaining('ExpiredToken') };
  await expect(readSecret('a', { ...region, credentialsTimeoutMs: 300 })).rejects.toMatchObject(expired);
});

it('a key that AWS does not know is no matter of time: 77 at once', async () => {
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  writeFileSync(file, credentials('WRONG'));
  isExpired = () => true;
  refusal = 'UnrecognizedClientException';
  await expect(readSecret('a', region)).rejects.toMatchObject({ code: 'secret_denied', exit: 'auth' });
  expect(keysSeen).toEqual(['WRONG']);
  refusal = 'ExpiredTokenException';
});

it('a login of a person that is not there or has expired ends at once with 77', async () => {
  const denied = { code: 'secret_denied', exit: 'auth', hint: expect.stringContaining('log in again') };
  process.env.AWS_PROFILE = 'nobody';
  await expect(readSecret('a', region)).rejects.toMatchObject(denied);
  delete process.env.AWS_PROFILE;
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'OLD',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_SHARED_CREDENTIALS_FILE: file,
  });
  isExpired = () => true;
  await expect(readSecret('a', region)).rejects.toMatchObject(denied);
  expect(keysSeen).toEqual(['OLD', 'OLD']);
});

/** TLS and logins at a real broker: certificates of an authority that the test makes, and who is refused. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SecureBroker, startSecureBroker } from '../../deploy/stream/broker.ts';
import { type Finished, listenlake } from '../fixtures/command-line.ts';
import { canRunBroker } from './history.ts';

const isThere = canRunBroker();
const test = isThere ? it : it.skip;
const DENIED = /does not let this user/;
const UNTRUSTED = /certificate is not trusted/;
const LOGIN = { username: 'lake', password: 'right-and-long-enough' };
let folder: string;
let authority: string;
let broker: SecureBroker;
let topics = 0;

beforeAll(async () => {
  if (!isThere) return;
  folder = mkdtempSync(join(tmpdir(), 'listenlake-secure-'));
  authority = makeAuthority('authority');
  broker = await startSecureBroker({ keyFile: signed('broker', 'authority'), ...LOGIN });
});
afterAll(async () => {
  if (!isThere) return;
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] });
}

/** @returns its certificate */
function makeAuthority(name: string): string {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`, ...files);
  return join(folder, `${name}.pem`);
}

/** A key and its certificate of `localhost`, in one file. */
function signed(name: string, by: string): string {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=broker', ...files);
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost\n');
  const authority = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-extfile', 'names'];
  openssl('x509', '-req', '-in', `${name}.csr`, '-days', '2', ...authority, '-out', `${name}.crt`);
  const both = join(folder, `${name}-both.pem`);
  const parts = ['key', 'crt'].map((part) => readFileSync(join(folder, `${name}.${part}`), 'utf8'));
  writeFileSync(both, parts.join(''), { mode: 0o600 });
  return both;
}

function settings(door: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    LISTENLAKE_KAFKA_BROKERS: door,
    LISTENLAKE_KAFKA_TLS: 'true',
    LISTENLAKE_KAFKA_CA_FILE: authority,
    LISTENLAKE_LAKE: join(folder, `lake-${topics}`),
    ...more,
  };
}

function loginBy(mechanism: string, password = LOGIN.password): Record<string, string> {
  return {
    LISTENLAKE_KAFKA_SASL: mechanism,
    LISTENLAKE_KAFKA_USERNAME: LOGIN.username,
    LISTENLAKE_KAFKA_PASSWORD: password,
  };
}

/** Produces, consumes and looks at the lag, all through one door. */
async function throughDoor(environment: Record<string, string>): Promise<Finished[]> {
  const topic = ['--topic', `secure-${topics}`];
  return [
    await listenlake(['stream', 'produce', ...topic, '--rate', '0', '--count', '300', '--users', '5'], environment),
    await listenlake(['stream', 'consume', ...topic, '--until-end'], environment),
    await listenlake(['stream', 'lag', ...topic], environment),
  ];
}

test.each(['TLS alone', 'PLAIN', 'SCRAM-SHA-512'])('%s: events go in, come out, and the lag is told', async (way) => {
  topics += 1;
  const isAlone = way === 'TLS alone';
  const done = await throughDoor(isAlone ? settings(broker.tls) : settings(broker.sasl, loginBy(way)));
  expect(done.map(({ code, stderr }) => [code, stderr])).toEqual([
    [0, ''],
    [0, ''],
    [0, ''],
  ]);
  const [produced, consumed, lag] = done.map(({ json }) => json);
  expect([produced!.events, consumed!.events, consumed!.dead_letters, lag!.lag_events]).toEqual([300, 300, 0, 0]);
});

test('who is refused gets one line that says why, and the exit code that says what to mend', async () => {
  topics += 1;
  // There is a lake, so that `lag` gets as far as the cluster.
  await throughDoor(settings(broker.tls));
  const stranger = makeAuthority('stranger');
  const refused: [string, Record<string, string>, number, RegExp][] = [
    ['wrong password, PLAIN', settings(broker.sasl, loginBy('PLAIN', 'wrong-one')), 77, DENIED],
    ['wrong password, SCRAM', settings(broker.sasl, loginBy('SCRAM-SHA-512', 'wrong-one')), 77, DENIED],
    ['a way of logging in that it has not', settings(broker.sasl, loginBy('SCRAM-SHA-256')), 77, DENIED],
    ['another authority', settings(broker.tls, { LISTENLAKE_KAFKA_CA_FILE: stranger }), 78, UNTRUSTED],
    ['no authority', settings(broker.tls, { LISTENLAKE_KAFKA_CA_FILE: '' }), 78, UNTRUSTED],
    ['another name', settings(broker.tls.replace('localhost', '127.0.0.1')), 78, UNTRUSTED],
    [
      'no file',
      settings(broker.tls, { LISTENLAKE_KAFKA_CA_FILE: '/nowhere.pem' }),
      78,
      /certificates in \/nowhere.pem cannot be read/,
    ],
    [
      'far away in the clear',
      { ...settings('192.0.2.1:9092'), LISTENLAKE_KAFKA_TLS: 'false' },
      78,
      /without TLS everybody on the way to 192\.0\.2\.1:9092/,
    ],
  ];
  for (const [index, [what, environment, code, said]] of refused.entries())
    for (const verb of index === 0 || index === 3 ? ['produce', 'consume', 'lag'] : ['consume']) {
      const ended = await listenlake(['stream', verb, '--topic', 'secure-none'], environment);
      expect([verb, what, ended.code, ended.stderr]).toEqual([verb, what, code, expect.stringMatching(said)]);
      expect([verb, what, ended.stderr.trimEnd().split('\n').length]).toEqual([verb, what, 1]);
      expect(ended.stderr).not.toContain('wrong-one');
    }
});

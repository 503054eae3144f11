import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig, readEnvFile, VARIABLES } from '../../jobs/base/config.ts';
import { parseInterval } from '../../jobs/base/interval.ts';
import { createLog } from '../../jobs/base/log.ts';

describe('configuration', () => {
  it('has a default for everything, and is frozen', () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      lakeUri: 'lake',
      userId: 'me',
      memoryMb: 256,
      keepLanding: false,
      logLevel: 'warn',
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('F68: lists every fault at once, and names variables that nobody reads, exit 78', () => {
    const environment = {
      LISTENLAKE_LAKE: '',
      LISTENLAKE_MEMORY_MB: '12',
      LISTENLAKE_THREADS: 'two',
      LISTENLAKE_KEEP_LANDING: 'yes',
      LISTENLAKE_LAEK: 'x',
    };
    let caught: unknown;
    try {
      readConfig(environment);
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ code: 'config_invalid', exit: 'config' });
    for (const name of Object.keys(environment)) expect((caught as Error).message).toContain(name);
  });

  it('flags win over variables', () => {
    expect(readConfig({ LISTENLAKE_LAKE: 'a' }, { LISTENLAKE_LAKE: 'b', LISTENLAKE_USER: undefined }).lakeUri).toBe(
      'b',
    );
  });

  it('lineage goes nowhere unless asked, and knows who has started it', () => {
    const run = '01990000-0000-7000-8000-00000000000a';
    expect(readConfig({ OPENLINEAGE_PARENT_ID: `airflow/daily.run/${run}` }).lineage).toBeUndefined();
    const given = {
      LISTENLAKE_OPENLINEAGE: 'https://lineage.example.com/api',
      LISTENLAKE_OPENLINEAGE_API_KEY: 'a key',
    };
    const { lineage, secrets } = readConfig({ ...given, OPENLINEAGE_PARENT_ID: `a/b/daily.run/${run}` });
    const parent = { namespace: 'a/b', name: 'daily.run', runId: run };
    const to = 'https://lineage.example.com/api';
    expect(lineage).toEqual({ to, apiKey: 'a key', namespace: 'listenlake', parent, root: parent });
    expect(secrets).toEqual(['a key']);
    for (const text of ['daily.run', `/daily.run/${run}`, 'a/daily.run/7', `a//${run}`])
      expect(() => readConfig({ OPENLINEAGE_PARENT_ID: text })).toThrow('OPENLINEAGE_PARENT_ID');
  });

  it('every variable is explained', () => {
    for (const { help } of Object.values(VARIABLES)) expect(help.length).toBeGreaterThan(20);
  });
});

describe('interval', () => {
  it('takes dates and UTC instants', () => {
    expect(parseInterval('2026-11-01', '2026-11-02T12:30:00.5Z')).toEqual({
      from: '2026-11-01T00:00:00.000Z',
      to: '2026-11-02T12:30:00.500Z',
    });
    expect(parseInterval(undefined, undefined)).toEqual({ from: null, to: null });
  });

  it.each([
    '2026-02-30',
    '2026-13-01',
    'yesterday',
    '2026-11-01T12:00:00',
    '2026-11-01T12:00:00+02:00',
    '',
    '20261101',
  ])('refuses %j, exit 64', (text) => {
    expect(() => parseInterval(text, undefined)).toThrow(
      expect.objectContaining({ code: 'interval_invalid', exit: 'usage' }),
    );
  });

  it('refuses an empty or backward interval', () => {
    expect(() => parseInterval('2026-11-02', '2026-11-02')).toThrow('not before');
    expect(() => parseInterval('2026-11-03', '2026-11-02')).toThrow('not before');
  });
});

describe('log', () => {
  it('S3: a secret is replaced wherever it stands: field, nested, message, error, other letter case of the field', () => {
    const lines: string[] = [];
    const secret = 'CANARY-"quoted"-0123456789';
    const log = createLog('debug', [secret], { write: (line: string) => void lines.push(line) });
    log.info(
      { token: secret, deep: { deeper: { deepest: [secret] } }, Authorization: `Bearer ${secret}` },
      `text ${secret}`,
    );
    log.error({ err: new Error(`failed with ${secret}`) }, 'failed');
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).not.toContain('CANARY');
      expect(line).toContain('[redacted]');
      expect(() => JSON.parse(line)).not.toThrow();
    }
  });
});

it('no setting sends analysts to the command line: their role reads gold through Athena, and cannot open the lake', () => {
  const helps = Object.values(VARIABLES).map(({ help }) => help);
  expect(helps.filter((help) => /analyst/i.test(help))).toEqual([]);
  expect(readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')).not.toMatch(/analyst/i);
});

describe('a file of variables', () => {
  let folder: string;
  let before: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'listenlake-env-'));
    before = process.cwd();
    process.chdir(folder);
  });
  afterEach(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  });
  const read = (content: string, named?: string): NodeJS.ProcessEnv => {
    writeFileSync(named ?? '.env', content);
    const environment: NodeJS.ProcessEnv = { LISTENLAKE_USER: 'anna' };
    readEnvFile(environment, named);
    return environment;
  };

  it('S4: of a .env that merely lies there only settings are taken, no endpoint, proxy or credential', () => {
    const content = [
      'LISTENLAKE_MEMORY_MB=300\nLISTENLAKE_USER=bob\nLISTENLAKE_LAKE=mine\nAWS_REGION=eu-west-1',
      'AWS_ENDPOINT_URL=https://example.org\nAWS_ACCESS_KEY_ID=x\nHTTPS_PROXY=http://example.org\nNODE_EXTRA_CA_CERTS=x\nHOME=/x',
    ].join('\n');
    const taken = { LISTENLAKE_MEMORY_MB: '300', LISTENLAKE_USER: 'anna', LISTENLAKE_LAKE: 'mine' };
    expect(read(content)).toEqual({ ...taken, AWS_REGION: 'eu-west-1' });
    expect(read(content, 'named.env')).toMatchObject({ ...taken, AWS_ENDPOINT_URL: 'https://example.org' });
  });

  it.each([
    'LISTENLAKE_SPOTIFY_TOKEN_FILE=/tmp/token.json',
    'LISTENLAKE_SPOTIFY_TOKEN_SECRET=theirs',
    'LISTENLAKE_PSEUDONYM_SECRET=theirs',
    'LISTENLAKE_LAKE=s3://theirs',
  ])('S4: one that sends tokens, keys or data elsewhere (%s) is taken only when it is named', (line) => {
    expect(() => read(line)).toThrow(expect.objectContaining({ code: 'env_redirects', exit: 'config' }));
    const [name, value] = line.split('=') as [string, string];
    expect(read(line, 'named.env')[name]).toBe(value);
  });

  it('that was named and is not there is 78', () => {
    expect(() => readEnvFile({}, 'absent.env')).toThrow(expect.objectContaining({ code: 'env_file_missing' }));
  });
});

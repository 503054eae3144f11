import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { WAREHOUSE_DIR } from '../../jobs/lake/contracts.ts';
import { type Limits, serveTools } from '../../jobs/mcp.ts';
import { formatResult } from '../../jobs/sql.ts';
import { listenlake, ROOT } from '../fixtures/command-line.ts';
import { type LakeFixture, openLakeFixture, projectOfModels, publishProd, untested } from '../fixtures/effects.ts';

const PROJECT = untested(projectOfModels('top_tracks'));

let lake: LakeFixture;
beforeAll(async () => {
  lake = await openLakeFixture();
  const play = {
    ...{ user_id: 'me', source: 'export_extended', content_type: 'track', artist_name: 'The Example' },
    ...{ started_at: '2026-02-01 10:00:00.000', ended_at: '2026-02-01 10:03:00.000', played_ms: 180_000 },
  };
  await lake.commitSilver({
    plays: [
      { ...play, play_id: 'a', track_id: 'a', track_name: 'Blue \u001b[31mDoor' },
      { ...play, play_id: 'b', track_id: 'b', track_name: 'Red Door' },
    ],
  });
  await publishProd(lake.effects, {
    runId: '20260301t000000-aaaaaa',
    asOf: '2026-03-01T00:00:00.000Z',
    project: PROJECT,
  });
});
afterAll(() => lake.close());

interface Said {
  text: string;
  isError: boolean;
}

async function call(client: Client, name: string, given: Record<string, unknown> = {}): Promise<Said> {
  const answer = (await client.callTool({ name, arguments: given })) as {
    content: { text: string }[];
    isError?: boolean;
  };
  return { text: answer.content[0]!.text, isError: answer.isError === true };
}

/** A client in this process, and the end of the server. */
async function connected(limits: Partial<Limits> = {}) {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const show = (result: Parameters<typeof formatResult>[0]) => formatResult(result, 'json');
  const served = serveTools({ target: 'prod', version: '1', transport: theirs, show, limits }, lake.effects);
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(ours);
  return { client, served };
}

it('over stdio, as a client starts it: tables, statements and questions; nothing but the protocol on stdout', async () => {
  const strays: Error[] = [];
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', join(ROOT, 'jobs/cli.ts'), 'mcp', '--lake', lake.root],
    stderr: 'pipe',
  });
  const client = new Client({ name: 'test', version: '1' });
  // A line that is no message of the protocol comes here.
  client.onerror = (error) => strays.push(error);
  await client.connect(transport);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name).sort()).toEqual(['ask_question', 'list_questions', 'list_tables', 'query']);
  expect(tools.every(({ annotations }) => annotations?.readOnlyHint === true)).toBe(true);

  const rows = await call(client, 'query', {
    sql: "select track_name, plays from top_tracks where period = 'all' order by 1",
  });
  expect(JSON.parse(rows.text)).toEqual([
    { track_name: 'Blue \u001b[31mDoor', plays: 1 },
    { track_name: 'Red Door', plays: 1 },
  ]);
  expect(rows.text).not.toContain('\u001b');
  await client.close();
  expect(strays).toEqual([]);
});

it('says of each table what it is, and of one its columns', async () => {
  const { client, served } = await connected();
  const all = JSON.parse((await call(client, 'list_tables')).text) as {
    table: string;
    description: string;
    grain: string;
  }[];
  expect(all.map(({ table }) => table)).toEqual(expect.arrayContaining(['gold_prod.fct_plays', 'silver.plays']));
  expect(all.filter(({ description, grain }) => description === '' || grain === '')).toEqual([]);
  const one = JSON.parse((await call(client, 'list_tables', { table: 'fct_plays' })).text);
  expect(one.columns).toEqual(
    expect.arrayContaining([{ name: 'play_id', type: 'varchar', description: expect.stringMatching(/./) }]),
  );
  expect(await call(client, 'list_tables', { table: 'nothing' })).toMatchObject({ isError: true });
  await client.close();
  expect(await served).toBe(0);
});

it('names every ready-made question, and runs one', async () => {
  const { client, served } = await connected();
  const known = JSON.parse((await call(client, 'list_questions')).text) as { name: string; about: string }[];
  const files = readdirSync(join(WAREHOUSE_DIR, 'queries')).filter((name) => name.endsWith('.sql'));
  expect(known.map(({ name }) => `${name}.sql`)).toEqual(files.sort());
  expect(known.filter(({ about }) => about === '')).toEqual([]);
  const answer = await call(client, 'ask_question', { name: 'top_tracks_of_all_time' });
  expect(JSON.parse(answer.text)).toEqual([1, 2].map((rank) => expect.objectContaining({ rank, plays: 1 })));
  // Of this lake's tables it asks one that is not there: the engine's own words come back.
  expect(await call(client, 'ask_question', { name: 'longest_sessions' })).toMatchObject({
    ...{ isError: true, text: expect.stringContaining('does not exist') },
  });
  expect(await call(client, 'ask_question', { name: '../../etc/passwd' })).toMatchObject({ isError: true });
  await client.close();
  await served;
});

it.each([
  ['drop table silver.plays', 'only statements that read'],
  ["copy silver.plays to '/tmp/x'", 'only statements that read'],
  ["select * from read_text('/etc/passwd')", 'only the tables of the lake'],
  ['select 1; select 2', 'one statement at a time'],
  ['select * from range(4)', 'more than 3 rows'],
  ["select repeat('x', 3000)", 'more than 2000 characters'],
  ['select sum(a.range * b.range) from range(10000000) a, range(10000000) b', 'more than 0.5 seconds'],
])('%s: %s', async (sql, words) => {
  const { client, served } = await connected({ rows: 3, characters: 2_000, timeMs: 500 });
  expect(await call(client, 'query', { sql })).toEqual({ isError: true, text: expect.stringContaining(words) });
  // The next one is answered as if nothing had been.
  expect(JSON.parse((await call(client, 'query', { sql: 'select 1 as one' })).text)).toEqual([{ one: 1 }]);
  await client.close();
  expect(await served).toBe(1);
});

it('a client that goes in the middle of a statement ends it', async () => {
  const { client, served } = await connected();
  void call(client, 'query', { sql: 'select sum(a.range * b.range) from range(10000000) a, range(10000000) b' }).catch(
    () => undefined,
  );
  await call(client, 'list_questions');
  await client.close();
  expect(await served).toBe(0);
});

it('more statements than may wait are told to come later', async () => {
  const { client, served } = await connected({ waiting: 1, timeMs: 500 });
  const slow = 'select sum(a.range * b.range) from range(10000000) a, range(10000000) b';
  const said = await Promise.all(Array.from({ length: 4 }, () => call(client, 'query', { sql: slow })));
  expect(said.filter(({ text }) => text.includes('ask again later'))).toHaveLength(2);
  await client.close();
  await served;
});

it('bad input: --json, and no lake', async () => {
  expect(await listenlake(['mcp', '--json', '--lake', lake.root])).toMatchObject({ code: 64, stdout: '' });
  expect(await listenlake(['mcp', '--lake', '/nowhere/lake'])).toMatchObject({ code: 78, stdout: '' });
});

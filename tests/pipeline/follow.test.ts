import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { eventOf, putBatch } from '../fixtures/stream-batches.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-follow-'));
const lake = join(folder, 'lake');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const batch = (firstOffset: number): Promise<string> =>
  putBatch(lake, { firstOffset }, [{ value: eventOf({ event_id: `evt-${firstOffset}` }), key: 'user-0001' }]);
const ask = async (sql: string): Promise<string> =>
  (await listenlake(['sql', sql, '--lake', lake, '--json', '--quiet'])).stdout;

it('run --follow brings what streams bring into prod, round after round, and ends cleanly when it is stopped', async () => {
  await batch(0);
  const bounded = await listenlake([
    'run',
    '--follow',
    '--every',
    '1',
    '--rounds',
    '2',
    '--lake',
    lake,
    '--json',
    '--quiet',
  ]);
  expect([bounded.code, bounded.json]).toEqual([0, { status: 'done', rounds: 2, published: 1, new: 1 }]);
  expect(await ask('select records, last_offset from stream_progress')).toMatch(/1.*0/);

  const following = start(['run', '--follow', '--every', '1', '--lake', lake, '--json', '--quiet']);
  const ended = finished(following);
  await batch(1);
  const deadline = Date.now() + 60_000;
  const rows = async (): Promise<string> => ask('select sum(records) as n from stream_progress');
  while (!/2/.test(await rows()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await rows()).toMatch(/2/);
  following.kill('SIGINT');
  const { code, json } = await ended;
  expect([code, json]).toMatchObject([0, { status: 'done', published: 1, new: 1 }]);

  // Nothing comes of a replay but what is there.
  const replayed = await listenlake(['stream', 'replay', '--lake', lake, '--json', '--quiet']);
  expect([replayed.code, replayed.json.status]).toEqual([0, 'nothing_new']);
});

it.each([
  [['run', 'somewhere', '--follow']],
  [['run', '--follow', '--to', '2026-01-01']],
  [['run', '--rounds', '2']],
  [['run', '--follow', '--rounds', 'many']],
])('%j is refused with 64', async (args) => {
  const { code, stderr } = await listenlake([...args, '--lake', lake]);
  expect([code, stderr.trim().split('\n').length]).toEqual([64, expect.any(Number)]);
});

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';
import { ownPlays } from '../report/report-data.ts';

let lake: LakeFixture;
beforeAll(async () => {
  lake = await openLakeFixture();
  await lake.commitSilver({ plays: ownPlays().slice(0, 5) });
});
afterAll(() => lake.close());

it('says where it listens, answers, and ends with 0 when it is asked to stop', async () => {
  const child = start(['serve', '--lake', lake.root, '--port', '0']);
  const ended = finished(child);
  const [said] = (await Promise.race([once(child.stdout!, 'data'), once(child, 'close')])) as [Buffer];
  const address = /serve: (http:\/\/127\.0\.0\.1:\d+\/)\n/.exec(said.toString())![1]!;
  const answer = await fetch(address);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('Nothing is published yet.');
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('serve: ended');
});

it('tells in one line what is wrong with a port, an address and a lake', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const port = String((taken.address() as AddressInfo).port);
  const begin = (...args: string[]) => listenlake(['serve', '--lake', lake.root, ...args]);
  const used = await begin('--port', port);
  expect([used.code, used.stderr]).toEqual([69, expect.stringContaining(`another program listens on port ${port}`)]);
  taken.close();
  const high = await begin('--port', '70000');
  expect([high.code, high.stderr]).toEqual([64, expect.stringContaining('--port 70000 is no port')]);
  const named = await begin('--host', 'rebound.example');
  expect([named.code, named.stderr]).toEqual([64, expect.stringContaining('is no IP address')]);
  const none = await listenlake(['serve', '--lake', join(lake.root, 'none')]);
  expect([none.code, none.stderr]).toEqual([78, expect.stringContaining('there is no lake')]);
  for (const { stderr } of [used, high, named, none]) expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

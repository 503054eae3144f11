/** An export whose folder fails it, call by call: what was there stays as it was, and one line says why. */
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';
import { ownPlays } from '../report/report-data.ts';
import { type Errno, type FailingCalls, openFailingCalls } from './system-calls.ts';

const ERRORS: Record<string, Errno[]> = {
  ...{ mkdir: ['ENOSPC'], open: ['EACCES'], pwrite: ['ENOSPC', 'EIO'], write: ['ENOSPC', 'EIO'] },
  ...{ fsync: ['EIO', 'ENOSPC'], rename: ['EROFS'] },
};
const MINE = { 'mine.txt': 'mine', 'plays.csv': 'of last week' };

const work = mkdtempSync(join(tmpdir(), 'listenlake-export-faults-'));
const out = join(work, 'out');
const ARGS = ['export', 'plays', '--to', out, '--format', 'csv', '--force', '--quiet'];
let calls: FailingCalls | undefined;
let lake: LakeFixture;

beforeAll(async () => {
  calls = openFailingCalls(work);
  lake = await openLakeFixture();
  await lake.commitSilver({ plays: ownPlays().slice(0, 400) });
  await lake.engine.publish(await lake.state());
});
afterAll(async () => {
  await lake.close();
  rmSync(work, { recursive: true, force: true });
});

async function refill(): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  await mkdir(out);
  for (const [name, text] of Object.entries(MINE)) await writeFile(join(out, name), text);
}

async function found(): Promise<Record<string, string>> {
  const names = (await readdir(out)).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(out, name), 'utf8')])),
  );
}

it('a disk that fills, refuses or breaks under it: 74 in one line, and the folder as it was', async () => {
  if (calls === undefined) return;
  await refill();
  const { counts } = await calls.watch(ARGS, lake.root, out, out);
  const whole = await found();
  expect(Object.keys(whole)).toEqual(Object.keys(MINE));
  expect(whole['plays.csv']!.split('\n').length).toBeGreaterThan(400);
  const kinds = Object.keys(ERRORS).filter((call) => (counts.get(call) ?? 0) > 0);
  expect(kinds).toEqual(expect.arrayContaining(['mkdir', 'open', 'fsync', 'rename']));
  expect(kinds.some((call) => call === 'write' || call === 'pwrite')).toBe(true);
  for (const call of kinds)
    for (const errno of ERRORS[call]!) {
      await refill();
      const run = await calls.run(ARGS, lake.root, { call, at: 1, errno, isLasting: true, match: out, also: out });
      expect([call, errno, run.code, run.fired.length > 0]).toEqual([call, errno, 74, true]);
      expect(run.stderr).toMatch(/^listenlake: \/.*: .* \(.*\)\n$/);
      expect([call, errno, await found()]).toEqual([call, errno, MINE]);
    }
  await refill();
  expect((await calls.watch(ARGS, lake.root, out, out)).counts.size).toBeGreaterThan(0);
  expect(await found()).toEqual(whole);
});

it('killed at its last step, or while it writes: the file is the old one or the new one', async () => {
  if (calls === undefined) return;
  await refill();
  await calls.watch(ARGS, lake.root, out, out);
  const whole = (await found())['plays.csv'];
  for (const call of ['fsync', 'rename']) {
    await refill();
    const run = await calls.run(ARGS, lake.root, { call, at: 1, errno: 'SIGKILL', match: out, also: out });
    expect([call, run.signal]).toEqual([call, 'SIGKILL']);
    const left = await readdir(out);
    // Its own folder, which begins with a dot, may lie there yet.
    expect(left.filter((name) => !name.startsWith('.')).sort()).toEqual(Object.keys(MINE));
    expect([MINE['plays.csv'], whole]).toContain(await readFile(join(out, 'plays.csv'), 'utf8'));
  }
});

/** A signal to a job on S3: it ends within its grace, also where S3 answers nothing any more. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { environmentOf, startLocalAwsOrSkip } from './local.ts';

/**
 * What waits after SIGTERM kills after 30 s; a busy machine gets more, and without an end of its own a job
 * takes minutes.
 */
const KILL_MS = 120_000;

const local = await startLocalAwsOrSkip('a signal on S3', { isTrinoNeeded: false });

if (local === undefined) {
  it('S3 is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { calls, rules, url } = local.endpoint;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'listenlake-stop-'));
    for (let day = 10; day < 30; day += 1) {
      const line = JSON.stringify({
        ts: `2026-10-${day}T10:00:00Z`,
        user_id: 'u1',
        track_id: 't1',
        event_type: 'play',
      });
      await writeFile(join(folder, `events-${day}.jsonl`), `${line}\n`);
    }
  });
  afterAll(async () => {
    await local.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('F38: SIGTERM ends it with 143 where it cannot give its lease back, and the next run goes on', async () => {
    await local.makeBucket('stopped');
    const environment = { ...environmentOf(url), LISTENLAKE_LAKE: 's3://stopped' };
    // The signal comes between two files, which takes a while; then nothing answers to the lease.
    rules.push({ operation: 'PutObject', fault: { kind: 'delay', ms: 1_000 }, times: 1_000 });
    rules.push({ operation: 'DeleteObject', fault: { kind: 'delay', ms: 2 * KILL_MS }, times: 1_000 });
    const child = start(['extract', folder], environment);
    const done = finished(child);
    const isPut = (): boolean =>
      calls.some(({ operation, url: at }) => operation === 'PutObject' && at.includes('/landing/'));
    while (!isPut() && child.exitCode === null) await sleep(20);
    child.kill('SIGTERM');
    const killing = setTimeout(() => child.kill('SIGKILL'), KILL_MS);
    const { code, signal, stderr } = await done;
    clearTimeout(killing);
    expect([code, signal, stderr]).toEqual([143, null, '']);
    expect(calls.some(({ operation }) => operation === 'DeleteObject')).toBe(true);
    rules.length = 0;
    const next = await listenlake(['extract', folder], environment);
    expect([next.code, next.json]).toEqual([0, expect.objectContaining({ status: 'extracted' })]);
    expect(Number(next.json.added)).toBeLessThan(20);
    expect(Number(next.json.added) + Number(next.json.known)).toBe(20);
  }, 900_000);
}

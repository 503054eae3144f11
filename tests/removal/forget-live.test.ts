import { check } from '../../jobs/check.ts';
import { enrich } from '../../jobs/enrich.ts';
import { forget } from '../../jobs/forget.ts';
import { latestManifest } from '../../jobs/lake/manifest.ts';
import { promote } from '../../jobs/promote.ts';
import { transform } from '../../jobs/transform.ts';
import { eventOf, putBatch } from '../fixtures/stream-batches.ts';
import { filesWith, Lakes, type OpenLake, rowsOf } from './forget-fixture.ts';

const lakes = new Lakes();
let lake: OpenLake;
const MARK = /anna|Secret of hers/;
afterAll(() => lakes.close());

const event = (user: string, n: number): Record<string, unknown> =>
  eventOf({
    event_id: `evt-live-${user}-${n}-000`,
    user_id: user,
    session_id: `ses-live-${user}-000`,
    track_name: user === 'anna' ? 'Secret of hers' : 'Blue Door',
  });

/** What a round of `run` does after `load`. */
async function round(runId: string, isLive: boolean): Promise<void> {
  await transform({ runId, loadedOn: '2026-11-21' }, lake.effects);
  await check({ scope: 'silver', target: 'dev', runId }, lake.effects);
  await enrich({ runId: `${runId}-dev`, isLive }, lake.effects);
  await check({ scope: 'gold', target: 'dev', runId }, lake.effects);
  await promote({ runId }, lake.effects);
}

it('forget leaves nothing of a person in tables that live rounds have kept', async () => {
  lake = await lakes.copy(await lakes.make('bob', ['bob'], {}, { isWhole: true }));
  const records = (user: string, from: number) =>
    [from, from + 1].map((n) => ({ value: event(user, n), key: user, at: '2026-10-05T13:00:00.000Z' }));
  await putBatch(lake.root, {}, [...records('anna', 1), ...records('bob', 1)]);
  await round('whole', false);
  await putBatch(lake.root, { firstOffset: 4 }, [...records('anna', 3), ...records('bob', 3)]);
  await round('live', true);
  const before = (await latestManifest(lake.effects.store))!.state.gold.prod!;
  expect(before.kept).toContain('listening_cube');
  expect((await filesWith(lake.root, MARK)).some((key) => key.includes('gold/prod'))).toBe(true);

  const input = { userId: 'anna', unloaded: 'stop', confirm: async () => true, dryRun: false } as const;
  const result = await forget({ runId: 'forget', ...input }, lake.effects);
  expect(result).toMatchObject({ status: 'forgotten', proof: { hits: [], unread: [] } });
  expect(await filesWith(lake.root, MARK)).toEqual([]);
  const after = (await latestManifest(lake.effects.store))!.state.gold.prod!;
  expect(after).not.toHaveProperty('kept');
  expect(Object.keys(after.tables)).toEqual(Object.keys(before.tables));
  // What live rounds had put off is there now, of everybody else.
  const bobs = await rowsOf(lake.root, 'bob');
  expect(bobs['gold_prod.listening_cube']).toBe(bobs['gold_dev.listening_cube']);
});

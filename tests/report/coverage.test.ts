import { coverageText } from '../../jobs/commands/coverage.ts';
import { coverage } from '../../jobs/coverage.ts';
import { type LakeFixture, openLakeFixture, publishProd, type Row } from '../fixtures/effects.ts';
import { sources } from './report-data.ts';

let lake: LakeFixture;
let runs = 0;
beforeEach(async () => {
  lake = await openLakeFixture();
});
afterEach(() => lake.close());

async function published(silver: Record<string, readonly Row[]>, asOf = '2026-07-01'): Promise<void> {
  await lake.commitSilver(silver);
  await publishProd(lake.effects, { runId: `run-${(runs += 1)}`, asOf });
}

it('says what is covered, the gaps from the longest on, and the newest poll and row', async () => {
  const stats = (table: string, newestAt: string): Row => ({
    ...{ layer: 'silver', table_name: table, rows: 4, bytes: 1, newest_at: newestAt, rows_before: 0 },
  });
  await published({
    ...sources(),
    table_stats: [
      stats('capture_polls', '2026-06-30T23:00:00.000Z'),
      stats('export_files', '2026-06-20T00:00:00.000Z'),
    ],
  });
  const result = await coverage(lake.effects);
  expect(result).toMatchObject({
    ...{ status: 'gaps', users: 1, days: 181, gaps: 2, gapHours: 756 },
    ...{ firstDate: '2026-01-01', lastDate: '2026-06-30' },
    ...{ newestCapture: '2026-06-30T23:00:00Z', newestExport: '2026-06-20T00:00:00Z' },
  });
  expect(result.coveredShare).toBeCloseTo((181 * 24 - 720 - 36 - 1) / (181 * 24), 9);
  expect(result.longestGaps).toEqual([
    { userId: 'me', from: '2026-04-01', to: '2026-04-30', hours: 720, causes: ['between_exports'] },
    { userId: 'me', from: '2026-06-25', to: '2026-06-26', hours: 36, causes: ['overflow'] },
  ]);
  const text = coverageText(result);
  expect(text).toContain('82.5 % of the hours of 181 days, 2026-01-01 to 2026-06-30');
  expect(text).toContain('2026-04-01 to 2026-04-30: 30 days, between two exports');
  expect(text).toContain('request an account export; poll every half hour');
});

it('an export that spans a gap closes it', async () => {
  const { export_files: files, capture_polls: polls } = sources();
  const later = { ...files[0]!, source: 'export_account', source_key: 'later', last_at: '2026-06-28T00:00:00.000Z' };
  await published({ export_files: [...files, later], capture_polls: polls });
  expect(await coverage(lake.effects)).toMatchObject({ status: 'whole', gaps: 0, longestGaps: [] });
});

it('tells a capture that stopped days ago from the rest of the last day', async () => {
  const polls = sources().capture_polls.slice(0, 2);
  await published({ capture_polls: polls }, '2026-06-26');
  expect(await coverage(lake.effects)).toMatchObject({ status: 'whole', gaps: 0 });
  // A first capture: its day has no gap, though most of it lies before and after.
  await published({ capture_polls: polls.slice(0, 1) }, '2026-06-19');
  expect(await coverage(lake.effects)).toMatchObject({ status: 'whole', gaps: 0, days: 1 });
  await published({ capture_polls: polls }, '2026-06-28');
  expect(await coverage(lake.effects)).toMatchObject({
    status: 'gaps',
    longestGaps: [{ from: '2026-06-26', to: '2026-06-27', hours: 48, causes: ['after_last_source'] }],
  });
});

it('names whose gap it is where there are several, and counts gaps that it does not list', async () => {
  const { export_files: files } = sources();
  const users = Array.from({ length: 25 }, (_, n) => `user-${String(n).padStart(2, '0')}`);
  const all = users.flatMap((user) =>
    files.map((file) => ({ ...file, user_id: user, source_key: `${user}-${file.source_key}` })),
  );
  await published({ export_files: all }, '2026-06-20');
  const result = await coverage(lake.effects);
  expect(result).toMatchObject({ users: 25, gaps: 25, gapHours: 25 * 720 });
  expect(result.longestGaps).toHaveLength(20);
  expect(coverageText(result)).toContain('(user-00): 30 days');
  expect(coverageText(result)).toContain('and 13 more');
});

it('has nothing to say before there is an export or a poll', async () => {
  expect(await coverage(lake.effects)).toMatchObject({ status: 'none', coveredShare: null, newestCapture: null });
  await published({});
  const result = await coverage(lake.effects);
  expect(result).toMatchObject({ status: 'none', days: 0 });
  expect(coverageText(result)).toContain('listenlake run my_spotify_data.zip, or listenlake login');
});

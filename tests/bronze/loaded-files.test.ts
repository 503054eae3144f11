/** The ledger of loaded files: what was read of each, and how its keys differ from those of earlier loads. */
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture } from './load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

type Play = Record<string, unknown>;

/** An extended export of so many plays. @param change of each play */
function exportOf(year: number, plays: number, change: (play: Play, n: number) => Play = (play) => play): string {
  const rows = Array.from({ length: plays }, (_, n) =>
    change(
      {
        ...{ ts: new Date(Date.UTC(year, 0, 1, 0, n)).toISOString().replace('.000', ''), platform: 'ios' },
        ...{ ms_played: 30_000, conn_country: 'DE', reason_end: 'trackdone', offline: false, shuffle: true },
      },
      n,
    ),
  );
  return JSON.stringify(rows);
}

async function build(): Promise<void> {
  await lake.load();
  await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
}

const drift = (): Promise<unknown[][]> =>
  lake.query(
    `select file_name, new_keys, missing_keys from silver.loaded_files
     where new_keys is not null or missing_keys is not null order by file_name`,
  );

it('has a row for each file, loaded or refused, with the rows that are to be accounted for', async () => {
  await lake.give({
    'Streaming_History_Audio_2024_0.json': exportOf(2024, 3),
    'Streaming_History_Audio_2025_1.json': '[{"ts": "2025-01-01T00:00:00Z", "ms_played":',
  });
  await build();
  const rows = await lake.query(
    'select file_name, kind, table_name, user_id, is_refused, rows_read, has_keys, loaded_on is not null from silver.loaded_files order by 1',
  );
  expect(rows).toEqual([
    ['Streaming_History_Audio_2024_0.json', 'export_extended', 'export_extended', 'me', false, 3n, true, true],
    ['Streaming_History_Audio_2025_1.json', 'refused', 'refused', expect.anything(), true, 1n, false, true],
  ]);
});

it('tells a key that no earlier load had, in every file of the load that brings it, and not again', async () => {
  await lake.give({ 'Streaming_History_Audio_2024_0.json': exportOf(2024, 3) });
  await build();
  expect(await drift()).toEqual([]);
  const more = (play: Play, n: number): Play => (n === 1 ? { ...play, hifi: true, 'it\'s "odd"': 1 } : play);
  // An export tells all years anew: the key is in old years as well.
  await lake.give({
    'Streaming_History_Audio_2023_0.json': exportOf(2023, 3, more),
    'Streaming_History_Audio_2025_1.json': exportOf(2025, 3, (play) => ({ ...play, hifi: false })),
  });
  await build();
  const found = [
    ['Streaming_History_Audio_2023_0.json', 'hifi, it\'s "odd"', null],
    ['Streaming_History_Audio_2025_1.json', 'hifi', null],
  ];
  expect(await drift()).toEqual(found);
  await lake.give({ 'Streaming_History_Audio_2026_2.json': exportOf(2026, 3, more) });
  await build();
  expect(await drift()).toEqual(found);
});

it('names no personal key', async () => {
  await lake.give({
    'Streaming_History_Audio_2024_0.json': exportOf(2024, 3, (play) => ({
      ...play,
      ...{ ip_addr_decrypted: '192.0.2.1', 'ada@example.org': 1, email: 'ada@example.org' },
    })),
  });
  await build();
  const [row] = await drift();
  expect(String(row?.[1] ?? '')).not.toMatch(/ip_addr|ada|email/);
});

it('tells a key that all rows had in the loads before and that no row has, and nothing of one that comes and goes', async () => {
  const some = (play: Play, n: number): Play => (n % 2 === 0 ? { ...play, incognito_mode: false } : play);
  await lake.give({ 'Streaming_History_Audio_2024_0.json': exportOf(2024, 100, some) });
  await build();
  const without = ({ offline: _, ...play }: Play): Play => play;
  await lake.give({ 'Streaming_History_Audio_2025_1.json': exportOf(2025, 3, without) });
  await build();
  expect(await drift()).toEqual([['Streaming_History_Audio_2025_1.json', null, 'offline']]);
  // Gone for good by now: the load before has not had it either.
  await lake.give({ 'Streaming_History_Audio_2026_2.json': exportOf(2026, 3, without) });
  await build();
  expect(await drift()).toEqual([['Streaming_History_Audio_2025_1.json', null, 'offline']]);
});

it('99 rows are too few to say that all have a key, and files of another series are no measure', async () => {
  await lake.give({ 'Streaming_History_Audio_2024_0.json': exportOf(2024, 99) });
  await lake.give({ 'Streaming_History_Video_2024.json': exportOf(2022, 100) });
  await build();
  const without = ({ offline: _, ...play }: Play): Play => play;
  await lake.give({ 'Streaming_History_Audio_2025_1.json': exportOf(2025, 3, without) });
  await build();
  expect(await drift()).toEqual([]);
});

it('an empty file has no keys, so none is gone', async () => {
  await lake.give({ 'Streaming_History_Audio_2024_0.json': exportOf(2024, 100) });
  await build();
  await lake.give({ 'Streaming_History_Audio_2025_1.json': '[]' });
  await build();
  expect(await drift()).toEqual([]);
});

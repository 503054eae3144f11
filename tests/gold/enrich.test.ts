import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type EnrichInput, type EnrichResult, enrich } from '../../jobs/enrich.ts';
import { latestManifest, readSilverFiles } from '../../jobs/lake/manifest.ts';
import { CLOCK_MS, type LakeFixture, openLakeFixture, projectOf } from '../fixtures/effects.ts';

const COUNTS = {
  'models/play_counts.sql': `{{ config(materialized='table') }}
    select user_id, count(*) as plays, cast('{{ var('as_of') }}' as varchar) as as_of from {{ source('silver', 'plays') }} group by user_id`,
  'models/play_counts.yml': `models:
  - name: play_counts
    columns:
      - {name: user_id, data_type: varchar, data_tests: [not_null, unique]}
      - {name: plays, data_type: bigint, data_tests: [{expression_is_true: {arguments: {expression: '< 3'}}}]}
      - {name: as_of, data_type: varchar}
`,
};

describe('enrich', () => {
  const project = projectOf(COUNTS);
  let lake: LakeFixture;
  let runs = 0;
  beforeEach(async () => {
    lake = await openLakeFixture();
    await lake.commitSilver({
      plays: [
        { play_id: 'p1', user_id: 'u1', ended_at: '2026-01-31 23:00:00' },
        { play_id: 'p2', user_id: 'u1', ended_at: '2026-02-01 00:00:00' },
      ],
    });
  });
  afterEach(() => lake.close());

  const run = (input: Partial<EnrichInput> = {}): Promise<EnrichResult> =>
    enrich({ runId: `run-${runs++}`, project, ...input }, lake.effects);
  const plays = async (target: 'dev' | 'prod' = 'dev'): Promise<unknown> =>
    (await lake.engine.query('select user_id, plays from play_counts order by 1', { target })).rows;

  it('builds every model, commits and shows gold_dev', async () => {
    const result = await run({ runId: 'first' });
    expect(result).toEqual({
      status: 'built',
      runId: 'first',
      asOf: '2026-02-02T00:00:00.000Z',
      tables: [{ model: 'play_counts', rows: 1, bytes: expect.any(Number) }],
      built: ['play_counts'],
    });
    expect(await plays()).toEqual([['u1', 2n]]);
    const manifest = await latestManifest(lake.store);
    expect(manifest).toMatchObject({
      job: 'enrich',
      runId: 'first',
      startedAt: new Date(CLOCK_MS).toISOString(),
      interval: { from: null, to: '2026-02-02T00:00:00.000Z' },
      state: { gold: { dev: { runId: 'first', asOf: '2026-02-02T00:00:00.000Z', silverSequence: 1 } } },
    });
    expect(manifest?.outputs.map(({ key }) => key)).toEqual(['gold/dev/first/play_counts/part-0.parquet']);
  });

  it('leaves prod alone: a forgotten flag means dev', async () => {
    await run();
    await expect(plays('prod')).rejects.toMatchObject({ code: 'sql_invalid' });
  });

  it('changes nothing when silver, models and end are those of the version that is there', async () => {
    const { runId } = await run();
    const before = (await latestManifest(lake.store))?.sequence;
    expect(await run()).toMatchObject({ status: 'nothing_new', runId });
    expect((await latestManifest(lake.store))?.sequence).toBe(before);
    expect(await run({ asOf: '2026-02-03' })).toMatchObject({ status: 'built' });
    const other = projectOf({ ...COUNTS, 'macros/unused.sql': '{% macro unused() %}1{% endmacro %}' });
    expect(await run({ asOf: '2026-02-03', project: other })).toMatchObject({ status: 'built' });
    await lake.commitSilver({ plays: [{ play_id: 'p1', user_id: 'u2' }] });
    expect(await run({ asOf: '2026-02-03', project: other })).toMatchObject({ status: 'built' });
    expect(await plays()).toEqual([['u2', 1n]]);
  });

  it('F43: builds again when asked to, for a table of gold that was damaged', async () => {
    const { runId } = await run();
    await lake.store.put(`gold/dev/${runId}/play_counts/part-0.parquet`, 'PAR1 or something like it PAR1');
    await expect(plays()).rejects.toMatchObject({ code: 'object_damaged' });
    expect(await run({ rebuild: true })).toMatchObject({ status: 'built' });
    expect(await plays()).toEqual([['u1', 2n]]);
  });

  it('ends at the midnight after the newest listening, whichever table has it', async () => {
    await lake.commitSilver({ listening_events: [{ event_id: 'e1', occurred_at: '2026-03-05 00:00:00.001' }] });
    expect((await run()).asOf).toBe('2026-03-06T00:00:00.000Z');
    expect((await lake.engine.query('select distinct as_of from play_counts')).rows).toEqual([
      ['2026-03-06T00:00:00.000Z'],
    ]);
  });

  it('ends with the newest snapshot or chart where there is no listening, and at the epoch in an empty lake', async () => {
    await lake.commitSilver({ plays: [] });
    expect((await run()).asOf).toBe('1970-01-01T00:00:00.000Z');
    await lake.commitSilver({ chart_entries: [{ period_start: '2020-01-01', period_end: '2020-01-08' }] });
    expect((await run()).asOf).toBe('2020-01-08T00:00:00.000Z');
    await lake.commitSilver({ playlist_items: [{ playlist_id: 'p', snapshot_date: '2021-05-01' }] });
    expect((await run()).asOf).toBe('2021-05-02T00:00:00.000Z');
  });

  it.each(['yesterday', '2026-02-30', '2026-01-01T00:00:00'])('refuses the end %p', async (asOf) => {
    await expect(run({ asOf })).rejects.toMatchObject({ code: 'interval_invalid', exit: 'usage' });
  });

  it('refuses the id of a run that is published', async () => {
    await run({ runId: 'same' });
    await expect(run({ runId: 'same', asOf: '2026-05-01' })).rejects.toMatchObject({
      code: 'run_id_taken',
      exit: 'usage',
    });
    expect(await plays()).toEqual([['u1', 2n]]);
  });

  it('keeps the version that is shown when a model does not build, and leaves nothing behind in staging', async () => {
    await run();
    const broken = projectOf({
      ...COUNTS,
      'models/play_counts.sql':
        "select user_id, cast('x' || user_id as bigint) as plays, 'a' as as_of from {{ source('silver', 'plays') }}",
    });
    await expect(run({ project: broken })).rejects.toMatchObject({
      code: 'sql_invalid',
      place: { file: 'warehouse/models/play_counts.sql' },
      message: expect.stringContaining('Conversion Error'),
    });
    expect(await plays()).toEqual([['u1', 2n]]);
    expect(
      readdirSync(join(lake.root, '.staging'), { recursive: true }).filter((name) => String(name).endsWith('.parquet')),
    ).toEqual([]);
  });

  it('F43: refuses to build from a damaged silver object', async () => {
    const [damaged] = await readSilverFiles(lake.store, await lake.state(), 'plays');
    await lake.store.put(damaged!.key, 'PAR1 or something like it PAR1');
    await expect(run()).rejects.toMatchObject({
      code: 'object_damaged',
      place: { file: damaged!.key },
    });
  });

  it('F36: a run killed after its commit is shown by the next one, which builds nothing', async () => {
    const killed = new Error('killed');
    const engine = { ...lake.engine, publish: () => Promise.reject(killed) };
    await expect(enrich({ runId: 'killed', project }, { ...lake.effects, engine })).rejects.toBe(killed);
    expect(await run()).toMatchObject({ status: 'nothing_new', runId: 'killed' });
    expect(await plays()).toEqual([['u1', 2n]]);
  });

  it('F36: a run killed before its commit leaves the version that was shown, and the next one finishes', async () => {
    await run();
    await lake.commitSilver({ plays: [{ play_id: 'p1', user_id: 'u9' }] });
    const killed = new Error('killed');
    const store = {
      ...lake.store,
      put: (key: string, ...rest: [never]) =>
        key.startsWith('manifests/') ? Promise.reject(killed) : lake.store.put(key, ...rest),
    };
    await expect(enrich({ runId: 'killed', project }, { ...lake.effects, store })).rejects.toBe(killed);
    expect(await plays()).toEqual([['u1', 2n]]);
    expect(existsSync(join(lake.root, 'gold/dev/killed'))).toBe(true); // an orphan that nobody reads
    await run();
    expect(await plays()).toEqual([['u9', 1n]]);
  });

  it('F38: stops between two models when asked to, committing nothing', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(enrich({ runId: 'r', project }, { ...lake.effects, signal: controller.signal })).rejects.toMatchObject(
      {
        code: 'stopped',
        exit: 'tempfail',
      },
    );
    expect((await lake.state()).gold).toEqual({});
  });

  it('F55: of two at once one commits, the other is told to try again', async () => {
    const ends = await Promise.allSettled([run({ asOf: '2026-04-01' }), run({ asOf: '2026-04-02' })]);
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const lost = ends.find((end) => end.status === 'rejected');
    expect(lost?.reason).toMatchObject({ code: 'commit_conflict', exit: 'tempfail' });
  });
});

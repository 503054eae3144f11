import { readFileSync, writeFileSync } from 'node:fs';
import { check } from '../../jobs/check.ts';
import { enrich } from '../../jobs/enrich.ts';
import { latestManifest } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { type PromoteInput, type PromoteResult, promote } from '../../jobs/promote.ts';
import { type LakeFixture, openLakeFixture, projectOf, type Row } from '../fixtures/effects.ts';

const FILES = {
  'models/play_counts.sql':
    "select user_id, count(*) as plays, cast(sum(played_ms) as bigint) as total_ms from {{ source('silver', 'plays') }} group by user_id",
  'models/totals.sql': "select cast(sum(plays) as bigint) as plays from {{ ref('play_counts') }}",
  'models/all.yml': `models:
  - name: play_counts
    columns:
      - {name: user_id, data_type: varchar, data_tests: [unique]}
      - {name: plays, data_type: bigint, data_tests: [{expression_is_true: {expression: '< 4'}}]}
      - {name: total_ms, data_type: bigint}
  - name: totals
    columns: [{name: plays, data_type: bigint}]
`,
};

describe('promote', () => {
  const project = projectOf(FILES);
  let lake: LakeFixture;
  let runs = 0;
  beforeEach(async () => {
    lake = await openLakeFixture();
    await lake.commitSilver({ plays: plays('u1', 'u1', 'u2') });
  });
  afterEach(() => lake.close());

  function plays(...users: string[]): Row[] {
    return users.map((user_id, index) => ({
      play_id: `p${index}`,
      user_id,
      source: 'api',
      content_type: 'unknown',
      played_ms: 1000,
    }));
  }
  const dev = async (used = project): Promise<void> => {
    await enrich({ runId: `dev-${runs++}`, project: used }, lake.effects);
    await check({ scope: 'silver', target: 'dev', runId: `check-${runs++}` }, lake.effects);
    await check({ scope: 'gold', target: 'dev', runId: `check-${runs++}`, project: used }, lake.effects);
  };
  const run = (input: Partial<PromoteInput> = {}): Promise<PromoteResult> =>
    promote({ runId: `prod-${runs++}`, project, ...input }, lake.effects);
  const prod = async (): Promise<unknown> =>
    (await lake.engine.query('select user_id, plays from play_counts order by 1', { target: 'prod' })).rows;

  it('builds prod from what dev was built from, and shows it', async () => {
    await dev();
    const result = await run({ runId: 'prod-first' });
    expect(result).toMatchObject({ status: 'promoted', runId: 'prod-first' });
    expect(await prod()).toEqual([
      ['u1', 2n],
      ['u2', 1n],
    ]);
    const { gold, checks } = await lake.state();
    expect(gold.prod).toMatchObject({
      asOf: gold.dev?.asOf,
      silverSequence: gold.dev?.silverSequence,
      modelsHash: gold.dev?.modelsHash,
    });
    expect(checks.gold_prod).toMatchObject({ verdict: 'passed', of: 'prod-first' });
  });

  it('tells the difference of each table: rows, keys, sums', async () => {
    await dev();
    const first = await run();
    expect(first.differences).toEqual([
      {
        table: 'play_counts',
        rows: { dev: 2, prod: null },
        keys: { added: 2, removed: 0 },
        columns: { added: [], removed: [] },
        sums: [
          { column: 'plays', dev: 3, prod: null },
          { column: 'total_ms', dev: 3000, prod: null },
        ],
      },
      expect.objectContaining({ table: 'totals', rows: { dev: 1, prod: null } }),
    ]);
    await lake.commitSilver({ plays: plays('u2', 'u3', 'u3', 'u4') });
    await dev();
    const second = await run({ dryRun: true });
    expect(second.status).toBe('dry_run');
    expect(second.differences).toEqual([
      {
        table: 'play_counts',
        rows: { dev: 3, prod: 2 },
        keys: { added: 2, removed: 1 },
        columns: { added: [], removed: [] },
        sums: [
          { column: 'plays', dev: 4, prod: 3 },
          { column: 'total_ms', dev: 4000, prod: 3000 },
        ],
      },
      {
        table: 'totals',
        rows: { dev: 1, prod: 1 },
        keys: { added: null, removed: null },
        columns: { added: [], removed: [] },
        sums: [{ column: 'plays', dev: 4, prod: 3 }],
      },
    ]);
    expect(await prod()).toHaveLength(2); // a dry run changes nothing
  });

  it('tells columns and tables that come and go', async () => {
    await dev();
    await run();
    const other = projectOf({
      'models/play_counts.sql':
        "select user_id, count(*) as listens from {{ source('silver', 'plays') }} group by user_id",
      'models/all.yml':
        'models: [{name: play_counts, columns: [{name: user_id, data_type: varchar, data_tests: [unique]}, {name: listens, data_type: bigint}]}]',
    });
    await dev(other);
    const { differences } = await run({ project: other });
    expect(differences).toMatchObject([
      {
        table: 'play_counts',
        columns: { added: ['listens'], removed: ['plays', 'total_ms'] },
        keys: { added: 0, removed: 0 },
      },
      { table: 'totals', rows: { dev: null, prod: 1 }, keys: { added: 0, removed: 1 } },
    ]);
    await expect(lake.engine.query('select * from gold_prod.totals')).rejects.toMatchObject({ code: 'sql_invalid' });
  });

  it('F71: a promotion that slept through the commit of another run shows nothing, exit 75', async () => {
    await dev();
    await run();
    await lake.commitSilver({ plays: plays('u1', 'u2', 'u3', 'u3') });
    await dev();
    const before = await prod();
    let other: Awaited<ReturnType<typeof lake.state>> | undefined;
    const store: LakeStore = {
      ...lake.store,
      async put(key, body, condition) {
        // Its tables are built and tested; before it writes the first word of its commit, somebody else
        // commits.
        if (other === undefined) other = await lake.commitSilver({ tracks: [{ track_id: 't1' }] });
        return lake.store.put(key, body, condition);
      },
    };
    const now = (): number => Date.now() - 120_000;
    const late = promote({ runId: 'late', project }, { ...lake.effects, store, now });
    await expect(late).rejects.toMatchObject({ code: 'commit_conflict', exit: 'tempfail' });
    expect([await prod(), await lake.state()]).toEqual([before, other]);
  });

  it('F71: a promotion that has nothing to change does not publish what it read before another commit', async () => {
    await dev();
    await run();
    let isOvertaken = false;
    const session = lake.engine.session;
    const engine: typeof lake.engine = {
      ...lake.engine,
      async session(request) {
        if (!isOvertaken) await lake.commitSilver({ tracks: [{ track_id: 't1' }] });
        isOvertaken = true;
        return session(request);
      },
    };
    await expect(promote({ runId: 'late', project }, { ...lake.effects, engine })).rejects.toMatchObject({
      code: 'commit_conflict',
    });
    expect((await lake.engine.query('select track_id from silver.tracks')).rows).toEqual([['t1']]);
  });

  it('publishes the very objects that dev was checked on, with what the tests of dev have found', async () => {
    await dev();
    const { runId } = await run();
    const { gold, checks } = await lake.state();
    const names = Object.keys(gold.dev!.tables);
    expect(names.sort()).toEqual(Object.keys(gold.prod!.tables).sort());
    for (const name of names) {
      const [of, to] = [gold.dev!.tables[name]!, gold.prod!.tables[name]!];
      expect(to).toEqual({ ...of, key: expect.stringMatching(`^gold/prod/${runId}/${name}/`) });
      const [from, copy] = [await lake.store.localFile(of.key), await lake.store.localFile(to.key)];
      expect(readFileSync(copy).equals(readFileSync(from))).toBe(true);
    }
    expect(checks.gold_prod).toMatchObject({ verdict: 'passed', of: runId });
    const { rows } = await lake.engine.query(
      `select scope, count(*), count(distinct status) from silver.check_results where scope like 'gold%' group by 1 order by 1`,
    );
    expect(rows).toEqual([
      ['gold_dev', rows[0]![1]!, 1n],
      ['gold_prod', rows[0]![1]!, 1n],
    ]);
    expect(Number(rows[0]![1])).toBeGreaterThan(0);
  });

  it('F43: a table of dev that is damaged is not published; one of prod is mended by publishing again', async () => {
    await dev();
    await run();
    const tableOf = async (target: 'dev' | 'prod'): Promise<string> =>
      lake.store.localFile((await lake.state()).gold[target]!.tables.play_counts!.key);
    writeFileSync(await tableOf('prod'), 'not parquet');
    await expect(prod()).rejects.toMatchObject({ code: 'object_damaged' });
    await expect(run()).rejects.toMatchObject({ code: 'object_damaged' });
    expect(await run({ rebuild: true })).toMatchObject({ status: 'promoted' });
    const mended = await prod();
    expect(mended).toEqual([
      ['u1', 2n],
      ['u2', 1n],
    ]);
    writeFileSync(await tableOf('dev'), 'not parquet');
    await expect(run({ rebuild: true })).rejects.toMatchObject({ code: 'object_damaged', exit: 'data' });
    expect(await prod()).toEqual(mended);
  });

  it('changes nothing when prod shows this version already', async () => {
    await dev();
    const { runId } = await run();
    const sequence = (await latestManifest(lake.store))?.sequence;
    const again = await run();
    expect(again).toMatchObject({ status: 'nothing_new', runId });
    expect((await latestManifest(lake.store))?.sequence).toBe(sequence);
  });

  describe('refuses, and leaves prod as it was,', () => {
    beforeEach(async () => {
      await dev();
      await run();
    });
    afterEach(async () => {
      expect(await prod()).toEqual([
        ['u1', 2n],
        ['u2', 1n],
      ]);
    });

    it('when silver has changed since dev was built', async () => {
      await lake.commitSilver({ plays: plays('u5') });
      await expect(run()).rejects.toMatchObject({ code: 'gold_outdated', exit: 'data' });
    });

    it('when the models have changed since dev was built', async () => {
      const other = projectOf({ ...FILES, 'models/totals.sql': 'select cast(1 as bigint) as plays' });
      await expect(run({ project: other })).rejects.toMatchObject({ code: 'gold_outdated' });
    });

    it('when this version of dev was not checked', async () => {
      await lake.commitSilver({ plays: plays('u5') });
      await enrich({ runId: 'unchecked', project }, lake.effects);
      await expect(run()).rejects.toMatchObject({ code: 'checks_missing', message: expect.stringContaining('silver') });
      await check({ scope: 'silver', target: 'dev', runId: 'c' }, lake.effects);
      await expect(run()).rejects.toMatchObject({
        code: 'checks_missing',
        hint: expect.stringContaining('check --scope gold'),
      });
    });

    it('F64: when a check of dev has failed', async () => {
      await lake.commitSilver({ plays: plays('u1', 'u1', 'u1', 'u1') });
      await dev();
      await expect(run()).rejects.toMatchObject({
        code: 'checks_failed',
        exit: 'data',
        message: expect.stringContaining('gold_dev'),
      });
      await expect(run({ dryRun: true })).rejects.toMatchObject({ code: 'checks_failed' });
    });

    it('F64: when a check of silver has failed', async () => {
      await lake.commitSilver({ plays: plays('u1', 'u1').map((play) => ({ ...play, copies: 0 })) });
      await dev();
      await expect(run()).rejects.toMatchObject({ code: 'checks_failed', message: expect.stringContaining('silver') });
    });

    it('F64: when a test of dev could not run, which is told apart (69)', async () => {
      const all = FILES['models/all.yml'];
      const wrong = projectOf({
        ...FILES,
        'models/all.yml': all.replace(
          'columns: [{name: plays, data_type: bigint}]',
          "columns: [{name: plays, data_type: bigint, data_tests: [{expression_is_true: {expression: '< nothing'}}]}]",
        ),
      });
      await dev(wrong);
      await expect(run({ project: wrong })).rejects.toMatchObject({
        code: 'checks_errored',
        exit: 'unavailable',
        message: expect.stringContaining('nothing'),
      });
    });

    it('F36: when it is killed before its commit; the next one finishes', async () => {
      await lake.commitSilver({ plays: plays('u7') });
      await dev();
      const killed = new Error('killed');
      const store = {
        ...lake.store,
        put: (key: string, ...rest: [never]) =>
          key.startsWith('manifests/') ? Promise.reject(killed) : lake.store.put(key, ...rest),
      };
      await expect(promote({ runId: 'killed', project }, { ...lake.effects, store })).rejects.toBe(killed);
      expect(await prod()).toHaveLength(2);
      await run();
      expect(await prod()).toEqual([['u7', 1n]]);
      await lake.commitSilver({ plays: plays('u1', 'u1', 'u2') });
      await dev();
      await run();
    });
  });

  it('refuses where there is no dev', async () => {
    await expect(run()).rejects.toMatchObject({ code: 'gold_missing', exit: 'data' });
  });

  it('F36: killed between commit and publish, the next command shows what was committed', async () => {
    await dev();
    const killed = new Error('killed');
    const engine = { ...lake.engine, publish: () => Promise.reject(killed) };
    await expect(promote({ runId: 'killed', project }, { ...lake.effects, engine })).rejects.toBe(killed);
    expect(await run()).toMatchObject({ status: 'nothing_new', runId: 'killed' });
    expect(await prod()).toHaveLength(2);
  });

  it('F55: of two at once exactly one commits, the other is told to try again', async () => {
    await dev();
    const ends = await Promise.allSettled([run(), run()]);
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(ends.find((end) => end.status === 'rejected')?.reason).toMatchObject({
      code: 'commit_conflict',
      exit: 'tempfail',
    });
    expect(await prod()).toHaveLength(2);
  });
});

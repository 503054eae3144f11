import { type CheckResult, check } from '../../jobs/check.ts';
import { checkText, qualityLines } from '../../jobs/commands/check.ts';
import type { EngineSession } from '../../jobs/engine/index.ts';
import { enrich } from '../../jobs/enrich.ts';
import { runTests, silverTests } from '../../jobs/gold/data-tests.ts';
import { latestManifest, readSilverFiles } from '../../jobs/lake/manifest.ts';
import { type LakeFixture, openLakeFixture, projectOf, type Row } from '../fixtures/effects.ts';

let lake: LakeFixture;
let runs = 0;
beforeEach(async () => {
  lake = await openLakeFixture();
});
afterEach(() => lake.close());

describe('check of silver', () => {
  const run = (): Promise<CheckResult> =>
    check({ scope: 'silver', target: 'dev', runId: `check-${runs++}` }, lake.effects);
  const broken = ({ results }: CheckResult): unknown[] =>
    results
      .filter(({ status }) => status !== 'passed')
      .map(({ table_name, test, status, failing_rows }) => [table_name, test, status, failing_rows]);
  const GOOD: Row = { play_id: 'p1', user_id: 'u1', source: 'api', content_type: 'unknown' };

  it('passes an empty lake and a good one, with a result for each test', async () => {
    const empty = await run();
    expect(empty).toMatchObject({ scope: 'silver', of: '0', verdict: 'passed', failed: 0, errors: 0, warned: 0 });
    expect(empty.passed).toBe(empty.results.length);
    await lake.commitSilver({ plays: [GOOD] });
    expect(broken(await run())).toEqual([]);
  });

  it('finds what the contract forbids: nulls, repeated keys, its checks', async () => {
    await lake.commitSilver({
      plays: [
        GOOD,
        { ...GOOD, copies: 0 },
        { ...GOOD, play_id: 'p2', user_id: null, played_ms: 86_400_000 },
        { ...GOOD, play_id: 'p3', source: 'other' },
      ],
    });
    const result = await run();
    expect(result).toMatchObject({ verdict: 'failed', failed: 4, warned: 1 });
    expect(broken(result)).toEqual([
      ['plays', 'not_null(user_id)', 'failed', 1],
      ['plays', 'unique(play_id)', 'failed', 1],
      ['plays', 'copies_positive', 'failed', 1],
      ['plays', 'known_source', 'failed', 1],
      ['plays', 'under_a_day', 'warned', 1],
    ]);
  });

  it('asks for the tests of several tables together where statements are dear, and finds the same', async () => {
    await lake.commitSilver({
      plays: [GOOD, { ...GOOD, copies: 0 }],
      tracks: [{ track_id: 't1' }, { track_id: 't1' }],
    });
    const state = await lake.state();
    const broken = { ...silverTests().at(-1)!, name: 'broken', predicate: 'nothing = 1' };
    const tests = [...silverTests(), broken];
    const session = await lake.engine.session({ state, target: 'dev', runId: 'dear' });
    const asked: number[] = [];
    const done: number[] = [];
    let turn: Promise<unknown> = Promise.resolve();
    const dear: EngineSession = {
      ...{ ...session, concurrency: 8 },
      singleRows(selects) {
        asked.push(selects.length);
        // This engine has one connection: a second statement would cut off the rows of the first.
        const rows = turn.then(() => session.singleRows(selects));
        turn = rows.catch(() => undefined);
        return rows;
      },
    };
    const apart = await runTests(session, tests);
    const together = await runTests(dear, tests.slice(0, -1));
    const tables = new Set(tests.map(({ table }) => table)).size;
    expect(together).toEqual(apart.slice(0, -1));
    expect(asked.length).toBeLessThan(tables / 3);
    expect(Math.max(...asked)).toBeLessThanOrEqual(16);
    expect(await runTests(dear, tests, (count) => done.push(count))).toEqual(apart);
    expect(apart.filter(({ status }) => status !== 'passed')).toMatchObject([
      { table_name: 'plays', test: 'unique(play_id)', failing_rows: 1 },
      { table_name: 'plays', test: 'copies_positive', failing_rows: 1 },
      { table_name: 'tracks', test: 'unique(track_id)', failing_rows: 1 },
      { test: 'broken', status: 'error', failing_rows: null },
    ]);
    expect(done.at(-1)).toBe(tables);
    await session.close();
  });

  it('finds rows in the wrong partition', async () => {
    await lake.commitSilver({
      plays: [{ ...GOOD, ended_at: '2026-03-01 00:00:00', started_at: '2026-03-01 00:00:00', year: 2025 }],
      listening_events: [
        {
          event_id: 'e1',
          action: 'play',
          occurred_at: '2026-03-01 23:59:59.999',
          event_date: '2026-03-02',
        },
      ],
    });
    expect(broken(await run())).toEqual([
      ['listening_events', 'partition(event_date)', 'failed', 1],
      ['plays', 'partition(year)', 'failed', 1],
    ]);
  });

  it('warnings alone pass', async () => {
    await lake.commitSilver({ track_features: [{ track_id: 't1', energy: 7 }] });
    expect(await run()).toMatchObject({ verdict: 'passed', warned: 1 });
  });

  it('F64: tells a table that cannot be read from one that fails, and tests the others', async () => {
    await lake.commitSilver({ plays: [GOOD], tracks: [{ track_id: 't1', popularity: 101 }] });
    const [plays] = await readSilverFiles(lake.store, await lake.state(), 'plays');
    await lake.store.put(plays!.key, 'PAR1 or something like it PAR1');
    const result = await run();
    expect(result).toMatchObject({ verdict: 'failed', failed: 1 });
    expect(result.errors).toBeGreaterThan(10);
    const errored = result.results.filter(({ status }) => status === 'error');
    expect(new Set(errored.map(({ table_name }) => table_name))).toEqual(new Set(['plays']));
    expect(errored[0]).toMatchObject({
      failing_rows: null,
      message: expect.stringContaining(plays!.key),
    });
  });

  it('keeps the results as a table, and changes nothing when they are the same', async () => {
    await lake.commitSilver({ tracks: [{ track_id: 't1', popularity: 101 }] });
    expect(await run()).toMatchObject({ status: 'checked' });
    const { columns, rows } = await lake.engine.query("select * from silver.check_results where status <> 'passed'");
    expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'scope varchar',
      'table_name varchar',
      'test varchar',
      'severity varchar',
      'status varchar',
      'failing_rows bigint',
      'message varchar',
    ]);
    expect(rows).toEqual([
      ['silver', 'tracks', 'popularity_range', 'fail', 'failed', 1n, '1 row fails popularity_range'],
    ]);
    const sequence = (await latestManifest(lake.store))?.sequence;
    expect(await run()).toMatchObject({ status: 'nothing_new', verdict: 'failed' });
    expect((await latestManifest(lake.store))?.sequence).toBe(sequence);
    await lake.commitSilver({ tracks: [{ track_id: 't1', popularity: 100 }] });
    expect(await run()).toMatchObject({ status: 'checked', verdict: 'passed' });
    expect(
      (await lake.engine.query("select count(*) from silver.check_results where status <> 'passed'")).rows,
    ).toEqual([[0n]]);
  });
});

describe('check of gold', () => {
  const yml = (tests: string): string => `models:
  - name: items
    data_tests:
${tests}
    columns:
      - {name: id, data_type: integer}
      - {name: kind, data_type: varchar}
  - name: kinds
    columns: [{name: kind, data_type: varchar}]
`;
  const sql = {
    'models/items.sql': "select id, kind from (values (1, 'a'), (2, 'b'), (2, 'c'), (null, null)) as given (id, kind)",
    'models/kinds.sql': "select kind from (values ('a'), ('b')) as given (kind)",
  };
  const columnTest = (column: string, test: string): string =>
    yml('      []').replace(`{name: ${column},`, `{name: ${column}, data_tests: [${test}],`);
  const run = async (text: string, target: 'dev' | 'prod' = 'dev'): Promise<CheckResult> => {
    const project = projectOf({ ...sql, 'models/all.yml': text });
    await enrich({ runId: `enrich-${runs++}`, project }, lake.effects);
    return check({ scope: 'gold', target, runId: `check-${runs++}`, project }, lake.effects);
  };

  it.each([
    ['id', 'not_null', 'failed', 1],
    ['id', 'unique', 'failed', 1],
    ['kind', 'unique', 'passed', 0],
    ['kind', "{accepted_values: {arguments: {values: ['a', 'b']}}}", 'failed', 1],
    ['kind', "{accepted_values: {values: ['a', 'b', 'c']}}", 'passed', 0],
    ['id', '{accepted_values: {arguments: {values: [1, 2]}, quote: false}}', 'passed', 0],
    ['kind', "{relationships: {arguments: {to: ref('kinds'), field: kind}}}", 'failed', 1],
    ['kind', "{relationships: {arguments: {to: ref('kinds'), field: kind}, config: {severity: warn}}}", 'warned', 1],
    ['kind', "{relationships: {arguments: {to: ref('kinds'), field: kind}, config: {where: id = 1}}}", 'passed', 0],
    ['id', "{expression_is_true: {arguments: {expression: '> 1'}}}", 'failed', 1],
    ['id', '{not_null: {config: {severity: warn}}}', 'warned', 1],
    ['id', '{not_null: {config: {where: kind is not null}}}', 'passed', 0],
    ['id', "{unique: {config: {where: kind <> 'c'}}}", 'passed', 0],
  ])('%s: %s %s', async (column, test, status, failing) => {
    const result = await run(columnTest(column, test));
    expect(result.results).toMatchObject([{ table_name: 'items', status, failing_rows: failing }]);
    expect(result.verdict).toBe(status === 'failed' ? 'failed' : 'passed');
  });

  it.each([
    ['- expression_is_true: {arguments: {expression: "id < 2 or kind <> \'a\'"}}', 'passed', 0],
    ['- dbt_utils.expression_is_true: {expression: id = 1}', 'failed', 2],
    ['- unique_combination: {arguments: {columns: [id, kind]}}', 'failed', 1],
    ['- unique_combination: {arguments: {columns: [id]}, config: {where: id = 1}}', 'passed', 0],
  ])('of the whole model: %s %s', async (test, status, failing) => {
    expect((await run(yml(`      ${test}`))).results).toMatchObject([{ status, failing_rows: failing }]);
  });

  it('is about one version: of dev here, and prod is not there', async () => {
    const result = await run(yml('      []'));
    expect(result).toMatchObject({ scope: 'gold_dev', of: (await lake.state()).gold.dev?.runId, verdict: 'passed' });
    await expect(run(yml('      []'), 'prod')).rejects.toMatchObject({ code: 'gold_missing', exit: 'data' });
  });

  it('refuses a gold that other models built', async () => {
    await run(yml('      []'));
    const project = projectOf({ ...sql, 'models/all.yml': yml('      - expression_is_true: {expression: id > 0}') });
    const later = check({ scope: 'gold', target: 'dev', runId: 'later', project }, lake.effects);
    await expect(later).rejects.toMatchObject({
      code: 'gold_outdated',
      hint: expect.stringContaining('listenlake enrich'),
    });
  });

  it.each([
    ['a kind nobody knows', '      - sparkles', /sparkles/],
    ['values that are missing', '      - unique_combination: {arguments: {}}', /list of values or columns/],
  ])('refuses %s as a fault of the .yml', async (_what, test, message) => {
    await expect(run(yml(test))).rejects.toMatchObject({
      code: 'model_invalid',
      exit: 'config',
      message: expect.stringMatching(message),
    });
  });

  it('F64: an expression that the engine refuses is an error of that test alone', async () => {
    const result = await run(
      yml('      - expression_is_true: {expression: nothing = 1}\n      - expression_is_true: {expression: id = 1}'),
    );
    expect(result).toMatchObject({ verdict: 'failed', failed: 1, errors: 1 });
    expect(result.results).toMatchObject([
      { status: 'error', failing_rows: null, message: expect.stringContaining('nothing') },
      { status: 'failed', failing_rows: 2 },
    ]);
  });
});

describe('data_quality', () => {
  it('its warnings are results that warn, in the summary and in the table of results, and fail nothing', async () => {
    const play = (play_id: string, minute: number): Row => ({
      ...{ play_id, user_id: 'me', source: 'export_extended', content_type: 'unknown', played_ms: 60_000 },
      ...{ started_at: `2026-02-27 10:0${minute}:00`, ended_at: `2026-02-27 10:0${minute + 1}:00` },
      ...{ reason_end: minute === 0 ? 'teleported' : 'trackdone', year: 2026 },
    });
    // Of three rows that were read two are plays, none is a copy, and none was refused: one is gone.
    const file: Row = { source_key: 'f', file_name: 'a.json', kind: 'export_extended', table_name: 'export_extended' };
    const commit = (plays: Row[]) =>
      lake.commitSilver({ plays, loaded_files: [{ ...file, is_refused: false, rows_read: 3, has_keys: true }] });
    const run = async (): Promise<CheckResult> => {
      await enrich({ runId: `enrich-${runs++}`, asOf: '2026-02-28' }, lake.effects);
      return check({ scope: 'gold', target: 'dev', runId: `check-${runs++}` }, lake.effects);
    };
    await commit([play('p1', 0), play('p2', 1)]);
    const result = await run();
    const warnings = result.results.filter(({ status }) => status === 'warned');
    expect(warnings.map(({ table_name, test, message }) => [table_name, test, message])).toEqual([
      [
        'data_quality',
        'new_reason_end(plays)',
        expect.stringMatching(/^reasons that are not known here: 1, such as teleported; these plays are neutral/),
      ],
      [
        'data_quality',
        'rows_of_files(plays)',
        expect.stringMatching(/^rows of the files that silver lacks: 1; run `listenlake transform --rebuild`/),
      ],
    ]);
    expect(result).toMatchObject({ verdict: 'passed', failed: 0, errors: 0, warned: 2 });
    expect(checkText(result)).toContain('warned: data_quality rows_of_files(plays): rows of the files that silver');
    expect(qualityLines([result])).toHaveLength(2);
    const kept = await lake.engine.query("select test from silver.check_results where status = 'warned' order by test");
    expect(kept.rows).toEqual([['new_reason_end(plays)'], ['rows_of_files(plays)']]);

    await commit([play('p1', 1), play('p2', 2), play('p3', 3)]);
    const mended = await run();
    expect(mended.warned).toBe(0);
    expect(qualityLines([mended])).toEqual([]);
  });
});

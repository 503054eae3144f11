/**
 * warehouse/readers/snowflake: the generated statements in Snowflake's grammar, and its tables beside ours after
 * each thing that may happen to a lake.
 */
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { readProject } from '../../jobs/gold/project.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { bronzeKey } from '../../jobs/lake/keys.ts';
import { commitManifest, type LakeState, latestManifest, readBronzeIndex } from '../../jobs/lake/manifest.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { openSnowflake, runDbtBy } from './python-tools.ts';
import { openSnowflakeReader, type SnowflakeReader, type SnowflakeTable } from './snowflake-reader.ts';

const TIMEOUT_MS = 600_000;
const SIZE = ['--users', '3', '--days', '10', '--tracks', '100', '--export-plays', '400', '--export-years', '1'];
const python = openSnowflake();

if ('missing' in python) {
  layerSkipped('Snowflake', python.missing, PYTHON);
  it('is left out, which CI does not allow', () => {
    expect(process.env.CI).not.toBe('true');
  });
} else {
  describe('Snowflake as a reader', () => {
    let work: string;
    let lake: string;
    let asOf: string;
    let port: number;
    let reader: SnowflakeReader;
    beforeAll(async () => {
      work = mkdtempSync(join(tmpdir(), 'listenlake-snowflake-'));
      lake = join(work, 'lake');
      expect(await listenlake(['extract', 'events', ...SIZE, '--lake', lake])).toMatchObject({ code: 0 });
      const run = await listenlake(['run', '--on-quarantine', 'warn', '--lake', lake]);
      expect(run).toMatchObject({ code: 0, json: { status: 'done' } });
      asOf = String(run.json.as_of);
      reader = openSnowflakeReader(python.program, lake);
    }, TIMEOUT_MS);
    afterAll(() => {
      reader.close();
      rmSync(work, { recursive: true, force: true });
    });

    /** Both sides, table by table: columns and rows, in one order. */
    const expectOurs = async (gold?: string): Promise<number> => {
      const theirs = await reader.tables(gold);
      const ours = await ownTables(lake, theirs);
      let rows = 0;
      for (const [name, table] of Object.entries(theirs)) {
        expect([name, table.rows.map((row) => JSON.stringify(row)).sort()]).toEqual([name, ours[name]]);
        rows += table.rows.length;
      }
      return rows;
    };

    /** The state of the lake with something changed, as a commit of its own. */
    const commit = async (change: (state: LakeState) => LakeState): Promise<void> => {
      const store = await openFolderLake(lake);
      const newest = (await latestManifest(store))!;
      const next = { ...newest, sequence: newest.sequence + 1, state: change(newest.state) };
      expect(await commitManifest(store, next)).toBe(true);
    };

    it('every generated statement is in its grammar, but for the kinds that the parser does not read', async () => {
      const files = await reader.parse();
      expect(Object.fromEntries(Object.entries(files).map(([name, { unread }]) => [name, unread]))).toEqual({
        '10_account.sql': ['create role', 'grant role'],
        '20_stage.sql': ['grant select'],
        '30_tables.sql': [],
        '40_refresh.sql': ['alter task', 'call ops.refresh()', 'create task'],
        '50_arrivals.sql': ['alter task', 'create pipe', 'create stream', 'create task', 'show pipes'],
      });
      expect(files['30_tables.sql']!.statements).toBeGreaterThan(100);
    });

    it(
      'holds what the lake holds, row for row, in bronze, silver and gold_prod',
      async () => {
        const { left_out, ...place } = await reader.setup();
        expect(left_out).toEqual([
          'create function',
          'create stage',
          'grant select',
          'grant usage',
          'use role',
          'use warehouse',
        ]);
        port = place.port;
        expect(await reader.refresh()).toMatchObject({ said: expect.stringMatching(/^commit \d+ of the lake/) });
        expect(await expectOurs()).toBeGreaterThan(5_000);
      },
      TIMEOUT_MS,
    );

    it(
      'dbt builds every model of gold there, row for row as it is here, from words that Snowflake has',
      async () => {
        writeFileSync(join(work, 'profiles.yml'), JSON.stringify(profileAt(port)));
        const { statuses, output } = runDbtBy(join(dirname(python.program), 'dbt'), work, work, { as_of: asOf });
        const models = [...readProject().models.values()].filter(
          ({ trainedFrom, config }) => trainedFrom === undefined && config.materialized !== 'ephemeral',
        );
        const failed = Object.entries(statuses).filter(([, status]) => status !== 'success');
        expect({ failed, output: failed.length === 0 ? '' : output }).toEqual({ failed: [], output: '' });
        expect(Object.keys(statuses)).toHaveLength(models.length);
        await expectOurs('gold_dbt');
        const compiled = await reader.compiled(join(work, 'target/compiled/listenlake/models'));
        expect(compiled.models).toBeGreaterThanOrEqual(models.length);
        // The parser writes the last four in another way that means the same; the first is our own (20_stage.sql).
        expect(compiled.foreign).toEqual(['EXTRACT', 'MOD', 'NFC_NORMALIZE', 'POSITION', 'SUBSTR']);
      },
      TIMEOUT_MS,
    );

    it(
      'takes no notice of what no commit names, and loads nothing twice',
      async () => {
        const store = await openFolderLake(lake);
        const { state } = (await latestManifest(store))!;
        const file = (await readBronzeIndex(store, state)).find(({ table }) => table === 'export_account')!;
        copyFileSync(join(lake, file.key), join(lake, bronzeKey('export_account', 'f'.repeat(64), 'parquet')));
        expect(await listenlake(['enrich', '--to', '2026-10-01', '--lake', lake])).toMatchObject({ code: 0 });
        expect(await reader.refresh()).toMatchObject({ copies: 0 });
        await expectOurs();
      },
      TIMEOUT_MS,
    );

    it(
      'forgets whom the lake has forgotten',
      async () => {
        const rowsOf = async (user: string): Promise<number> =>
          Object.values(await reader.tables())
            .flatMap(({ rows }) => rows)
            .filter((row) => row.includes(user)).length;
        expect(await rowsOf('me')).toBeGreaterThan(1_000);
        const gone = await listenlake(['forget', '--user', 'me', '--yes', '--unloaded', 'delete', '--lake', lake]);
        expect(gone).toMatchObject({ code: 0 });
        expect(await reader.refresh()).toMatchObject({ said: expect.any(String) });
        expect(await rowsOf('me')).toBe(0);
        await expectOurs();
      },
      TIMEOUT_MS,
    );

    it(
      'loses what the lake has lost, and the rest stays where it is',
      async () => {
        await commit((state) => ({ ...state, silver: { ...state.silver, track_genres: undefined as never } }));
        const before = (await reader.tables())['silver.track_genres']!.rows.length;
        expect(before).toBeGreaterThan(0);
        expect(await reader.refresh()).toMatchObject({ copies: 0 });
        expect((await reader.tables())['silver.track_genres']!.rows).toEqual([]);
      },
      TIMEOUT_MS,
    );

    it('changes nothing and says why where rows are missing, where an object or a list is gone', async () => {
      const shown = JSON.stringify(await reader.tables());
      const { state } = (await latestManifest(await openFolderLake(lake)))!;
      const prod = state.gold.prod!;
      const top = prod.tables.top_tracks!;
      const withTop = (file: typeof top) => (before: LakeState) => ({
        ...before,
        gold: { ...before.gold, prod: { ...prod, tables: { ...prod.tables, top_tracks: file } } },
      });
      await commit(withTop({ ...top, rows: top.rows + 1 }));
      expect(await reader.refresh()).toEqual({
        refused: `RuntimeError: gold.top_tracks has ${top.rows} rows, the commit says ${top.rows + 1}`,
      });
      await commit(withTop({ ...top, key: top.key.replace('part-0', 'part-1') }));
      expect(await reader.refresh()).toMatchObject({ refused: expect.stringContaining('part-1') });
      await commit((before) => ({ ...before, gold: { ...before.gold, prod: undefined as never } }));
      renameSync(join(lake, state.silver.listening_events!), join(work, 'list'));
      expect(await reader.refresh()).toMatchObject({ refused: expect.any(String) });
      renameSync(join(work, 'list'), join(lake, state.silver.listening_events!));
      expect(JSON.stringify(await reader.tables())).toBe(shown);
      await commit((before) => ({ ...before, gold: { ...before.gold, prod: { ...prod, tables: { never: top } } } }));
      expect(await reader.refresh()).toMatchObject({ refused: expect.stringContaining('the lake has gold.never') });
    });

    it('says that the address is wrong where there is no commit', async () => {
      const other = openSnowflakeReader(python.program, join(work, 'nothing'));
      try {
        await other.setup();
        expect(await other.refresh()).toMatchObject({ refused: expect.stringMatching(/manifests/) });
      } finally {
        other.close();
      }
    });
  });
}

/** dbt's profile of the product, at an address of this machine. */
function profileAt(port: number): Record<string, unknown> {
  const login = { type: 'snowflake', account: 'fakesnow', user: 'fake', password: 'snow' };
  const place = { host: 'localhost', port, protocol: 'http', database: 'listenlake', schema: 'gold_dbt' };
  const outputs = { snowflake: { ...login, ...place, warehouse: 'listenlake', threads: 1 } };
  return { listenlake: { target: 'snowflake', outputs } };
}

/** The rows of the lake in the form in which the reader gives them, each as JSON, sorted. */
async function ownTables(lake: string, asked: Record<string, SnowflakeTable>): Promise<Record<string, string[]>> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run(`attach '${join(lake, 'lake.duckdb')}' as lake (read_only)`);
    const found: Record<string, string[]> = {};
    for (const [name, { columns }] of Object.entries(asked)) {
      const relation = `lake.${name.replace(/^gold\./, 'gold_prod.')}`;
      const types = new Map(
        (await connection.runAndReadAll(`describe ${relation}`)).getRowsJS().map(([column, type]) => [column, type]),
      );
      const selected = columns.map((column) => asText(`"${column}"`, String(types.get(column))));
      const rows = await connection.runAndReadAll(`select ${selected.join(', ')} from ${relation}`);
      found[name] = rows
        .getRowsJS()
        .map((row) => JSON.stringify(row))
        .sort();
    }
    return found;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function asText(column: string, type: string): string {
  if (type.startsWith('TIMESTAMP')) return `strftime(${column}, '%Y-%m-%d %H:%M:%S.%g')`;
  return ['BOOLEAN', 'DOUBLE'].includes(type) ? column : `cast(${column} as varchar)`;
}

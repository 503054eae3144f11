/**
 * warehouse/readers/: Spark reads each table of gold as its file says, and finds what the lake's own engine finds.
 * BigQuery is not at hand: its file is read by a grammar.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { openEngine } from '../../jobs/engine/open.ts';
import type { ColumnType } from '../../jobs/lake/contracts.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { commitManifest, EMPTY_STATE, LAKE_FORMAT, latestManifest, NO_ACCOUNTS } from '../../jobs/lake/manifest.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { end } from '../aws/moto.ts';
import { goldTables } from '../docs/readers/gold.ts';
import { listenlake, ROOT } from '../fixtures/command-line.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { openReaders } from './python-tools.ts';

const JAVA_MIN = 17;
const JAVA = 'install Java 17 or newer, or set JAVA_HOME';
const HERE = join(ROOT, 'tests/oracle');
const TABLES = goldTables();
const FEW = {
  seed: 5,
  users: 2,
  days: 5,
  tracks: 120,
  end: '2026-11-01',
  exportPlays: 300,
  exportYears: 1,
  faults: false,
};

/** What is asked of a column, in words that both engines know. A sum of doubles is compared up to its rounding. */
const MEASURES: Record<ColumnType, (name: string) => string> = {
  bigint: (name) => `cast(sum(${name}) as bigint)`,
  boolean: (name) => `sum(case when ${name} then 1 else 0 end)`,
  date: (name) => `cast(min(${name}) as varchar(40)) || ' ' || cast(max(${name}) as varchar(40))`,
  double: (name) => `sum(${name})`,
  integer: (name) => `cast(sum(${name}) as bigint)`,
  timestamp: (name) => `cast(min(${name}) as varchar(40)) || ' ' || cast(max(${name}) as varchar(40))`,
  varchar: (name) => `min(${name}) || ' ' || max(${name})`,
};
const asked = Object.fromEntries(
  TABLES.map(({ name, columns }) => [
    name,
    ['count(*)', ...columns.flatMap((each) => [`count("${each.name}")`, MEASURES[each.type](`"${each.name}"`)])],
  ]),
);

/** On a busy machine Spark takes minutes for 76 tables. */
const LONG_MS = 1_800_000;
/** Tables that a few more days change. */
const CHANGED = ['daily_aggregates', 'fct_plays', 'record_counts', 'top_tracks'];

const python = openReaders();

if ('missing' in python) {
  layerSkipped('readers', python.missing, PYTHON);
} else {
  it('the grammar of BigQuery reads every statement, and the columns of each table', () => {
    const file = join(ROOT, 'warehouse/readers/bigquery/gold.sql');
    const parsed = spawnSync(python.program, [join(HERE, 'parse_bigquery.py'), file], { encoding: 'utf8' });
    expect([parsed.status, parsed.stderr]).toEqual([0, '']);
    const { created, unread } = JSON.parse(parsed.stdout) as {
      created: Record<string, { columns: [string, string][]; uris: string[] }>;
      unread: string[];
    };
    expect(unread).toEqual([]);
    const { 'listenlake.commits': commits, ...rest } = created;
    expect(commits?.uris).toEqual(['gs://lake/manifests/*.json']);
    const names = Object.entries(rest).map(([table, { columns, uris }]) => [
      table,
      columns.map(([name]) => name),
      uris,
    ]);
    expect(names).toEqual(
      TABLES.map(({ name, columns }) => [
        `listenlake.${name}`,
        columns.map((column) => column.name),
        ['gs://lake/object'],
      ]),
    );
    expect(new Set(Object.values(rest).flatMap(({ columns }) => columns.map(([, type]) => type)))).toEqual(
      new Set(['int64', 'bool', 'date', 'float64', 'timestamp', 'string']),
    );
  });

  const java = javaProblem();
  if (java !== undefined) layerSkipped('Spark', java, JAVA);
  else describeSpark(python.program);
}

function describeSpark(program: string): void {
  describe('Spark', () => {
    const work = mkdtempSync(join(tmpdir(), 'listenlake-spark-'));
    const lake = join(work, 'lake');
    let session: SparkSession | undefined;

    /** Files of one more day, or of the first ones, go all the way to gold_prod. */
    const publish = async (end: string): Promise<void> => {
      const source = join(work, end);
      await generateIntoFolder({ ...FEW, end }, source);
      const ran = await listenlake(['run', source, '--no-report', '--on-quarantine=warn', '--quiet', '--lake', lake], {
        LISTENLAKE_MEMORY_MB: '256',
      });
      expect([ran.code, ran.stderr]).toEqual([0, '']);
    };
    const ours = async (tables = asked): Promise<Answers> => {
      const config = { memoryMb: 256, threads: 1, aws: { name: 'x', workGroup: undefined, isPathStyle: false } };
      const engine = await openEngine(await openFolderLake(lake), { config, scratch: join(lake, '.staging') });
      const answers: Answers = {};
      for (const [table, expressions] of Object.entries(tables)) {
        const { rows } = await engine.query(`select ${expressions.join(', ')} from ${table}`, { target: 'prod' });
        answers[table] = rows[0]!.map((value) => (typeof value === 'bigint' ? Number(value) : value));
      }
      await engine.close();
      return answers;
    };

    beforeAll(() => publish(FEW.end), LONG_MS);
    afterAll(async () => {
      await session?.close();
      rmSync(work, { recursive: true, force: true });
    });

    it(
      'finds in every column of every table what our engine finds',
      async () => {
        session = startSpark(program, lake);
        await session.refresh();
        const [spark, own] = [await session.measure(asked), await ours()];
        expect(comparable(spark)).toEqual(comparable(own));
        const commit = await latestManifest(await openFolderLake(lake));
        expect(Object.keys(spark).sort()).toEqual(Object.keys(commit!.state.gold.prod!.tables).sort());
        expect(spark.fct_plays![0]).toBeGreaterThan(300);
      },
      LONG_MS,
    );

    it(
      'goes on with its version when another one is promoted, and reads that one alone when it runs the file again',
      async () => {
        const few = Object.fromEntries(CHANGED.map((name) => [name, asked[name]!]));
        const before = await session!.measure(few);
        const old = await runsOfPlays();
        await publish('2026-11-04');
        const own = await ours(few);
        for (const name of CHANGED) expect([name, own[name]]).not.toEqual([name, before[name]]);
        // Both versions are there: a reader of whole folders would count each row twice.
        expect((await runsOfPlays()).length).toBeGreaterThan(old.length);
        expect(await session!.measure(few)).toEqual(before);
        // As `gc` does it. What is left to read is an error, and no old rows.
        for (const folder of old) rmSync(folder, { recursive: true });
        const gone = await session!.measure({ fct_plays: ['count(*)', 'max(played_date)'] });
        expect(gone.fct_plays).toEqual([
          expect.stringMatching(/^error: .*does not exist: .*fct_plays\/part-0\.parquet/),
        ]);
        await session!.refresh();
        expect(comparable(await session!.measure(few))).toEqual(comparable(own));
      },
      LONG_MS,
    );

    it('a lake without a published table is refused by its name', async () => {
      await session!.close();
      const empty = join(work, 'unpublished');
      await writeCommit(empty);
      session = startSpark(program, empty);
      await expect(session.refresh()).rejects.toThrow(/gold_prod has no activity_by_country: run listenlake promote/);
    });

    /** Folders of the versions of one table. */
    const runsOfPlays = async (): Promise<string[]> =>
      readdirSync(join(lake, 'gold/prod'))
        .map((run) => join(lake, 'gold/prod', run, 'fct_plays'))
        .filter((folder) => existsSync(folder));
  });
}

/** A lake with a commit, and nothing in it. */
async function writeCommit(root: string): Promise<void> {
  const isDone = await commitManifest(await openFolderLake(root), {
    ...{ format: LAKE_FORMAT, sequence: 1, job: 'load', runId: 'run', startedAt: '2026-11-01T00:00:00.000Z' },
    ...{ elapsedMs: 0, versions: {}, interval: { from: null, to: null }, inputs: [], outputs: [] },
    ...{ accounts: NO_ACCOUNTS, details: {}, state: EMPTY_STATE },
  });
  expect(isDone).toBe(true);
}

/** Table to the values of what was asked of it. */
type Answers = Record<string, (null | boolean | number | string | bigint)[]>;

interface SparkSession {
  refresh(): Promise<void>;
  measure(tables: Record<string, string[]>): Promise<Answers>;
  close(): Promise<void>;
}

/** It reads one line after the other, and ends with its stdin. */
function startSpark(program: string, lake: string): SparkSession {
  const file = join(ROOT, 'warehouse/readers/spark/gold.sql');
  const env = { PATH: process.env.PATH, JAVA_HOME: process.env.JAVA_HOME, SPARK_LOCAL_IP: '127.0.0.1' };
  const child: ChildProcess = spawn(program, [join(HERE, 'read_spark.py'), lake, file], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Spark makes a folder for tables of its own where it is started.
    cwd: dirname(lake),
    env,
  });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000);
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const ask = async (line: string): Promise<unknown> => {
    child.stdin!.write(`${line}\n`);
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`Spark ended: ${said}`);
      if (value.startsWith('answer:')) return JSON.parse(value.slice('answer:'.length));
    }
  };
  return {
    refresh: async () => void (await ask('refresh')),
    measure: async (tables) => {
      const quoted = Object.entries(tables).map(([name, all]) => [name, all.map((each) => each.replaceAll('"', '`'))]);
      return (await ask(JSON.stringify(Object.fromEntries(quoted)))) as Answers;
    },
    close: () => end(child),
  };
}

/** Doubles were added up in another order: nine digits of them are the same. */
function comparable(answers: Answers): Answers {
  const rounded = (value: Answers[string][number]) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value;
  return Object.fromEntries(Object.entries(answers).map(([table, values]) => [table, values.map(rounded)]));
}

/** Why Spark has no Java here; undefined where it has. */
function javaProblem(): string | undefined {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin/java') : 'java';
  const { status, stdout } = spawnSync(java, ['--version'], { encoding: 'utf8' });
  const major = Number(/^\S+ (\d+)/.exec(stdout ?? '')?.[1] ?? 0);
  return status === 0 && major >= JAVA_MIN ? undefined : `${java} is not Java ${JAVA_MIN} or newer`;
}

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobError, stopped } from '../../jobs/base/errors.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { observed } from '../../jobs/lineage/observe.ts';
import { datasetName } from '../../jobs/lineage/tables.ts';
import { type Finished, listenlake } from '../fixtures/command-line.ts';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';
import { type Backend, type Dataset, type LineageEvent, openBackend, runSmall } from '../fixtures/lineage-backend.ts';

const PARENT = 'airflow/listenlake_daily.run/01990000-0000-7000-8000-00000000000a';
const ROOT_RUN = 'airflow/listenlake_daily/01990000-0000-7000-8000-00000000000b';

let base: string;
let folder: string;
let lake: string;
let backend: Backend;
let first: Finished;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'listenlake-lineage-'));
  folder = join(base, 'home', 'zebedee');
  lake = join(folder, 'lake');
  backend = await openBackend();
  const env = {
    LISTENLAKE_OPENLINEAGE: `${backend.url}/`,
    LISTENLAKE_OPENLINEAGE_API_KEY: 'a-key-of-the-backend',
    OPENLINEAGE_PARENT_ID: PARENT,
    OPENLINEAGE_ROOT_PARENT_ID: ROOT_RUN,
  };
  first = await runSmall(folder, env, '--user', 'zebedee');
});
afterAll(async () => {
  await backend.close();
  await rm(base, { recursive: true, force: true });
});

const namesOf = (datasets: readonly Dataset[]): string[] => datasets.map(({ name }) => name.split('/').at(-1)!);

function ended(job: string, events: readonly LineageEvent[] = backend.events): LineageEvent {
  return events.find(({ job: { name }, eventType }) => name === job && eventType !== 'START')!;
}

function rows(dataset: Dataset | undefined): unknown {
  const { inputStatistics, outputStatistics } = { ...dataset?.inputFacets, ...dataset?.outputFacets };
  return (inputStatistics ?? outputStatistics)?.rowCount;
}

/** Events of one command, written to a file. */
async function eventsOf(args: string[], expectedCode: number): Promise<LineageEvent[]> {
  const file = join(base, `${args[0]}-${(await readdir(base)).length}.jsonl`);
  const done = await listenlake(args, { LISTENLAKE_OPENLINEAGE: file });
  expect([done.code, done.stderr.includes('lineage')]).toEqual([expectedCode, false]);
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}

describe('lineage events of a run', () => {
  it('are posted one by one, each job with a start and an end, the jobs inside the run', () => {
    expect([first.code, first.stderr]).toEqual([0, '']);
    const request = { method: 'POST', path: '/api/v1/lineage', authorization: 'Bearer a-key-of-the-backend' };
    expect(backend.requests).toEqual(backend.events.map(() => request));
    const jobs = ['load', 'transform', 'check_silver', 'enrich', 'train', 'check_gold', 'promote', 'report'];
    expect(backend.events.map(({ eventType, job }) => `${eventType} ${job.name}`)).toEqual([
      'START run',
      ...jobs.flatMap((job) => [`START ${job}`, `COMPLETE ${job}`]),
      'COMPLETE run',
    ]);
    const runs = Map.groupBy(backend.events, ({ job }) => job.name);
    const ids = [...runs.values()].map((pair) => new Set(pair.map(({ run }) => run.runId)));
    expect(ids.map(({ size }) => size)).toEqual(ids.map(() => 1));
    expect(new Set(ids.flatMap((each) => [...each])).size).toBe(jobs.length + 1);
  });

  it('name their parent and the run at the top', () => {
    const root = {
      run: { runId: ROOT_RUN.split('/').at(-1) },
      job: { namespace: 'airflow', name: 'listenlake_daily' },
    };
    const run = ended('run').run;
    expect(run.facets.parent).toMatchObject({
      ...{ run: { runId: PARENT.split('/').at(-1) }, job: { namespace: 'airflow', name: 'listenlake_daily.run' } },
      root,
    });
    for (const { job, run: own } of backend.events.filter(({ job: { name } }) => name !== 'run')) {
      const parent = { run: { runId: run.runId }, job: { namespace: 'listenlake', name: 'run' }, root };
      expect([job.name, own.facets.parent]).toEqual([job.name, expect.objectContaining(parent)]);
    }
  });

  it('connect: what one job writes is what the next one reads, with the same rows', () => {
    for (const [writer, reader] of [
      ['load', 'transform'],
      ['transform', 'check_silver'],
      ['transform', 'enrich'],
      ['enrich', 'train'],
      ['enrich', 'check_gold'],
      ['promote', 'report'],
    ] as const) {
      const written = new Map(
        ended(writer).outputs.map((dataset) => [`${dataset.namespace} ${dataset.name}`, dataset]),
      );
      const read = ended(reader).inputs;
      expect(read.length).toBeGreaterThan(0);
      for (const dataset of read) {
        const source = written.get(`${dataset.namespace} ${dataset.name}`);
        // `train` has filled its own table in between.
        const isSame = dataset.name.endsWith('.skip_predictions') || rows(source) === rows(dataset);
        expect([reader, dataset.name, source !== undefined, isSame]).toEqual([reader, dataset.name, true, true]);
        expect(source?.facets.schema).toEqual(dataset.facets.schema);
      }
    }
    expect(namesOf(ended('load').inputs)).toEqual(['landing']);
    expect(namesOf(ended('promote').outputs)).toContain('gold_prod');
  });

  it('count what the tables hold', async () => {
    const tables = ['bronze.listening_events', 'silver.plays', 'gold_dev.fct_plays', 'gold_prod.top_tracks'];
    const counted = await listenlake([
      ...['sql', '--lake', lake, '--json'],
      tables.map((table) => `select '${table}' as name, count(*) as n from ${table}`).join(' union all '),
    ]);
    const found = JSON.parse(counted.stdout) as { name: string; n: number }[];
    const told = backend.events.flatMap(({ eventType, outputs }) => (eventType === 'COMPLETE' ? outputs : []));
    for (const { name, n } of found)
      expect([name, rows(told.find((dataset) => dataset.name.endsWith(`/${name}`)))]).toEqual([name, Number(n)]);
    expect(found.length).toBe(tables.length);
  });

  it('say of gold what its columns are made of, down to silver', () => {
    const { facets } = ended('enrich').outputs.find(({ name }) => name.endsWith('gold_dev.daily_aggregates'))!;
    const { fields } = facets.columnLineage as { fields: Record<string, { inputFields: Record<string, string>[] }> };
    const plays = ended('enrich').inputs.find(({ name }) => name.endsWith('silver.plays'))!;
    const [namespace, name] = [plays.namespace, plays.name];
    expect(fields.minutes!.inputFields).toContainEqual(
      expect.objectContaining({ namespace, name, field: 'played_ms' }),
    );
    const read = new Set(ended('enrich').inputs.map((input) => input.name));
    const trained = `${name.slice(0, name.lastIndexOf('/'))}/gold_dev.skip_predictions`;
    const named = ended('enrich').outputs.flatMap(({ facets: { columnLineage } }) =>
      Object.values((columnLineage as { fields?: typeof fields })?.fields ?? {}).flatMap(({ inputFields }) =>
        inputFields.map((field) => field.name!),
      ),
    );
    expect(named.length).toBeGreaterThan(1_000);
    // A table of silver that no file has filled yet is read as one without rows, and is no dataset.
    const filled = new Set(ended('transform').outputs.map((output) => output.name));
    const isThere = (each: string): boolean => !each.includes('/silver.') || filled.has(each);
    expect([...new Set(named)].filter((each) => !read.has(each) && each !== trained && isThere(each))).toEqual([]);
  });

  it('say what the tests found, without their words', () => {
    const plays = ended('check_silver').inputs.find(({ name }) => name.endsWith('silver.plays'))!;
    const { assertions } = plays.inputFacets!.dataQualityAssertions as { assertions: object[] };
    expect(assertions).toContainEqual({ assertion: 'not_null(play_id)', success: true, severity: 'error' });
  });

  it('name no person: not the label, not a home, not a file', async () => {
    const text = JSON.stringify(backend.events);
    expect(text).not.toMatch(/zebedee|@|\.json\b(?!#)|\.csv|source\//);
    expect(ended('load').outputs[0]!.name).toContain('/home/[user]/lake/bronze.');
  });

  it('of a second run have no rows written, and the same tables', async () => {
    const again = await eventsOf(['run', join(folder, 'source'), '--lake', lake, '--user', 'zebedee'], 0);
    for (const job of ['load', 'transform', 'enrich', 'promote'] as const) {
      const { outputs, eventType } = ended(job, again);
      expect([job, eventType, outputs.filter((each) => rows(each) !== undefined)]).toEqual([job, 'COMPLETE', []]);
      expect(namesOf(outputs)).toEqual(namesOf(ended(job).outputs));
    }
  });
});

describe('lineage events of one command', () => {
  it('tell of a failure by its code', async () => {
    const [start, end] = await eventsOf(['enrich', '--lake', lake, '--to', 'someday'], 64);
    expect([start!.eventType, end!.eventType, start!.run.runId]).toEqual(['START', 'FAIL', end!.run.runId]);
    expect(end!.run.facets.errorMessage).toMatchObject({
      message: 'interval_invalid',
      programmingLanguage: 'TypeScript',
    });
  });

  it('of an empty lake tell of no table', async () => {
    await mkdir(join(base, 'empty', 'landing'), { recursive: true });
    const [, end] = await eventsOf(['promote', '--lake', join(base, 'empty')], 65);
    expect([end!.eventType, end!.run.facets.errorMessage!.message]).toEqual(['FAIL', 'gold_missing']);
    expect([namesOf(end!.inputs), namesOf(end!.outputs)]).toEqual([[], ['gold_prod']]);
  });

  it('of files that are put into landing name that alone', async () => {
    const [, end] = await eventsOf(['extract', join(folder, 'source'), '--lake', join(base, 'inbox')], 0);
    expect([end!.job.name, end!.eventType, end!.inputs, namesOf(end!.outputs)]).toEqual([
      ...['extract', 'COMPLETE', []],
      ['landing'],
    ]);
  });

  it('are not sent for what changes nothing', async () => {
    const done = await listenlake(['promote', '--dry-run', '--lake', lake], {
      LISTENLAKE_OPENLINEAGE: join(base, 'none'),
    });
    expect([done.code, (await readdir(base)).includes('none')]).toEqual([0, false]);
  });
});

describe('the end of a job', () => {
  let fixture: LakeFixture;
  let events: LineageEvent[];
  let effects: Effects;
  beforeEach(async () => {
    fixture = await openLakeFixture();
    events = [];
    const lineage = { send: async (event: object) => void events.push(event as LineageEvent) };
    effects = { ...fixture.effects, lineage };
  });
  afterEach(() => fixture.close());

  const work = { job: 'transform', runId: 'a-run' } as const;
  const told = (): unknown[] => events.map(({ eventType, run }) => [eventType, run.facets.errorMessage?.message]);

  it.each([
    ['a signal has stopped it', stopped(), 'ABORT', 'stopped'],
    ['it fails', new JobError('disk_full', 'io', 'no room for zebedee.json'), 'FAIL', 'disk_full'],
    ['it has a bug', new TypeError('zebedee is not a function'), 'FAIL', 'bug'],
  ])('is told where %s, and the error is what it was', async (_, error, type, code) => {
    const failing = async (): Promise<never> => {
      throw error;
    };
    await expect(observed(work, effects, failing)).rejects.toBe(error);
    expect(told()).toEqual([
      ['START', undefined],
      [type, code],
    ]);
    expect(JSON.stringify(events)).not.toContain('zebedee');
  });

  it('is a failure where its result says so', async () => {
    const checking = { ...work, job: 'check_silver' } as const;
    const result = await observed(
      checking,
      effects,
      async () => 'failed',
      () => 'checks_failed',
    );
    expect([result, told()[1]]).toEqual(['failed', ['FAIL', 'checks_failed']]);
  });

  it.each([
    new JobError('store_unavailable', 'unavailable', 'no answer'),
    Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }),
  ])('is left out where the lake cannot be read, and the job is done: %s', async (error) => {
    const head = { value: () => Promise.reject(error) };
    const store = Object.create(effects.store, { head });
    expect(await observed(work, { ...effects, store }, async () => 7)).toBe(7);
    expect(told()).toEqual([]);
  });

  it('has the run id of every other telling of the same run, and of no other', async () => {
    for (const runId of ['a-run', 'a-run', 'another']) await observed({ ...work, runId }, effects, async () => 1);
    const ids = events.map(({ run }) => run.runId);
    expect([new Set(ids.slice(0, 4)).size, new Set(ids).size]).toEqual([1, 2]);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

it.each([
  ['s3://bucket', { namespace: 's3://bucket', name: 'silver.plays' }],
  ['s3://bucket/a/prefix/', { namespace: 's3://bucket', name: 'a/prefix/silver.plays' }],
  ['/srv/lake', { namespace: 'file', name: '/srv/lake/silver.plays' }],
  ['/Users/zebedee/x/../lake', { namespace: 'file', name: '/Users/[user]/lake/silver.plays' }],
])('a table of the lake %s has the name that other tools give it', (lakeUri, name) => {
  expect(datasetName(lakeUri, 'silver.plays')).toEqual(name);
});

describe('a backend that does not take events', () => {
  const check = (url: string): Promise<Finished> =>
    listenlake(['check', '--scope', 'silver', '--lake', lake], { LISTENLAKE_OPENLINEAGE: url });

  /** Warnings about lineage on stderr. */
  const warnings = ({ stderr }: Finished): Record<string, unknown>[] =>
    stderr
      .split('\n')
      .filter((line) => line.includes('lineage'))
      .map((line) => JSON.parse(line));

  it('is down: one warning, and the job is done', async () => {
    const gone = await openBackend();
    await gone.close();
    const done = await check(gone.url);
    expect([done.code, done.json.status]).toEqual([0, 'passed']);
    expect(warnings(done)).toEqual([
      expect.objectContaining({ code: 'lineage_undelivered', to: gone.url, reason: 'ECONNREFUSED' }),
    ]);
  });

  it.each([
    ['refuses what it is sent: not asked again', [400, 400], 1, 0],
    ['is busy for a moment: asked again', [503], 3, 2],
    ['is busy: asked three times, then left alone', [503, 503, 503, 503, 503, 503], 3, 0],
  ])('%s', async (_, statuses, requests, events) => {
    const busy = await openBackend(statuses);
    const done = await check(busy.url);
    await busy.close();
    expect([done.code, busy.requests.length, busy.events.length]).toEqual([0, requests, events]);
    expect(warnings(done).length).toBe(events === 0 ? 1 : 0);
  });

  it('is a file in a folder that is not there', async () => {
    const done = await check(join(base, 'nowhere', 'events.jsonl'));
    expect([done.code, warnings(done)[0]]).toEqual([0, expect.objectContaining({ reason: 'ENOENT' })]);
  });

  it.each(['http://user:password@127.0.0.1:1', 'ftp://127.0.0.1', 'http://127.0.0.1?key=1', 'http://'])(
    'is no address: %s',
    async (url) => {
      const done = await check(url);
      expect([done.code, done.stderr]).toEqual([
        78,
        expect.stringContaining('LISTENLAKE_OPENLINEAGE: a path, or http'),
      ]);
    },
  );

  it('is not taken from a .env that nobody has named', async () => {
    const place = join(base, 'place');
    await mkdir(place);
    await writeFile(join(place, '.env'), 'LISTENLAKE_OPENLINEAGE=http://127.0.0.1:1\n');
    const done = await listenlake(['check', '--lake', lake], {}, place);
    expect([done.code, done.stderr]).toEqual([78, expect.stringContaining('LISTENLAKE_OPENLINEAGE')]);
  });
});

/** `train` in a lake that the whole pipeline made: what it reads, what it fills, what others do with it. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { DAY_MS } from '../../jobs/base/time.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { getState, type LakeState, latestManifest } from '../../jobs/lake/manifest.ts';
import { skipModelSection } from '../../jobs/report/skip-model.ts';
import { createCatalogue } from '../../jobs/sources/synthetic/catalogue.ts';
import { createListener } from '../../jobs/sources/synthetic/listeners.ts';
import { SKIP_COEFFICIENTS } from '../../jobs/sources/synthetic/skip-model.ts';
import { cardShownBy, type TrainingRecord } from '../../jobs/training/records.ts';
import { type Finished, listenlake } from '../fixtures/command-line.ts';
import { TRUE_INPUTS, trueInputs } from '../fixtures/generated-truth.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import { readFigures } from '../report/report-page.ts';

const SEED = 5;
/** Few, so that each is heard often: what somebody likes is known from what they have heard alone. */
const TRACKS = 100;
const END_MS = Date.UTC(2026, 10, 1);

let work: string;
let files: string;
/** A lake after `run`; tests that change it take a copy. */
let whole: string;
let first: Finished;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'listenlake-train-'));
  files = join(work, 'files');
  whole = join(work, 'whole');
  const size = ['--seed', `${SEED}`, '--users', '24', '--days', '100', '--tracks', `${TRACKS}`];
  const person = ['--export-plays', '2000', '--export-years', '2'];
  expect(await listenlake(['extract', 'events', ...size, ...person, '--out', files])).toMatchObject({ code: 0 });
  first = await run(whole);
  expect([first.code, first.stderr]).toEqual([0, '']);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function run(lake: string, ...args: string[]): Promise<Finished> {
  return listenlake(['run', files, '--no-report', '--quiet', '--on-quarantine', 'warn', '--lake', lake, ...args]);
}

let copies = 0;
function copyOf(lake: string): string {
  const copy = join(work, `copy-${copies++}`);
  cpSync(lake, copy, { recursive: true });
  return copy;
}

async function stateOf(lake: string): Promise<LakeState> {
  return (await latestManifest(await openFolderLake(lake)))!.state;
}

async function recordsOf(lake: string): Promise<TrainingRecord[]> {
  return getState(await openFolderLake(lake), (await stateOf(lake)).trainings!);
}

async function rowsOf(lake: string, sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(join(lake, 'lake.duckdb'), { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

it('run trains, and what it fills is checked and promoted like any table', async () => {
  expect(first.json.model).toBe('published');
  expect(first.stdout).toMatch(/skip model +AUC 0\.\d{3}, \d+ tracks predicted/);
  const { gold, checks } = await stateOf(whole);
  expect(gold.dev!.runId).toMatch(/-train$/);
  expect(checks.gold_dev).toMatchObject({ verdict: 'passed', of: gold.dev!.runId });
  const tests = await rowsOf(
    whole,
    "select status, count(*) from silver.check_results where table_name = 'skip_predictions' and scope = 'gold_prod' group by all",
  );
  expect(tests).toEqual([['passed', expect.any(BigInt)]]);
  const prints = await fingerprint(whole, ['gold_dev', 'gold_prod']);
  expect(prints['gold_dev.skip_predictions']!.rows).toBeGreaterThan(90);
  expect(prints['gold_prod.skip_predictions']).toEqual(prints['gold_dev.skip_predictions']);
  // Every other table was taken over by the version that train made.
  const written = Object.values(gold.dev!.tables).filter(({ key }) => key.includes(gold.dev!.runId));
  expect(written.map(({ key }) => key.split('/').at(-2))).toEqual(['skip_predictions']);
});

it('again there is nothing new, and train says what it has found before', async () => {
  const lake = copyOf(whole);
  expect(await run(lake)).toMatchObject({ code: 0, json: { status: 'nothing_new' } });
  const { code, json, stdout } = await listenlake(['train', '--lake', lake]);
  expect([code, json.status, json.plays]).toEqual([0, 'nothing_new', expect.any(Number)]);
  expect(stdout).toMatch(/^# Skip model\n/);
  expect((json.card as TrainingRecord['card']).coefficients.length).toBeGreaterThan(10);
  expect(await recordsOf(lake)).toHaveLength(1);
});

it('answers of the Web API change no row of model_features, no coefficient and no recommendation', async () => {
  const lake = join(work, 'without-api');
  const exported = ['export', 'events', 'tracks.csv', 'charts'].map((name) => join(files, name));
  const args = ['--no-report', '--quiet', '--on-quarantine', 'warn', '--lake', lake];
  expect(await listenlake(['run', ...exported, ...args])).toMatchObject({ code: 0, json: { model: 'published' } });
  // It is another lake: the answers are in the one and not in the other.
  expect((await rowsOf(whole, "select count(*) from silver.plays where source = 'api'"))[0]).not.toEqual([0n]);
  expect((await rowsOf(lake, "select count(*) from silver.plays where source = 'api'"))[0]).toEqual([0n]);
  const bytes = async (of: string): Promise<unknown> => {
    const { tables } = (await stateOf(of)).gold.dev!;
    const names = ['model_features', 'int_songs_heard', 'int_recommended_songs', 'track_recommendations'];
    return names.map((name) => [
      name,
      tables[name]!.rows > 0 || name === 'track_recommendations',
      tables[name]!.sha256,
    ]);
  };
  expect(await bytes(lake)).toEqual(await bytes(whole));
  const [[without], [withThem]] = [await recordsOf(lake), await recordsOf(whole)];
  expect(without!.card).toEqual(withThem!.card);
});

it('enrich for another day takes the trained table over; with other plays it is empty until train', async () => {
  const lake = copyOf(whole);
  const trained = (await stateOf(lake)).gold.dev!.tables.skip_predictions;
  expect(await listenlake(['enrich', '--to', '2026-12-01', '--lake', lake])).toMatchObject({
    json: { status: 'built' },
  });
  expect((await stateOf(lake)).gold.dev!.tables.skip_predictions).toEqual(trained);
  expect(await listenlake(['train', '--lake', lake])).toMatchObject({ code: 0, json: { status: 'nothing_new' } });

  const at = new Date(END_MS - DAY_MS).toISOString();
  const event = { event_id: 'one-more', user_id: 'user-0001', session_id: 'late', track_id: 'x'.repeat(22) };
  const more = join(work, 'more.json');
  writeFileSync(
    more,
    `${JSON.stringify({ ...event, action: 'play', is_skipped: null, occurred_at: at, played_ms: 9 })}\n`,
  );
  for (const args of [['load', more], ['transform'], ['enrich']])
    expect(await listenlake([...args, '--lake', lake])).toMatchObject({ code: 0 });
  expect((await stateOf(lake)).gold.dev!.tables.skip_predictions!.rows).toBe(0);
  expect(await listenlake(['train', '--lake', lake])).toMatchObject({ code: 0, json: { status: 'published' } });
  const records = await recordsOf(lake);
  expect(records.map(({ card }) => card.coverage.plays - records[1]!.card.coverage.plays)).toEqual([1, 0]);
});

it('--rebuild finds the same again, prints it beside the run before, and promote shows the new table', async () => {
  const lake = copyOf(whole);
  const before = await fingerprint(lake, ['gold_prod']);
  const { json, stdout } = await listenlake(['train', '--rebuild', '--lake', lake]);
  expect(json.status).toBe('published');
  expect(stdout).toMatch(/Against the run of .*\n +plays +(\d+) -> \1\n +AUC +(0\.\d+) -> \2\n/);
  expect(await listenlake(['promote', '--lake', lake])).toMatchObject({ code: 65 });
  expect(await listenlake(['check', '--scope', 'gold', '--lake', lake])).toMatchObject({ code: 0 });
  expect(await listenlake(['promote', '--lake', lake])).toMatchObject({ code: 0, json: { status: 'promoted' } });
  expect(await fingerprint(lake, ['gold_prod'])).toEqual(before);
  expect(await listenlake(['promote', '--lake', lake])).toMatchObject({ code: 0, json: { status: 'nothing_new' } });
});

it('the report draws the model whose predictions it shows, and of a refused one the reason alone', async () => {
  const lake = copyOf(whole);
  expect(await listenlake(['report', '--lake', lake])).toMatchObject({ code: 0 });
  const figures = readFigures(readFileSync(join(lake, 'report/operator.html'), 'utf8'));
  const { card } = (await recordsOf(lake))[0]!;
  const [effects, calibration, roc] = ['effects', 'calibration', 'roc'].map(
    (name) => figures.get(`skip-model-${name}`)!,
  );
  expect([effects, calibration, roc].map((figure) => figure!.charts)).toEqual([2, 2, 2]);
  const odds = new Map(effects!.rows!.map(([words, ...factors]) => [words, factors]));
  expect(odds.size).toBe(card.coefficients.length);
  const { value, low, high } = card.coefficients.find(({ name }) => name === 'danceability')!;
  expect(odds.get('danceability')).toEqual([value, low, high].map(Math.exp));
  const phone = card.coefficients.find(({ name }) => name === 'device_phone')!;
  expect(odds.get('a phone instead of a computer')![0]).toBe(Math.exp(phone.value / phone.sd));
  const { auc, calibration: bins } = card.evaluation!;
  expect(calibration!.rows).toEqual(bins.map(({ predicted, skipped, plays }) => [predicted, skipped, plays]));
  expect(roc!.takeaway).toContain(`${(100 * auc.value).toFixed(1)}% of pairs`);

  const refusal = { code: 'training_not_better', reason: 'it is no better', hint: 'load more' };
  const refused = skipModelSection({ ...card, status: 'refused', refusal })!;
  expect(refused.figures.map(({ chart, missing }) => [chart, missing])).toEqual([
    [undefined, 'No model is shown: it is no better; load more.'],
  ]);
  expect(skipModelSection({ ...card, status: 'refused', refusal: { ...refusal, code: 'training_no_plays' } })).toBe(
    undefined,
  );
  // Predictions that came after it are another model's.
  const { gold } = await stateOf(lake);
  const store = await openFolderLake(lake);
  const replaced = { ...gold.prod!, origins: { ...gold.prod!.origins, skip_predictions: 'another' } };
  expect(await cardShownBy(store, await stateOf(lake), 'prod')).toEqual(card);
  expect(await cardShownBy(store, { ...(await stateOf(lake)), gold: { prod: replaced } }, 'prod')).toBe(undefined);
});

it('forget drops the cards of models that the person was in, and trains again without them', async () => {
  const lake = copyOf(whole);
  const args = ['forget', '--user', 'user-0003', '--yes', '--lake', lake, '--quiet'];
  expect(await listenlake(args)).toMatchObject({ code: 0, json: { status: 'forgotten' } });
  const records = await recordsOf(lake);
  expect(records).toHaveLength(1);
  expect(records[0]!.card).toMatchObject({ status: 'published', training: { users: 24 } });
  expect((await recordsOf(whole))[0]!.card.training.users).toBe(25);
  const prints = await fingerprint(lake, ['gold_dev', 'gold_prod']);
  expect(prints['gold_prod.skip_predictions']).toEqual(prints['gold_dev.skip_predictions']);
  expect(prints['gold_prod.skip_predictions']!.rows).toBeGreaterThan(0);
});

it('signs are those of the truth, and the AUC is near that of the true model', async () => {
  const [record] = await recordsOf(whole);
  const { coefficients } = record!.card;
  for (const name of ['danceability', 'energy', 'valence', 'is_night', 'is_commute', 'session_position'] as const)
    expect([name, Math.sign(coefficients.find((each) => each.name === name)!.value)]).toEqual([
      name,
      Math.sign(SKIP_COEFFICIENTS[name]),
    ]);

  const catalogue = createCatalogue(SEED, TRACKS, END_MS);
  const trackOf = new Map(catalogue.ids.map((id, track) => [id, track]));
  const listeners = new Map<string, ReturnType<typeof createListener>>();
  const listenerOf = (user: string): ReturnType<typeof createListener> => {
    const label = user.slice('user-'.length);
    if (!listeners.has(label)) listeners.set(label, createListener(catalogue, SEED, 'user', label));
    return listeners.get(label)!;
  };
  const rows = (await rowsOf(
    whole,
    `select features.user_id, features.track_id, local_hour, device, session_position, features.is_skipped
     from gold_dev.model_features as features inner join silver.listening_events on play_id = event_id
     where split = 'test'`,
  )) as [string, string, number, string, number, boolean][];
  const scored = rows.map(([user, trackId, hour, device, position, isSkipped]) => {
    const [track, listener] = [trackOf.get(trackId)!, listenerOf(user)];
    const taste = listener.tasteMatch[catalogue.genres[track]!]!;
    const inputs = trueInputs(catalogue, { track, taste, hour, device, position });
    const odds = TRUE_INPUTS.reduce((sum, name) => sum + SKIP_COEFFICIENTS[name] * inputs[name], listener.skipEffect);
    return { odds, isSkipped };
  });
  const truth = aucOf(scored);
  expect(scored.length).toBeGreaterThan(2_000);
  process.stderr.write(
    `AUC: ${record!.card.evaluation!.auc.value.toFixed(4)}, of the true model ${truth.toFixed(4)}\n`,
  );
  expect(truth - record!.card.evaluation!.auc.value).toBeLessThan(0.03);
});

describe('what cannot be trained', () => {
  it('a lake into which nothing was loaded has no gold', async () => {
    mkdirSync(join(work, 'nothing', 'landing'), { recursive: true });
    const { code, stderr } = await listenlake(['train', '--lake', join(work, 'nothing')]);
    expect([code, stderr]).toEqual([65, expect.stringMatching(/^listenlake: there is no gold_dev yet.*\n$/)]);
  });

  it('listening without a features file: run goes on, train alone ends with 65 and one line', async () => {
    const lake = join(work, 'no-features');
    const args = ['--no-report', '--quiet', '--on-quarantine', 'warn', '--lake', lake];
    const ran = await listenlake(['run', join(files, 'export'), ...args]);
    expect([ran.code, ran.json.status, ran.json.model]).toEqual([0, 'done', 'refused']);
    expect(ran.stdout).toMatch(/skip model +not published: no play has a verdict and a track with features\n/);
    expect(await listenlake(['run', join(files, 'export'), ...args])).toMatchObject({
      json: { status: 'nothing_new' },
    });
    const alone = await listenlake(['train', '--lake', lake]);
    expect([alone.code, alone.json.status, alone.json.refusal]).toEqual([65, 'refused', 'training_no_plays']);
    expect(alone.stdout).toMatch(/\nno model is published \(training_no_plays\): [^\n]*features file[^\n]*\n/);
    const skipped = await listenlake(['train', '--on-refusal', 'skip', '--lake', lake]);
    expect([skipped.code, skipped.json.status]).toEqual([0, 'nothing_new']);
    const scheduled = await listenlake(['train', '--on-refusal=skip', '--lake', lake], {
      LISTENLAKE_NOTHING_NEW_EXIT: '99',
    });
    expect(scheduled.code).toBe(99);
    expect((await stateOf(lake)).gold.prod!.tables.skip_predictions!.rows).toBe(0);
  });
});

function aucOf(scored: readonly { odds: number; isSkipped: boolean }[]): number {
  const sorted = scored.toSorted((a, b) => a.odds - b.odds);
  let [finished, above] = [0, 0];
  for (const { isSkipped } of sorted) {
    if (isSkipped) above += finished;
    else finished += 1;
  }
  return above / (finished * (sorted.length - finished));
}

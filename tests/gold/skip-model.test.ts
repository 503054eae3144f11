/** The skip model on rows of `model_features`: what it publishes, what it refuses, and why. */
import type { EngineSession, SqlValue } from '../../jobs/engine/index.ts';
import { createRandom } from '../../jobs/sources/synthetic/random.ts';
import { cardMarkdown, oddsInWords } from '../../jobs/training/card.ts';
import { type TrainedModel, trainSkipModel } from '../../jobs/training/skip-model.ts';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';
import { KNOWABLE, listeningOf, type Values } from '../fixtures/listening-features.ts';
import { type Columns, emptySession, selectOf } from '../fixtures/observations.ts';

let lake: LakeFixture;
let tables = 0;
beforeAll(async () => {
  lake = await openLakeFixture();
});
afterAll(() => lake.close());

interface Trained extends TrainedModel {
  rows: Record<string, SqlValue>[];
}

async function trained(columns: Columns, none = false): Promise<Trained> {
  const session = await emptySession(lake);
  try {
    const select = await selectOf(session, `features_${tables++}`, columns);
    const model = await trainSkipModel(session, {
      model_features: `(${select}${none ? ' where 1 = 0' : ''})`,
      int_track_identity: "(select 't1' as source_track_id, 't0' as track_id)",
      fct_plays:
        "(select * from (values ('skipped', 'events'), ('neutral', 'events'), ('skipped', 'api')) as heard (verdict, source))",
    });
    return { ...model, rows: model.predictions === undefined ? [] : await rowsOf(session, model.predictions) };
  } finally {
    await session.close();
  }
}

async function rowsOf(session: EngineSession, select: string): Promise<Record<string, SqlValue>[]> {
  const { columns, rows } = await session.query(`${select} order by track_id`);
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index]!])));
}

const mapped = (columns: Values, order: (values: Values[string]) => Values[string]): Values =>
  Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, order(values)]));

describe('what can be known', () => {
  const columns = listeningOf(1, { users: 40, plays: 150, skip: KNOWABLE });
  let model: Trained;
  beforeAll(async () => {
    model = await trained(columns);
  });

  it('is published: both baselines are beaten, and the inputs that matter are found', () => {
    const { card } = model;
    expect(card).toMatchObject({ status: 'published', refusal: null });
    expect(card.coverage).toEqual({ plays: 2, judged: 1, withFeatures: 6_000 });
    expect(card.training).toMatchObject({ plays: 4_800, users: 40, clusters: 40, clusteredBy: 'user' });
    const of = (name: string) => card.coefficients.find((each) => each.name === name)!;
    expect(of('danceability').high).toBeLessThan(0);
    expect(of('danceability').low / of('danceability').sd).toBeLessThan(-4);
    expect(of('danceability').high / of('danceability').sd).toBeGreaterThan(-4);
    expect(of('session_position').low).toBeGreaterThan(0);
    expect(of('danceability').inWords).toMatch(
      /^one standard deviation more danceability \(0\.\d+\) goes with \d+ % lower odds of a skip, 95 % interval \d+ to \d+, other features held$/,
    );
    const { auc, logLoss, difference, calibration, plays } = card.evaluation!;
    expect(plays).toBe(1_200);
    expect(auc.low).toBeGreaterThan(0.7);
    expect(logLoss.model).toBeLessThan(logLoss.userRate);
    expect(difference.userRate.value).toBeCloseTo(logLoss.model - logLoss.userRate, 8);
    expect(calibration.reduce((sum, bin) => sum + bin.plays, 0)).toBe(1_200);
  });

  it('its AUC and log loss are those of a second count', async () => {
    // The probabilities again, from the card alone.
    const { card } = model;
    const value = (name: string, row: number): number => {
      const count = (column: string): number => columns[column]![row] as number;
      const drawn = (of: 'artist' | 'track', share: number, plays: number): number =>
        (count(`${of}_skips_before`) + plays * share) / (count(`${of}_plays_before`) + plays);
      const odds = (share: number): number => Math.log(share / (1 - share));
      const user = (count('user_skips_before') + 1) / (count('user_plays_before') + 2);
      const artist = drawn('artist', user, 6);
      const computed: Record<string, () => number> = {
        tempo: () => count('tempo_bpm'),
        is_night: () => (count('local_hour') >= 22 || count('local_hour') < 6 ? 1 : 0),
        is_commute: () => (count('local_hour') === 7 || count('local_hour') === 8 ? 1 : 0),
        user_taste: () => odds(user),
        artist_taste: () => odds(artist) - odds(user),
        track_taste: () => odds(drawn('track', artist, 8)) - odds(artist),
        familiarity: () => Math.log(1 + count('track_plays_before')),
      };
      return computed[name]?.() ?? count(name);
    };
    const test = columns.split!.flatMap((split, row) => (split === 'test' ? [row] : []));
    const scored = test.map((row) => {
      const parts = card.coefficients.map(
        ({ name, mean, sd, value: slope }) => (slope * (value(name, row) - mean)) / sd,
      );
      return {
        eta: parts.reduce((sum, part) => sum + part, card.intercept!.value),
        isSkipped: columns.is_skipped![row],
      };
    });
    const skipped = scored.filter(({ isSkipped }) => isSkipped);
    const finished = scored.filter(({ isSkipped }) => !isSkipped);
    const wins = skipped.map(({ eta }) => finished.filter((other) => other.eta < eta).length);
    const auc = wins.reduce((sum, each) => sum + each, 0) / (skipped.length * finished.length);
    expect(card.evaluation!.auc.value).toBeCloseTo(auc, 8);
    const losses = scored.map(({ eta, isSkipped }) => Math.log(1 + Math.exp(isSkipped ? -eta : eta)));
    const loss = losses.reduce((sum, each) => sum + each, 0) / losses.length;
    expect(card.evaluation!.logLoss.model).toBeCloseTo(loss, 8);
  });

  it('predictions are probabilities in their intervals, one row a recording, and follow what was found', () => {
    // t1 is the same recording as t0.
    expect(model.rows).toHaveLength(59);
    for (const row of model.rows) {
      const [low, p, high] = [row.skip_probability_low, row.skip_probability, row.skip_probability_high] as number[];
      expect([0 <= low!, low! <= p!, p! <= high!, high! <= 1]).toEqual([true, true, true, true]);
    }
    expect(model.rows.reduce((sum, { plays }) => sum + Number(plays), 0)).toBe(6_000);
    expect(model.rows.reduce((sum, { test_plays }) => sum + Number(test_plays), 0)).toBe(1_200);
    const danceability = new Map(columns.track_id!.map((track, row) => [track, columns.danceability![row] as number]));
    const byDance = model.rows
      .filter(({ track_id }) => track_id !== 't0')
      .sort((a, b) => danceability.get(a.track_id as string)! - danceability.get(b.track_id as string)!);
    expect(byDance[0]!.skip_probability).toBeGreaterThan(0.5);
    expect(byDance.at(-1)!.skip_probability).toBeLessThan(0.2);
  });

  it('a track without a play in the test period is predicted in the mean context', async () => {
    const isLater = columns.track_id!.map((track, row) => track !== 't2' || columns.split![row] === 'train');
    const without = await trained(mapped(columns, (values) => values.filter((_, row) => isLater[row])));
    const [of, before] = [without, model].map(({ rows }) => rows.find(({ track_id }) => track_id === 't2')!);
    expect(of!.test_plays).toBe(0n);
    expect(Math.abs((of!.skip_probability as number) - (before!.skip_probability as number))).toBeLessThan(0.05);
  });

  it('does not depend on the order of the rows', async () => {
    const backward = await trained(mapped(columns, (values) => values.toReversed()));
    expect(backward.rows).toEqual(model.rows);
    const rounded = (card: Trained['card']): unknown =>
      JSON.parse(
        JSON.stringify(card, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(8)) : value)),
      );
    expect(rounded(backward.card)).toEqual(rounded(model.card));
  });

  it('the card says in words what it holds', () => {
    const text = cardMarkdown(model.card);
    expect(text).toMatch(/^# Skip model\n\n\*\*Published\*\*/);
    expect(text).toContain('clustered by user (40)');
    expect(text).toContain('- Left out: device_phone, because it is the same in every play.');
    expect(text).toMatch(/\| danceability \| -\d\.\d{3} \(-\d\.\d{3} to -\d\.\d{3}\) \|/);
    expect(text).toMatch(/Linear regression over 60 tracks: R² 0\.\d{3}\./);
  });
});

describe('what is refused', () => {
  const codeOf = async (columns: Columns, none = false): Promise<string> => {
    const { card, predictions } = await trained(columns, none);
    expect([card.status, predictions]).toEqual(['refused', undefined]);
    expect(`${card.refusal!.reason} ${card.refusal!.hint}`).not.toContain('\n');
    expect(cardMarkdown(card)).toContain(`**Not published** (${card.refusal!.code})`);
    return card.refusal!.code;
  };
  const ten = listeningOf(1, { users: 1, plays: 10, skip: () => 0.5 });

  it('no plays, ten plays, one label only', async () => {
    expect(await codeOf(ten, true)).toBe('training_no_plays');
    expect(await codeOf(ten)).toBe('training_too_few');
    expect(await codeOf(listeningOf(1, { users: 5, plays: 500, skip: () => 0 }))).toBe('training_one_class');
    expect(await codeOf(listeningOf(1, { users: 5, plays: 500, skip: () => 1 }))).toBe('training_one_class');
    expect(await codeOf(listeningOf(1, { users: 5, plays: 500, skip: () => 0.02 }))).toBe('training_too_few');
  });

  it('labels that an input tells without an exception', async () => {
    const columns = listeningOf(1, { users: 5, plays: 800, skip: ({ danceability }) => (danceability > 0.5 ? 1 : 0) });
    expect(await codeOf(columns)).toBe('training_separated');
    const { card } = await trained(columns);
    expect(card.refusal!.reason).toContain('danceability above all');
  });

  // Users with few plays have rates that are mostly noise: any model beats them, one that knows nothing, too.
  it.each([
    ['few users with many plays', 6, 1_000],
    ['many users with few plays', 500, 12],
    ['one user', 1, 4_000],
  ])('shuffled labels: %s', async (_, users, plays) => {
    for (const seed of [1, 2, 3]) {
      const columns = listeningOf(seed, { users, plays, skip: KNOWABLE });
      const random = createRandom(seed, 'shuffle');
      const labels = [...columns.is_skipped!];
      for (let index = labels.length - 1; index > 0; index--) {
        const other = random.int(index + 1);
        [labels[index], labels[other]] = [labels[other]!, labels[index]!];
      }
      expect([seed, await codeOf({ ...columns, is_skipped: labels })]).toEqual([seed, 'training_not_better']);
    }
  });

  it('a skip that nothing foretells, however different the users are', async () => {
    const columns = listeningOf(4, { users: 100, plays: 60, skip: ({ user }) => [0.1, 0.35, 0.7][user % 3]! });
    const { card } = await trained(columns);
    // The user's earlier skips say as much as the user's rate does, and no more.
    expect(card.refusal?.code).toBe('training_not_better');
    expect(card.evaluation!.difference.overallRate.high).toBeLessThan(0);
  });
});

it('an input without variance, and a device with few plays, are left out by name', async () => {
  const columns = listeningOf(2, {
    users: 40,
    plays: 120,
    skip: KNOWABLE,
    device: ({ user, hour }) => (user === 0 && hour === 3 ? 'tv' : user % 2 === 0 ? 'phone' : 'computer'),
  });
  const { card } = await trained({ ...columns, valence: columns.valence!.map(() => 0.3) });
  expect(card.status).toBe('published');
  expect(card.leftOut).toEqual(
    expect.arrayContaining([
      { name: 'valence', why: 'it is the same in every play' },
      { name: 'device_tv', why: 'fewer than 10 skipped or finished plays are on one of its sides' },
    ]),
  );
  expect(card.coefficients.map(({ name }) => name)).toEqual(expect.arrayContaining(['device_phone', 'danceability']));
});

it('one user: errors are clustered by session', async () => {
  const { card } = await trained(listeningOf(3, { users: 1, plays: 4_000, skip: KNOWABLE }));
  expect(card).toMatchObject({ status: 'published', training: { users: 1, clusters: 320, clusteredBy: 'session' } });
});

it('odds in words', () => {
  const input = { name: 'x', sql: 'x', words: 'energy', isBinary: false, of: 'track' as const, mean: 0, sd: 0.2 };
  const told = (value: number, low: number, high: number, isBinary = false): string =>
    oddsInWords({ ...input, isBinary, sd: isBinary ? 0.5 : 0.2 }, { value, low, high });
  const more = 'one standard deviation more energy (0.2) goes with';
  expect(told(Math.log(0.88), Math.log(0.85), Math.log(0.91))).toBe(
    `${more} 12 % lower odds of a skip, 95 % interval 9 to 15, other features held`,
  );
  expect(told(Math.log(1.2), Math.log(1.05), Math.log(1.4))).toBe(
    `${more} 20 % higher odds of a skip, 95 % interval 5 to 40, other features held`,
  );
  expect(told(Math.log(2.5), Math.log(1.5), Math.log(4))).toBe(
    `${more} 2.5 times the odds of a skip, 95 % interval 1.5 to 4.0 times, other features held`,
  );
  expect(told(0, Math.log(0.97), Math.log(1.05))).toBe(
    `${more} no clear change: between 3 % lower and 5 % higher odds of a skip, other features held`,
  );
  expect(told(0.5 * Math.log(1.5), 0.5 * Math.log(1.2), 0.5 * Math.log(1.8), true)).toBe(
    'energy goes with 50 % higher odds of a skip, 95 % interval 20 to 80, other features held',
  );
});

/** Files with a value beyond its type, each beside a good one, through the program as people start it. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transform } from '../../jobs/transform.ts';
import { openLoadFixture, play, zipOf } from '../bronze/load-fixture.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { fieldInputsOrSkip } from '../fixtures/layers.ts';
import { playedItem } from '../silver/transform-lake.ts';

/** Inputs of the same shape that are not part of the project; the ones that are made here say the same. */
const inputs = fieldInputsOrSkip();
const GOOD = JSON.stringify([play({ ts: '2025-06-01T10:00:00Z' }), play({ ts: '2025-06-01T11:00:00Z' })]);
const TRACK = '"id":"0000000000000000000007","name":"T","type":"track","uri":"spotify:track:0000000000000000000007"';

const answer = (body: string): string => `{"polled_at":"2026-01-02T00:00:00Z","body":${body}}\n`;
const poll = (duration: string): string =>
  answer(
    JSON.stringify({ items: [playedItem('2026-01-01T00:00:00Z', { duration_ms: 'DURATION' })] }).replace(
      '"DURATION"',
      duration,
    ),
  );
const event = (values: string): string =>
  `{"event_id":"e1","user_id":"u1","action":"play","occurred_at":"2026-01-01T00:00:00Z"${values}}\n`;

/** A zip that is called `.json`, in a zip. */
const nested = await zipOf({ 'n0.json': await zipOf({ 'a.json': GOOD }) });

/**
 * Name and content; the code of the one row (or file) that is refused and the value that is named with it.
 */
const POISON: readonly [name: string, content: string | Buffer, code: string, value: string][] = [
  ['key-nul.json', JSON.stringify([play({ '\0': 5 })]), 'json_key_nul', String.raw`"\u0000"`],
  ['event-nul.ndjson', event(String.raw`,"x\u0000":1`), 'json_key_nul', String.raw`"x\u0000"`],
  ['nested.zip', nested, 'zip_nested', 'an archive inside an archive'],
  ['length-1e308.ndjson', poll('1e308'), 'length_invalid', '1e+308'],
  ['length-2p63.ndjson', poll('9223372036854775807'), 'length_invalid', '9223372036854775807'],
  ['length-9e18.ndjson', poll('9.3e18'), 'length_invalid', '9300000000000000000'],
  ['length-below.ndjson', poll('-9223372036854775808'), 'length_invalid', '-9223372036854775808'],
  [
    'followers.json',
    '{"artists":[{"id":"0000000000000000000001","name":"A","type":"artist","followers":{"total":1e19}}]}',
    'number_invalid',
    'followers 10000000000000000000',
  ],
  [
    'track.json',
    `{"tracks":[{${TRACK},"duration_ms":1e300,"album":{"id":"l","name":"L"}}]}`,
    'number_invalid',
    'duration_ms 1e+300',
  ],
  ['place.json', `{"tracks":[{${TRACK},"track_number":-1e300}]}`, 'number_invalid', 'track_number -1e+300'],
  ['export.json', JSON.stringify([play({ ms_played: 1e300 })]), 'length_invalid', '1e+300'],
  [
    'export-below.json',
    JSON.stringify([play({ ms_played: -7 })]).replace(':-7,', ':-9223372036854775808,'),
    'length_invalid',
    '-9223372036854775808',
  ],
  ['time.json', JSON.stringify([play({ ts: '9999-12-31T23:59:59Z' })]), 'time_invalid', '9999-12-31T23:59:59Z'],
  ['year-0.json', JSON.stringify([play({ ts: '0000-01-01T00:00:00Z' })]), 'time_invalid', '0000-01-01T00:00:00Z'],
  ['event.ndjson', event(',"played_ms":1e308'), 'length_invalid', '1e+308'],
  ['event-time.ndjson', event('').replace('2026-01-01', '9999-12-31'), 'time_invalid', '9999-12-31T00:00:00Z'],
  [
    'regional-global-daily-2024-05-01.csv',
    'Position,Track Name,Artist,Streams,URL\n1,T,A,"1,000,000,000,000,000,000,000",https://open.spotify.com/track/0000000000000000000007\n',
    'streams_invalid',
    '1,000,000,000,000,000,000,000',
  ],
];

describe('a file with a value beyond its type, beside good ones and others like it', () => {
  it('F69: costs its row: refused with the value, the good rows are in silver, the next run and a rebuild work', async () => {
    const lake = await openLoadFixture();
    try {
      await lake.give({ 'good.json': GOOD, ...Object.fromEntries(POISON) });
      await lake.load();
      const input = { runId: 'test', loadedOn: '2026-11-21' };
      const first = await transform(input, lake.effects);
      const codes = Map.groupBy(POISON, ([, , code]) => code);
      expect(first.quarantined).toEqual(Object.fromEntries([...codes].map(([code, of]) => [code, of.length])));
      const quarantine = 'select file_name, row_number, code, reason from silver.quarantine order by all';
      const refused = await lake.query(quarantine);
      expect(refused).toHaveLength(POISON.length);
      for (const [name, , code, value] of POISON) {
        const row = code === 'json_key_nul' || code === 'zip_nested' ? 0n : 1n;
        expect([name, refused.filter(([file]) => new RegExp(`(^|/)${name}`).test(String(file)))]).toEqual([
          name,
          [[expect.any(String), row, code, expect.stringContaining(value)]],
        ]);
      }
      const good =
        "select count(*) from silver.plays where ended_at >= timestamp '2025-06-01' and ended_at < timestamp '2025-07-01'";
      expect(await lake.query(good)).toEqual([[2n]]);
      expect((await transform(input, lake.effects)).status).toBe('nothing_new');
      await transform({ ...input, rebuild: true }, lake.effects);
      expect(await lake.query(quarantine)).toEqual(refused);
      expect(await lake.query(good)).toEqual([[2n]]);
    } finally {
      await lake.close();
    }
  });
});

describe('the program, given such files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'listenlake-poison-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Runs the program on what lies in `given`, as often as people do, and looks at prod. */
  async function runs(lake: string, given: string, refused: number): Promise<void> {
    const first = await listenlake(['run', given, '--lake', lake]);
    expect([first.code, first.stderr]).toEqual([65, '']);
    const ask = async (sql: string): Promise<unknown> =>
      JSON.parse((await listenlake(['sql', '--lake', lake, '--target', 'prod', '--json', sql])).stdout);
    const questions = [
      "select count(*) as n from fct_plays where ended_at >= timestamp '2025-06-01' and ended_at < timestamp '2025-07-01'",
      'select count(*) as n from silver.quarantine',
    ];
    const answers = [[{ n: 2 }], [{ n: refused }]];
    expect(await Promise.all(questions.map(ask))).toEqual(answers);
    expect((await listenlake(['run', given, '--lake', lake])).code).toBe(0);
    expect((await listenlake(['transform', '--rebuild', '--lake', lake])).code).toBe(0);
    expect((await listenlake(['run', given, '--lake', lake])).code).toBe(0);
    expect(await Promise.all(questions.map(ask))).toEqual(answers);
    expect((await listenlake(['doctor', '--verify', '--lake', lake])).code).toBe(0);
  }

  it('F69: ends with 65 with the good rows in prod, and every later run and a rebuild work', async () => {
    const given = join(folder, 'given');
    await mkdir(given);
    for (const [name, content] of POISON) await writeFile(join(given, name), content);
    await writeFile(join(given, 'good.json'), GOOD);
    await runs(join(folder, 'lake'), given, POISON.length);
  }, 600_000);

  if (inputs !== undefined)
    it.each(['dur_1e308.ndjson'])(
      'F69: field input %s gives its EXPECT.md',
      async (name) => {
        const given = join(folder, `given-${name}`);
        await mkdir(given);
        await cp(join(inputs, 'poison', name), join(given, name));
        await writeFile(join(given, 'good.json'), GOOD);
        await runs(join(folder, `lake-${name}`), given, 1);
      },
      600_000,
    );
});

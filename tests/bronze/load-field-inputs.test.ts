import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type RunResult, run } from '../../jobs/run.ts';
import { type Finished, listenlake } from '../fixtures/command-line.ts';
import { fieldInputsOrSkip, IS_SOAK } from '../fixtures/layers.ts';
import { GOOD, good, type LoadFixture, openLoadFixture, peakBytes, play } from './load-fixture.ts';

/**
 * Small inputs with a property of people's real files, each folder with its right value in EXPECT.md; not
 * part of this repository.
 */
const inputs = fieldInputsOrSkip();
const withInputs = inputs !== undefined ? describe : describe.skip;

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

/** Copies the folder but for what is written about it. The originals may not be written beside. */
function copy(folder: string): string {
  cpSync(join(inputs!, folder), lake.source, { recursive: true });
  return lake.source;
}

async function outcomes(): Promise<Record<string, string>> {
  const result = await lake.load();
  const lines = result.files.map(({ fileName, code, status }) => [fileName.slice('source/'.length), code ?? status]);
  return Object.fromEntries(lines.filter(([name]) => name !== 'EXPECT.md'));
}

/**
 * What is refused of each file of `poison`: rows and files, by code and by the value that the reason names.
 */
const REFUSED: Record<string, readonly [code: string, value: string, times?: number]> = {
  'dur_1e308.ndjson': ['length_invalid', '"1e+308"'],
  'dur_2p63m1.ndjson': ['length_invalid', '"9223372036854775807"'],
  'ev_nul.ndjson': ['json_key_nul', String.raw`"x\u0000"`],
  'fan3_as_json.zip': ['zip_nested', 'an archive inside an archive', 10],
  'followers.json': ['number_invalid', 'followers 10000000000000000000'],
  'key_nul.json': ['json_key_nul', String.raw`"\u0000"`],
  'neg_2_63.json': ['length_invalid', '"-9223372036854775808"'],
};
const POISON =
  inputs === undefined ? ['(absent)'] : readdirSync(join(inputs, 'poison')).filter((name) => name !== 'EXPECT.md');

/** Those that are run alone: one of each code here, all in `make soak`. */
const ALONE = POISON.filter(
  (name, index) => IS_SOAK || POISON.findIndex((other) => REFUSED[other]?.[0] === REFUSED[name]?.[0]) === index,
);

/**
 * Runs the files beside a good export through to production, then again; many of them then with one more good
 * file, too.
 */
async function runPoison(names: readonly string[]): Promise<void> {
  for (const name of names) cpSync(join(inputs!, 'poison', name), join(lake.source, name));
  await lake.give({ [GOOD]: good() });
  const input = { paths: [lake.source], userId: 'me', report: undefined };
  let first: RunResult | undefined;
  const peak = await peakBytes(lake.effects.scratch, async () => {
    first = await run({ ...input, runId: 'r1' }, lake.effects);
  });
  const refused = names.flatMap((name) => {
    const [code, value, times = 1] = REFUSED[name] ?? [];
    return Array.from({ length: times }, () => [
      expect.stringContaining(`/${name}`),
      code,
      expect.stringContaining(value ?? ''),
    ]);
  });
  expect(first!.status).toBe('partial');
  expect(first!.refused).toBeGreaterThan(0); // which is exit 65
  expect(peak).toBeLessThan(64 * 1024 ** 2);
  const listed = 'select file_name, code, reason from silver.quarantine order by file_name';
  expect(await lake.query(listed)).toEqual(refused);
  const inProd = (): Promise<unknown[][]> =>
    lake.query(`select count(*) from gold_prod.fct_plays where cast(played_date as varchar) like '2024-05-%'`);
  expect(await inProd()).toEqual([[2n]]);
  expect(await run({ ...input, runId: 'r2' }, lake.effects)).toMatchObject({ status: 'nothing_new', refused: 0 });
  if (names.length === 1) return;
  await lake.give({ 'next.json': JSON.stringify([play({ ts: '2024-05-07T00:00:00Z' })]) });
  expect(await run({ ...input, runId: 'r3' }, lake.effects)).toMatchObject({ status: 'done', refused: 0 });
  expect([await inProd(), await lake.query(listed)]).toEqual([[[3n]], refused]);
}

withInputs('field inputs', () => {
  it('poison: each file beside a good export', async () => {
    copy('poison');
    await lake.give({ [GOOD]: good() });
    const names = readdirSync(lake.source).filter((name) => name !== 'EXPECT.md');
    const found = await outcomes();
    for (const [name, expected] of Object.entries({
      ...{
        [GOOD]: 'loaded',
        'neg_2_63.json': 'loaded',
        'ev_nul.ndjson': 'json_key_nul',
        'key_nul.json': 'json_key_nul',
      },
      ...Object.fromEntries(Array.from({ length: 10 }, (_, k) => [`fan3_as_json.zip/n1_${k}.json`, 'zip_nested'])),
    })) {
      expect([name, found[name]]).toEqual([name, expected]);
    }
    expect(names.every((name) => Object.keys(found).some((line) => line.startsWith(name)))).toBe(true);
    expect((await lake.load()).exit).toBe('ok');
  });

  it.each(ALONE)(
    'F69, F73: poison: %s beside a good export: the good rows are in prod, and the next run works',
    async (name) => {
      await runPoison([name]);
    },
  );

  it('F69, F73: poison: all of them beside a good export in one run', async () => {
    await runPoison(POISON);
  });

  it('F70: many-refused: 1 play, 1,200 refused, exit 65; the next run of a good file works', async () => {
    execFileSync('python3', [join(inputs!, 'many-refused/many.py'), lake.source, '1200']);
    const root = join(lake.root, '..', 'many');
    const listen = (...args: string[]): Promise<Finished> => listenlake([...args, '--lake', root]);
    const plays = async (): Promise<unknown> =>
      JSON.parse((await listen('sql', '--target', 'prod', '--json', 'select count(*) as n from fct_plays')).stdout);
    const first = await listen('run', lake.source, '--no-report');
    expect([first.code, first.json.files, await plays()]).toEqual([
      65,
      { read: 1_201, new: 1, duplicate: 0, quarantined: 1_200 },
      [{ n: 1 }],
    ]);
    await lake.give({ 'next/good.json': good() });
    const next = await listen('run', join(lake.source, 'next'), '--no-report');
    expect([next.code, next.json.status, await plays()]).toEqual([0, 'done', [{ n: 3 }]]);
    expect((await listen('run', lake.source, '--no-report')).code).toBe(0);
  });

  it('13-zips: 3 plays, and each other archive says what to do', async () => {
    copy('13-zips');
    expect(await outcomes()).toEqual({
      'Streaming_History_Audio_2023_9.json.gz': 'loaded',
      'cut.zip': 'zip_invalid',
      'export.tar.gz': 'archive_unknown',
      'login.zip': 'html_page',
      'mac.zip/Spotify Extended Streaming History/ReadMeFirst_ExtendedStreamingHistory.pdf': 'ignored',
      'mac.zip/Spotify Extended Streaming History/Streaming_History_Audio_2023_0.json': 'loaded',
      'my_spotify_data.zip.download/Jörgs Müsik/Streaming_History_Audio_2023_0.json': 'loaded',
      'nested.zip/my_spotify_data (1).zip': 'zip_nested',
      'nested.zip/notes.txt': 'ignored',
      'umlaut.zip/Jörgs Müsik/Streaming_History_Audio_2023_0.json': 'known',
      'windows.zip/Spotify Data\\Streaming_History_Audio_2023_0.json': 'zip_name',
    });
    expect(await lake.query('select count(*) from bronze.export_extended')).toEqual([[3n]]);
  });

  it('22-family: two accounts under one label are warned of and kept apart; another label says whose the files are', async () => {
    copy('22-family');
    const input = { paths: [lake.source], report: undefined, runId: 'r1', userId: 'me' };
    const first = await run(input, lake.effects);
    expect(first.load.warnings).toEqual([
      expect.stringMatching(/anna\/endsong_0\.json, .*bert\/endsong_0\.json: .*2 Spotify accounts.* label me;.*--user/),
    ]);
    expect(await lake.query('select count(*) from gold_prod.fct_plays')).toEqual([[4n]]);
    const again = await run({ ...input, paths: [join(lake.source, 'bert')], userId: 'bert' }, lake.effects);
    expect(again.status).toBe('nothing_new');
    expect(again.load.warnings).toEqual([
      expect.stringMatching(
        /^bert\/endsong_0\.json: stored under the label me, .*`listenlake forget --user me`.*--user$/,
      ),
    ]);
  });

  it('14-paths: whatever a file and its folders are called, it is loaded or named with the reason', async () => {
    copy('14-paths');
    const result = await lake.load();
    const status = Map.groupBy(result.files, (file) => file.status);
    const ignored = (status.get('ignored') ?? []).map(({ fileName }) => fileName.split('/').at(-1)).sort();
    expect(ignored).toEqual(['EXPECT.md']);
    // Two of the nine are the same file under two names.
    expect((status.get('loaded') ?? []).length + (status.get('known') ?? []).length).toBe(9);
    expect(await lake.query('select count(*) from bronze.export_extended')).toEqual([[8n]]);
  });
});

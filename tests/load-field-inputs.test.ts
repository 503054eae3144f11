import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../jobs/run.ts';
import { fieldInputsOrSkip } from './layers.ts';
import { GOOD, good, type LoadFixture, openLoadFixture } from './load-fixture.ts';

/** Small inputs with a property of people's real files, each folder with its right value in EXPECT.md; not part of this repository. */
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

  it('poison: the exports among them run through to production', async () => {
    const own = ['ev_nul.ndjson', 'key_nul.json', 'neg_2_63.json', 'fan3_as_json.zip'];
    for (const name of own) cpSync(join(inputs!, 'poison', name), join(lake.source, name));
    await lake.give({ [GOOD]: good() });
    const input = { paths: [lake.source], userId: 'me', report: undefined };
    const first = await run({ ...input, runId: 'r1' }, lake.effects);
    expect([first.status, first.load.exit]).toEqual(['done', 'data']);
    const where = `where cast(played_date as varchar) like '2024-05-%'`;
    expect(await lake.query(`select count(*) from gold_prod.fct_plays ${where}`)).toEqual([[2n]]);
    expect((await run({ ...input, runId: 'r2' }, lake.effects)).status).toBe('nothing_new');
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

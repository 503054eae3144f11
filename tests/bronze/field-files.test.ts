import type { LoadResult } from '../../jobs/load.ts';
import { type TransformResult, transform } from '../../jobs/transform.ts';
import { fieldInputsOrSkip } from '../fixtures/layers.ts';
import { type LoadFixture, openLoadFixture, outcome } from './load-fixture.ts';

const inputs = fieldInputsOrSkip();

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

async function build(folder: string): Promise<{ loaded: LoadResult; transformed: TransformResult }> {
  const loaded = await lake.load([`${inputs}/${folder}`]);
  return { loaded, transformed: await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects) };
}

/** Own name and reason of the files that were refused. */
function refusals(loaded: LoadResult): Record<string, string | undefined> {
  const refused = loaded.files.filter(({ status }) => status === 'refused');
  return Object.fromEntries(refused.map(({ fileName, reason }) => [fileName.split('/').slice(1).join('/'), reason]));
}

(inputs !== undefined ? describe : describe.skip)('field inputs: files and what they mean', () => {
  it('08-charts-daily-2021', async () => {
    const { loaded, transformed } = await build('08-charts-daily-2021');
    expect(Object.keys(refusals(loaded))).toEqual(['regional-global-daily-latest.csv']);
    expect(
      await lake.query(
        `select chart, region, cast(period_start as varchar), cast(period_end as varchar), rank, track_name, artist_name
         from silver.chart_entries order by all`,
      ),
    ).toEqual([
      ['top200_daily', 'global', '2023-05-01', '2023-05-02', 1, 'Hit Song', 'Artist One, Artist Two'],
      ['top200_daily', 'global', '2023-05-01', '2023-05-02', 2, 'Other Hit', 'Solo'],
      ['top200_daily', 'us', '2018-01-05', '2018-01-06', 1, 'NA', 'Null'],
      ['top200_daily', 'us', '2018-01-05', '2018-01-06', 2, 'N/A', 'NA'],
      ['top200_daily', 'us', '2018-01-05', '2018-01-06', 4, expect.anything(), expect.anything()],
      ['viral50_daily', 'global', '2023-05-01', '2023-05-02', 1, 'Viral Song', 'Viral One'],
    ]);
    expect(transformed.quarantined).toEqual({ chart_date_missing: 1, track_name_missing: 1 });
  });

  it('13-zips', async () => {
    const { loaded } = await build('13-zips');
    const icons = loaded.files.filter(({ fileName }) => fileName.includes('Icon'));
    expect(icons).toEqual([]);
    expect(await lake.query('select count(*) from silver.plays')).toEqual([[3n]]);
    const refused = refusals(loaded);
    expect(refused['export.tar.gz']).toContain('unpack it and give the folder');
    expect(refused['windows.zip/Spotify Data\\Streaming_History_Audio_2023_0.json']).toContain(
      'unpack it and give the folder',
    );
    expect(refused['login.zip']).toContain('a web page');
  });

  it('14-paths', async () => {
    await build('14-paths');
    expect(await lake.query('select count(*) from silver.plays')).toEqual([[8n]]);
  });

  it('15-side-files', async () => {
    const { loaded, transformed } = await build('15-side-files');
    expect(loaded.exit).toBe('ok');
    for (const name of ['Userdata(1).json', 'Playlist1 (1).json', 'Follow (2).json', 'userdata.json'])
      expect(outcome(loaded, name)).toMatchObject({ status: 'ignored', reason: 'account data without listening' });
    expect([loaded.accounts.quarantined, transformed.accounts.quarantined]).toEqual([0, 0]);
    expect([Object.keys(refusals(loaded)), transformed.quarantined]).toEqual([[], {}]);
    expect(await lake.query('select content_type, track_name from silver.plays order by content_type')).toEqual([
      ['chapter', 'Ch'],
      ['episode', 'Ep'],
      ['track', 'Song A'],
      ['video', 'Clip'],
    ]);
  });

  it('27-kaggle', async () => {
    const { loaded, transformed } = await build('27-kaggle');
    expect(refusals(loaded)).toEqual({});
    expect(
      Object.fromEntries(loaded.files.map(({ fileName, kind }) => [fileName.split('/').at(-1), kind])),
    ).toMatchObject({
      'Most Streamed Spotify Songs 2024.csv': 'most_streamed_2024',
      'SpotifyFeatures.csv': 'kaggle_features',
      'charts.csv': 'charts_by_region',
      'data.csv': 'kaggle_tracks',
      'dataset_semicolon.csv': 'kaggle',
      'lastfm.csv': 'lastfm',
      'listens.jsonl': 'listenbrainz',
      'tracks.csv': 'kaggle_tracks',
      'universal_top_spotify_songs.csv': 'charts_top50_countries',
    });
    expect(transformed.accounts).toEqual({ read: 10, new: 10, duplicate: 0, quarantined: 0 });
    expect(await lake.query('select source, artist_name, track_name from silver.plays order by all')).toEqual([
      ['lastfm', 'Zion I', 'Temperature'],
      ['listenbrainz', 'X', 'Y'],
    ]);
    expect(
      await lake.query('select chart, region, track_name, artist_name from silver.chart_entries order by all'),
    ).toEqual([
      ['most_streamed_2024', 'global', expect.stringMatching(/^Beyonc\u00e9$/), 'Beyonc\u00e9'],
      ['most_streamed_2024', 'global', 'MILLION DOLLAR BABY', 'Tommy'],
      ['top200_daily', 'ar', 'Chantaje', 'Shakira'],
      ['top50_daily', 'global', 'Song', 'A, B'],
    ]);
    expect(
      await lake.query(
        'select danceability, energy, loudness_db, key, mode from silver.track_features order by track_id',
      ),
    ).toEqual([
      [0.5, 0.4, -6.7, 1, 0],
      [0.5, 0.4, -6.7, 1, 0],
      [0.2, 0.2, -20, 10, 1],
      [0.3, 0.9, -1.8, 1, 1],
    ]);
  });

  it('43-folder', async () => {
    await build('43-folder');
    expect(
      await lake.query(
        'select content_type, count(*), cast(min(ended_at) as date)::varchar from silver.plays group by 1',
      ),
    ).toEqual([['track', 2n, '2024-05-01']]);
    expect(await lake.query('select count(*) from silver.export_files')).toEqual([[1n]]);
  });
});

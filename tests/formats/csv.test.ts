import { type LoadFixture, openLoadFixture, outcome } from '../bronze/load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const FEATURES =
  'danceability,energy,key,loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo';
const KAGGLE = `track_id,artists,album_name,track_name,popularity,duration_ms,explicit,${FEATURES},time_signature,track_genre`;
const numbers = '0.5,0.5,1,-5.1,1,0.1,0.1,0,0.1,0.5,120.0';
const record = (id: string, name = 'Name') => `${id},A;B,Album,${name},50,1000,False,${numbers},4,pop`;

describe('CSV files', () => {
  it('reads tracks of both kinds, with and without the index column, in any order of columns', async () => {
    const swapped = KAGGLE.split(',').reverse().join(',');
    const result = await lake.load([
      await lake.give({
        'empty.csv': `,${KAGGLE}\n0,${record('a')}\n1,${record('b', '"Quoted, ""twice"""')}\n`,
        'unnamed.csv': `Unnamed: 0,${KAGGLE}\r\n0,${record('c')}\r\n`,
        'none.csv': `${KAGGLE}\n${record('d')}`,
        'swapped.csv': `${swapped}\n${record('e').split(',').reverse().join(',')}\n`,
      }),
    ]);
    expect(result.files.map(({ kind, rows, status }) => [kind, rows, status])).toEqual([
      ['kaggle', 2, 'loaded'],
      ['kaggle', 1, 'loaded'],
      ['kaggle', 1, 'loaded'],
      ['kaggle', 1, 'loaded'],
    ]);
    const rows = await lake.query(`select record from bronze.tracks_csv where shape = 'kaggle'`);
    const records = rows.map(([text]) => JSON.parse(String(text)) as Record<string, string>);
    expect(records.map(({ track_id }) => track_id).sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
    const quoted = records.find(({ track_id }) => track_id === 'b')!;
    expect([quoted.track_name, quoted[''], quoted.loudness]).toEqual(['Quoted, "twice"', '1', '-5.1']);
  });

  it('finds the header under a note line, takes date and region from the name, and counts records only', async () => {
    await lake.load([
      await lake.give({
        'regional-global-daily-2017-01-01.csv':
          ',,,"Note that these are rounded.",\nPosition,"Track Name",Artist,Streams,URL\n1,One,A,10,https://open.spotify.com/track/x\n',
        'regional-de-weekly-2022-12-08.csv':
          '\ufeffrank,uri,artist_names,track_name,source,peak_rank,previous_rank,weeks_on_chart,streams\r\n1,"spotify:track:x","A","One","L",1,-1,1,"5"\r\n',
        'regional-us-weekly-2019-12-27--2020-01-03.csv': 'Position,"Track Name",Artist,Streams,URL\n1,One,A,10,u\n',
      }),
    ]);
    expect(
      await lake.query(
        'select chart, region, period_start, period_end, row_number from bronze.charts_csv order by region',
      ),
    ).toEqual([
      ['top200_weekly', 'de', '2022-12-02', '2022-12-09', 1n],
      ['top200_daily', 'global', '2017-01-01', '2017-01-02', 1n],
      ['top200_weekly', 'us', '2019-12-27', '2020-01-03', 1n],
    ]);
    expect((await lake.index()).map(({ periods }) => periods).sort()).toEqual([['2017-01'], ['2019-12'], ['2022-12']]);
    const [text] = (await lake.query(`select record from bronze.charts_csv where region = 'de'`))[0] as string[];
    expect(JSON.parse(text!)).toEqual({
      rank: '1',
      uri: 'spotify:track:x',
      artist_names: 'A',
      track_name: 'One',
      source: 'L',
      peak_rank: '1',
      previous_rank: '-1',
      weeks_on_chart: '1',
      streams: '5',
    });
  });

  it('reads Latin-1 where a file is not UTF-8, and never a replacement character', async () => {
    const header = 'Date,Position,Song,Artist,Popularity\n';
    await lake.load([
      await lake.give({
        'latin.csv': Buffer.from(`${header}2025-12-14,1,Se\u00f1orita,A,1\n`, 'latin1'),
        'utf8.csv': `${header}2025-12-15,1,Se\u00f1orita,A,1\n`,
      }),
    ]);
    const songs = (await lake.query('select record from bronze.charts_csv')).map(
      ([text]) => JSON.parse(String(text)).Song,
    );
    expect(songs).toEqual(['Se\u00f1orita', 'Se\u00f1orita']);
  });

  it('refuses the whole file for a ragged record, an open quote, two columns of one name, a chart without a date', async () => {
    const result = await lake.load([
      await lake.give({
        'ragged.csv': `${KAGGLE}\n${record('a')}\n${record('b')},extra\n`,
        'open.csv': `${KAGGLE}\n${record('a')}\n"${record('b')}\n`,
        'twice.csv': `${KAGGLE},tempo\n${record('a')},1\n`,
        'chart.csv': 'Position,"Track Name",Artist,Streams,URL\n1,One,A,10,u\n',
        'regional-global-daily-2017-02-30.csv': 'Position,"Track Name",Artist,Streams,URL\n1,One,A,11,u\n',
        'good.csv': `${KAGGLE}\n${record('z')}\n`,
      }),
    ]);
    expect(outcome(result, 'ragged.csv')).toMatchObject({
      code: 'csv_malformed',
      reason: expect.stringContaining('row 2'),
    });
    expect(outcome(result, 'open.csv')).toMatchObject({
      code: 'csv_malformed',
      reason: expect.stringContaining('row 2'),
    });
    expect(outcome(result, 'twice.csv')).toMatchObject({ code: 'csv_duplicate_column' });
    expect(outcome(result, 'chart.csv')).toMatchObject({ code: 'chart_date_missing' });
    expect(outcome(result, 'regional-global-daily-2017-02-30.csv')).toMatchObject({ code: 'chart_date_missing' });
    expect(outcome(result, 'good.csv')).toMatchObject({ status: 'loaded', rows: 1 });
    expect(await lake.query('select count(*) from bronze.tracks_csv')).toEqual([[1n]]);
  });
});

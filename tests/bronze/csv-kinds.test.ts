/**
 * Files of others as people have them, from the header to the rows of silver: each with the header of the
 * original and rows made up here.
 */
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture, outcome } from './load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const FEATURES =
  'danceability,energy,key,loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo';
const ID = (n: number): string => String(n).padStart(22, '0');
const SITE = 'rank,uri,artist_names,track_name,source,peak_rank,previous_rank';
const SITE_ARTIST = 'rank,uri,artist_name,peak_rank,previous_rank';

async function build(files: Record<string, string | Uint8Array>) {
  const loaded = await lake.load([await lake.give(files)]);
  const transformed = await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  return { loaded, transformed };
}

async function charts(columns: string): Promise<unknown[][]> {
  return lake.query(
    `select ${columns} from silver.chart_entries order by chart, region, period_start, rank, track_name`,
  );
}

describe("charts of Spotify's chart site", () => {
  it('since 2021: daily, weekly, viral, artists and cities are charts of their own', async () => {
    const { loaded, transformed } = await build({
      'regional-global-daily-2023-05-01.csv': `${SITE},days_on_chart,streams\n1,spotify:track:${ID(1)},"Ann, Bob",Day,L,1,2,30,7000000\n`,
      'regional-de-weekly-2023-05-04 (1).csv': `\ufeff${SITE},weeks_on_chart,streams\r\n1,"spotify:track:${ID(2)}","Ann","Week","L",1,-1,1,"5"\r\n`,
      'viral-global-daily-2023-05-01.csv': `${SITE},days_on_chart\n1,spotify:track:${ID(3)},Ann,Viral,L,1,-1,1\n`,
      'viral-us-daily-2019-05-01.csv': `Position,"Track Name",Artist,URL\n1,Old,Ann,https://open.spotify.com/track/${ID(4)}\n`,
      'artist-global-weekly-2023-05-04.csv': `${SITE_ARTIST},weeks_on_chart\n1,spotify:artist:a,Ann,1,1,9\n`,
      'artist-de-daily-2023-05-01.csv': `${SITE_ARTIST},days_on_chart\n1,spotify:artist:b,Bob,1,2,30\n`,
      'viral-de-weekly-2023-05-04.csv': `${SITE},weeks_on_chart\n1,spotify:track:${ID(6)},Ann,Viral week,L,1,-1,1\n`,
      'citytoptrack-berlin-weekly-2023-05-04.csv': `${SITE},weeks_on_chart,streams\n1,spotify:track:${ID(5)},Ann,City,L,1,1,1,9\n`,
      'citypulsetrack-sao-paulo-weekly-2023-05-04.csv': `${SITE},weeks_on_chart\n1,spotify:track:${ID(7)},Ann,Pulse,L,1,-1,1\n`,
    });
    expect(loaded.files.map(({ status }) => status)).toEqual(Array(9).fill('loaded'));
    expect(transformed.accounts).toEqual({ read: 9, new: 9, duplicate: 0, quarantined: 0 });
    expect(
      await charts(
        'chart, region, cast(period_start as varchar), cast(period_end as varchar), track_name, track_id, artist_name',
      ),
    ).toEqual([
      ['artists_daily', 'de', '2023-05-01', '2023-05-02', null, null, 'Bob'],
      ['artists_weekly', 'global', '2023-04-28', '2023-05-05', null, null, 'Ann'],
      ['city_pulse_weekly', 'city:sao-paulo', '2023-04-28', '2023-05-05', 'Pulse', ID(7), 'Ann'],
      ['city_top_weekly', 'city:berlin', '2023-04-28', '2023-05-05', 'City', ID(5), 'Ann'],
      ['top200_daily', 'global', '2023-05-01', '2023-05-02', 'Day', ID(1), 'Ann, Bob'],
      ['top200_weekly', 'de', '2023-04-28', '2023-05-05', 'Week', ID(2), 'Ann'],
      ['viral50_daily', 'global', '2023-05-01', '2023-05-02', 'Viral', ID(3), 'Ann'],
      ['viral50_daily', 'us', '2019-05-01', '2019-05-02', 'Old', ID(4), 'Ann'],
      ['viral50_weekly', 'de', '2023-04-28', '2023-05-05', 'Viral week', ID(6), 'Ann'],
    ]);
  });

  it('a name that says something else than the columns, a city as a country, and no date are refused', async () => {
    const track = (n: number): string =>
      `${SITE},weeks_on_chart,streams\n1,spotify:track:${ID(n)},Ann,Song,L,1,1,1,9\n`;
    const result = await lake.load([
      await lake.give({
        'artist-global-weekly-2023-05-04.csv': track(1),
        'regional-global-daily-2023-05-04.csv': track(2),
        'regional-london-weekly-2023-05-04.csv': track(3),
        'genre-us-weekly-2023-05-04.csv': track(4),
        'regional-global-weekly-latest.csv': track(5),
        'regional-global-weekly-2023-05-04/chart.csv': track(6),
        'album-global-weekly-2023-05-04.csv':
          'rank,uri,artist_names,album_name,source,peak_rank,previous_rank,weeks_on_chart\n1,u,A,B,L,1,1,1\n',
      }),
    ]);
    expect(
      Object.fromEntries(result.files.map(({ fileName, code }) => [fileName.split('/').slice(1).join('/'), code])),
    ).toEqual({
      'album-global-weekly-2023-05-04.csv': 'kind_unsupported',
      'artist-global-weekly-2023-05-04.csv': 'chart_name_mismatch',
      'genre-us-weekly-2023-05-04.csv': 'chart_place_unknown',
      'regional-global-daily-2023-05-04.csv': 'chart_name_mismatch',
      'regional-global-weekly-2023-05-04/chart.csv': 'chart_date_missing',
      'regional-global-weekly-latest.csv': 'chart_date_missing',
      'regional-london-weekly-2023-05-04.csv': 'chart_place_unknown',
    });
  });

  it('songs called NA or Null are songs; rows that differ share a rank, equal ones are one', async () => {
    const header = 'Position,"Track Name",Artist,Streams,URL\n';
    const row = (rank: number, name: string, artist: string, n: number): string =>
      `${rank},"${name}","${artist}",10,https://open.spotify.com/track/${ID(n)}\n`;
    const name = 'regional-us-daily-2018-01-05.csv';
    const { transformed } = await build({
      [`a/${name}`]: header + row(1, 'NA', 'Null', 1) + row(2, 'N/A', 'NA', 2) + row(3, '', 'A', 3),
      [`b/${name}`]: header + row(1, 'NA', 'Null', 1) + row(2, 'Another', 'A', 4),
    });
    expect(transformed.accounts).toEqual({ read: 5, new: 3, duplicate: 1, quarantined: 1 });
    expect(await charts('rank, track_name, artist_name')).toEqual([
      [1, 'NA', 'Null'],
      [2, 'Another', 'A'],
      [2, 'N/A', 'NA'],
    ]);
  });
});

describe('charts of data sets', () => {
  it('charts.csv: region by name, top 200 and viral 50, streams with a fraction of nothing', async () => {
    const { transformed } = await build({
      'charts.csv': [
        'title,rank,date,artist,url,region,chart,trend,streams',
        `Hit,1,2017-01-01,Ann,https://open.spotify.com/track/${ID(1)},Argentina,top200,SAME_POSITION,253019.0`,
        `Hit,1,2017-02-01,Ann,https://open.spotify.com/track/${ID(1)},Global,viral50,NEW_ENTRY,`,
        `Hit,1,2017-01-01,Ann,https://open.spotify.com/track/${ID(1)},Atlantis,top200,NEW_ENTRY,1.0`,
        `Hit,1,2017-01-01,Ann,https://open.spotify.com/track/${ID(1)},Global,top3,NEW_ENTRY,1.0\n`,
      ].join('\n'),
    });
    expect(transformed.quarantined).toEqual({ region_unknown: 1, chart_unknown: 1 });
    expect(await charts('chart, region, cast(period_start as varchar), rank, track_id, streams')).toEqual([
      ['top200_daily', 'ar', '2017-01-01', 1, ID(1), 253_019n],
      ['viral50_daily', 'global', '2017-02-01', 1, ID(1), null],
    ]);
  });

  it('top 50 and top 200 by country: a country, a region or nothing in each row', async () => {
    const { loaded, transformed } = await build({
      'universal_top_spotify_songs.csv': [
        `spotify_id,name,artists,daily_rank,daily_movement,weekly_movement,country,snapshot_date,popularity,is_explicit,duration_ms,album_name,album_release_date,${FEATURES},time_signature`,
        `${ID(1)},Song,"A, B",1,0,0,,2025-06-11,95,False,200000,Alb,2025-01-01,${'0.5,'.repeat(11)}4`,
        `${ID(2)},Sang,B,1,0,49,SK,2025-06-11,90,False,200000,Alb,2025-01-01,${'0.5,'.repeat(11)}4\n`,
      ].join('\n'),
      'data.csv': `Position,Track Name,Artist,Streams,URL,Date,Region\n1,Old,A,19272,https://open.spotify.com/track/${ID(3)},2017-01-01,ec\n`,
      'top50contry.csv': [
        ',title,artist,top genre,year,added,bpm,nrgy,dnce,dB,live,val,dur,acous,spch,pop,country',
        '1,First,A,pop,2019,2019-12-01,96,71,82,-4,15,93,215,7,4,95,world',
        '2,Second,A,pop,2018,2020\u201101\u201131,96,71,82,-4,15,93,215,7,4,95,world',
        '3,Third,A,pop,2018,2019-12-01,96,71,82,-4,15,93,215,7,4,95,usa\n',
      ].join('\n'),
    });
    expect(loaded.files.map(({ kind }) => kind)).toEqual([
      'charts_daily_regions',
      'top50_by_country',
      'charts_top50_countries',
    ]);
    expect(transformed.accounts).toEqual({ read: 6, new: 6, duplicate: 0, quarantined: 0 });
    expect(await charts('chart, region, cast(period_start as varchar), rank, track_name, duration_ms')).toEqual([
      ['top200_daily', 'ec', '2017-01-01', 1, 'Old', null],
      ['top50_daily', 'global', '2020-01-31', 1, 'First', 215_000n],
      ['top50_daily', 'global', '2020-01-31', 2, 'Second', 215_000n],
      ['top50_daily', 'global', '2025-06-11', 1, 'Song', 200_000n],
      ['top50_daily', 'sk', '2025-06-11', 1, 'Sang', 200_000n],
      ['top50_daily', 'us', '2020-01-31', 1, 'Third', 215_000n],
    ]);
    const without = await lake.load([
      await lake.give({
        'other/top50.csv': ',title,artist,top genre,year,bpm,pop,country\n1,A,B,pop,2019,1,2,world\n',
      }),
    ]);
    expect(outcome(without, 'top50.csv')).toMatchObject({ code: 'chart_date_missing' });
  });

  it('the most streamed songs of 2024, in Latin-1, with numbers in groups and American dates', async () => {
    const text = [
      'Track,Album Name,Artist,Release Date,ISRC,All Time Rank,Track Score,Spotify Streams,Spotify Playlist Count,Spotify Playlist Reach,Spotify Popularity,YouTube Views,YouTube Likes,TikTok Posts,TikTok Likes,TikTok Views,YouTube Playlist Reach,Apple Music Playlist Count,AirPlay Spins,SiriusXM Spins,Deezer Playlist Count,Deezer Playlist Reach,Amazon Playlist Count,Pandora Streams,Pandora Track Stations,Soundcloud Streams,Shazam Counts,TIDAL Popularity,Explicit Track',
      `Halo,Halo,Beyonc\u00e9,4/26/2008,US0000000001,1,725.4,"390,470,936","30,716",${'1,'.repeat(19)}0`,
      `Low,Low,Ann,12/1/2024,US0000000002,"1,002",1.5,,"1",${','.repeat(19)}0\n`,
    ].join('\n');
    await build({ 'Most Streamed Spotify Songs 2024.csv': Buffer.from(text, 'latin1') });
    expect(await charts('chart, rank, track_name, artist_name, streams, cast(release_date as varchar)')).toEqual([
      ['most_streamed_2024', 1, 'Halo', 'Beyonc\u00e9', 390_470_936n, '2008-04-26'],
      ['most_streamed_2024', 1002, 'Low', 'Ann', null, '2024-12-01'],
    ]);
  });
});

describe('lists of a year', () => {
  it('the most streamed of 2023, the top 50 of 2019, the top songs of 2010 to 2019, and the daily top 50', async () => {
    await build({
      'spotify-2023.csv': Buffer.from(
        'track_name,artist(s)_name,artist_count,released_year,released_month,released_day,in_spotify_playlists,in_spotify_charts,streams,in_apple_playlists,in_apple_charts,in_deezer_playlists,in_deezer_charts,in_shazam_charts,bpm,key,mode,danceability_%,valence_%,energy_%,acousticness_%,instrumentalness_%,liveness_%,speechiness_%\n' +
          'Ma\u00f1ana,"Ann, Bob",2,2023,7,14,553,147,141381703,43,263,45,10,826,125,B,Major,80,89,83,31,0,8,4\n',
        'latin1',
      ),
      'top50.csv': Buffer.from(
        '"","Track.Name","Artist.Name","Genre","Beats.Per.Minute","Energy","Danceability","Loudness..dB..","Liveness","Valence.","Length.","Acousticness..","Speechiness.","Popularity"\n' +
          '"1","Se\u00f1al","Ann","canadian pop",117,55,76,-6,8,75,191,4,3,79\n',
        'latin1',
      ),
      'top10s.csv':
        '"","title","artist","top genre","year","bpm","nrgy","dnce","dB","live","val","dur","acous","spch","pop"\n"1","Ten","Ann","neo mellow",2010,97,89,67,-4,8,80,217,19,4,83\n',
      'top50_daily.csv': 'Date,Position,Song,Artist,Popularity\n2024-05-18,1,Day,Ann,92\n',
    });
    expect(
      await charts('chart, cast(period_start as varchar), rank, track_name, artist_name, streams, duration_ms'),
    ).toEqual([
      ['most_streamed_2023', '2023-01-01', 1, 'Ma\u00f1ana', 'Ann, Bob', 141_381_703n, null],
      ['top50_2019', '2019-01-01', 1, 'Se\u00f1al', 'Ann', null, 191_000n],
      ['top50_daily', '2024-05-18', 1, 'Day', 'Ann', null, null],
      ['top_songs_by_year', '2010-01-01', 1, 'Ten', 'Ann', null, 217_000n],
    ]);
  });
});

describe('tracks with audio features', () => {
  const numbers = '0.5,0.6,1,-5.1,1,0.1,0.1,1.01e-06,0.1,0.5,120.5';

  it('tracks.csv and data.csv: artists as a Python list, with their ids where they stand beside', async () => {
    await build({
      'tracks.csv': [
        `id,name,popularity,duration_ms,explicit,artists,id_artists,release_date,${FEATURES},time_signature`,
        `${ID(1)},Carve,6,126903,0,"['Uli', ""Destiny's Child"", 'It\\'s ""me""']","['a1', 'a2', 'a3']",1922-02-22,${numbers},4\n`,
      ].join('\n'),
      'data.csv': [
        'valence,year,acousticness,artists,danceability,duration_ms,energy,explicit,id,instrumentalness,key,liveness,loudness,mode,name,popularity,release_date,speechiness,tempo',
        `0.05,1921,0.98,"['Sergei', 'James']",0.2,831667,0.2,1,${ID(2)},0.8,10,0.6,-20,1,NA,4,1921,0.03,80.9\n`,
      ].join('\n'),
    });
    expect(
      await lake.query(
        'select track_id, track_name, primary_artist_id, popularity, is_explicit from silver.tracks order by track_id',
      ),
    ).toEqual([
      [ID(1), 'Carve', 'a1', 6, false],
      [ID(2), 'NA', 'name:sergei', 4, true],
    ]);
    expect(await lake.query('select artist_name from silver.artists order by artist_name')).toEqual([
      ["Destiny's Child"],
      ['It\'s "me"'],
      ['James'],
      ['Sergei'],
      ['Uli'],
    ]);
    expect(
      await lake.query(
        'select track_id, energy, key, tempo_bpm, time_signature from silver.track_features order by track_id',
      ),
    ).toEqual([
      [ID(1), 0.6, 1, 120.5, 4],
      [ID(2), 0.2, 10, 80.9, null],
    ]);
  });

  it('tracks_features.csv: songs with the ids of album and artists, and no popularity', async () => {
    const row = (n: number, artists: string, ids: string, released: string): string =>
      `${ID(n)},Song ${n},Album,al1,"${artists}","${ids}",${n},1,False,0.47,0.978,7,-5.399,0,0.0727,0.0261,1.09e-05,0.356,0.503,117.906,210133,4.0,1999,${released}\n`;
    const { loaded, transformed } = await build({
      'tracks_features.csv':
        `id,name,album,album_id,artists,artist_ids,track_number,disc_number,explicit,${FEATURES},duration_ms,time_signature,year,release_date\n` +
        row(1, "['Rage', 'Bob']", "['a1', 'a2']", '1999-11-02') +
        row(2, "['Rage']", "['a1']", '1999'),
    });
    expect(loaded.files.map(({ kind, rows }) => [kind, rows])).toEqual([['kaggle_tracks', 2]]);
    expect(transformed.accounts).toEqual({ read: 2, new: 2, duplicate: 0, quarantined: 0 });
    expect(
      await lake.query(
        'select track_id, track_name, album_id, primary_artist_id, duration_ms, is_explicit, popularity from silver.tracks order by track_id',
      ),
    ).toEqual([
      [ID(1), 'Song 1', 'al1', 'a1', 210_133n, false, null],
      [ID(2), 'Song 2', 'al1', 'a1', 210_133n, false, null],
    ]);
    expect(await lake.query('select album_id, album_name from silver.albums')).toEqual([['al1', 'Album']]);
    expect(await lake.query('select artist_id, artist_name from silver.artists order by artist_id')).toEqual([
      ['a1', 'Rage'],
      ['a2', 'Bob'],
    ]);
    expect(
      await lake.query('select track_id, artist_id, position from silver.track_artists order by track_id, position'),
    ).toEqual([
      [ID(1), 'a1', 1],
      [ID(1), 'a2', 2],
      [ID(2), 'a1', 1],
    ]);
    expect(
      await lake.query(
        'select danceability, energy, key, loudness_db, mode, tempo_bpm, time_signature from silver.track_features order by track_id',
      ),
    ).toEqual(Array(2).fill([0.47, 0.978, 7, -5.399, 0, 117.906, 4]));
  });

  it('SpotifyFeatures.csv: a note, a word and a fraction; spotify_songs.csv beside it', async () => {
    const { transformed } = await build({
      'SpotifyFeatures.csv':
        '\ufeffgenre,artist_name,track_name,track_id,popularity,acousticness,danceability,duration_ms,energy,instrumentalness,key,liveness,loudness,mode,speechiness,tempo,time_signature,valence\n' +
        `Movie,Henri,C'est beau,${ID(1)},0,0.6,0.3,99373,0.9,0,C#,0.3,-1.8,Major,0.05,166.9,5/4,0.8\n` +
        `R&B,Henri,Autre,${ID(2)},0,0.6,0.3,99373,0.9,0,H,0.3,-1.8,Minor,0.05,166.9,4/4,0.8\n`,
      'spotify_songs.csv':
        `track_id,track_name,track_artist,lyrics,track_popularity,track_album_id,track_album_name,track_album_release_date,playlist_name,playlist_id,playlist_genre,playlist_subgenre,${FEATURES},duration_ms,language\n` +
        `${ID(3)},Song,Ann,la,66,al,Album,2019-06-14,Pop,p,pop,dance pop,${numbers},194754,en\n`,
    });
    expect(transformed.quarantined).toEqual({ value_invalid: 1 });
    expect(await lake.query('select reason from silver.quarantine')).toEqual([['not understood: key "H"']]);
    expect(
      await lake.query('select track_id, key, mode, time_signature from silver.track_features order by track_id'),
    ).toEqual([
      [ID(1), 1, 1, 5],
      [ID(3), 1, 1, null],
    ]);
    expect(await lake.query('select genre from silver.track_genres order by genre')).toEqual([['movie'], ['pop']]);
  });

  it('semicolons and decimal commas are read; what is not a number is refused with its name, never null', async () => {
    const header = `track_id,artists,album_name,track_name,popularity,duration_ms,explicit,${FEATURES},time_signature,track_genre`;
    const row = (n: number, energy: string, popularity = '73'): string =>
      `${ID(n)};"Ann;Bob";Comedy;Song;${popularity};230666;False;0,5;${energy};1;-6,7;0;0,1;0,03;1,01e-06;0,3;0,7;87,9;4;acoustic\n`;
    const { loaded, transformed } = await build({
      'dataset_semicolon.csv': `${header.replaceAll(',', ';')}\n${row(1, '0,4')}${row(2, 'loud')}${row(3, 'NA')}${row(4, '0,4', '173')}`,
      'excel.csv': `sep=;\r\n${header.replaceAll(',', ';').toUpperCase()}\r\n${row(5, '0,4')}`,
    });
    expect(loaded.files.map(({ kind, rows }) => [kind, rows])).toEqual([
      ['kaggle', 4],
      ['kaggle', 1],
    ]);
    expect(transformed.accounts).toEqual({ read: 5, new: 3, duplicate: 0, quarantined: 2 });
    expect(
      await lake.query(
        'select track_id, danceability, energy, loudness_db, instrumentalness, tempo_bpm from silver.track_features order by track_id',
      ),
    ).toEqual([
      [ID(1), 0.5, 0.4, -6.7, 1.01e-6, 87.9],
      [ID(3), 0.5, null, -6.7, 1.01e-6, 87.9],
      [ID(5), 0.5, 0.4, -6.7, 1.01e-6, 87.9],
    ]);
    expect(await lake.query('select row_number, reason from silver.quarantine order by row_number')).toEqual([
      [2n, 'not understood: energy "loud"'],
      [4n, 'not understood: popularity "173"'],
    ]);
  });
});

describe('listening as CSV', () => {
  it('spotify_history.csv is an extended history: the same plays as the JSON says', async () => {
    const { transformed } = await build({
      'spotify_history.csv': [
        'spotify_track_uri,ts,platform,ms_played,track_name,artist_name,album_name,reason_start,reason_end,shuffle,skipped',
        `${ID(1)},2024-05-06 07:08:09,web player,180000,Paper Boats,Ann,Harbour,autoplay,clickrow,FALSE,TRUE`,
        `${ID(2)},2024-05-06 08:00:00,web player,x,Null,Ann,,,,FALSE,\n`,
      ].join('\n'),
      'Streaming_History_Audio_2024.csv': [
        'ts,username,platform,ms_played,conn_country,ip_addr,master_metadata_track_name,master_metadata_album_artist_name,spotify_track_uri,episode_name,skipped',
        `2024-05-06T07:08:09Z,somebody,web player,180000,DE,192.0.2.1,Paper Boats,Ann,spotify:track:${ID(1)},,true\n`,
      ].join('\n'),
      'StreamingHistory.csv': 'endTime,artistName,trackName,msPlayed\n2024-05-07 10:00,Ann,Other,200000\n',
    });
    expect(transformed.accounts).toEqual({ read: 4, new: 2, duplicate: 1, quarantined: 1 });
    expect(
      await lake.query(
        'select user_id, source, content_type, track_id, track_name, is_skipped, copies from silver.plays order by ended_at',
      ),
    ).toEqual([
      ['me', 'export_extended', 'track', ID(1), 'Paper Boats', true, 2],
      ['me', 'export_account', 'track', null, 'Other', null, 1],
    ]);
    expect(
      JSON.stringify(await lake.query('select * from bronze.export_extended'), (_, value) =>
        typeof value === 'bigint' ? Number(value) : value,
      ),
    ).not.toMatch(/192\.0\.2|somebody/);
  });

  it('a user, a track and a time in each row are events; an address is a pseudonym in all of it', async () => {
    const { transformed } = await build({
      'streams1.csv': [
        'user_id, track_id, listen_time',
        `26213,${ID(1)},2024-06-25 17:43:13`,
        `26213,${ID(1)},2024-06-25 17:43:13`,
        `a@example.org,${ID(1)},2024-06-25 17:43:13`,
        `26213,${ID(1)},yesterday\n`,
      ].join('\n'),
    });
    expect(transformed.accounts).toEqual({ read: 4, new: 2, duplicate: 1, quarantined: 1 });
    const rows = await lake.query(
      'select user_id, track_id, action, cast(occurred_at as varchar) from silver.listening_events order by user_id',
    );
    expect(rows).toEqual([
      ['26213', ID(1), 'play', '2024-06-25 17:43:13'],
      [expect.stringMatching(/^u_[0-9a-f]{16}$/), ID(1), 'play', '2024-06-25 17:43:13'],
    ]);
    expect(await lake.query("select count(*) from bronze.listening_events where user_id like '%@%'")).toEqual([[0n]]);
  });
});

describe('account data', () => {
  it('a file of videos holds videos, whatever copy of it and whatever folder; they are no tracks', async () => {
    const row = (at: string, name: string): string =>
      JSON.stringify([{ endTime: at, artistName: 'Ann', trackName: name, msPlayed: 60_000 }]);
    const spoken = [{ endTime: '2024-05-07 12:00', podcastName: 'Show', episodeName: 'One', msPlayed: 60_000 }];
    const { transformed } = await build({
      'My Videos/StreamingHistory_music_0.json': row('2024-05-07 10:00', 'Song'),
      'Audio/StreamingHistory_video_0 (1).json': row('2024-05-07 11:00', 'Clip'),
      'StreamingHistory_podcast_0.json': JSON.stringify(spoken),
    });
    expect(transformed.accounts).toEqual({ read: 3, new: 3, duplicate: 0, quarantined: 0 });
    expect(await lake.query('select content_type, track_name from silver.plays order by ended_at')).toEqual([
      ['track', 'Song'],
      ['video', 'Clip'],
      ['episode', 'One'],
    ]);
    expect(await lake.query('select plays, is_music from silver.export_files order by first_at')).toEqual([
      [1n, true],
      [1n, false],
      [1n, false],
    ]);
  });
});

describe('plays without plays', () => {
  it('a header without rows is a file without rows', async () => {
    const { loaded, transformed } = await build({
      'spotify_history.csv': 'spotify_track_uri,ts,platform,ms_played,track_name,artist_name\n',
      'streams.csv': 'user_id,track_id,listen_time,username\n',
      'tracks.csv': `id,name,artists,${FEATURES}\n`,
    });
    expect(loaded.files.map(({ status, rows }) => [status, rows])).toEqual(Array(3).fill(['loaded', 0]));
    expect(transformed.accounts).toEqual({ read: 0, new: 0, duplicate: 0, quarantined: 0 });
  });
});

describe('a header that is not known', () => {
  it('says what it looks like, what is missing or changes its meaning, and which columns it has', async () => {
    const result = await lake.load([
      await lake.give({
        'data_by_year.csv': `mode,year,${FEATURES},popularity\n1,1921,0.1\n`,
        'country.csv': `track_id,track_name,artist_name,${FEATURES},country\nx\n`,
        'without-header.csv': 'a@example.org,1,2\n3,4,5\n',
        'other.json': '[{"alpha": 1, "b@example.org": 2}]',
      }),
    ]);
    const reason = (name: string): string => outcome(result, name).reason ?? '';
    expect(reason('data_by_year.csv')).toContain('it looks like tracks with audio features, but has no column ');
    expect(reason('data_by_year.csv')).toContain(
      `its header: mode, year, ${FEATURES.replaceAll(',', ', ')}, popularity`,
    );
    expect(reason('country.csv')).toContain('its column country gives its rows another meaning');
    expect(reason('without-header.csv')).toContain('its header: ..., 1, 2');
    expect(reason('other.json')).toContain('its keys: alpha, ...');
    expect(result.files.every(({ status }) => status === 'refused')).toBe(true);
  });
});

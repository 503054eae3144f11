/** What a file is called, what it lies in, and what other programs leave beside it or make of it. */
import { loadText } from '../../jobs/commands/load.ts';
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture, play, zipOf } from '../bronze/load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const good = (second: number): string =>
  JSON.stringify([play({ ts: `2024-05-06T07:08:${String(second).padStart(2, '0')}Z` })]);

it('a folder or an archive called after something else changes nothing of what is in it', async () => {
  const top = {
    items: [{ type: 'track', id: 'a', uri: 'spotify:track:a', name: 'A', album: {} }],
    total: 1,
    limit: 1,
    offset: 0,
  };
  await lake.load([
    await lake.give({
      'My Videos and Music/Streaming_History_Audio_2024.json': good(1),
      'Video.zip': await zipOf({ 'endvideo/endsong_0.json': good(2) }),
      'audio/Streaming_History_Video_2024.json': good(3),
      'long_term/top.json': JSON.stringify({
        polled_at: '2024-05-06T07:08:09Z',
        body: { ...top, href: 'https://api.spotify.com/v1/me/top/tracks?limit=1' },
      }),
    }),
  ]);
  await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  expect(await lake.query('select content_type, second(ended_at) from silver.plays order by ended_at')).toEqual([
    ['track', 1n],
    ['track', 2n],
    ['video', 3n],
  ]);
  expect(await lake.query('select distinct time_range from bronze.api_answers')).toEqual([[null]]);
});

it('data with one more ending is data, and a page of text is not', async () => {
  const result = await lake.load([
    await lake.give({
      'Streaming_History_Audio_2024.json.txt': good(1),
      'Streaming_History_Audio_2023.json.download': good(2),
      'readme.txt': 'nothing',
      'in.zip': await zipOf({ 'Streaming_History_Audio_2022.json.txt': good(3) }),
    }),
  ]);
  expect(result.files.map(({ status }) => status).sort()).toEqual(['ignored', 'loaded', 'loaded', 'loaded']);
});

it('second copies of account data, and technical logs, are passed over, in a zip and unpacked; captures are not', async () => {
  const side = {
    'Userdata(1).json': '{"username": "x"}',
    'userdata.json': '{}',
    'Playlist1 (1).json': '{"playlists": []}',
    'Follow (2).json': '{}',
    'Payments - Copy.json': '{}',
    'Identity copy.json': '{}',
    'AddedToCollection.json': '[{"timestamp_utc": "2024-01-01T00:00:00.000Z", "context_user_agent": "x"}]',
    'EndSong.json': '[{"context_time": 1, "message_ms_played": 1000}]',
  };
  const capture = JSON.stringify({ type: 'artist', id: 'a', name: 'A', genres: [] });
  const result = await lake.load([
    await lake.give({ ...side, 'account.zip': await zipOf(side), 'follow.json': capture, 'home.json': good(1) }),
  ]);
  const by = (status: string): string[] =>
    result.files.filter((file) => file.status === status).map(({ fileName }) => fileName.split('/').at(-1)!);
  expect(by('ignored').sort()).toEqual([...Object.keys(side), ...Object.keys(side)].sort());
  expect(by('loaded').sort()).toEqual(['follow.json', 'home.json']);
  expect(result.exit).toBe('ok');
});

it('what is no archive and no data says what it is, whatever it is called', async () => {
  const result = await lake.load([
    await lake.give({
      'login.zip': '\n<!DOCTYPE html><html><body>Log in</body></html>',
      'login.json': '<html></html>',
      'book.csv': Buffer.from('d0cf11e0a1b11ae1', 'hex'),
      'plays.parquet': 'PAR1',
    }),
  ]);
  expect(result.files.map(({ fileName, code, reason }) => [fileName.split('/')[1], code, reason])).toEqual([
    ['book.csv', 'spreadsheet', 'a spreadsheet (save it as CSV (UTF-8))'],
    ['login.json', 'html_page', expect.stringContaining('a web page')],
    ['login.zip', 'html_page', expect.stringContaining('download it again')],
    ['plays.parquet', 'kind_unknown', 'a Parquet file (write it as CSV or JSON lines)'],
  ]);
});

it('the summary tells what is refused for the first time from what was refused before', async () => {
  await lake.give({ 'a.json': '[{"x": 1}]', 'b.json': '[{"y": 1}]' });
  expect(loadText(await lake.load())).toContain('2 files, 2 refused');
  await lake.give({ 'c.json': '[{"z": 1}]' });
  expect(loadText(await lake.load())).toContain('3 files, 1 refused, 2 like one that was refused before');
});

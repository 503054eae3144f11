/**
 * F31: what a source calls a song, an artist or an album is, to the byte, what bronze, silver and gold call
 * it.
 */
import fc from 'fast-check';
import { enrich } from '../../jobs/enrich.ts';
import { transform } from '../../jobs/transform.ts';
import { type LoadFixture, openLoadFixture, play } from '../bronze/load-fixture.ts';

const HOSTILE = [
  ...[
    '👩‍👩‍👧‍👦 🎵',
    'abc\u202Edef',
    'a\u200db',
    '</script><script>alert(1)</script>',
    '=HYPERLINK("x")',
    "'; DROP TABLE plays; --",
  ],
  ...[
    '${{7*7}}',
    '{{ secrets }}',
    '%s%n',
    'a\\b',
    'a\nb\tc',
    '\u0085\u2028',
    '\ufeffBOM',
    'ﬁ e\u0301 é',
    'İstanbul ß',
    ' both ends ',
    '\u0001',
    'a\u0000b',
  ],
  'x'.repeat(65_536),
];
const NAMES = 150;

let lake: LoadFixture;
beforeAll(async () => {
  lake = await openLoadFixture();
});
afterAll(() => lake.close());

it('F31: hostile and random names go from bronze to silver to gold byte by byte', async () => {
  // Any characters, half a surrogate pair excepted: that is no text, and its file is refused (F20). Nothing
  // but spaces is no name.
  const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).filter((text) => text.trim() !== '');
  const random = fc.sample(name, { numRuns: NAMES - HOSTILE.length, seed: 31 });
  const names = [...HOSTILE, ...random];
  // Each song has an artist of its own: songs whose names only differ in spelling are one song in gold.
  const artistOf = (text: string, index: number): string => `${text}!${index}`;
  const id = (index: number): string => `spotify:track:${String(index).padStart(22, '0')}`;
  const rows = names.map((text, index) =>
    play({
      ts: new Date(Date.UTC(2024, 0, 1, 0, index)).toISOString().replace('.000', ''),
      ms_played: 30_000,
      spotify_track_uri: id(index),
      master_metadata_track_name: text,
      master_metadata_album_artist_name: artistOf(text, index),
      master_metadata_album_album_name: `${text}?`,
    }),
  );
  await lake.load([await lake.give({ 'Streaming_History_Audio_2024_1.json': JSON.stringify(rows) })]);
  await transform({ runId: 'names', loadedOn: '2026-01-01' }, lake.effects);
  await enrich({ runId: 'names' }, lake.effects);

  const hex = (text: string): string => Buffer.from(text).toString('hex').toUpperCase();
  const expected = names.map((text, index) => [
    id(index).slice(14),
    hex(text),
    hex(artistOf(text, index)),
    hex(`${text}?`),
  ]);
  const told = (id: string, columns: string[], table: string): Promise<unknown[][]> =>
    lake.query(`select ${id} as id, ${columns.map((column) => `hex(${column})`).join(', ')} from ${table} order by id`);
  const given = ['track', 'album_artist', 'album_album'].map((what) => `master_metadata_${what}_name`);
  const kept = ['track_name', 'artist_name', 'album_name'];
  expect(await told('substr(spotify_track_uri, 15)', given, 'bronze.export_extended')).toEqual(expected);
  expect(await told('track_id', kept, 'silver.plays')).toEqual(expected);
  expect(await told('track_id', kept, 'gold_dev.dim_tracks')).toEqual(expected);
});

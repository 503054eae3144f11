import { type LoadFixture, openLoadFixture } from '../bronze/load-fixture.ts';
import { realDataOrSkip } from '../fixtures/layers.ts';

const DATA = realDataOrSkip();

/** Folder to what it must come to: files and rows (things to account for) by kind or by code. */
const FOLDERS: Record<string, Record<string, [files: number, rows: number]>> = {
  'recently-played-polls': { recently_played: [1, 724] },
  'tracks-tidytuesday-sample': { tidytuesday: [1, 1_099] },
  'charts-daily-2017-2020': { charts_daily: [11, 2_200] },
  'charts-weekly-2022-2023': { charts_weekly: [10, 2_000] },
  'charts-top50-daily': { charts_top50_daily: [1, 700] },
  'spotify-2023': { spotify_2023: [1, 953] },
  'top50-2019': { top50_2019: [1, 50], top10s: [1, 603] },
  'api-fixtures/spotifyapi-net': { playlist: [1, 75] },
};
const API_FOLDERS = ['api-fixtures/zmb3-go', 'api-fixtures/spotify-web-api-java'];

if (DATA === undefined) {
  it('is left out, which CI must excuse by name', () => {
    expect(process.env.CI !== 'true' || process.env.LISTENLAKE_TEST_WITHOUT?.includes('real data')).toBe(true);
  });
} else {
  describe('real files are recognised by what they hold, and every row is accounted for', () => {
    let lake: LoadFixture;
    beforeAll(async () => {
      lake = await openLoadFixture();
    });
    afterAll(() => lake.close());

    it.each(Object.entries(FOLDERS))('%s', async (folder, expected) => {
      const result = await lake.load([`${DATA}/${folder}`]);
      const found: Record<string, [number, number]> = {};
      for (const { kind, code, rows, status } of result.files) {
        expect([status, code]).toEqual(['loaded', undefined]);
        const [files, sum] = found[kind] ?? [0, 0];
        found[kind] = [files + 1, sum + rows];
      }
      expect(found).toEqual(expected);
      const again = await lake.load([`${DATA}/${folder}`]);
      expect([again.accounts.new, again.accounts.duplicate, again.sequence]).toEqual([
        0,
        result.files.length,
        result.sequence,
      ]);
    });

    it.each(API_FOLDERS)(
      '%s: every response is loaded, known or refused as one that no table is made of',
      async (folder) => {
        const result = await lake.load([`${DATA}/${folder}`]);
        const odd = result.files.filter(({ status, code }) => status === 'refused' && code !== 'kind_unsupported');
        expect(
          odd.map(({ fileName }) =>
            fileName
              .split('/')
              .at(-1)!
              .replace(/Users?/g, ''),
          ),
        ).toEqual([]);
        expect(result.files.filter(({ status }) => status === 'loaded').length).toBeGreaterThan(15);
        expect(result.accounts.read).toBe(result.files.length);
      },
    );
  });
}

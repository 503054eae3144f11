import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { parse } from 'csv-parse/sync';
import {
  type FileSink,
  generateDataset,
  generateExport,
  type SyntheticOptions,
} from '../../jobs/sources/synthetic/index.ts';
import { memorySink, SMALL } from './synthetic-sink.ts';

async function hashes(options: SyntheticOptions): Promise<Record<string, string>> {
  const { files, sink } = memorySink();
  await generateDataset(options, sink);
  return Object.fromEntries([...files].map(([name, text]) => [name, createHash('sha256').update(text).digest('hex')]));
}

describe('a pure function of the options', () => {
  test('the same options give the same files, byte for byte', async () => {
    const first = await hashes(SMALL);
    expect(Object.keys(first).length).toBeGreaterThan(15);
    expect(await hashes({ ...SMALL })).toEqual(first);
  });

  test('another seed gives other bytes in every file that both have', async () => {
    const first = await hashes(SMALL);
    const second = await hashes({ ...SMALL, seed: 2 });
    const shared = Object.keys(first).filter((name) => name in second);
    expect(shared).toContain('tracks.csv');
    for (const name of shared) expect(`${name} ${second[name]}`).not.toBe(`${name} ${first[name]}`);
  });

  test('seeds that differ above 32 bits differ', async () => {
    const far = await hashes({ ...SMALL, seed: 2 ** 40 + SMALL.seed, exportPlays: 0 });
    const near = await hashes({ ...SMALL, exportPlays: 0 });
    expect(far['tracks.csv']).not.toBe(near['tracks.csv']);
  });

  test('the export alone has the bytes it has in the whole data set', async () => {
    const whole = memorySink();
    const summary = await generateDataset(SMALL, whole.sink);
    const alone = memorySink();
    const exported = await generateExport(SMALL, alone.sink);
    const ofWhole = [...whole.files].filter(([name]) => name.startsWith('export/'));
    expect(new Map(ofWhole)).toEqual(alone.files);
    expect(exported.exportRows).toBe(summary.exportRows);
    expect(exported.files).toBe(alone.files.size);
  });

  test('a change of users leaves the export and the tracks as they were', async () => {
    const first = await hashes(SMALL);
    const second = await hashes({ ...SMALL, users: 1 });
    const unchanged = Object.keys(first).filter((name) => /^(export|api|charts)\/|^tracks/.test(name));
    expect(unchanged.length).toBeGreaterThan(8);
    for (const name of unchanged) expect(second[name]).toBe(first[name]);
  });
});

describe('files', () => {
  test('every file parses and the summary counts what is in them', async () => {
    const { files, sink } = memorySink();
    const steps: [number, number][] = [];
    const summary = await generateDataset(SMALL, sink, (done, total) => steps.push([done, total]));
    expect(summary.files).toBe(files.size);
    let events = 0;
    let rows = 0;
    let accountRows = 0;
    let polls = 0;
    let deliveries = 0;
    for (const [name, text] of files) {
      if (name.startsWith('events/'))
        events += text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line)).length;
      else if (name.startsWith('export/Spotify Extended')) rows += JSON.parse(text).length;
      else if (name.startsWith('export/')) accountRows += JSON.parse(text).length;
      else if (name.endsWith('.ndjson')) {
        const lines = text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
        polls += lines.length;
        deliveries += lines.reduce((sum, line) => sum + line.body.items.length, 0);
      } else if (name.endsWith('.json')) JSON.parse(text);
      else expect(name).toMatch(/\.csv$/);
    }
    expect({ events, rows, accountRows, polls, deliveries }).toEqual({
      events: summary.events,
      rows: summary.exportRows,
      accountRows: summary.accountRows,
      polls: summary.polls,
      deliveries: summary.deliveries,
    });
    expect(summary.exportDistinctPlays).toBe(SMALL.exportPlays);
    expect(summary.tracks).toBe(SMALL.tracks);
    expect(steps.map(([done]) => done)).toEqual(steps.map((_, index) => index + 1));
    expect(steps.at(-1)![0]).toBe(steps.at(-1)![1]);
  });

  test('no address outside the documentation ranges is in any file', async () => {
    const { files, sink } = memorySink();
    await generateDataset(SMALL, sink);
    const text = [...files.values()].join('\n');
    const addresses = new Set(text.match(/(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])/g));
    expect(addresses.size).toBeGreaterThan(300);
    expect(
      [...addresses].filter((address) => !/^(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}$/.test(address)),
    ).toEqual([]);
    const longer = new Set(text.match(/"ip_addr(_decrypted)?":"[^"]*:[^"]*"/g));
    expect(longer.size).toBeGreaterThan(10);
    expect([...longer].filter((field) => !/:"2001:db8::[0-9a-f]{1,4}"$/.test(field))).toEqual([]);
  });

  test('truth.json states the coefficients', async () => {
    const { files, sink } = memorySink();
    await generateDataset({ ...SMALL, exportPlays: 0 }, sink);
    const truth = JSON.parse(files.get('truth.json')!);
    expect(truth).toMatchObject({ listenlake_truth: 1, seed: SMALL.seed });
    expect(typeof truth.intercept).toBe('number');
    expect(truth.coefficients.taste_match).toBeLessThan(0);
    expect(Object.keys(truth.inputs)).toEqual(Object.keys(truth.coefficients));
  });
});

describe('tracks.csv', () => {
  const columns =
    ',track_id,artists,album_name,track_name,popularity,duration_ms,explicit,danceability,energy,key,loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo,time_signature,track_genre';

  async function tracks(faults: boolean, size = 3_000) {
    const { files, sink } = memorySink();
    const summary = await generateDataset({ ...SMALL, users: 0, exportPlays: 0, tracks: size, faults }, sink);
    const text = files.get('tracks.csv')!;
    expect(text.slice(0, text.indexOf('\n'))).toBe(columns);
    const rows: Record<string, string>[] = parse(text, {
      columns: (names: string[]) => names.map((name) => name || 'index'),
    });
    expect(rows.length).toBe(summary.trackRows);
    expect(rows.map((row) => Number(row.index))).toEqual(rows.map((_, index) => index));
    return { rows, summary };
  }

  test('with faults it has the oddities of the known file, as often as the summary says', async () => {
    const { rows, summary } = await tracks(true);
    const ids = new Map<string, Set<string>>();
    for (const row of rows) ids.set(row.track_id!, (ids.get(row.track_id!) ?? new Set()).add(row.track_genre!));
    const underTwoGenres = [...ids.values()].filter((genres) => genres.size > 1).length;
    expect(underTwoGenres).toBe(summary.planted.csv_repeat_other_genre);
    expect(underTwoGenres / 3_000).toBeGreaterThan(0.12);
    const bodies = rows.map(({ index, ...rest }) => JSON.stringify(rest));
    expect(bodies.length - new Set(bodies).size).toBe(summary.planted.csv_exact_copy);
    expect(rows.filter((row) => row.popularity === '0').length / rows.length).toBeGreaterThan(0.1);
    expect(rows.some((row) => Number(row.tempo) === 0 && row.time_signature === '0')).toBe(true);
    expect(rows.some((row) => Number(row.loudness) > 0)).toBe(true);
    expect(rows.filter((row) => row.artists === '' && row.album_name === '' && row.track_name === '')).toHaveLength(1);
    const several = rows.filter((row) => row.artists!.includes(';')).length / rows.length;
    expect(several).toBeGreaterThan(0.2);
    expect(several).toBeLessThan(0.33);
    for (const odd of ['</script>', '=1+1', '"', ',', '🌊', 'שיר'])
      expect(rows.some((row) => row.track_name!.includes(odd))).toBe(true);
  });

  test('without faults it has one plausible row a track', async () => {
    const { rows, summary } = await tracks(false);
    expect(new Set(rows.map((row) => row.track_id)).size).toBe(3_000);
    expect(rows).toHaveLength(3_000);
    expect(summary.planted).toEqual({});
    for (const row of rows) {
      expect(row.track_id).toMatch(/^[0-9A-Za-z]{22}$/);
      expect(Number(row.popularity)).toBeGreaterThan(0);
      expect(Number(row.tempo)).toBeGreaterThan(0);
      expect(Number(row.loudness)).toBeLessThan(0);
    }
  });
});

describe('charts', () => {
  test('weekly ones have a BOM, CRLF, 200 ranks and -1 for a new entry; the daily one has its note line', async () => {
    const { files, sink } = memorySink();
    await generateDataset({ ...SMALL, users: 0, exportPlays: 0 }, sink);
    const weekly = [...files].filter(([name]) => name.includes('weekly'));
    expect(weekly.map(([name]) => name)).toEqual([
      'charts/regional-global-weekly-2026-10-22.csv',
      'charts/regional-global-weekly-2026-10-29.csv',
    ]);
    for (const [, text] of weekly) {
      expect(
        text.startsWith(
          '\uFEFFrank,uri,artist_names,track_name,source,peak_rank,previous_rank,weeks_on_chart,streams\r\n',
        ),
      ).toBe(true);
      expect(text.replaceAll('\r\n', '')).not.toContain('\n');
      const rows: Record<string, string>[] = parse(text, { columns: true, bom: true });
      expect(rows).toHaveLength(200);
      expect(rows.some((row) => row.previous_rank === '-1')).toBe(true);
      for (const row of rows) expect(Number(row.peak_rank)).toBeLessThanOrEqual(Number(row.rank));
      const streams = rows.map((row) => Number(row.streams));
      expect(streams).toEqual(streams.toSorted((a, b) => b - a));
    }
    const daily = files.get('charts/regional-global-daily-2026-10-31.csv')!.split('\n');
    expect(daily[0]).toMatch(/^,,,"/);
    expect(daily[1]).toBe('Position,"Track Name",Artist,Streams,URL');
    expect(daily).toHaveLength(203);
  });
});

describe('edges', () => {
  test.each([
    { users: 0 },
    { days: 0 },
    { exportPlays: 0 },
    { tracks: 1 },
    { tracks: 2, exportPlays: 1, users: 1 },
    { users: 0, days: 0, exportPlays: 0, tracks: 1 },
    { exportPlays: 200, exportYears: 0.01 },
    { exportPlays: 3_000, exportYears: 0.003, faults: false },
  ])('%j works', async (change) => {
    const options = { ...SMALL, ...change };
    const { files, sink } = memorySink();
    const summary = await generateDataset(options, sink);
    expect(summary.exportDistinctPlays).toBe(options.exportPlays);
    expect(summary.events > 0).toBe(options.users > 0 && options.days > 0);
    expect([...files.keys()].some((name) => name.startsWith('export/'))).toBe(options.exportPlays > 0);
    for (const text of files.values()) expect(text).not.toBe('');
  });

  test.each([
    { users: -1 },
    { users: 1.5 },
    { days: Number.NaN },
    { tracks: 0 },
    { seed: -1 },
    { seed: 2 ** 53 },
    { end: '2026-02-30' },
    { end: '2026-11-01T00:00:00Z' },
    { end: '1999-01-01' },
    { days: 3_000, end: '2012-01-01' },
    { exportYears: 0 },
    { exportYears: Number.POSITIVE_INFINITY },
    { exportYears: 40 },
    { exportPlays: 1_000_000, exportYears: 0.01 },
  ])('%j is refused before anything is written', async (change) => {
    const { files, sink } = memorySink();
    const run = generateDataset({ ...SMALL, ...change }, sink);
    await expect(run).rejects.toMatchObject({
      code: 'options_invalid',
      exit: 'usage',
      hint: expect.stringContaining('expected'),
    });
    expect(files.size).toBe(0);
  });

  test('when the sink fails, the error comes through and no file stays open', async () => {
    let opened = 0;
    let closed = 0;
    const sink: FileSink = {
      async open(name) {
        opened++;
        return {
          async write() {
            if (name.startsWith('events/')) throw new Error('disk full');
          },
          async close() {
            closed++;
          },
        };
      },
    };
    await expect(generateDataset(SMALL, sink)).rejects.toThrow('disk full');
    expect(opened).toBeGreaterThan(1);
    expect(closed).toBe(opened);
  });
});

test('a million events and 200,000 plays fit into a heap of 96 MB', () => {
  const module = pathToFileURL(`${import.meta.dirname}/../../jobs/sources/synthetic/index.ts`).href;
  const script = `
    const { generateDataset } = await import(${JSON.stringify(module)});
    const sink = { async open() { return { async write() {}, async close() {} }; } };
    const summary = await generateDataset({ seed: 1, users: 1200, days: 60, tracks: 3000, end: '2026-11-01', exportPlays: 200000, exportYears: 8, faults: true }, sink);
    console.log(JSON.stringify(summary));`;
  const run = spawnSync(process.execPath, ['--max-old-space-size=96', '--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  expect(JSON.parse(run.stdout).events).toBeGreaterThan(1_000_000);
});

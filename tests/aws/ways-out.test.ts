/**
 * The dashboard and `export` on a lake on S3, through the Athena front on a real Trino: the same pages and
 * rows as of a folder with the same data, each page asked once for a version, its cost told.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DuckDBInstance } from '@duckdb/node-api';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { listenlake, ROOT } from '../fixtures/command-line.ts';
import {
  CLOCK_MS,
  type LakeFixture,
  openLakeFixture,
  projectOfModels,
  publishProd,
  untested,
} from '../fixtures/effects.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { openPyAthena } from '../oracle/python-tools.ts';
import { AS_OF, events, ownPlays, sources, trackGenres } from '../report/report-data.ts';
import { type Cell, type Dashboard, type ShownPage, startDashboard } from '../serve/shown.ts';
import { type AwsLake, openAwsLake } from './lake.ts';
import { environmentOf, startLocalAwsOrSkip } from './local.ts';

/** What the pages show most of; a build of all models takes minutes on one Trino. */
const MODELS = [
  ...['fct_plays', 'dim_users', 'dim_artists', 'dim_songs', 'dim_albums', 'dim_tracks', 'dim_countries', 'top_tracks'],
  ...['listening_years', 'daily_aggregates', 'activity_by_country', 'device_by_region', 'skip_rate_by_artist'],
  ...['bridge_track_genres'],
];
const PATHS = [
  '/?person=me',
  '/?person=me&from=2026-02-01&to=2026-04-30&country=DE&device=ios',
  '/?person=me&private=in&country=unknown',
  '/?person=*',
  '/compare?person=me&from=2026-01-01&to=2026-02-28&from2=2026-03-01&to2=2026-04-30',
  '/story?person=me',
  '/events',
];
const COST = /<p>\d+ statements? made it: [\d.,]+ \w+ scanned, about [\d.]+ USD at list price\.<\/p>/;

const local = await startLocalAwsOrSkip('serve and export on Athena', { isTrinoNeeded: true });

if (local?.athena === undefined) {
  it('serve and export on Athena are left out here, which is no answer under CI', () =>
    expect(process.env.CI).not.toBe('true'));
} else {
  const { athena } = local;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  const project = untested(projectOfModels(...MODELS));
  const rows = { plays: ownPlays(), listening_events: events(), track_genres: trackGenres(), ...sources() };
  let aws: AwsLake;
  let folder: LakeFixture;
  let env: Record<string, string>;
  let onAws: Dashboard;
  let onFolder: Dashboard;
  let out: string;

  const effectsOf = (lake: AwsLake): Effects => ({
    ...{ config: readConfig({ LISTENLAKE_LAKE: lake.uri, ...env }), store: lake.store, engine: lake.engine },
    ...{ log: createLog('silent'), progress: silentProgress, scratch: lake.scratch },
    ...{ now: () => CLOCK_MS, signal: new AbortController().signal },
  });

  beforeAll(async () => {
    [aws, folder] = [await openAwsLake(local), await openLakeFixture()];
    out = await mkdtemp(join(tmpdir(), 'listenlake-ways-out-'));
    env = { ...environmentOf(local.endpoint.url), LISTENLAKE_LAKE: aws.uri, LISTENLAKE_AWS_NAME: aws.name };
    for (const lake of [aws, folder]) await lake.commitSilver(rows);
    const version = { runId: 'run-one', asOf: AS_OF, project };
    await publishProd(effectsOf(aws), version);
    await publishProd(folder.effects, version);
    onAws = await startDashboard(['--quiet'], env);
    onFolder = await startDashboard(['--lake', folder.root, '--quiet']);
  }, 1_800_000);
  afterAll(async () => {
    expect(await onAws?.close()).toEqual({ code: 0, stderr: '' });
    await onFolder?.close();
    await aws?.close();
    await folder?.close();
    await rm(out, { recursive: true, force: true });
    await local.close();
  });

  /** Sums of doubles differ in their last digit by the order in which they were made. */
  const close = (cell: Cell): unknown =>
    typeof cell === 'number' && !Number.isInteger(cell) ? expect.closeTo(cell, 6) : cell;
  const shownBy = ({ tiles, figures }: ShownPage) => ({
    tiles,
    figures: [...figures],
  });

  it.each(PATHS)('%s is the page of the folder lake, and says what it cost', async (path) => {
    const [here, there] = [await onFolder.page(path), await onAws.page(path)];
    const expected = shownBy(here);
    expect(expected.figures.length).toBeGreaterThan(0);
    expect(shownBy(there)).toEqual({
      ...expected,
      figures: expected.figures.map(([name, { rows: shown, ...more }]) => [
        name,
        { ...more, rows: shown.map((row) => row.map(close)) },
      ]),
    });
    expect(there.html).toMatch(COST);
    expect(here.html).not.toMatch(COST);
  });

  it('asks once for a version, whoever looks and whatever is downloaded, and anew after the next', async () => {
    const path = '/?person=me&device=ios';
    const before = athena.executions.length;
    const first = await onAws.page(path);
    const asked = athena.executions.length - before;
    expect(asked).toBeGreaterThan(3);
    expect(first.html).toContain(`<p>${asked} statements made it: `);
    const again = await Promise.all([
      ...Array.from({ length: 5 }, () => onAws.page(path)),
      onAws.page('/?device=ios&person=me'),
    ]);
    for (const page of again.slice(0, 5)) expect(page.html).toBe(first.html);
    expect(again[5]!.tiles).toEqual(first.tiles);
    await onAws.text('/download/overview/top-songs.csv?person=me&device=ios');
    expect(athena.executions.length - before).toBe(asked);

    await aws.commitSilver({ plays: rows.plays.slice(0, 100) });
    await publishProd(effectsOf(aws), { runId: 'run-two', asOf: AS_OF, project });
    const promoted = athena.executions.length;
    const next = await onAws.page(path);
    expect(athena.executions.length).toBeGreaterThan(promoted);
    expect(next.html).toContain('built by run-two');
    expect(Number(next.tiles.Plays)).toBeLessThan(Number(first.tiles.Plays));
  }, 900_000);

  it('export: what is read back equals the table, in each format', async () => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const table = await aws.engine.query('select * from top_tracks', { target: 'prod' });
    const wanted = await aws.engine.query(asText(table.columns, 'top_tracks'), { target: 'prod' });
    const types = `{${table.columns.map(({ name, type }) => `'${name}': '${type}'`).join(', ')}}`;
    const readers: Record<string, string> = {
      parquet: `read_parquet('${out}/top_tracks.parquet')`,
      csv: `read_csv('${out}/top_tracks.csv', header = true, columns = ${types}, nullstr = '', allow_quoted_nulls = false)`,
      json: `read_json('${out}/top_tracks.json', format = 'array', columns = ${types})`,
    };
    try {
      for (const [format, from] of Object.entries(readers)) {
        const command = ['export', 'top_tracks', '--to', out, '--format', format, '--raw', '--quiet'];
        const { code, stderr, json } = await listenlake(command, env);
        expect({ code, stderr, rows: json.rows }).toEqual({ code: 0, stderr: '', rows: wanted.rows.length });
        const back = (await connection.runAndReadAll(asText(table.columns, from))).getRowsJS();
        expect({ format, rows: sorted(back) }).toEqual({ format, rows: sorted(wanted.rows) });
      }
      expect(wanted.rows.length).toBeGreaterThan(10);
      const refused = await listenlake(['export', 'top_tracks', '--to', out, '--format', 'csv'], env);
      expect([refused.code, refused.stderr]).toEqual([64, expect.stringContaining('top_tracks.csv is there already')]);
      expect(await readFile(join(out, 'top_tracks.csv'), 'utf8')).toContain('song_key');
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  });

  const python = openPyAthena();
  if ('missing' in python) layerSkipped('PyAthena', python.missing, PYTHON);
  const ifPython = 'program' in python ? it : it.skip;
  ifPython('PyAthena: the lines of docs/connect.md read what the lake says', async () => {
    const page = await readFile(join(ROOT, 'docs/connect.md'), 'utf8');
    const code = /^### PyAthena\n(?:(?!#|```).*\n)*```python\n([^`]+)```$/m.exec(page)![1]!;
    const [[rows, plays]] = (
      await aws.engine.query("select count(*), sum(plays) from top_tracks where period = 'all'", { target: 'prod' })
    ).rows as [[bigint, bigint]];
    expect(Number(rows)).toBeGreaterThan(3);
    const child = spawn('program' in python ? python.program : '', ['-c', code], {
      cwd: out,
      env: { PATH: process.env.PATH, HOME: out, ...env },
    });
    const [said, failed] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect([said, failed]).toEqual([`${rows} ${plays}\n`, '']);
    const { workGroup, sql } = athena.executions.at(-1)!;
    expect([workGroup, sql]).toEqual([`${aws.name}-prod`, expect.stringContaining("period = 'all'")]);
  });
}

/** Texts without doubles, which engines write out differently. */
function asText(columns: readonly { name: string; type: string }[], from: string): string {
  const cells = columns.map(({ name, type }) =>
    type === 'double' ? `cast(round(${name} * 1000000) as bigint)` : name,
  );
  return `select ${cells.map((cell) => `cast(${cell} as varchar)`).join(', ')} from ${from}`;
}

function sorted(rows: readonly (readonly unknown[])[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}

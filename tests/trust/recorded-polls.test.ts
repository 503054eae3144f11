/**
 * Recorded answers of the Web API: what they cost, and that both forms of bronze that hold them are the same
 * to silver.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { hashFile } from '../../jobs/base/hash.ts';
import { createPseudonyms } from '../../jobs/base/personal-fields.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import {
  type BronzeFile,
  commitManifest,
  EMPTY_STATE,
  latestManifest,
  type Manifest,
  NO_ACCOUNTS,
  putState,
  readBronzeIndex,
} from '../../jobs/lake/manifest.ts';
import { createApiReader } from '../../jobs/sources/spotify-api/answers.ts';
import { type FileSink, generatePolls } from '../../jobs/sources/synthetic/index.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { listenlake, ROOT } from '../fixtures/command-line.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-polls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KEY = 'a key for tests only';

/**
 * Says at the end what the process held at most (KiB) and how many bytes it has read, as the system counts
 * both.
 */
const USAGE = `data:text/javascript,import { readFileSync, writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(process.env.USAGE_FILE, JSON.stringify({ peakKb: process.resourceUsage().maxRSS, io: readFileSync('/proc/self/io', 'utf8') })));`;

async function measured(...args: string[]): Promise<{ peakMb: number; readMb: number; json: Record<string, unknown> }> {
  const usage = join(folder, 'usage.json');
  const child = spawn(process.execPath, ['--import', USAGE, join(ROOT, 'jobs/cli.ts'), ...args, '--json'], {
    env: { ...process.env, NODE_OPTIONS: '', USAGE_FILE: usage, LISTENLAKE_MEMORY_MB: '256', XDG_CACHE_HOME: folder },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${err}`);
  const { peakKb, io } = JSON.parse(readFileSync(usage, 'utf8'));
  return { peakMb: peakKb / 1024, readMb: Number(/rchar: (\d+)/.exec(io)![1]) / 1024 ** 2, json: JSON.parse(out) };
}

/** Files below a folder. @param onLine told every line */
function sinkInto(root: string, onLine: (line: string) => void): FileSink {
  return {
    async open(name) {
      const path = join(root, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, '');
      return {
        async write(text) {
          writeFileSync(path, text, { flag: 'a' });
          for (const line of text.trimEnd().split('\n')) onLine(line);
        },
        async close() {},
      };
    },
  };
}

const sizeOf = (root: string): number =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0) /
  1024 ** 2;

async function ask(lake: string, query: string): Promise<Record<string, unknown>> {
  const answer = await listenlake(['sql', '--lake', lake, '--json', query]);
  return JSON.parse(answer.stdout)[0];
}

/** Items of one song within two seconds of the one before are one play. */
function playsOf(times: ReadonlySet<number>): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted.filter((ms, index) => index === 0 || ms - sorted[index - 1]! > 2_000).length;
}

it('F76: 3,161 polls of 300 MB in one file, a play twenty times: linear in their bytes and under 512 MiB', async () => {
  const runs = [];
  for (const polls of [790, 3_161]) {
    const [source, lake] = [join(folder, `source-${polls}`), join(folder, `lake-${polls}`)];
    // A poll's new items are told by what was played and the second of its time.
    const seconds = new Set<string>();
    const times = new Map<string, Set<number>>();
    const onLine = (line: string): void => {
      for (const { track, played_at } of JSON.parse(line).body.items) {
        seconds.add(`${track.uri} ${played_at.slice(0, 19)}`);
        const song = `${track.artists[0].name}|${track.name}`;
        times.set(song, (times.get(song) ?? new Set()).add(Date.parse(played_at)));
      }
    };
    const counts = await generatePolls({ seed: 3, tracks: 3_000, end: '2026-11-01', polls }, sinkInto(source, onLine));
    const plays = [...times.values()].reduce((sum, own) => sum + playsOf(own), 0);
    const bytesMb = sizeOf(source);
    const loaded = await measured('load', source, '--lake', lake);
    const transformed = await measured('transform', '--lake', lake);
    expect(counts.polls).toBe(polls);
    expect(counts.deliveries).toBeGreaterThan(15 * plays);
    expect(transformed.json.accounts).toEqual({
      read: counts.deliveries,
      new: plays,
      duplicate: counts.deliveries - plays,
      quarantined: 0,
    });
    expect(
      await ask(
        lake,
        'select count(*) as polls, sum(items) as items, sum(new_items) as new_items from silver.capture_polls',
      ),
    ).toEqual({ polls, items: counts.deliveries, new_items: seconds.size });
    // A description is in bronze once, however often it was delivered, and one of each answer's items is a
    // row.
    const bronze = await ask(
      lake,
      `select count(*) as n, count(content) as contents, count(distinct content_key) as things from bronze.api_answers`,
    );
    expect(bronze).toEqual({ n: polls + counts.deliveries, contents: bronze.things, things: bronze.things });
    expect(Math.max(loaded.peakMb, transformed.peakMb)).toBeLessThan(512);
    runs.push({ bytesMb, bronzeMb: sizeOf(join(lake, 'bronze')), loaded, transformed });
    rmSync(source, { recursive: true });
  }
  const [small, large] = runs as [(typeof runs)[0], (typeof runs)[0]];
  expect(large.bytesMb).toBeGreaterThan(250);
  expect(large.bronzeMb).toBeLessThan(large.bytesMb / 20);
  // Load reads the file to check it, to recognise it and to write it; transform reads what load has written,
  // again and again, but not the more often the more there is.
  const grown = large.bytesMb / small.bytesMb;
  expect(large.loaded.readMb).toBeLessThan(4 * large.bytesMb);
  expect(large.loaded.readMb / small.loaded.readMb).toBeLessThan(1.3 * grown);
  expect(large.transformed.readMb / small.transformed.readMb).toBeLessThan(1.3 * grown);
}, 600_000);

it('an object of an older load gives the same silver as what load writes now', async () => {
  const source = join(folder, 'library');
  await generateIntoFolder(
    { seed: 3, users: 0, days: 0, tracks: 150, end: '2026-11-01', exportPlays: 900, exportYears: 1, faults: true },
    source,
  );
  const api = join(source, 'api');
  const [now, older] = [join(folder, 'now'), join(folder, 'older')];
  expect(
    (await listenlake(['load', api, '--user', 'ann', '--lake', now], { LISTENLAKE_PSEUDONYM_KEY: KEY })).code,
  ).toBe(0);
  await loadAsBefore(now, older, api);
  for (const lake of [now, older]) expect((await listenlake(['transform', '--lake', lake])).code).toBe(0);
  const silver = await fingerprint(now, ['silver']);
  expect(Object.values(silver).filter(({ rows }) => rows > 0).length).toBeGreaterThan(8);
  const { 'silver.table_stats': _, ...expected } = silver;
  expect(await fingerprint(older, ['silver'])).toMatchObject(expected);

  // What is kept of an older object after a removal is of the new form.
  const removed = await listenlake(['retention', '--lake', older, '--as-of', '2026-12-30'], {
    LISTENLAKE_API_RETENTION_DAYS: '65',
  });
  expect([removed.code, removed.json]).toEqual([0, expect.objectContaining({ status: 'removed', hits: 0 })]);
  const left = await ask(
    older,
    `select count(*) as rows, count(distinct content_key) - count(content) as missing, min(observed_at) >= '2026-10-26' as is_new
     from bronze.api_answers where observed_at is not null`,
  );
  expect(left).toEqual({ rows: expect.any(Number), missing: 0, is_new: true });
  expect(left.rows).toBeGreaterThan(100);
}, 600_000);

/** Commits the files of a folder as `load` wrote them when it kept whole answers: one JSON line each. */
async function loadAsBefore(like: string, lake: string, source: string): Promise<void> {
  const index = await readBronzeIndex(
    await openFolderLake(like),
    (await latestManifest(await openFolderLake(like)))!.state,
  );
  const store = await openFolderLake(lake);
  const reader = createApiReader(createPseudonyms(KEY));
  const files: BronzeFile[] = [];
  for (const file of index) {
    const path = join(source, file.fileName.slice(file.fileName.lastIndexOf('/') + 1));
    const text = readFileSync(path, 'utf8').trimEnd();
    const lines = (path.endsWith('.ndjson') ? text.split('\n') : [text]).map((line, row) => {
      const { kind, observedAt, timeRange, playlistId, body } = reader.read(line, path);
      return `${JSON.stringify({
        ...{ source_key: file.sourceKey, row_number: row + 1, kind, observed_at: observedAt, time_range: timeRange },
        ...{ playlist_id: playlistId, body: JSON.stringify(reader.withoutPeople(body)) },
      })}\n`;
    });
    const key = `bronze/api_pages/${file.sourceKey}.json`;
    await store.put(key, lines.join(''));
    const sha256 = await hashFile(await store.localFile(key));
    files.push({
      ...file,
      table: 'api_pages',
      key,
      rows: lines.length,
      bytes: Buffer.byteLength(lines.join('')),
      sha256,
    });
  }
  const manifest: Manifest = {
    ...{ format: 1, sequence: 1, job: 'load', runId: 'before', startedAt: '2026-11-01T00:00:00.000Z', elapsedMs: 0 },
    ...{
      versions: {},
      interval: { from: null, to: null },
      inputs: [],
      outputs: [],
      accounts: NO_ACCOUNTS,
      details: {},
    },
    state: { ...EMPTY_STATE, bronze: [await putState(store, 'bronze', files)] },
  };
  expect(await commitManifest(store, manifest)).toBe(true);
}

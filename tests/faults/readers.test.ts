/**
 * Readers beside runs that compete for one lake and are killed now and then: whole versions, always one of
 * those that were committed.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { play } from '../bronze/load-fixture.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { committedVersions, type Version, watchLake } from '../fixtures/lake-reader.ts';
import { IS_SOAK } from '../fixtures/layers.ts';

const POLLS_MIN = IS_SOAK ? 20_000 : 1_000;
const SQL_POLLS_MIN = IS_SOAK ? 500 : 20;
/** Writers at once, each with files of its own. */
const WRITERS = 3;
/** At least this many files a writer, and as many more as the polls take. */
const FILES_MIN = 2;
const MONTHS = 6;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-readers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * A file of plays that touches every month, so that each run replaces partitions that readers are reading.
 */
async function fileOf(writer: number, number: number): Promise<string> {
  const rows = Array.from({ length: 18 + 7 * writer + 3 * number }, (_, index) => {
    const month = String((index % MONTHS) + 1).padStart(2, '0');
    const second = (writer * 40_000 + number * 700 + index) % 86_400;
    const time = new Date(second * 1000).toISOString().slice(11, 19);
    return play({ ts: `2026-${month}-11T${time}Z`, master_metadata_track_name: `song ${index % 9}` });
  });
  const path = join(folder, `Streaming_History_Audio_2026_${writer}${String(number).padStart(3, '0')}.json`);
  await writeFile(path, JSON.stringify(rows));
  return path;
}

it(`F55, F72: ${POLLS_MIN} polls of the catalog, of sql and of the report beside ${WRITERS} writers: no error, no mix`, async () => {
  const lake = join(folder, 'lake');
  const first = await listenlake(['run', await fileOf(0, 0), '--lake', lake]);
  expect([first.code, first.stderr]).toEqual([0, '']);
  const watches = [watchLake(lake, 20), watchLake(lake, 20)];
  const polls = (): number => watches.reduce((sum, { catalogPolls }) => sum + catalogPolls, 0);
  const asked: { versions: Version[]; wrong: string[] } = { versions: [], wrong: [] };
  const codes: string[] = [];
  let runs = 0;
  let isWriting = true;

  const write = async (writer: number): Promise<void> => {
    for (
      let number = 1;
      number <= FILES_MIN || polls() < POLLS_MIN || asked.versions.length < SQL_POLLS_MIN;
      number += 1
    ) {
      // One of them draws the page, which takes a third of a small run.
      const drawing = writer === 1 ? [] : ['--no-report'];
      const args = ['run', await fileOf(writer, number), '--lake', lake, ...drawing];
      for (let isDone = false; !isDone; ) {
        runs += 1;
        const child = start(args);
        // Every fifth is killed, somewhere in what it does.
        const timer =
          runs % 5 === 0 ? setTimeout(() => child.kill('SIGKILL'), 400 + ((runs * 617) % 3_000)) : undefined;
        const { code, signal, stderr } = await finished(child);
        clearTimeout(timer);
        isDone = code === 0;
        // Another one is writing. To ask again takes half a second of a processor.
        if (code === 75) await sleep(5_000);
        if (code !== 0 && code !== 75 && signal !== 'SIGKILL') codes.push(`${code ?? signal}: ${stderr}`);
      }
    }
  };
  const ask = async (): Promise<void> => {
    const question = `select (select count(*) from silver.plays) as silver, (select count(*) from gold_dev.fct_plays) as dev,
        (select count(*) from gold_prod.fct_plays) as prod`;
    while (isWriting) {
      // Each of them is a process of its own: often while the fewest are wanted, seldom for as long as the
      // runs still take.
      await sleep(asked.versions.length < SQL_POLLS_MIN ? 100 : 3_000);
      const { code, stdout, stderr } = await listenlake(['sql', '--lake', lake, '--json', question]);
      if (code !== 0) asked.wrong.push(`${code}: ${stderr}`);
      else {
        const [{ silver, dev, prod }] = JSON.parse(stdout);
        asked.versions.push([silver, dev, prod]);
      }
    }
  };
  const asking = ask();
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer + 1)));
  isWriting = false;
  await asking;
  for (const watch of watches) await watch.stop();

  const committed = await committedVersions(lake);
  const known = new Set(committed.versions.map(String));
  const seen = [...watches.flatMap(({ versions }) => versions), ...asked.versions];
  process.stderr.write(
    `readers: ${polls()} polls of lake.duckdb, ${asked.versions.length} of sql, ${watches[0]!.pagePolls} of the page; ` +
      `${committed.versions.length} commits, ${new Set(seen.map(String)).size} versions seen, ${runs} runs\n`,
  );
  expect(codes).toEqual([]);
  expect(asked.wrong).toEqual([]);
  expect(watches.flatMap(({ faults }) => faults)).toEqual([]);
  expect(seen.filter((version) => !known.has(String(version)))).toEqual([]);
  const pages = watches.flatMap(({ builders }) => [...builders]);
  expect(pages.filter((builder) => !committed.builders.has(builder))).toEqual([]);
  expect(new Set(seen.map(String)).size).toBeGreaterThan(WRITERS * FILES_MIN);
  expect(new Set(pages).size).toBeGreaterThan(1);
  expect(polls()).toBeGreaterThanOrEqual(POLLS_MIN);
  expect(asked.versions.length).toBeGreaterThanOrEqual(SQL_POLLS_MIN);
}, 7_200_000);

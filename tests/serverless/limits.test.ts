/** What a lake does that is too large for a function: it is told of before, and what the function says then. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { commitManifest, EMPTY_STATE, LAKE_FORMAT, NO_ACCOUNTS } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { lookAtFunctions } from '../../jobs/serverless/fits.ts';
import { runJob } from '../../jobs/serverless/job-process.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { type EmulatedFunction, emulatorOrSkip, startFunction } from './emulator.ts';
import { memoryLimitOrSkip } from './memory-limit.ts';

const FUNCTION_SECONDS = 900;
/** The least that terraform/ gives a function. */
const ENOUGH_MIB = 1_024;
/** Beside the runtime: a load of a few files takes 110, and the runtime itself less than this. */
const TOO_LITTLE_MIB = 75;

describe('whether a lake fits', () => {
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-fits-'));
  let store: LakeStore;
  let sequence = 0;
  beforeAll(async () => {
    store = await openFolderLake(join(folder, 'lake'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const commit = async (job: string, seconds: number): Promise<void> => {
    sequence += 1;
    const isDone = await commitManifest(store, {
      ...{ format: LAKE_FORMAT, sequence, job, runId: `run-${sequence}`, startedAt: '2026-11-01T00:00:00.000Z' },
      ...{ elapsedMs: seconds * 1000, versions: {}, interval: { from: null, to: null }, inputs: [], outputs: [] },
      ...{ accounts: NO_ACCOUNTS, details: {}, state: EMPTY_STATE },
    });
    expect(isDone).toBe(true);
  };
  const look = () => lookAtFunctions(store, FUNCTION_SECONDS);

  it('is not known before a job has run', async () => {
    expect(await look()).toMatchObject({ verdict: 'ok', text: expect.stringContaining('none has run yet') });
  });

  it.each([
    ['load', 12, 'ok', /load: 12 s of the 900/],
    ['transform', 451, 'warn', /transform: 451 s of the 900 .* will not fit when the lake has doubled/],
    ['enrich', 900, 'fail', /enrich: 900 s of the 900 .*: this lake needs a machine \(host = "ec2"\)/],
    // The longest of all decides, and not the newest.
    ['load', 3, 'fail', /last 4 commits was enrich/],
  ])('%s took %i s: %s', async (job, seconds, verdict, text) => {
    await commit(job, seconds);
    expect(await look()).toEqual({ name: 'functions', verdict, text: expect.stringMatching(text) });
  });
});

it('a job whose time is nearly up is stopped before its end, and says how to go on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-time-'));
  // The demo in full takes a multiple of the second after which it is asked to stop.
  const line = ['extract', 'events', '--out', join(folder, 'source')];
  const environment = { PATH: process.env.PATH, LISTENLAKE_LAKE: join(folder, 'lake') };
  const cli = join(ROOT, 'jobs/cli.ts');
  const ended = await runJob(line, { cli, environment, deadlineMs: Date.now() + 2_000, now: () => Date.now() });
  expect(ended).toEqual({
    error: {
      type: 'OutOfTime',
      message: expect.stringMatching(
        /^extract events .*: stopped after \d+ s, before the function's end\. What was committed is whole\. Run it once where no such limit is: listenlake extract events .* --lake s3:\/\/\.\.\. \(docs\/aws\.md\)$/,
      ),
    },
  });
  await rm(folder, { recursive: true, force: true });
});

const program = await emulatorOrSkip('limits of functions');
const limit = program === undefined ? undefined : memoryLimitOrSkip('memory of functions', ENOUGH_MIB);

if (program === undefined || limit === undefined) {
  it('the memory of functions is left out here, which is no answer under CI', () =>
    expect(process.env.CI).not.toBe('true'));
} else {
  describe('a function whose memory is used up', () => {
    let opened: EmulatedFunction;
    beforeAll(async () => {
      opened = await startFunction(program, {
        // No job of Terraform's: each call says what it runs, in one and the same sandbox.
        command: [],
        environment: { LISTENLAKE_LAKE: '/tmp/lake', LISTENLAKE_MEMORY_MB: '256', AWS_ACCESS_KEY_ID: 'test' },
        seconds: FUNCTION_SECONDS,
        limit,
      });
    });
    afterAll(async () => {
      await opened?.close();
      await limit.close();
    });
    const call = (...line: string[]) => opened.call({ arguments: line });
    const load = () => call('load', '--on-quarantine=warn');

    it('says so in one line, with what to do, and the next call goes on where the lake was', async () => {
      const few = ['--users=2', '--days=3', '--tracks=100', '--export-plays=3000', '--export-years=1'];
      expect((await call('extract', 'events', ...few)).errorType).toBeUndefined();
      // Enough for the runtime and a process that starts, and not for one that works.
      limit.set(limit.used() + TOO_LITTLE_MIB);
      const killed = await load();
      expect(killed.errorType).toBe('OutOfMemory');
      const line = String(killed.body.errorMessage);
      expect(line).toBe(
        'load --on-quarantine=warn: ended by SIGKILL, as the system does where memory is used up. Give the function more memory, or run the command on a machine (docs/aws.md)',
      );
      limit.set(ENOUGH_MIB);
      const done = await load();
      expect([done.errorType, done.body.errorMessage]).toEqual([undefined, undefined]);
      expect(done.body).toMatchObject({ status: 'loaded', rows: expect.any(Number) });
      expect(done.body.rows).toBeGreaterThan(3_000);
    });
  });
}

/**
 * The image as a function of AWS Lambda: started as terraform/serverless.tf says, with AWS's own emulator in
 * Lambda's place, on a root that cannot be written, with an empty /tmp and the least memory that a function has.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { listenlake, PSEUDONYM_KEY, ROOT } from '../fixtures/command-line.ts';
import { buildImage, docker, IMAGE } from '../fixtures/image.ts';
import { emulatorOrSkip } from '../serverless/emulator.ts';

const CALL_PATH = '/2015-03-31/functions/function/invocations';
const PORT = 8080;
const MEMORY_MIB = 1_024;
const FEW = { seed: 3, users: 2, days: 3, tracks: 100, end: '2026-11-01', exportPlays: 300, exportYears: 1 };

const isImage = buildImage('image as a function');
const program = isImage ? await emulatorOrSkip('image as a function') : undefined;
const describeFunction = program === undefined ? describe.skip : describe;

describeFunction('the image as a function', () => {
  const name = `listenlake-function-${process.pid}`;
  let folder: string;
  let lake: string;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'listenlake-function-'));
    await chmod(folder, 0o755);
    const source = join(folder, 'source');
    lake = join(folder, 'lake');
    await generateIntoFolder({ ...FEW, faults: false }, source);
    expect((await listenlake(['extract', source, '--lake', lake])).code).toBe(0);
    url = await startContainer();
  }, 900_000);
  afterAll(async () => {
    docker(['rm', '--force', name]);
    await rm(folder, { recursive: true, force: true });
  });

  /** @returns where the emulator listens */
  async function startContainer(): Promise<string> {
    const { entryPoint, workingDirectory } = await imageConfig();
    const child = spawn(
      'docker',
      [
        ...['run', '--detach', `--name=${name}`, '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'],
        ...[`--memory=${MEMORY_MIB}m`, '--tmpfs=/tmp:rw,nosuid,nodev,size=512m,mode=1777'],
        ...[`--user=${process.getuid!()}:${process.getgid!()}`, `--publish=127.0.0.1::${PORT}`],
        // In the lake's place, which for a function is S3.
        ...[`--volume=${lake}:${lake}`, `--volume=${program}:/function-rie:ro`, '--entrypoint=/function-rie'],
        ...[`--env=LISTENLAKE_LAKE=${lake}`, `--env=LISTENLAKE_PSEUDONYM_KEY=${PSEUDONYM_KEY}`],
        ...[`--env=LISTENLAKE_MEMORY_MB=${MEMORY_MIB / 2}`, '--env=XDG_CACHE_HOME=/tmp/cache', '--env=HOME=/tmp'],
        ...['--env=_HANDLER=lambda', '--env=AWS_LAMBDA_FUNCTION_TIMEOUT=900', `--workdir=${workingDirectory}`],
        ...[IMAGE, ...entryPoint, 'load', '--on-quarantine=warn'],
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    expect((await once(child, 'exit'))[0]).toBe(0);
    const address = docker(['port', name, String(PORT)])
      .stdout.trim()
      .split('\n')[0];
    for (let tries = 0; tries < 300; tries += 1) {
      // Any answer means that it listens; a GET is no call.
      const isUp = await fetch(`http://${address}/`).then(
        () => true,
        () => false,
      );
      if (isUp) return `http://${address}`;
      await sleep(100);
    }
    throw new Error(`the emulator does not listen: ${docker(['logs', name]).stderr}`);
  }
  const call = async (event: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(`${url}${CALL_PATH}`, { method: 'POST', body: JSON.stringify(event) });
    const text = await response.text();
    if (!text.startsWith('{')) throw new Error(`${text}\n${docker(['logs', name]).stderr.slice(-2_000)}`);
    return JSON.parse(text) as Record<string, unknown>;
  };

  it('does its job when it is called, and again when it is called again', async () => {
    const loaded = await call({ arguments: [] });
    expect(loaded).toMatchObject({ status: 'loaded', rows: expect.any(Number) });
    expect(loaded.rows).toBeGreaterThan(300);
    expect((await readdir(join(lake, 'manifests'))).filter((each) => each.endsWith('.json'))).toHaveLength(1);
    expect(await call({ arguments: [] })).toMatchObject({ status: 'nothing_new' });
  }, 600_000);

  it('refuses what is no call of its own', async () => {
    expect(await call({ command: ['forget'] })).toMatchObject({ errorType: 'Usage' });
  });

  it('writes into /tmp alone', () => {
    const changed = docker(['diff', name]).stdout.split('\n').filter(Boolean);
    expect(changed.filter((line) => !/^[AC] \/(tmp|function-rie)/.test(line) && !line.includes(folder))).toEqual([]);
  });
});

/** How Terraform has the image started. */
async function imageConfig(): Promise<{ entryPoint: string[]; workingDirectory: string }> {
  const text = await readFile(join(ROOT, 'terraform/serverless.tf'), 'utf8');
  const [, entryPoint] = /entry_point\s*= (\[.*\])/.exec(text)!;
  const [, workingDirectory] = /working_directory\s*= "(.*)"/.exec(text)!;
  return { entryPoint: JSON.parse(entryPoint!) as string[], workingDirectory: workingDirectory! };
}

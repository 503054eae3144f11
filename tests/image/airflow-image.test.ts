/**
 * The image of Airflow (airflow/Dockerfile): its base cannot be pulled everywhere, its packages can be asked
 * for.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../fixtures/command-line.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';

const REQUIREMENTS = join(ROOT, 'airflow/requirements.txt');
/** What Astro builds its runtime of Airflow 3.3 with; 3.14 is the one that a tag without a word has. */
const PYTHONS = ['3.12', '3.13', '3.14'];
const MACHINES = ['x86_64', 'aarch64'];
const run = promisify(execFile);

/** pip asks its index and installs nothing. @returns its complaint; empty where every package has a wheel */
async function complaintOf(python: string, machine: string, folder: string): Promise<string> {
  const platforms = ['2_17', '2_28', '2_34'].flatMap((glibc) => ['--platform', `manylinux_${glibc}_${machine}`]);
  const args = [
    ...['-m', 'pip', 'install', '--dry-run', '--quiet', '--disable-pip-version-check', '--no-deps', '--target', folder],
    ...['--only-binary=:all:', '--implementation', 'cp', '--python-version', python, ...platforms, '-r', REQUIREMENTS],
  ];
  return run('python3', args).then(
    () => '',
    ({ stderr }: { stderr: string }) => stderr.trim(),
  );
}

describe('the image of Airflow', () => {
  it('every package that comes on top has a wheel for each Python of the runtime, on both kinds of machine: nothing is compiled', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'listenlake-wheels-'));
    const complaints = await Promise.all(
      PYTHONS.flatMap((python) => MACHINES.map((machine) => complaintOf(python, machine, folder))),
    );
    rmSync(folder, { recursive: true, force: true });
    const unreachable = complaints.find((text) =>
      /No module named pip|Connection|Temporary failure|not found: python3|ENOENT/i.test(text),
    );
    if (unreachable !== undefined)
      return layerSkipped('wheels of the image of Airflow', unreachable.slice(-200), PYTHON);
    expect(complaints.filter(Boolean)).toEqual([]);
  }, 600_000);

  it('the runtime is Airflow: it is not installed over, nor are its dependencies pinned by us', () => {
    const names = readFileSync(REQUIREMENTS, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split('==')[0]);
    expect(names).toEqual(names.filter((name) => /^apache-airflow-providers-|^asyncpg$|^psycopg2-binary$/.test(name!)));
  });
});

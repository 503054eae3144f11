/** docs/connect.md: its snippets and its notebook, run as they stand beside a lake. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportTables } from '../../jobs/export.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { type LakeFixture, openLakeFixture, projectOfModels, publishProd, untested } from '../fixtures/effects.ts';
import { AWS_GROUND, layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { JDBC, openJdbc } from './jdbc.ts';
import { CONNECTED, openConnected } from './python-tools.ts';

const PAGE = readFileSync(join(ROOT, 'docs/connect.md'), 'utf8');
const [, READ_LAKE = ''] = /^```java\n([^`]+)```$/m.exec(PAGE) ?? [];
const NOTEBOOK = join(ROOT, 'docs/listening.ipynb');
const SNIPPETS = [...PAGE.matchAll(/^### (\w+)\n(?:(?!#|```).*\n)*```python\n([^`]+)```$/gm)].map(
  ([, name, code]) => [name!, code!] as const,
);
/** Runs a notebook and prints what its cells gave, as text. */
const EXECUTE = `
import json, sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
cells = [cell for cell in notebook.cells]
print(json.dumps([["".join(o.get("data", {}).get("text/plain", "") for o in c.get("outputs", [])) for c in cells]][0]))
`;

const python = openConnected();

it('the page says the releases that are tested', () => {
  const named = /^pip install (.*)$/m.exec(PAGE)![1]!.split(' ');
  expect(CONNECTED).toEqual(expect.arrayContaining(named));
  expect(SNIPPETS.map(([name]) => name)).toEqual(['DuckDB', 'pandas', 'Polars', 'PyAthena']);
  expect(PAGE).toContain(JDBC.artifact);
});

if ('missing' in python) {
  layerSkipped('other programs', python.missing, PYTHON);
} else {
  describe('with these programs', () => {
    let lake: LakeFixture;
    let folder: string;
    let truth: { rows: number; plays: number; played: number };
    beforeAll(async () => {
      lake = await openLakeFixture();
      folder = mkdtempSync(join(tmpdir(), 'listenlake-connect-'));
      const plays = Array.from({ length: 12 }, (_, at) => ({
        ...{ play_id: `p${at}`, user_id: 'me', source: 'export_extended', content_type: 'track', played_ms: 200_000 },
        ...{
          track_id: `track${at % 5}`,
          track_name: `Song ${at % 5}`,
          artist_name: 'The Example',
          reason_end: 'trackdone',
        },
        ...{ started_at: `2026-02-0${(at % 7) + 1} 10:00:00.000`, ended_at: `2026-02-0${(at % 7) + 1} 10:03:20.000` },
      }));
      await lake.commitSilver({ plays });
      const project = untested(projectOfModels('top_tracks', 'listening_years', 'listening_clock'));
      await publishProd(lake.effects, { runId: '20260301t000000-aaaaaa', asOf: '2026-03-01T00:00:00.000Z', project });
      symlinkSync(lake.root, join(folder, 'lake'));
      const input = { tables: ['top_tracks'], folder: join(folder, 'out'), format: 'parquet', target: 'prod' } as const;
      await exportTables({ ...input, isRaw: false, isForced: false }, lake.effects);
      const { rows } = await lake.engine.query('select count(*), sum(plays) from top_tracks', { target: 'prod' });
      truth = { rows: Number(rows[0]![0]), plays: Number(rows[0]![1]), played: plays.length };
      expect(truth.rows).toBeGreaterThan(0);
    });
    afterAll(async () => {
      await lake.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const run = (...args: string[]) => {
      const home = join(folder, 'home');
      mkdirSync(home, { recursive: true });
      const env = { PATH: process.env.PATH, HOME: home, IPYTHONDIR: home, JUPYTER_PREFER_ENV_PATH: '1' };
      return spawnSync(python.program, args, { cwd: folder, encoding: 'utf8', env, timeout: 300_000 });
    };

    // The one of a lake on S3 is run by aws/ways-out.test.ts.
    it.each(SNIPPETS.filter(([name]) => name !== 'PyAthena'))('%s reads what the lake says', (name, code) => {
      const { status, stdout, stderr } = run('-c', code);
      expect([status, stderr]).toEqual([0, '']);
      const numbers = stdout.trim().split(' ').map(Number);
      if (name === 'DuckDB') expect([numbers[0]! > 0, numbers[1]]).toEqual([true, truth.played]);
      else expect(numbers).toEqual([truth.rows, truth.plays, truth.rows, truth.plays]);
    });

    const driver = openJdbc();
    if ('missing' in driver) layerSkipped('JDBC', driver.missing, AWS_GROUND);
    ('jar' in driver ? it : it.skip)('JDBC reads what the lake says', () => {
      writeFileSync(join(folder, 'ReadLake.java'), READ_LAKE);
      const options = { cwd: folder, encoding: 'utf8' as const, timeout: 300_000 };
      const jar = 'jar' in driver ? driver.jar : '';
      const { status, stdout, stderr } = spawnSync('java', ['-cp', jar, 'ReadLake.java'], options);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout.trim().split(' ').map(Number)).toEqual([truth.rows, truth.plays]);
    });

    it('the notebook of ten cells runs from its first to its last', () => {
      const { status, stdout, stderr } = run('-c', EXECUTE, NOTEBOOK);
      expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
      const said = JSON.parse(stdout.trim().split('\n').at(-1)!) as string[];
      expect(said).toHaveLength(10);
      expect(said[5]).toContain('The Example');
      expect(said[7]).toContain('2026');
      expect(said[8]).toMatch(/plays/);
    });
  });
}

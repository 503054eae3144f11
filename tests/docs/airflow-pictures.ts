/**
 * `make airflow-pictures`: the grid and the graph of a run of listenlake_daily, taken of a real Airflow in a
 * real browser (CHROMIUM, else /usr/bin/chromium) after two runs on synthetic listening: one that builds, one
 * that finds nothing new.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { openAirflow, startAirflow } from '../../airflow/local.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';

const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const DAG = 'listenlake_daily';
/** Wide enough for both runs beside the details, and for the names of all tasks in a row. */
const SIZE = { grid: { width: 1500, height: 620 }, graph: { width: 1500, height: 420 } };

interface Run {
  dag_run_id: string;
  state: string;
}

const opened = openAirflow();
if ('missing' in opened) throw new Error(opened.missing);
const folder = mkdtempSync(join(tmpdir(), 'listenlake-pictures-'));
const inbox = join(folder, 'inbox');
await generateIntoFolder(
  { seed: 7, users: 4, days: 4, tracks: 150, end: '2026-11-01', exportPlays: 900, exportYears: 2, faults: true },
  inbox,
);
const image = process.env.LISTENLAKE_JOB_IMAGE || 'listenlake:local';
const airflow = await startAirflow(opened.bin, {
  home: join(folder, 'home'),
  lake: join(folder, 'lake'),
  inbox,
  image,
});
try {
  await airflow.call('PATCH', `/dags/${DAG}`, { is_paused: false });
  await airflow.call('POST', `/dags/${DAG}/dagRuns`, { logical_date: null });
  let runs: Run[] = [];
  while (runs.length < 2 || !runs.every(({ state }) => state === 'success')) {
    await sleep(2_000);
    ({ dag_runs: runs } = (await airflow.call('GET', `/dags/${DAG}/dagRuns`)) as { dag_runs: Run[] });
    if (runs.some(({ state }) => state === 'failed')) throw new Error(`${DAG} failed`);
  }
  // Either may have been the first.
  for (const { dag_run_id: run } of runs) if (await hasBuilt(run)) await take(run);
} finally {
  await airflow.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function hasBuilt(run: string): Promise<boolean> {
  const path = `/dags/${DAG}/dagRuns/${encodeURIComponent(run)}/taskInstances/promote`;
  return ((await airflow.call('GET', path)) as { state: string }).state === 'success';
}

async function take(run: string): Promise<void> {
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-sync',
  ];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
  try {
    for (const view of ['grid', 'graph'] as const) {
      const page = await browser.newPage({ viewport: SIZE[view] });
      // Which of the two a DAG's page shows at first.
      await page.addInitScript((shown) => localStorage.setItem('default_dag_view', JSON.stringify(shown)), view);
      await page.goto(`${airflow.url}/auth/login/`);
      await page.getByLabel('Username').fill(airflow.user);
      await page.getByLabel('Password').fill(airflow.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL((url) => !url.pathname.startsWith('/auth'));
      await page.goto(`${airflow.url}/dags/${DAG}/runs/${encodeURIComponent(run)}`);
      await page.getByText('check_silver').first().waitFor();
      await sleep(3_000); // The graph moves into place.
      if (view === 'graph') {
        await page.getByRole('button', { name: 'Collapse Details Panel' }).click();
        await page.getByRole('button', { name: 'Fit View' }).click();
        await page.addStyleTag({ content: '.react-flow__minimap { display: none }' }); // it lies over the last tasks
        await sleep(2_000);
      }
      await page.screenshot({ path: join(IMAGES, `airflow-${view}.png`) });
      await page.close();
    }
  } finally {
    await browser.close();
  }
}

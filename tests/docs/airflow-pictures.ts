/**
 * `make airflow-pictures`: the grid and the graph of a run of listenlake_daily, taken of a real Airflow in a real browser (CHROMIUM, else
 * /usr/bin/chromium) after two runs on synthetic listening: one that builds, one that finds nothing new.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { openAirflow, startAirflow } from '../../airflow/local.ts';
import { generateIntoFolder } from '../../jobs/extract-events.ts';

const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const DAG = 'listenlake_daily';
const SIZE = { width: 1200, height: 620 };

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
  const { dag_run_id: run } = (await airflow.call('POST', `/dags/${DAG}/dagRuns`, { logical_date: null })) as {
    dag_run_id: string;
  };
  for (let state = ''; state !== 'success'; await sleep(2_000)) {
    const runs = (await airflow.call('GET', `/dags/${DAG}/dagRuns`)) as { dag_runs: { state: string }[] };
    if (runs.dag_runs.some((each) => each.state === 'failed')) throw new Error(`${DAG} failed`);
    state = runs.dag_runs.every((each) => each.state === 'success') ? 'success' : '';
  }
  await take(run);
} finally {
  await airflow.stop();
  rmSync(folder, { recursive: true, force: true });
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
    for (const view of ['grid', 'graph']) {
      const page = await browser.newPage({ viewport: SIZE });
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
      await page.screenshot({ path: join(IMAGES, `airflow-${view}.png`) });
      await page.close();
    }
  } finally {
    await browser.close();
  }
}

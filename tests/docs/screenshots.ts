/**
 * `make screenshots`: each chapter of a person's portrait as a picture below docs/images/report/, and pages of
 * the dashboard below docs/images/dashboard/, taken in a real browser (CHROMIUM, else /usr/bin/chromium).
 * docs/sample-report.md and docs/steps/serve.md show them.
 *
 *     node tests/docs/screenshots.ts [report.html [lake]]        their paths below the clone
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'docs/images/report');
/** A chapter of many years goes on below; a picture shows how it begins. */
const HEIGHT_MAX = 1_100;
const MARGIN = 24;
const DASHBOARD = join(ROOT, 'docs/images/dashboard');
const DASHBOARD_HEIGHT = 1_150;
const DASHBOARD_PAGES = [
  { name: 'overview', path: '/?person=me', width: 1_080, colorScheme: 'light' },
  { name: 'compare', path: '/compare?person=me', width: 1_080, colorScheme: 'dark' },
  { name: 'events', path: '/events', width: 1_080, colorScheme: 'light' },
  { name: 'phone', path: '/?person=me', width: 390, colorScheme: 'dark' },
] as const;

mkdirSync(FOLDER, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1080, height: 1400 } });
await page.goto(pathToFileURL(join(ROOT, process.argv[2] ?? 'demo/person/report/report.html')).href);
for (const chapter of await page.locator('section[id]').all()) {
  const box = await chapter.boundingBox();
  const name = await chapter.getAttribute('id');
  const clip = {
    ...{ x: box!.x - MARGIN, y: box!.y - MARGIN, width: box!.width + 2 * MARGIN },
    height: Math.min(HEIGHT_MAX, box!.height + 2 * MARGIN),
  };
  await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true, clip });
  process.stdout.write(`docs/images/report/${name}.png\n`);
}
await takeDashboard(browser, process.argv[3] ?? 'demo/lake');
await browser.close();

async function takeDashboard(of: Browser, lake: string): Promise<void> {
  mkdirSync(DASHBOARD, { recursive: true });
  const server = spawn(join(ROOT, 'listenlake'), ['serve', '--lake', resolve(ROOT, lake), '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const { address } = JSON.parse(line.toString()) as { address: string };
    for (const { name, path, width, colorScheme } of DASHBOARD_PAGES) {
      const view = await of.newPage({ viewport: { width, height: DASHBOARD_HEIGHT }, colorScheme });
      await view.goto(address + path.slice(1));
      await view.screenshot({ path: join(DASHBOARD, `${name}.png`) });
      await view.close();
      process.stdout.write(`docs/images/dashboard/${name}.png\n`);
    }
  } finally {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
}

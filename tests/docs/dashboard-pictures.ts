/**
 * `make screenshots`: pages of the dashboard as pictures below docs/images/dashboard/, taken in a real browser
 * (CHROMIUM, else /usr/bin/chromium). docs/steps/serve.md shows them.
 *
 *     node tests/docs/dashboard-pictures.ts [lake]        its path below the clone
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'docs/images/dashboard');
interface Picture {
  name: string;
  path: string;
  /** A section that the picture begins with; default: the top of the page. */
  from?: string;
  width: number;
  colorScheme: 'light' | 'dark';
}

/** A page goes on below; a picture shows how it begins. */
const HEIGHT = 1_150;
/** Above a section that a picture begins with. */
const MARGIN = 24;
const PAGES: readonly Picture[] = [
  { name: 'overview', path: '?person=me', width: 1_080, colorScheme: 'light' },
  { name: 'filtered', path: '?person=me&from=2026-01-01&device=ios', width: 1_080, colorScheme: 'dark' },
  { name: 'story', path: 'story?person=me', width: 1_080, colorScheme: 'light' },
  { name: 'compare', path: 'compare?person=me', width: 1_080, colorScheme: 'dark' },
  { name: 'events', path: 'events', width: 1_080, colorScheme: 'light' },
  { name: 'catalogue', path: 'catalogue', from: '#charts', width: 1_080, colorScheme: 'light' },
  { name: 'model', path: 'model', from: '#skip-history', width: 1_080, colorScheme: 'dark' },
  { name: 'top', path: '?person=me', from: '#what', width: 1_080, colorScheme: 'light' },
  { name: 'data', path: 'data', width: 1_080, colorScheme: 'light' },
  { name: 'phone', path: '?person=me', width: 390, colorScheme: 'dark' },
];

mkdirSync(FOLDER, { recursive: true });
const lake = resolve(ROOT, process.argv[2] ?? 'demo/lake');
const server = spawn(join(ROOT, 'listenlake'), ['serve', '--lake', lake, '--port', '0', '--json'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
});
try {
  const [line] = (await once(server.stdout, 'data')) as [Buffer];
  const { address } = JSON.parse(line.toString()) as { address: string };
  for (const { name, path, from, width, colorScheme } of PAGES) {
    const page = await browser.newPage({ viewport: { width, height: HEIGHT }, colorScheme });
    await page.goto(address + path);
    const top = from === undefined ? 0 : (await page.locator(from).boundingBox())!.y - MARGIN;
    const clip = { x: 0, y: top, width, height: HEIGHT };
    await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true, clip });
    await page.close();
    process.stdout.write(`docs/images/dashboard/${name}.png\n`);
  }
} finally {
  await browser.close();
  server.kill('SIGTERM');
  await once(server, 'exit');
}

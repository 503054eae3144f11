/**
 * `make picture`: the README's picture, taken in a real browser (CHROMIUM, else /usr/bin/chromium) of the
 * report of a lake that holds the demo's export alone.
 *
 *     node tests/docs/picture.ts [report.html]        its path below the clone
 */
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 1500 } });
await page.goto(pathToFileURL(join(ROOT, process.argv[2] ?? 'demo/lake/report/report.html')).href);
await page.screenshot({ path: join(ROOT, 'docs/images/report.png') });
await browser.close();

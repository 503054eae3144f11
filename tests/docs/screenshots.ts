/**
 * `make screenshots`: each chapter of a person's portrait as a picture below docs/images/report/, taken in a
 * real browser (CHROMIUM, else /usr/bin/chromium). docs/sample-report.md shows them.
 *
 *     node tests/docs/screenshots.ts [report.html]        its path below the clone
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'docs/images/report');
/** A chapter of many years goes on below; a picture shows how it begins. */
const HEIGHT_MAX = 1_100;
const MARGIN = 24;

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
await browser.close();

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
/** A page goes on below; a picture shows how it begins. */
const HEIGHT = 1_150;
const PAGES = [
  { name: 'overview', path: '?person=me', width: 1_080, colorScheme: 'light' },
  { name: 'compare', path: 'compare?person=me', width: 1_080, colorScheme: 'dark' },
  { name: 'events', path: 'events', width: 1_080, colorScheme: 'light' },
  { name: 'phone', path: '?person=me', width: 390, colorScheme: 'dark' },
] as const;

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
  for (const { name, path, width, colorScheme } of PAGES) {
    const page = await browser.newPage({ viewport: { width, height: HEIGHT }, colorScheme });
    await page.goto(address + path);
    await page.screenshot({ path: join(FOLDER, `${name}.png`) });
    await page.close();
    process.stdout.write(`docs/images/dashboard/${name}.png\n`);
  }
} finally {
  await browser.close();
  server.kill('SIGTERM');
  await once(server, 'exit');
}

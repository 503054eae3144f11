/** `make docs`: writes the generated pages. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { references } from './references.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
for (const [path, text] of Object.entries(await references())) {
  mkdirSync(dirname(join(ROOT, path)), { recursive: true });
  writeFileSync(join(ROOT, path), text);
  process.stdout.write(`${path}\n`);
}

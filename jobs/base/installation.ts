import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// In a clone this file is jobs/base/installation.ts. In the npm package it is part of a file of bundle/.
const isBundle = !import.meta.url.endsWith('.ts');

/**
 * The folder that holds `package.json` and `warehouse/`: the clone, the image's `/app`, or the installed npm
 * package. This is the only place that knows it; it ends with a separator.
 */
export const ROOT = fileURLToPath(new URL(isBundle ? '../' : '../../', import.meta.url));

/**
 * The files of the bundle that `make package` made, absolute and in order; undefined where TypeScript runs.
 */
export function bundleFiles(): string[] | undefined {
  if (!isBundle) return undefined;
  const folder = join(ROOT, 'bundle');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .sort()
    .map((name) => join(folder, name));
}

/**
 * The path of a file of a package that we depend on, such as a font. `make package` copies these files into
 * `files/`, because a whole package would be far larger; elsewhere Node's own resolution finds them.
 *
 * @param name as in `import`: the package's name and the path inside it
 */
export function dependencyFile(name: string): string {
  const copied = join(ROOT, 'files', name);
  return isBundle && existsSync(copied) ? copied : createRequire(import.meta.url).resolve(name);
}

import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashText } from '../../base/hash.ts';

/** The same hash, where the modules were bundled into others and their files are not there. */
declare const BUNDLED_CODE_HASH: string | undefined;

const JOBS = fileURLToPath(new URL('../../', import.meta.url));

/** SHA-256 over the code that rows go through on the way to a partition's bytes. */
export function sourceHash(): string {
  if (typeof BUNDLED_CODE_HASH === 'string') return BUNDLED_CODE_HASH;
  return hashText(JSON.stringify(codeFiles().map((path) => [relative(JOBS, path), readFileSync(path, 'utf8')])));
}

/** Every module that `transform` imports, directly or not, and itself: absolute paths in order. */
export function codeFiles(): string[] {
  const found = new Set<string>([join(JOBS, 'transform.ts')]);
  // A set is walked to its end, also while it grows.
  for (const path of found) {
    for (const [, name] of readFileSync(path, 'utf8').matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g))
      found.add(resolve(dirname(path), name!));
  }
  return [...found].sort();
}

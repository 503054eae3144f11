import { appendFileSync } from 'node:fs';

/**
 * Says that a layer cannot run here, and why: one line on stderr and one for the driver (`tests/run.ts`), which counts it as a failure
 * under CI=true.
 */
export function layerSkipped(name: string, reason: string): void {
  const line = `${name}: ${reason.replaceAll(/\s+/g, ' ').trim()}`;
  process.stderr.write(`left out: ${line}\n`);
  if (process.env.LISTENLAKE_SKIPS) appendFileSync(process.env.LISTENLAKE_SKIPS, `${line}\n`);
}

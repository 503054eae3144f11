import { appendFileSync, existsSync } from 'node:fs';
import { FIELD_INPUTS, REAL_DATA } from './command-line.ts';

/** `make soak`: many more kills, faults and polls of each kind. */
export const IS_SOAK = process.env.LISTENLAKE_TEST_SOAK === '1';

/** What is not proven on this machine: what it is, why, and what to do to have it. */
export interface LeftOut {
  what: string;
  why: string;
  how: string;
}

/**
 * Says that something cannot run here: one line on stderr, and one for the driver (`tests/run.ts`), which shows them in a table at the
 * end and counts each as a failure under CI=true.
 */
export function layerSkipped(what: string, why: string, how: string): void {
  const [name, reason, remedy] = [what, why, how].map((text) => text.replaceAll(/\s+/g, ' ').trim());
  process.stderr.write(`left out: ${name}: ${reason}\n`);
  const line: LeftOut = { what: name!, why: reason!, how: remedy! };
  if (process.env.LISTENLAKE_SKIPS) appendFileSync(process.env.LISTENLAKE_SKIPS, `${JSON.stringify(line)}\n`);
}

/**
 * The real files of docs/real-data.md; undefined (and told) where they are absent. Define tests over them inside a condition: Jest
 * refuses `it.each` with an empty list, also in a block that is skipped.
 */
export function realDataOrSkip(): string | undefined {
  if (existsSync(REAL_DATA)) return REAL_DATA;
  layerSkipped(
    'real data',
    'not published with the project',
    'set LISTENLAKE_REAL_DATA to the folder (docs/real-data.md)',
  );
  return undefined;
}

/** The small files of a property each, with the right values; undefined (and told) where they are absent. */
export function fieldInputsOrSkip(): string | undefined {
  if (existsSync(FIELD_INPUTS)) return FIELD_INPUTS;
  layerSkipped(
    'field inputs',
    'not published with the project',
    'set LISTENLAKE_FIELD_INPUTS to the folder that holds them',
  );
  return undefined;
}

/** A browser's program; undefined (and told) where there is none. */
export function chromiumOrSkip(what: string): string | undefined {
  const path = [process.env.CHROMIUM, '/usr/bin/chromium'].find((each) => each && existsSync(each));
  if (path === undefined) layerSkipped(what, 'no Chromium', 'install chromium, or set CHROMIUM to its program');
  return path;
}

/** How to have what a part of the proving ground on AWS is made of. */
export const AWS_GROUND =
  'install Python 3.10 or newer, Java 24 or newer, Maven and Terraform; the first start downloads the rest';
/** Packages come by pip into ~/.cache/listenlake. */
export const PYTHON = 'install Python 3.12 with venv; pip must reach its index once';
export const DOCKER = 'install a Docker Engine that this user may call';

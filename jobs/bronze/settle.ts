import type { LoadedFile } from './loaded-file.ts';
import { ownName } from './own-name.ts';
import type { Refusal } from './refusals.ts';
import type { Stored } from './stored.ts';
import type { Ended, Written } from './walked.ts';

/** The account of a load. */
export interface Settled {
  /** What became of each file, for each input. */
  files: LoadedFile[][];
  /** What is to be committed. */
  drafts: Written[];
  /** What was refused for the first time; one for each content. */
  refusals: Refusal[];
}

/** What a file was counted as. */
interface Counted {
  kind: string;
  rows: number;
}

const CHANGED = {
  status: 'changed',
  code: 'file_changed',
  reason: 'it changed while it was read (run it again when it is complete)',
} as const;

/**
 * Settles where the ways of all files have ended, input by input. A copy of a file of the same load shares
 * its fate. Content that lies there under its stored name and under another one as well stays as it is
 * stored.
 */
export function settle(inputs: readonly (readonly Ended[])[], stored: Stored, userId: string): Settled {
  const ended = inputs.flat();
  const fates = fatesOf(ended);
  const refusals = new Map<string, Refusal>();
  const books: Books = { stored, fates, kept: metAsStored(ended, stored), refusals, userId };
  const drafts: Written[] = [];
  const account = (each: Ended): LoadedFile => {
    const fate = fateOf(each, fates, stored);
    const line = describe(fate, books);
    if (fate.as === 'refused' && !line.isRepeated) {
      const { name: fileName, sha256: sourceKey, code, reason, byte } = fate;
      refusals.set(sourceKey, { fileName, sourceKey, code, reason, byte });
    }
    if (fate.as === 'written' && !isKept(fate, books.kept)) drafts.push(fate);
    return line;
  };
  return { files: inputs.map((own) => own.map(account)), drafts, refusals: [...refusals.values()] };
}

/** By content, what became of it in this load: it was written, or else what was said of it first. */
function fatesOf(ended: readonly Ended[]): Map<string, Ended> {
  const fates = new Map<string, Ended>();
  for (const each of ended) {
    if ('sha256' in each && (each.as === 'written' || !fates.has(each.sha256))) fates.set(each.sha256, each);
  }
  return fates;
}

/** Content (SHA-256) that was met in this load under the name that it is stored with. */
function metAsStored(ended: readonly Ended[], stored: Stored): Set<string> {
  const met = new Set<string>();
  for (const each of ended) {
    if (each.as !== 'known') continue;
    for (const sha256 of each.hashes) {
      const fileName = stored.get(sha256)?.fileName;
      if (fileName !== undefined && ownName(fileName) === ownName(each.name)) met.add(sha256);
    }
  }
  return met;
}

/** A copy of what was refused, or changed, in this load is not known: it is what the first one is. */
function fateOf(each: Ended, fates: ReadonlyMap<string, Ended>, stored: Stored): Ended {
  const [sha256, ...others] = each.as === 'known' ? each.hashes : [];
  if (sha256 === undefined || others.length > 0 || stored.get(sha256) !== undefined) return each;
  const first = fates.get(sha256);
  return first?.as === 'refused' || first?.as === 'changed' ? { ...first, name: each.name } : each;
}

/** It replaces stored content that lies there under its stored name as well. */
function isKept({ sha256, replaces }: Written, kept: ReadonlySet<string>): boolean {
  return replaces !== undefined && kept.has(sha256);
}

interface Books {
  stored: Stored;
  fates: ReadonlyMap<string, Ended>;
  kept: ReadonlySet<string>;
  refusals: ReadonlyMap<string, Refusal>;
  userId: string;
}

/** The line about a file. */
function describe(each: Ended, books: Books): LoadedFile {
  const none = { fileName: each.name, kind: 'unknown', rows: 0 };
  switch (each.as) {
    case 'ignored':
      return { ...none, kind: 'ignored', status: 'ignored', reason: each.reason };
    case 'unreadable':
      return { ...none, status: each.isChanged ? 'changed' : 'refused', code: each.code, reason: each.reason };
    case 'changed':
      return { ...none, ...CHANGED };
    case 'refused': {
      const isRepeated = books.stored.wasRefused(each.sha256) || books.refusals.has(each.sha256);
      const { code, reason } = each;
      return { ...none, status: 'refused', ...(isRepeated && { isRepeated }), reason, code };
    }
    case 'written': {
      const { kind, readRows: rows } = each.file;
      const file = { fileName: each.name, kind, rows, ...(each.passedOver && { passedOver: each.passedOver }) };
      if (each.replaces === undefined) return { ...file, status: 'loaded' };
      const { fileName } = each.replaces;
      return isKept(each, books.kept)
        ? { ...file, status: 'known', storedAs: fileName }
        : { ...file, status: 'loaded', replaces: fileName };
    }
    case 'known':
      return describeKnown(each, books);
  }
}

function describeKnown(
  { name, hashes, storedAs }: Extract<Ended, { as: 'known' }>,
  { stored, fates, userId }: Books,
): LoadedFile {
  const counted = hashes.flatMap((sha256) => countedAs(sha256, stored, fates));
  const labels = hashes.map((sha256) => stored.get(sha256)?.userId ?? undefined);
  const storedUnder = labels.find((label) => label !== undefined && label !== userId);
  return {
    fileName: name,
    kind: hashes.length === 1 ? (counted[0]?.kind ?? 'unknown') : 'archive',
    rows: counted.reduce((sum, { rows }) => sum + rows, 0),
    status: 'known',
    ...(storedUnder !== undefined && { storedUnder }),
    ...(storedAs !== undefined && { storedAs }),
  };
}

/** What was written in this load counts; before it, what is stored. */
function countedAs(sha256: string, stored: Stored, fates: ReadonlyMap<string, Ended>): Counted[] {
  const fate = fates.get(sha256);
  const file = fate?.as === 'written' ? fate.file : stored.get(sha256);
  return file === undefined ? [] : [{ kind: file.kind, rows: file.readRows }];
}

/** SHA-256 (hex) of what is in bronze of these files, for who remembers them. */
export function hashesInBronze(ended: readonly Ended[]): string[] {
  return ended.flatMap((each) => (each.as === 'written' ? [each.sha256] : each.as === 'known' ? each.hashes : []));
}

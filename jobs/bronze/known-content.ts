import type { BronzeFile } from '../lake/manifest.ts';
import type { Recognised } from './examine.ts';
import type { LoadedFile } from './loaded-file.ts';
import { saysOther } from './named-content.ts';
import { ownName } from './own-name.ts';
import { type Source, tableOf } from './source.ts';

/**
 * What the lake and this load know of files: by their content, and by what gives content its meaning: the label and,
 * for some, the name.
 */
export interface KnownContent {
  /**
   * True for content that is stored or on its way. @param name where it is given: and its name says nothing else,
   * either
   */
  has(sha256: string, name?: string): boolean;
  /** The answer about a file (or the files of an archive) with such content; complete after `settle`. */
  answer(name: string, hashes: readonly string[]): LoadedFile;
  /**
   * The answer about a file with such content that was read.
   *
   * @param recognised undefined where it was refused under this name
   * @returns undefined where its name says something else than the one that it is stored under: it is to be written
   * again
   */
  answerTo(name: string, sha256: string, recognised: Recognised | undefined): LoadedFile | undefined;
  /** Content that is on its way from here on, so that a copy of it in the same load is not written twice. */
  begin(sha256: string, name: string): void;
  /** It is written. @returns the file whose place it takes in the index, because its name says something else */
  end(sha256: string, written: { rows: number; kind: string }, answer: LoadedFile): BronzeFile | undefined;
  /** It is not written. */
  undo(sha256: string): void;
  /**
   * Completes the answers. Content that lies there under its stored name and under another one stays as it is stored.
   *
   * @returns hashes of what was written under another name and is not to be committed
   */
  settle(): string[];
}

/** @param index files that are stored */
export function knownContent(index: readonly BronzeFile[], userId: string, sources: readonly Source[]): KnownContent {
  const stored = new Map(index.flatMap((file) => (file.table === 'refused' ? [] : [[file.sourceKey, file] as const])));
  const rows = new Map([...stored].map(([sha256, { readRows, kind }]) => [sha256, { rows: readRows, kind }]));
  /** Names of what is on its way. */
  const begun = new Map<string, string>();
  /** What was met in this load under the name that it is stored with. */
  const metAsStored = new Set<string>();
  const replacing = new Map<string, LoadedFile>();
  const unsettled: { answer: LoadedFile; hashes: readonly string[] }[] = [];

  function describe(answer: LoadedFile, hashes: readonly string[]): void {
    const found = hashes.map((sha256) => rows.get(sha256));
    answer.kind = hashes.length === 1 ? (found[0]?.kind ?? 'unknown') : 'archive';
    answer.rows = found.reduce((sum, file) => sum + (file?.rows ?? 0), 0);
  }

  function answer(name: string, hashes: readonly string[], storedAs?: string): LoadedFile {
    const files = hashes.flatMap((sha256) => stored.get(sha256) ?? []);
    for (const { sourceKey, fileName } of files) if (ownName(fileName) === ownName(name)) metAsStored.add(sourceKey);
    const other = files.find((file) => file.userId !== null && file.userId !== userId)?.userId;
    const known: LoadedFile = {
      ...{ fileName: name, kind: 'unknown', rows: 0, status: 'known' },
      ...(other != null && { storedUnder: other }),
      ...(storedAs !== undefined && { storedAs }),
    };
    unsettled.push({ answer: known, hashes });
    describe(known, hashes);
    return known;
  }

  return {
    has(sha256, name) {
      const file = stored.get(sha256);
      if (!rows.has(sha256) || name === undefined || file === undefined) return rows.has(sha256);
      return tableOf(sources, file.table)?.isSameName?.(file.fileName, name) ?? true;
    },
    answer,
    answerTo(name, sha256, recognised) {
      const file = stored.get(sha256);
      const other = begun.get(sha256) ?? file?.fileName;
      const isOther = recognised !== undefined && other !== undefined && saysOther(recognised, other, name);
      const isTheirs = file === undefined || file.userId === null || file.userId === userId;
      if (isOther && isTheirs && !begun.has(sha256)) return undefined;
      return answer(name, [sha256], isOther && isTheirs ? other : undefined);
    },
    begin(sha256, name) {
      begun.set(sha256, name);
      rows.set(sha256, { rows: 0, kind: 'unknown' });
    },
    end(sha256, written, own) {
      rows.set(sha256, written);
      const file = stored.get(sha256);
      if (file !== undefined) {
        own.replaces = file.fileName;
        replacing.set(sha256, own);
      }
      return file;
    },
    undo(sha256) {
      begun.delete(sha256);
      const file = stored.get(sha256);
      if (file === undefined) rows.delete(sha256);
      else rows.set(sha256, { rows: file.readRows, kind: file.kind });
    },
    settle() {
      const kept = [...replacing].filter(([sha256]) => metAsStored.has(sha256));
      for (const [sha256, own] of kept) {
        own.status = 'known';
        own.storedAs = stored.get(sha256)!.fileName;
        delete own.replaces;
      }
      for (const each of unsettled) describe(each.answer, each.hashes);
      return kept.map(([sha256]) => sha256);
    },
  };
}

import type { BronzeFile } from '../lake/manifest.ts';
import type { Recognised } from './examine.ts';
import { type Source, tableOf } from './source.ts';
import type { Ended } from './walked.ts';

/** What the lake has of files when a load begins: by content, and by what gives content its meaning. */
export interface Stored {
  /** The loaded file with this content. @param sha256 hex */
  get(sha256: string): BronzeFile | undefined;
  /**
   * True where content is stored and, where a name is given, means the same under it as far as names tell.
   */
  has(sha256: string, name?: string): boolean;
  /** True where content was refused before. */
  wasRefused(sha256: string): boolean;
}

export function storedFiles(index: readonly BronzeFile[], sources: readonly Source[]): Stored {
  const loaded = new Map<string, BronzeFile>();
  const refused = new Set<string>();
  for (const file of index) {
    if (file.table === 'refused') refused.add(file.sourceKey);
    else loaded.set(file.sourceKey, file);
  }
  return {
    get: (sha256) => loaded.get(sha256),
    has(sha256, name) {
      const file = loaded.get(sha256);
      if (file === undefined || name === undefined) return file !== undefined;
      return tableOf(sources, file.table)?.isSameName?.(file.fileName, name) ?? true;
    },
    wasRefused: (sha256) => refused.has(sha256),
  };
}

/**
 * Where content that is stored, or is on its way, has another meaning under another name (a chart's date
 * stands in its name), the name that was given last counts.
 *
 * @param onTheWay name under which a file with this content is on its way; undefined: none is
 * @param recognised undefined where the file is refused under its name
 * @returns that the file is known; undefined where it is to be written
 */
export function knownAs(
  file: { name: string; sha256: string; recognised: Recognised | undefined },
  stored: BronzeFile | undefined,
  onTheWay: string | undefined,
  userId: string,
): Ended | undefined {
  const other = onTheWay ?? stored?.fileName;
  if (other === undefined) return undefined;
  const known: Ended = { name: file.name, as: 'known', hashes: [file.sha256] };
  const isTheirs = stored === undefined || stored.userId === null || stored.userId === userId;
  if (!isTheirs || file.recognised === undefined || !saysOther(file.recognised, other, file.name)) return known;
  return onTheWay === undefined ? undefined : { ...known, storedAs: other };
}

/** A name that says nothing (`copy.json`) says nothing else: what is stored keeps its meaning. */
function saysOther(recognised: Recognised, storedName: string, name: string): boolean {
  if (recognised.form === 'rows') return recognised.source.saysOther?.(storedName, name) ?? false;
  if (recognised.form !== 'csv') return false;
  const { nameSays } = recognised.header.shape;
  if (nameSays === undefined) return false;
  try {
    return JSON.stringify(nameSays(storedName)) !== JSON.stringify(recognised.named);
  } catch {
    return true; // an older version has read more, or less, in names
  }
}

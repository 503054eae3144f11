import type { PassedOver } from './source.ts';

/** What became of one file, or of an archive whose files were all known. */
export interface LoadedFile {
  fileName: string;
  /** e.g. `export_extended`, `recently_played`, `kaggle`; `unknown` where nothing fitted. */
  kind: string;
  /** Rows that must be accounted for; of an archive: of all its files. */
  rows: number;
  /** Rows besides that no later job reads, and why; of a file that is new. */
  passedOver?: PassedOver;
  /**
   * `loaded`: new in bronze. `known`: the same content is there already. `refused`: quarantined. `ignored`:
   * holds no listening. `changed`: was being written while it was read; run it again.
   */
  status: 'loaded' | 'known' | 'refused' | 'ignored' | 'changed';
  /** Known, but under the label of somebody else, whose it stays. */
  storedUnder?: string;
  /** Known under this name, which says something else, and lies there as well. */
  storedAs?: string;
  /** Loaded in place of the same content under this name, which said something else. */
  replaces?: string;
  /** Refused, and for the same content was refused before. */
  isRepeated?: boolean;
  /** One line for a person; for refused, ignored and changed files. */
  reason?: string;
  /** The error's code; for refused and changed files. */
  code?: string;
}

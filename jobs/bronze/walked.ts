import { describeError, JobError } from '../base/errors.ts';
import { withoutPersonal } from '../base/personal-fields.ts';
import type { Packing } from '../formats/packing.ts';
import type { BronzeFile } from '../lake/manifest.ts';
import type { Recognised } from './examine.ts';
import type { FileStamp } from './hash-cache.ts';
import type { InputFile } from './input-files.ts';
import type { PassedOver } from './source.ts';

/*
 * What a file is on its way into bronze: an input, then given, then one candidate (or, of an archive, many),
 * then examined. Wherever its way ends, it is an `Ended`. Each is made from the one before and never changed.
 */

/** A regular file as it was when it was met. */
export interface Given extends InputFile {
  stamp: FileStamp;
  packing: Packing | undefined;
  /** SHA-256 (hex) of an archive. */
  archive?: string;
}

/** A file without packing around it: the given one, or one that was unpacked from it. */
export interface Candidate {
  given: Given;
  /** Where its bytes are. */
  path: string;
  /** The name that people are told, with the archive that it is in. */
  name: string;
  /** The name that is recognised: that of a packed file is without `.gz`. */
  contentName: string;
  /**
   * SHA-256 (hex) that it is known by where that is not the one of its own bytes: of the gzip file it was in.
   */
  sha256?: string;
  /** It was unpacked, and goes when its way ends. */
  isTemporary: boolean;
}

/** A candidate whose every byte was checked, that was recognised, and whose content is new. */
export interface ExaminedFile {
  candidate: Candidate;
  /** SHA-256 (hex) that the content is known by. */
  sha256: string;
  recognised: Recognised;
  /** The stored file with the same content whose place it takes, because its name says something else. */
  replaces?: BronzeFile;
}

/** Where the way of a file has ended. */
export type Ended = { name: string } & (
  | { as: 'ignored'; reason: string }
  /** Its content is stored, or was before it in this load; an archive: the content of all its files. */
  | {
      as: 'known';
      hashes: readonly string[] /** It is stored under this name, which says something else. */;
      storedAs?: string;
    }
  /** Without a hash there is nothing that could be quarantined. */
  | { as: 'unreadable'; isChanged: boolean; code: string; reason: string }
  | { as: 'refused'; sha256: string; code: string; reason: string; byte: number | undefined }
  /** It was being written to while it was read. */
  | { as: 'changed'; sha256: string }
  | Written
);

/** It is in bronze as an object, which the next commit makes part of the lake. */
export interface Written {
  as: 'written';
  sha256: string;
  file: BronzeEntry;
  replaces?: BronzeFile;
  /** Rows of it that no later job reads; undefined where there are none. */
  passedOver?: PassedOver;
  /** What the state is to record of the key that replaced people in it; undefined where it names none. */
  keyMark?: string;
}

/** An entry of the bronze index before its commit. */
export type BronzeEntry = Omit<BronzeFile, 'sequence'>;

export function isEnded(value: object): value is Ended {
  return 'as' in value;
}

/** @param error what is wrong with the file: `data` for good, or `tempfail` where it changed */
export function unreadable(name: string, error: JobError): Ended {
  const { code, exit, message, hint = '' } = error;
  const reason = withoutPersonal(describeError(new JobError(code, exit, message, { hint })));
  return { name, as: 'unreadable', isChanged: exit === 'tempfail', code, reason };
}

/** @param sha256 of the file, or what stands for one that cannot be unpacked */
export function refused(name: string, sha256: string, error: JobError): Ended {
  const { code, exit, message, hint = '' } = error;
  const { row, byte } = error.place;
  // The name and the byte stand in columns of their own.
  const reason = withoutPersonal(describeError(new JobError(code, exit, message, { hint, place: { row, byte } })));
  return { name, as: 'refused', sha256, code, reason, byte };
}

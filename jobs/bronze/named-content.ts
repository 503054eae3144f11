import { EXTENDED_EXPORT } from '../sources/account-export/index.ts';
import type { Recognised } from './examine.ts';

/** The file's own name: the folder or the archive that it lies in says nothing of what it holds. */
export function ownName(fileName: string): string {
  return fileName.slice(fileName.lastIndexOf('/') + 1);
}

/** True for an export of plays of videos. */
export function isVideoName(fileName: string): boolean {
  return /(streaming_?history_|end)video/i.test(ownName(fileName));
}

/**
 * True where what is stored in a bronze table under one name means the same under another one, as far as the names
 * alone tell: names say
 * where and when a chart is of, and whether plays are of videos.
 */
export function isSameName(table: string, stored: string, name: string): boolean {
  if (table === 'charts_csv') return ownName(stored) === ownName(name);
  return table !== EXTENDED_EXPORT.table || !saysOtherMedium(stored, name);
}

/** A name that no export has says nothing. */
function saysOtherMedium(stored: string, name: string): boolean {
  return EXTENDED_EXPORT.name.test(ownName(name)) && isVideoName(stored) !== isVideoName(name);
}

/**
 * True where the name of a file says something else than the name that the same content was stored under. A name
 * that says nothing
 * (`copy.json`) does not: what is stored keeps its meaning.
 */
export function saysOther(recognised: Recognised, stored: string, name: string): boolean {
  if (recognised.form === 'csv') {
    const { place } = recognised.header.shape;
    if (place === undefined) return false;
    try {
      return JSON.stringify(place(stored)) !== JSON.stringify(recognised.place);
    } catch {
      return true; // an older version has read more, or less, in names
    }
  }
  return recognised.form === 'rows' && recognised.source === EXTENDED_EXPORT && saysOtherMedium(stored, name);
}

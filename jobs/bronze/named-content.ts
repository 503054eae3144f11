import type { Recognised } from './examine.ts';

/**
 * True where the name of a file says something else than the name that the same content was stored under. A name
 * that says nothing (`copy.json`) does not: what is stored keeps its meaning.
 */
export function saysOther(recognised: Recognised, storedName: string, name: string): boolean {
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

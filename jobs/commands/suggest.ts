/** A slip of the finger or two; what is further off is another word. */
const EDITS_MAX = 2;

/**
 * The word that was likely meant: the nearest of those that differ by two letters at most; undefined: none.
 */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const [best] = words
    .map((known) => ({ known, edits: editsBetween(word, known) }))
    .filter(({ known, edits }) => edits <= Math.min(EDITS_MAX, Math.floor(known.length / 2)))
    .toSorted((a, b) => a.edits - b.edits);
  return best?.known;
}

/** Letters to be put in, taken out, replaced or swapped with their neighbour (optimal string alignment). */
function editsBetween(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const isSame = a[row - 1] === b[column - 1];
      let edits = Math.min(
        rows[row - 1]![column]! + 1,
        current[column - 1]! + 1,
        rows[row - 1]![column - 1]! + (isSame ? 0 : 1),
      );
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwapped) edits = Math.min(edits, rows[row - 2]![column - 2]! + 1);
      current.push(edits);
    }
    rows.push(current);
  }
  return rows[a.length]![b.length]!;
}

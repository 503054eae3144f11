import stringWidth from 'string-width';

/**
 * A text cut to columns of a terminal, with `…` where something is left out. A sign of two columns (CJK,
 * emoji) is kept whole or left out.
 *
 * @param columns at least 1
 */
export function clipped(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const wider = width + stringWidth(segment);
    if (wider > columns - 1) break;
    kept += segment;
    width = wider;
  }
  return `${kept}…`;
}

/** The text with blanks after it, or before it, up to a width in columns; a wider one stays as it is. */
export function padded(text: string, columns: number, side: 'end' | 'start' = 'end'): string {
  const blanks = ' '.repeat(Math.max(0, columns - stringWidth(text)));
  return side === 'end' ? text + blanks : blanks + text;
}

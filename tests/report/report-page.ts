import { inflateSync } from 'node:zlib';

/** A figure of the page as a reader finds it. */
export interface PageFigure {
  name: string;
  charts: number;
  missing: string | undefined;
  takeaway: string | undefined;
  /** Rows of its table: numbers unrounded, texts as shown, null for "none". */
  rows: (string | number | null)[][] | undefined;
}

/** Reads the figures of a report's HTML. */
export function readFigures(html: string): Map<string, PageFigure> {
  const figures = [...html.matchAll(/<figure id="([^"]+)">(.*?)<\/figure>/gs)].map(
    ([, name = '', body = '']): [string, PageFigure] => [
      name,
      {
        name,
        charts: body.match(/<div class="chart (?:wide|narrow)"><svg /g)?.length ?? 0,
        missing: /<p class="missing">(.*?)<\/p>/s.exec(body)?.[1],
        takeaway: optionalText(/<\/h3><p>(.*?)<\/p><\/figcaption>/s.exec(body)?.[1]),
        rows: body.includes('<tbody>') ? readRows(/<tbody>(.*?)<\/tbody>/s.exec(body)![1]!) : undefined,
      },
    ],
  );
  return new Map(figures);
}

function readRows(body: string): PageFigure['rows'] {
  return [...body.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row = '']) =>
    [...row.matchAll(/<td(?: class="n")?>(.*?)<\/td>/gs)].map(([, cell = '']) => {
      const number = /^<data value="([^"]*)">/.exec(cell);
      if (number) return Number(number[1]);
      if (cell.startsWith('<span class="none">')) return null;
      return textOf(cell);
    }),
  );
}

function optionalText(markup: string | undefined): string | undefined {
  return markup === undefined ? undefined : textOf(markup);
}

/**
 * What a page says where a number or text was missing in our code, with what stands around it; the font's
 * bytes are none.
 */
export function unfilledIn(html: string): string[] {
  const said = html.replaceAll(/url\(data:[^)]*\)/g, '');
  return said.match(/.{0,30}(?:NaN|Infinity|undefined|\[object).{0,30}/g) ?? [];
}

/** Markup without its tags, character references resolved. */
export function textOf(markup: string): string {
  return markup
    .replace(/<[^>]*>/g, '')
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}

/**
 * Size of a PNG and how many different byte values its pixels have; a blank image has a handful. @throws
 * where it is no whole PNG
 */
export function readPng(bytes: Buffer): { width: number; height: number; values: number } {
  expect(bytes.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
  const parts: Buffer[] = [];
  let isEnded = false;
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const kind = bytes.toString('latin1', at + 4, at + 8);
    if (kind === 'IDAT') parts.push(bytes.subarray(at + 8, at + 8 + length));
    isEnded = kind === 'IEND';
    at += 12 + length;
  }
  expect(isEnded).toBe(true);
  const seen = new Uint8Array(256);
  const pixels = inflateSync(Buffer.concat(parts));
  // Every fifth byte: pixels have four, so all channels are seen.
  for (let at = 0; at < pixels.length; at += 5) seen[pixels[at]!] = 1;
  return {
    width: bytes.readUInt32BE(16),
    height: bytes.readUInt32BE(20),
    values: seen.reduce((count, isSeen) => count + isSeen, 0),
  };
}

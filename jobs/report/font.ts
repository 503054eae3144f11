import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deflateSync } from 'node:zlib';

/** The weights of the bundled typeface that the report uses. */
export type FontWeight = 400 | 600;

/** One weight of the bundled typeface (Inter, SIL Open Font License 1.1). */
export interface FontFace {
  weight: FontWeight;
  /** The TTF file, for renderers that read it themselves. */
  file: string;
  /** Whether the face has a glyph for this code point. */
  has(codePoint: number): boolean;
  /** Width of a text in pixels, without kerning (measured: kerning changes chart labels by less than 1 %). */
  width(text: string, sizePx: number): number;
  /**
   * A WOFF file with the glyphs of these code points alone, without kerning. `tabular` takes digits that are
   * all of one width, for columns.
   */
  subset(codePoints: Iterable<number>, digits: 'proportional' | 'tabular'): Uint8Array;
}

const FONT_FILES: Record<FontWeight, string> = {
  400: '@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf',
  600: '@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf',
};
const DIGITS = '0123456789';
/** Between pictures that are drawn as one. */
const ZERO_WIDTH_JOINER = 0x200d;
const loaded = new Map<FontWeight, FontFace>();

/** Opens a weight of the bundled typeface; read once in a process. */
export function fontFace(weight: FontWeight): FontFace {
  const known = loaded.get(weight);
  if (known) return known;
  const file = createRequire(import.meta.url).resolve(FONT_FILES[weight]);
  const face = openFace(weight, file);
  loaded.set(weight, face);
  return face;
}

interface Tables {
  [tag: string]: Buffer;
}

function openFace(weight: FontWeight, file: string): FontFace {
  const tables = readTables(readFileSync(file));
  const unitsPerEm = tables.head!.readUInt16BE(18);
  const glyphs = readCharacterMap(tables.cmap!);
  const metricCount = tables.hhea!.readUInt16BE(34);
  const advance = (glyph: number): number => tables.hmtx!.readUInt16BE(4 * Math.min(glyph, metricCount - 1));
  return {
    weight,
    file,
    has: (codePoint) => glyphs.has(codePoint),
    width(text, sizePx) {
      let units = 0;
      let previous = 0;
      for (const character of text) {
        const codePoint = character.codePointAt(0)!;
        const glyph = glyphs.get(codePoint);
        const isJoined = previous === ZERO_WIDTH_JOINER && glyph === undefined;
        if (!isJoined) units += glyph === undefined ? unitsPerEm * foreignWidth(codePoint) : advance(glyph);
        previous = codePoint;
      }
      return (units / unitsPerEm) * sizePx;
    },
    subset(codePoints, digits) {
      const tabular = digits === 'tabular' ? tabularDigits(tables.GSUB, glyphs) : new Map<number, number>();
      const wanted = new Map<number, number>();
      for (const codePoint of codePoints) {
        const glyph = tabular.get(codePoint) ?? glyphs.get(codePoint);
        if (glyph !== undefined && codePoint <= 0xffff) wanted.set(codePoint, glyph);
      }
      return buildSubset(tables, wanted);
    },
  };
}

/**
 * A guess, in ems, for what another font will draw: marks take no room, East Asian characters and pictures a
 * full square.
 */
function foreignWidth(codePoint: number): number {
  const character = String.fromCodePoint(codePoint);
  if (/[\p{M}\p{Cf}]/u.test(character)) return 0;
  if (/\p{Emoji_Presentation}/u.test(character)) return 1.3;
  if (/[\p{Script=Hebrew}\p{Script=Arabic}]/u.test(character)) return 0.5;
  return codePoint >= 0x1100 && !(codePoint >= 0x1680 && codePoint < 0x2e80) ? 1 : 0.62;
}

function readTables(font: Buffer): Tables {
  const tables: Tables = {};
  for (let index = 0; index < font.readUInt16BE(4); index++) {
    const entry = 12 + 16 * index;
    const start = font.readUInt32BE(entry + 8);
    tables[font.toString('latin1', entry, entry + 4)] = font.subarray(start, start + font.readUInt32BE(entry + 12));
  }
  return tables;
}

/** Code point to glyph, from the Unicode subtable in format 12 or 4 (OpenType specification, `cmap`). */
function readCharacterMap(cmap: Buffer): Map<number, number> {
  const glyphs = new Map<number, number>();
  for (let index = 0; index < cmap.readUInt16BE(2); index++) {
    const table = cmap.subarray(cmap.readUInt32BE(4 + 8 * index + 4));
    const format = table.readUInt16BE(0);
    if (format === 12) readSegmentedCoverage(table, glyphs);
    else if (format === 4) readSegmentMapping(table, glyphs);
  }
  if (glyphs.size === 0) throw new Error('the bundled font has no Unicode character map');
  return glyphs;
}

function readSegmentedCoverage(table: Buffer, glyphs: Map<number, number>): void {
  for (let group = 0; group < table.readUInt32BE(12); group++) {
    const at = 16 + 12 * group;
    const first = table.readUInt32BE(at);
    for (let code = first; code <= table.readUInt32BE(at + 4); code++)
      glyphs.set(code, table.readUInt32BE(at + 8) + code - first);
  }
}

function readSegmentMapping(table: Buffer, glyphs: Map<number, number>): void {
  const segments = table.readUInt16BE(6) / 2;
  for (let segment = 0; segment < segments; segment++) {
    const last = table.readUInt16BE(14 + 2 * segment);
    const first = table.readUInt16BE(16 + 2 * (segments + segment));
    const delta = table.readUInt16BE(16 + 2 * (2 * segments + segment));
    const offsetAt = 16 + 2 * (3 * segments + segment);
    const offset = table.readUInt16BE(offsetAt);
    for (let code = first; code <= last && code !== 0xffff; code++) {
      const raw = offset === 0 ? code : table.readUInt16BE(offsetAt + offset + 2 * (code - first));
      const glyph = raw === 0 ? 0 : (raw + delta) & 0xffff;
      if (glyph !== 0) glyphs.set(code, glyph);
    }
  }
}

/**
 * Digits of equal width, for columns of numbers: the single substitutions of the feature `tnum`; empty where
 * the font has none.
 */
function tabularDigits(gsub: Buffer | undefined, glyphs: Map<number, number>): Map<number, number> {
  const found = new Map<number, number>();
  if (gsub === undefined) return found;
  const features = gsub.subarray(gsub.readUInt16BE(6));
  const lookups = gsub.subarray(gsub.readUInt16BE(8));
  for (let index = 0; index < features.readUInt16BE(0); index++) {
    if (features.toString('latin1', 2 + 6 * index, 6 + 6 * index) !== 'tnum') continue;
    const feature = features.subarray(features.readUInt16BE(6 + 6 * index));
    for (let entry = 0; entry < feature.readUInt16BE(2); entry++) {
      const lookup = lookups.subarray(lookups.readUInt16BE(2 + 2 * feature.readUInt16BE(4 + 2 * entry)));
      for (const digit of DIGITS) {
        const replacement = substituteSingle(lookup, glyphs.get(digit.charCodeAt(0))!);
        if (replacement !== undefined) found.set(digit.charCodeAt(0), replacement);
      }
    }
  }
  return found;
}

function substituteSingle(lookup: Buffer, glyph: number): number | undefined {
  for (let index = 0; index < lookup.readUInt16BE(4); index++) {
    let table = lookup.subarray(lookup.readUInt16BE(6 + 2 * index));
    let type = lookup.readUInt16BE(0);
    if (type === 7) {
      type = table.readUInt16BE(2);
      table = table.subarray(table.readUInt32BE(4));
    }
    if (type !== 1) continue;
    const place = coverageIndex(table.subarray(table.readUInt16BE(2)), glyph);
    if (place === undefined) continue;
    return table.readUInt16BE(0) === 1 ? (glyph + table.readInt16BE(4)) & 0xffff : table.readUInt16BE(6 + 2 * place);
  }
  return undefined;
}

function coverageIndex(coverage: Buffer, glyph: number): number | undefined {
  const isList = coverage.readUInt16BE(0) === 1;
  for (let index = 0; index < coverage.readUInt16BE(2); index++) {
    if (isList) {
      if (coverage.readUInt16BE(4 + 2 * index) === glyph) return index;
      continue;
    }
    const at = 4 + 6 * index;
    const first = coverage.readUInt16BE(at);
    if (glyph >= first && glyph <= coverage.readUInt16BE(at + 2)) return coverage.readUInt16BE(at + 4) + glyph - first;
  }
  return undefined;
}

/**
 * A font of the wanted glyphs, renumbered from 0 (the box for unknown characters), with what browsers need
 * and nothing else.
 */
function buildSubset(tables: Tables, wanted: Map<number, number>): Uint8Array {
  const isLong = tables.head!.readInt16BE(50) === 1;
  const offsetOf = (glyph: number): number =>
    isLong ? tables.loca!.readUInt32BE(4 * glyph) : 2 * tables.loca!.readUInt16BE(2 * glyph);
  const outline = (glyph: number): Buffer => tables.glyf!.subarray(offsetOf(glyph), offsetOf(glyph + 1));
  const kept = [0];
  const numbers = new Map([[0, 0]]);
  const keep = (glyph: number): void => {
    if (numbers.has(glyph)) return;
    numbers.set(glyph, kept.length);
    kept.push(glyph);
  };
  for (const glyph of wanted.values()) keep(glyph);
  // The list grows while it is walked: parts of composed glyphs (é = e + acute) follow their whole.
  for (let index = 0; index < kept.length; index++)
    for (const part of components(outline(kept[index]!))) keep(part.glyph);

  const outlines = kept.map((glyph) => {
    const copy = Buffer.from(outline(glyph));
    for (const part of components(copy)) copy.writeUInt16BE(numbers.get(part.glyph)!, part.at);
    return Buffer.concat([copy, Buffer.alloc((4 - (copy.length % 4)) % 4)]);
  });
  const loca = Buffer.alloc(4 * (kept.length + 1));
  let end = 0;
  outlines.forEach((bytes, index) => {
    end += bytes.length;
    loca.writeUInt32BE(end, 4 * (index + 1));
  });
  const metricCount = tables.hhea!.readUInt16BE(34);
  const hmtx = Buffer.alloc(4 * kept.length);
  kept.forEach((glyph, index) => {
    hmtx.writeUInt16BE(tables.hmtx!.readUInt16BE(4 * Math.min(glyph, metricCount - 1)), 4 * index);
    const bearingAt = glyph < metricCount ? 4 * glyph + 2 : 4 * metricCount + 2 * (glyph - metricCount);
    hmtx.writeInt16BE(tables.hmtx!.readInt16BE(bearingAt), 4 * index + 2);
  });
  const head = Buffer.from(tables.head!);
  head.writeInt16BE(1, 50);
  const hhea = Buffer.from(tables.hhea!);
  hhea.writeUInt16BE(kept.length, 34);
  const maxp = Buffer.from(tables.maxp!);
  maxp.writeUInt16BE(kept.length, 4);
  const post = Buffer.from(tables.post!.subarray(0, 32));
  post.writeUInt32BE(0x0003_0000, 0);
  const cmap = characterMap([...wanted].map(([code, glyph]) => [code, numbers.get(glyph)!]));
  return woff({
    'OS/2': tables['OS/2']!,
    cmap,
    glyf: Buffer.concat(outlines),
    head,
    hhea,
    hmtx,
    loca,
    maxp,
    name: tables.name!,
    post,
  });
}

/**
 * Where a composed glyph names its parts: the glyph and the byte that holds its number (OpenType
 * specification, `glyf`).
 */
function components(outline: Buffer): { glyph: number; at: number }[] {
  const parts: { glyph: number; at: number }[] = [];
  if (outline.length === 0 || outline.readInt16BE(0) >= 0) return parts;
  for (let at = 10; ; ) {
    const flags = outline.readUInt16BE(at);
    parts.push({ glyph: outline.readUInt16BE(at + 2), at: at + 2 });
    at += 4 + (flags & 0x1 ? 4 : 2) + (flags & 0x8 ? 2 : flags & 0x40 ? 4 : flags & 0x80 ? 8 : 0);
    if (!(flags & 0x20)) return parts;
  }
}

/** A `cmap` of one format 4 table with a segment for each code point; both lists are in order of the code. */
function characterMap(pairs: [number, number][]): Buffer {
  const segments: [number, number][] = [...pairs.sort((a, b) => a[0] - b[0]), [0xffff, 0]];
  const count = segments.length;
  const length = 16 + 8 * count;
  const table = Buffer.alloc(12 + length);
  table.writeUInt16BE(1, 2);
  table.writeUInt16BE(3, 4);
  table.writeUInt16BE(1, 6);
  table.writeUInt32BE(12, 8);
  const power = 2 ** Math.floor(Math.log2(count));
  [4, length, 0, 2 * count, 2 * power, Math.log2(power), 2 * (count - power)].forEach((value, index) => {
    table.writeUInt16BE(value, 12 + 2 * index);
  });
  segments.forEach(([code, glyph], index) => {
    table.writeUInt16BE(code, 26 + 2 * index);
    table.writeUInt16BE(code, 28 + 2 * (count + index));
    table.writeUInt16BE((glyph - code) & 0xffff, 28 + 2 * (2 * count + index));
  });
  return table;
}

/** Tables packed as WOFF 1.0 (W3C recommendation): each deflated where that makes it smaller. */
function woff(tables: Tables): Uint8Array {
  const tags = Object.keys(tables).sort();
  const header = Buffer.alloc(44 + 20 * tags.length);
  const bodies: Buffer[] = [];
  let offset = header.length;
  let plainBytes = 12 + 16 * tags.length;
  tags.forEach((tag, index) => {
    const plain = tables[tag]!;
    const deflated = deflateSync(plain, { level: 9 });
    const body = deflated.length < plain.length ? deflated : plain;
    const entry = 44 + 20 * index;
    header.write(tag, entry, 'latin1');
    [offset, body.length, plain.length, checksum(plain)].forEach((value, place) => {
      header.writeUInt32BE(value, entry + 4 + 4 * place);
    });
    const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
    bodies.push(padded);
    offset += padded.length;
    plainBytes += (plain.length + 3) & ~3;
  });
  header.write('wOFF', 0, 'latin1');
  header.writeUInt32BE(0x0001_0000, 4);
  header.writeUInt32BE(offset, 8);
  header.writeUInt16BE(tags.length, 12);
  header.writeUInt32BE(plainBytes, 16);
  return Buffer.concat([header, ...bodies]);
}

function checksum(table: Buffer): number {
  const padded = Buffer.concat([table, Buffer.alloc((4 - (table.length % 4)) % 4)]);
  let sum = 0;
  for (let at = 0; at < padded.length; at += 4) sum = (sum + padded.readUInt32BE(at)) >>> 0;
  return sum;
}

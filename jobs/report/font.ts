import { readFileSync } from 'node:fs';
import subsetFont from 'subset-font';
import { dependencyFile } from '../base/installation.ts';
import { ARABIC_FONT, FONT, HEBREW_FONT, PICTURE_FONT } from './theme.ts';

/** The weights of Inter, the bundled typeface, that the report uses. */
export type FontWeight = 400 | 600;

/** One weight of a bundled typeface (SIL Open Font License 1.1). */
export interface FontFace {
  family: string;
  weight: FontWeight;
  /** The TTF file, for renderers that read it themselves. */
  file: string;
  /** Whether the face has a glyph for this code point. */
  has(codePoint: number): boolean;
  /** Width of a text in pixels, without kerning (measured: kerning changes chart labels by less than 1 %). */
  width(text: string, sizePx: number): number;
  /**
   * A WOFF file with the glyphs of these characters alone, without kerning. Inter keeps digits of one width
   * for columns (`font-variant-numeric: tabular-nums`), the others what joins their characters.
   */
  subset(characters: string): Promise<Uint8Array>;
}

interface FontSource {
  family: string;
  weight: FontWeight;
  file: string;
  /** The layout features that a subset keeps (OpenType feature tags). */
  features: readonly string[];
}

const INTER: Record<FontWeight, FontSource> = {
  400: {
    ...{ family: FONT, weight: 400, features: ['tnum'] },
    file: '@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf',
  },
  600: {
    ...{ family: FONT, weight: 600, features: ['tnum'] },
    file: '@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf',
  },
};
const SUPPLEMENTS: readonly FontSource[] = [
  {
    ...{ family: HEBREW_FONT, weight: 400, features: ['ccmp', 'mark', 'mkmk'] },
    file: '@expo-google-fonts/noto-sans-hebrew/400Regular/NotoSansHebrew_400Regular.ttf',
  },
  {
    ...{ family: ARABIC_FONT, weight: 400 },
    features: ['ccmp', 'init', 'medi', 'fina', 'rlig', 'liga', 'mark', 'mkmk'],
    file: '@expo-google-fonts/noto-sans-arabic/400Regular/NotoSansArabic_400Regular.ttf',
  },
  {
    ...{ family: PICTURE_FONT, weight: 400, features: ['ccmp'] },
    file: '@expo-google-fonts/noto-emoji/400Regular/NotoEmoji_400Regular.ttf',
  },
];
/** Between pictures that are drawn as one. */
const ZERO_WIDTH_JOINER = 0x200d;
const loaded = new Map<string, FontFace>();

/** Opens a weight of the bundled typeface; read once in a process. */
export function fontFace(weight: FontWeight): FontFace {
  return opened(INTER[weight]);
}

/**
 * The faces for what the typeface lacks and a machine may lack too, such as a container without fonts: Hebrew
 * and Arabic script, and pictures in one colour. Each has one weight. They are opened only where a text needs
 * them.
 *
 * @returns those of them that have a character of the text which the typeface has not; empty for most texts
 */
export function supplements(text: string): FontFace[] {
  const foreign = [...new Set(text)]
    .filter((each) => each > ' ' && !JOINING.test(each))
    .map((each) => each.codePointAt(0)!)
    .filter((each) => !fontFace(400).has(each));
  return foreign.length === 0 ? [] : SUPPLEMENTS.map(opened).filter((face) => foreign.some(face.has));
}

function opened(source: FontSource): FontFace {
  const known = loaded.get(source.file);
  if (known) return known;
  const face = openFace(source, dependencyFile(source.file));
  loaded.set(source.file, face);
  return face;
}

/** Of a server, whose pages need the same ones again. */
const SUBSETS_MAX = 24;
const subsets = new Map<string, Promise<Uint8Array>>();

function keptSubset(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const known = subsets.get(key) ?? make();
  subsets.delete(key);
  subsets.set(key, known);
  for (const old of subsets.keys()) if (subsets.size > SUBSETS_MAX) subsets.delete(old);
  return known;
}

/**
 * The characters, and all of their neighbours that the typeface has, in blocks of 128: pages with other names
 * have the same ones. Making a subset takes longer than asking all that a page says.
 *
 * @param characters sorted
 */
export function roundedUp(characters: readonly string[]): string {
  const blocks = new Set(characters.map((each) => Math.floor(each.codePointAt(0)! / BLOCK)));
  const all = [...blocks].flatMap((block) => Array.from({ length: BLOCK }, (_, index) => BLOCK * block + index));
  return String.fromCodePoint(...all.filter((codePoint) => fontFace(400).has(codePoint)));
}
const BLOCK = 128;

/** What is drawn with the character before it: of itself it needs no face. */
export const JOINING = /[\p{Cf}\p{M}]/u;

interface Tables {
  [tag: string]: Buffer;
}

function openFace({ family, weight, features }: FontSource, file: string): FontFace {
  const bytes = readFileSync(file);
  const tables = readTables(bytes);
  const unitsPerEm = tables.head!.readUInt16BE(18);
  const glyphs = readCharacterMap(tables.cmap!);
  const metricCount = tables.hhea!.readUInt16BE(34);
  const advance = (glyph: number): number => tables.hmtx!.readUInt16BE(4 * Math.min(glyph, metricCount - 1));
  return {
    ...{ family, weight, file },
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
    subset: (characters) =>
      keptSubset(`${file} ${characters}`, () =>
        subsetFont(bytes, characters, { targetFormat: 'woff', keepFeatures: features }),
      ),
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

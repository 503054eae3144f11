import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { fontFace, supplements } from '../../jobs/report/font.ts';
import {
  cleanText,
  daysBetween,
  escapeHtml,
  fitText,
  formatBytes,
  formatMinutes,
  formatShare,
  monthsBetween,
  nameInText,
} from '../../jobs/report/format.ts';
import { renderPng } from '../../jobs/report/render.ts';
import { textOf } from './report-page.ts';

/** Any text, with the characters that do harm more often than chance would have them. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\u0000', '\u202e', '\u2066', '\ud83d', '</script>', '👩‍👩‍👧', '"', '&#0;', '\r\n'),
    ),
    {
      maxLength: 30,
    },
  )
  .map((parts) => parts.join(''));

describe('text from data', () => {
  it('F31: comes out well-formed, without control characters, bounded, and clean text stays as it is', () => {
    fc.assert(
      fc.property(hostileText, fc.integer({ min: 1, max: 400 }), (given, maxChars) => {
        const clean = cleanText(given, maxChars);
        expect(clean.isWellFormed()).toBe(true);
        expect(
          [...clean].every((character) => character >= ' ' && !(character >= '\u007f' && character <= '\u009f')),
        ).toBe(true);
        expect(clean.length).toBeLessThanOrEqual(maxChars);
        expect(cleanText(clean, maxChars)).toBe(clean);
      }),
    );
    expect(cleanText('Éclair – 夜の道 (Live) 👩‍👩‍👧')).toBe('Éclair – 夜の道 (Live) 👩‍👩‍👧');
  });

  it('F31: cannot leave its element or attribute, and reads back as it was', () => {
    fc.assert(
      fc.property(hostileText, (given) => {
        expect(escapeHtml(given)).not.toMatch(/[<>"']/);
        expect(textOf(escapeHtml(given))).toBe(given);
      }),
    );
  });

  it('is cut between whole characters, as wide as there is room and no wider', () => {
    const width = (text: string): number => fontFace(400).width(text, 12);
    fc.assert(
      fc.property(hostileText, fc.integer({ min: 20, max: 300 }), (given, room) => {
        const fitted = fitText(given, room, width);
        expect(fitted === '…' || width(fitted) <= room).toBe(true);
        expect(fitted).not.toMatch(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
      }),
    );
    expect(fitText('👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧', 40, width)).toBe('👩‍👩‍👧…');
    expect(fitText('A long name of a track', 80, width)).toBe('A long nam…');
  });

  it('cannot turn around the sentence that it stands in', () => {
    fc.assert(
      fc.property(hostileText, (given) => {
        const name = nameInText(given, 80);
        expect(name.slice(1, -1)).not.toMatch(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
        expect(name[0]! + name.at(-1)!).toBe('\u2068\u2069');
      }),
    );
  });
});

describe('numbers and dates', () => {
  it('have units and as many digits as say something', () => {
    expect([0.3456, 0.0001, 0, 1].map((share) => formatShare(share))).toEqual(['34.6%', '<0.1%', '0.0%', '100.0%']);
    expect([0.004, 0.005, 0.5].map((share) => formatShare(share, 0))).toEqual(['<1%', '1%', '50%']);
    expect([0, 0.4, 45, 204, 74_040].map(formatMinutes)).toEqual(['0 min', '<1 min', '45 min', '3.4 h', '1,234 h']);
    expect([999, 1_200, 4_200_000, 512_000_000].map(formatBytes)).toEqual(['999 B', '1.2 kB', '4.2 MB', '512 MB']);
  });

  it('leave out no month and no day', () => {
    expect(monthsBetween('2025-11-30', '2026-02-01')).toEqual(['2025-11-01', '2025-12-01', '2026-01-01', '2026-02-01']);
    expect(daysBetween('2024-02-28', '2024-03-01')).toEqual(['2024-02-28', '2024-02-29', '2024-03-01']);
  });
});

describe('the bundled font', () => {
  it('measures text: wider letters, heavier weights and larger sizes take more room', () => {
    const [regular, semibold] = [fontFace(400), fontFace(600)];
    expect(regular.width('iii', 12)).toBeLessThan(regular.width('mmm', 12));
    expect(regular.width('Listening', 24)).toBeCloseTo(2 * regular.width('Listening', 12), 9);
    expect(semibold.width('Listening', 12)).toBeGreaterThan(regular.width('Listening', 12));
  });

  it('is cut down to a WOFF of the characters asked for, with the parts of composed ones', async () => {
    const whole = readWoff(await fontFace(400).subset('é1…'));
    // The box for unknown characters, é, 1, its form for columns, …, and what é and … are composed of.
    const glyphs = whole.maxp!.readUInt16BE(4);
    expect(glyphs).toBeGreaterThanOrEqual(5);
    expect(glyphs).toBeLessThan(12);
    expect(whole.hhea!.readUInt16BE(34)).toBeLessThanOrEqual(glyphs);
    // For columns it can show digits of one width, and it moves no letters together.
    expect(whole.GSUB!.toString('latin1')).toContain('tnum');
    expect(whole.GPOS?.toString('latin1') ?? '').not.toContain('kern');
  });
});

describe('what the typeface lacks', () => {
  const families = (text: string): string[] => supplements(text).map(({ family }) => family);
  const drawn = (text: string): string => {
    const head = '<svg viewBox="0 0 200 40"><text x="5" y="30" font-family="Inter" font-size="20px">';
    return Buffer.from(renderPng(`${head}${text}</text></svg>`)).toString('base64');
  };

  it('comes from the face that has it; most texts need none', () => {
    expect(families('Éclair, naïve & Öl ↑ 3\n')).toEqual([]);
    expect(families('שלום')).toEqual(['Noto Sans Hebrew']);
    expect(families('مرحبا 🎧')).toEqual(['Noto Sans Arabic', 'Noto Emoji']);
    expect(families('👩‍👩‍👧‍👦')).toEqual(['Noto Emoji']);
    // East Asian fonts are megabytes: these come from the machine.
    expect(families('夜')).toEqual([]);
  });

  it('is a small part of its font on a page', async () => {
    for (const text of ['👩‍👩‍👧‍👦 🎧', 'مرحبا', 'שלום'])
      for (const face of supplements(text)) expect((await face.subset(text)).length).toBeLessThan(8_000);
    const [face] = supplements('👩‍👩‍👧‍👦');
    expect(readWoff(await face!.subset('👩‍👧👦')).GSUB!.toString('latin1')).toContain('ccmp');
  });

  it('is drawn in a PNG, each character in its own shape, whatever fonts the machine has', () => {
    const singles = ['🎧', '🎸', 'ש', 'ל', 'م', 'ع', '❤'];
    const pictures = singles.map(drawn);
    expect(new Set([...pictures, drawn('')]).size).toBe(singles.length + 1);
    // A box for "no glyph" would be the same for all of them; the reading order is the script's.
    expect(drawn('של')).not.toBe(drawn('לש'));
  });

  it('a picture that is joined of several is its first in a PNG, and a flag the letters of its country', () => {
    expect(drawn('👩‍👩‍👧‍👦 mix')).toBe(drawn('👩 mix'));
    expect(drawn('👍🏽')).toBe(drawn('👍'));
    expect(drawn('❤️ 1️⃣')).toBe(drawn('❤ 1'));
    expect(drawn('🇩🇪')).toBe(drawn('DE'));
    expect(drawn('\u2067של\u2069')).toBe(drawn('של'));
  });
});

function readWoff(bytes: Uint8Array): Record<string, Buffer> {
  const woff = Buffer.from(bytes);
  expect(woff.toString('latin1', 0, 4)).toBe('wOFF');
  expect(woff.readUInt32BE(8)).toBe(woff.length);
  const tables: Record<string, Buffer> = {};
  for (let index = 0; index < woff.readUInt16BE(12); index++) {
    const entry = 44 + 20 * index;
    const [start, stored, length] = [4, 8, 12].map((at) => woff.readUInt32BE(entry + at)) as [number, number, number];
    const body = woff.subarray(start, start + stored);
    tables[woff.toString('latin1', entry, entry + 4)] = stored < length ? inflateSync(body) : body;
    expect(tables[woff.toString('latin1', entry, entry + 4)]!.length).toBe(length);
  }
  return tables;
}

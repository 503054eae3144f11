import { type FontWeight, fontFace } from './font.ts';
import { cleanText, escapeHtml, fitText } from './format.ts';
import { drawable, rasterize } from './render.ts';
import { FONT, HUES, TOKENS } from './theme.ts';
import type { CardLine, YearCard } from './year-cards.ts';

/** Pixels; the shape of a telephone's screen. */
export const CARD_SIZE = { width: 1080, height: 1920 } as const;
const MARGIN = 84;
const INDENT = 40;
const TEXT_WIDTH = CARD_SIZE.width - 2 * MARGIN - INDENT;
const LINES_TOP = 440;
const LINES_BOTTOM = CARD_SIZE.height - 150;
/** A value takes the first of these sizes in which it fits; in the last one it is cut. */
const VALUE_SIZES = [92, 76, 60, 50] as const;
const GROUND = TOKENS.page[1];
const INK = TOKENS.text[1];
const MUTED = TOKENS.muted[1];

/**
 * Draws the picture of a year as PNG. Names from the data are text, cut where they do not fit, and each stands
 * alone or at the end of its line, so that its direction moves nothing else.
 *
 * @returns PNG bytes, `CARD_SIZE` pixels
 */
export function drawCard(card: YearCard): Uint8Array {
  return rasterize(cardSvg(card), 1);
}

/** The same as SVG text. */
export function cardSvg({ year, name, lines }: YearCard): string {
  const { width, height } = CARD_SIZE;
  const step = (LINES_BOTTOM - LINES_TOP) / Math.max(lines.length, 4);
  const owner = name === '' ? 'a year of listening' : `${name}’s year of listening`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="${width}" height="${height}" fill="${GROUND}"/>`,
    words(year, { x: MARGIN, y: 270, size: 208, weight: 600, fill: HUES[0]!.primary[1], room: width - 2 * MARGIN }),
    words(owner, { x: MARGIN + 8, y: 350, size: 44, weight: 400, fill: MUTED, room: width - 2 * MARGIN }),
    ...lines.map((line, index) => block(line, LINES_TOP + index * step, HUES[index % HUES.length]!.primary[1])),
    words('listenlake', { x: MARGIN, y: height - 70, size: 34, weight: 600, fill: MUTED, room: TEXT_WIDTH }),
    '</svg>',
  ].join('\n');
}

function block({ label, value, detail }: CardLine, top: number, hue: string): string {
  const x = MARGIN + INDENT;
  const shown = visible(value);
  const widthOf = (size: number): number => fontFace(600).width(shown, size);
  const size = VALUE_SIZES.find((each) => widthOf(each) <= TEXT_WIDTH) ?? VALUE_SIZES.at(-1)!;
  return [
    `<rect x="${MARGIN}" y="${top}" width="10" height="196" rx="5" fill="${hue}"/>`,
    words(label, { x, y: top + 34, size: 36, weight: 600, fill: hue, room: TEXT_WIDTH }),
    words(shown, { x, y: top + 126, size, weight: 600, fill: INK, room: TEXT_WIDTH }),
    words(detail, { x, y: top + 188, size: 40, weight: 400, fill: MUTED, room: TEXT_WIDTH }),
  ].join('\n');
}

/** A name of which the picture can draw nothing says so, instead of leaving a hole. */
function visible(name: string): string {
  const left = drawable(cleanText(name))
    .replace(/[\p{Cf}\p{M}]/gu, '')
    .trim();
  return left === '' ? '(a name of pictures)' : name;
}

interface Place {
  x: number;
  y: number;
  size: number;
  weight: FontWeight;
  fill: string;
  room: number;
}

function words(text: string, { x, y, size, weight, fill, room }: Place): string {
  const fitted = fitText(text, room, (part) => fontFace(weight).width(part, size));
  return `<text x="${x}" y="${y}" font-family="${FONT}" font-size="${size}" font-weight="${weight}" fill="${fill}">${escapeHtml(fitted)}</text>`;
}

import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { type FontWeight, fontFace, supplements } from './font.ts';
import { CHART_CONFIG, FONT, TOKENS } from './theme.ts';

/** Pixels of a PNG for each pixel of the chart: sharp on paper and on dense screens. */
const PNG_SCALE = 2;
const PNG_MARGIN_PX = 24;

measureWithBundledFont();

/**
 * A filter changes the rows of most charts and nothing else of them: what a chart is without its rows is
 * compiled once, which is half of the work of drawing it.
 */
const PROGRAMS_MAX = 128;
const programs = new Map<string, vega.Runtime>();
/** Views at rest, by the charts that they can draw: making one is half of what is left. */
const VIEWS_MAX = 48;
const views = new Map<string, vega.View>();

/**
 * Draws a Vega-Lite chart as SVG text, without a browser and without loading anything: data must be inline.
 * The same chart has the same text, whatever was drawn before it.
 *
 * @throws Error for a spec that Vega-Lite warns about: a chart with a fault is a bug, not something to show
 */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  const logger = throwingLogger();
  const { shape, data } = withoutRows(spec);
  const key = JSON.stringify(shape);
  const rested = views.get(key);
  views.delete(key);
  const view =
    rested ?? new vega.View(programOf(key, shape, logger), { renderer: 'none', logger, loader: refusingLoader() });
  let isDrawn = false;
  try {
    // Vega writes into the rows that it is given.
    for (const [name, rows] of data) view.data(name, structuredClone(rows));
    // Ids count on over all charts of a process; from 1 in each, the same chart has the same text.
    vega.resetSVGDefIds();
    const svg = await view.toSVG();
    isDrawn = true;
    return shortened(svg);
  } finally {
    // What fits its axes into a given size begins with the layout that it had before.
    if (isDrawn && !('autosize' in shape)) views.set(key, view);
    else view.finalize();
    for (const [old, resting] of views) {
      if (views.size <= VIEWS_MAX) break;
      resting.finalize();
      views.delete(old);
    }
  }
}

/** A chart without its rows, and the rows by the names that stand for them in it. */
function withoutRows(spec: TopLevelSpec): { shape: TopLevelSpec; data: [name: string, rows: unknown[]][] } {
  const data: [name: string, rows: unknown[]][] = [];
  const emptied = (value: unknown, key?: string): unknown => {
    if (Array.isArray(value)) return value.map((each) => emptied(each));
    if (typeof value !== 'object' || value === null) return value;
    const { values, ...others } = value as { values?: unknown };
    if (key !== 'data' || !Array.isArray(values))
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, emptied(each, name)]));
    const name = `rows_${data.length}`;
    data.push([name, values]);
    return { ...others, name };
  };
  return { shape: emptied(spec) as TopLevelSpec, data };
}

function programOf(key: string, shape: TopLevelSpec, logger: vega.LoggerInterface): vega.Runtime {
  const known = programs.get(key);
  programs.delete(key);
  const program =
    known ?? vega.parse(compile({ ...shape, config: { ...CHART_CONFIG, ...shape.config } }, { logger }).spec);
  programs.set(key, program);
  for (const old of programs.keys()) if (programs.size > PROGRAMS_MAX) programs.delete(old);
  return program;
}

/** The same SVG as PNG bytes on a white ground with a margin. */
export function renderPng(svg: string): Uint8Array {
  return rasterize(frame(svg), PNG_SCALE);
}

/**
 * An SVG text of ours as PNG bytes. Fonts of the system are opened only for characters that ours lacks.
 *
 * @param scale pixels of the PNG for each of the SVG's
 */
export function rasterize(svg: string, scale: number): Uint8Array {
  const framed = drawable(svg);
  // The first that has a character draws it: ours come before the system's.
  const faces = [fontFace(400), fontFace(600), ...supplements(framed)];
  const isForeign = [...new Set(framed)].some(
    (each) => each > ' ' && !faces.some((face) => face.has(each.codePointAt(0)!)),
  );
  const image = new Resvg(framed, {
    fitTo: { mode: 'zoom', value: scale },
    background: TOKENS.page[0],
    font: {
      fontFiles: faces.map(({ file }) => file),
      loadSystemFonts: isForeign,
      defaultFontFamily: FONT,
      sansSerifFamily: FONT,
    },
  });
  return image.render().asPng();
}

/**
 * The same text for resvg 2.6, which changes the font of a line that has isolates, and draws boxes for a line
 * in which another font makes one glyph of several characters (both seen). So of a picture that is joined of
 * several the first is drawn, and a flag as the letters of its country. A picture that no face of ours has
 * goes: the system's may be in colour, which is drawn as a box too.
 */
export function drawable(svg: string): string {
  return svg
    .replace(NOT_DRAWN, '')
    .replace(/[\u{1f1e6}-\u{1f1ff}]/gu, (letter) => String.fromCodePoint(letter.codePointAt(0)! - FLAG_A + 0x41))
    .replace(JOINED_PICTURE, (_, first: string) =>
      [fontFace(400), ...supplements(first)].some((face) => face.has(first.codePointAt(0)!)) ? first : '',
    );
}

/** Isolates, the sign for "in colour", keycaps, and the tags that make regional flags. */
const NOT_DRAWN = /[\u2066-\u2069]|\ufe0f|\u20e3|[\u{e0020}-\u{e007f}]/gu;
const JOINED_PICTURE =
  /(\p{Extended_Pictographic})(?:\p{Emoji_Modifier}|\u200d\p{Extended_Pictographic}\p{Emoji_Modifier}?)*/gu;
/** The regional indicator A. */
const FLAG_A = 0x1f1e6;

/**
 * Coordinates to a hundredth of a pixel: a third of the text, nothing to see. Text from data is outside of
 * tags, so it stays.
 */
function shortened(svg: string): string {
  return svg.replace(/<[a-z][^<>]*>/g, (tag) =>
    tag.replace(/-?\d+\.\d{3,}(?:e-\d+)?/g, (number) => String(Math.round(Number(number) * 100) / 100)),
  );
}

function frame(svg: string): string {
  const size = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg);
  if (size === null) throw new Error('the drawn chart has no size');
  const [width, height] = [Number(size[1]) + 2 * PNG_MARGIN_PX, Number(size[2]) + 2 * PNG_MARGIN_PX];
  const head = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}" viewBox="${-PNG_MARGIN_PX} ${-PNG_MARGIN_PX} ${width} ${height}">`;
  return svg.replace(/^<svg[^>]*>/, head);
}

/**
 * Without a canvas Vega guesses 0.8 em a character and cuts and skips labels that would fit; the font's own
 * widths are exact.
 */
function measureWithBundledFont(): void {
  const { textMetrics } = vega as unknown as { textMetrics: { width(item: TextItem, text: string): number } };
  textMetrics.width = (item, text) => {
    const weight: FontWeight = item.fontWeight === 'bold' || Number(item.fontWeight) >= 600 ? 600 : 400;
    return fontFace(weight).width(String(text ?? ''), item.fontSize ?? 11);
  };
}

interface TextItem {
  fontSize?: number;
  fontWeight?: number | string;
}

function throwingLogger(): vega.LoggerInterface {
  const fail = (...parts: readonly unknown[]): never => {
    throw new Error(`chart: ${parts.map(String).join(' ')}`);
  };
  const logger: vega.LoggerInterface = {
    level: ((level?: number) => (level === undefined ? vega.Warn : logger)) as vega.LoggerInterface['level'],
    error: fail,
    warn: fail,
    info: () => logger,
    debug: () => logger,
  };
  return logger;
}

function refusingLoader(): vega.Loader {
  const refuse = (): never => {
    throw new Error('a chart loads nothing');
  };
  return { load: refuse, sanitize: refuse, http: refuse, file: refuse } as unknown as vega.Loader;
}

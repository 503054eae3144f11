import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { type FontWeight, fontFace } from './font.ts';
import { CHART_CONFIG, FONT, TOKENS } from './theme.ts';

/** Pixels of a PNG for each pixel of the chart: sharp on paper and on dense screens. */
const PNG_SCALE = 2;
const PNG_MARGIN_PX = 24;

measureWithBundledFont();

/**
 * Draws a Vega-Lite chart as SVG text, without a browser and without loading anything: data must be inline.
 *
 * @throws Error for a spec that Vega-Lite warns about: a chart with a fault is a bug, not something to show
 */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  const logger = throwingLogger();
  const compiled = compile({ ...spec, config: { ...CHART_CONFIG, ...spec.config } }, { logger }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: 'none', logger, loader: refusingLoader() });
  try {
    // Ids count on over all charts of a process; from 1 in each, the same chart has the same text.
    vega.resetSVGDefIds();
    return shortened(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/**
 * The same SVG as PNG bytes on a white ground with a margin. Fonts of the system are opened only for
 * characters that ours lacks.
 */
export function renderPng(svg: string): Uint8Array {
  const framed = frame(withoutUndrawable(svg));
  const face = fontFace(400);
  const isForeign = [...framed].some((character) => character > ' ' && !face.has(character.codePointAt(0)!));
  const image = new Resvg(framed, {
    fitTo: { mode: 'zoom', value: PNG_SCALE },
    background: TOKENS.page[0],
    font: {
      fontFiles: ([400, 600] as const).map((weight) => fontFace(weight).file),
      loadSystemFonts: isForeign,
      defaultFontFamily: FONT,
      sansSerifFamily: FONT,
    },
  });
  return image.render().asPng();
}

/**
 * resvg 2.6 draws colour pictures as boxes and changes the font of a line that has isolates (seen): neither
 * goes into a PNG.
 */
function withoutUndrawable(svg: string): string {
  return svg
    .replace(/[\u2066-\u2069]/g, '')
    .replace(/\p{Extended_Pictographic}(?:\ufe0f|\u200d|\p{Emoji_Modifier}|\p{Extended_Pictographic})*/gu, (picture) =>
      fontFace(400).has(picture.codePointAt(0)!) ? picture : '',
    );
}

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

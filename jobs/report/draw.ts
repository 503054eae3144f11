import { createHash } from 'node:crypto';
import type { ReportPage } from './compose.ts';
import type { Figure } from './figure.ts';
import { type Drawing, renderPage, type Surroundings } from './page.ts';
import { renderPng, renderSvg } from './render.ts';
import { NARROW, WIDE } from './theme.ts';

/** A page as it is written: its HTML and the PNGs of its charts, by their keys. */
export interface DrawnPage {
  key: string;
  html: string;
  images: Map<string, Uint8Array>;
}

/**
 * Draws a page: each chart twice for the page itself and, with `hasPngs`, once as PNG.
 *
 * @param onChart called before each chart is drawn; may throw to stop
 * @param around of a page that is served
 */
export async function drawPage(
  { key, chartKey, content }: ReportPage,
  { hasPngs }: { hasPngs: boolean },
  onChart: (name: string) => void,
  around?: Surroundings,
): Promise<DrawnPage> {
  const drawings = new Map<string, Drawing>();
  const images = new Map<string, Uint8Array>();
  for (const figure of content.sections.flatMap((section) => section.figures)) {
    if (figure.chart === undefined) continue;
    onChart(figure.name);
    beginDrawing(figure);
    drawings.set(figure.name, await begun.get(figure)!);
    if (hasPngs) images.set(chartKey(`${figure.name}.png`), renderPng(await renderSvg(titled(figure))));
  }
  return { key, html: await renderPage(content, drawings, around), images };
}

/** Drawings that were begun, or are done, for as long as their figures are there. */
const begun = new WeakMap<Figure, Promise<Drawing>>();

/** Draws a figure's chart for its page, where it has one; `drawPage` waits for it, and tells its faults. */
export function beginDrawing(figure: Figure): void {
  if (figure.chart === undefined || begun.has(figure)) return;
  const drawing = draw(figure.chart);
  drawing.catch(() => {});
  begun.set(figure, drawing);
}

async function draw(chart: NonNullable<Figure['chart']>): Promise<Drawing> {
  return { wide: await drawnOnce(chart(WIDE)), narrow: await drawnOnce(chart(NARROW)) };
}

/** The last charts as they were drawn: what a filter does not change is not drawn again. */
const DRAWN_MAX = 64;
const drawn = new Map<string, Promise<string>>();

function drawnOnce(spec: ReturnType<NonNullable<Figure['chart']>>): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify(spec)).digest('base64');
  const svg = drawn.get(key) ?? renderSvg(spec);
  drawn.delete(key);
  drawn.set(key, svg);
  for (const old of drawn.keys()) if (drawn.size > DRAWN_MAX) drawn.delete(old);
  return svg;
}

/** A picture that stands alone carries its own title. @param figure one with a chart */
export function titled(figure: Figure): ReturnType<NonNullable<Figure['chart']>> {
  const spec = figure.chart!(WIDE);
  const subtitle = figure.takeaway ? { subtitle: figure.takeaway } : {};
  return { ...spec, title: { text: figure.title, ...subtitle } };
}

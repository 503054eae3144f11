import type { Config as VegaLiteConfig } from 'vega-lite';

/**
 * The colours of the report: each token once for light and once for dark. Charts are drawn with the light
 * values; the page's style sheet maps exactly these values to custom properties, so a chart follows the
 * reader's scheme without a script.
 */
export const TOKENS = {
  page: ['#ffffff', '#14181d'],
  panel: ['#f5f7f9', '#1c2229'],
  line: ['#e1e6eb', '#313a44'],
  text: ['#1b2733', '#e8edf2'],
  muted: ['#5b6875', '#9fadba'],
  primary: ['#2b6490', '#6fb0df'],
  primarySoft: ['#c9dcea', '#27455c'],
  accent: ['#b8501f', '#f0935f'],
  accentSoft: ['#f0d3c3', '#5a3524'],
} as const satisfies Record<string, readonly [light: string, dark: string]>;

export type Token = keyof typeof TOKENS;

/** The light value of a token. */
export function color(token: Token): string {
  return TOKENS[token][0];
}

/** From nothing to much, seven steps of one hue; the first is for "none at all". */
export const SEQUENCE: readonly (readonly [light: string, dark: string])[] = [
  ['#eff2f5', '#20272f'],
  ['#d5e3ee', '#213a4d'],
  ['#aecbe0', '#275273'],
  ['#82aecd', '#2f6c99'],
  ['#568fb8', '#4189bf'],
  ['#316f9f', '#6aabdc'],
  ['#174e7c', '#a5d2f5'],
];

/**
 * Categories that stay apart for colour-blind readers too: neighbours differ in lightness, not in hue alone.
 * The last is for "other".
 */
export const CATEGORIES: readonly (readonly [light: string, dark: string])[] = [
  ['#2a5c8a', '#5b97cc'],
  ['#8fc1e3', '#a9d3f0'],
  ['#1f7a6d', '#3fa796'],
  ['#e3bf5a', '#e5c86f'],
  ['#a8452f', '#d0725a'],
  ['#efa58a', '#f3b9a3'],
  ['#6b4a86', '#9c7bb9'],
  ['#c3a4cf', '#d3bbdd'],
  ['#b9c1c9', '#59646f'],
];

/** The bundled typeface, then what the reader's system has. */
export const FONT = 'Inter';
export const FONT_STACK = `${FONT}, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif`;

/**
 * How a chart is laid out: `wide` for the page on a screen, paper and PNGs, `narrow` for a phone. Widths in
 * pixels.
 */
export interface Layout {
  kind: 'wide' | 'narrow';
  width: number;
}

export const WIDE: Layout = { kind: 'wide', width: 960 };
export const NARROW: Layout = { kind: 'narrow', width: 342 };

/** What all charts share; specs say only what is their own. */
export const CHART_CONFIG: VegaLiteConfig = {
  font: FONT,
  // The page names each chart and gives its numbers as a table; a label on every mark would say them a third
  // time.
  aria: false,
  background: 'transparent',
  padding: { left: 1, right: 1, top: 4, bottom: 2 },
  view: { stroke: null },
  axis: {
    domain: false,
    ticks: false,
    grid: false,
    gridColor: color('line'),
    labelColor: color('muted'),
    labelFontSize: 12,
    labelPadding: 6,
    titleColor: color('muted'),
    titleFontSize: 12,
    titleFontWeight: 400,
    titlePadding: 10,
  },
  axisY: {
    grid: true,
    titleAngle: 0,
    titleAlign: 'left',
    titleAnchor: 'end',
    titleX: 0,
    titleY: -10,
    titleBaseline: 'bottom',
    tickCount: 5,
  },
  axisX: { labelAngle: 0, labelFlush: true, labelOverlap: 'greedy', labelSeparation: 8 },
  legend: {
    labelColor: color('text'),
    labelFontSize: 12,
    symbolSize: 110,
    symbolType: 'square',
    symbolStrokeWidth: 0,
    title: null,
    rowPadding: 5,
  },
  bar: { color: color('primary') },
  line: { color: color('primary'), strokeWidth: 2, strokeCap: 'round', strokeJoin: 'round' },
  area: { color: color('primarySoft') },
  point: { color: color('primary'), filled: true, size: 55 },
  rule: { color: color('muted') },
  text: { color: color('text'), fontSize: 12 },
  title: {
    anchor: 'start',
    color: color('text'),
    fontSize: 18,
    fontWeight: 600,
    subtitleColor: color('muted'),
    subtitleFontSize: 12.5,
    subtitlePadding: 6,
    offset: 18,
    frame: 'bounds',
  },
};

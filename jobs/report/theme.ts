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
 * The hues that the chapters of a person's page take turns in. Charts are drawn in the first one (`primary`,
 * `primarySoft`, `SEQUENCE` but for its first step); in a chapter of another hue the page's style sheet gives
 * these tokens its values. All have the lightness of the first at each place (computed in OKLCH), so contrast
 * is the same.
 */
export const HUES: readonly Hue[] = [
  { name: 'blue', primary: TOKENS.primary, soft: TOKENS.primarySoft, sequence: SEQUENCE.slice(1) },
  {
    name: 'teal',
    primary: ['#016f61', '#61bbaa'],
    soft: ['#c7dfd9', '#1e4b43'],
    sequence: [
      ['#d3e5e1', '#1a3f38'],
      ['#abd0c7', '#145a4f'],
      ['#7cb5a9', '#0b7769'],
      ['#49998a', '#1d9785'],
      ['#047b6c', '#59b7a6'],
      ['#00584d', '#9ddacd'],
    ],
  },
  {
    name: 'violet',
    primary: ['#695092', '#b398e3'],
    soft: ['#dcd5ec', '#473a5e'],
    sequence: [
      ['#e3ddef', '#3b314e'],
      ['#cbc0e3', '#554375'],
      ['#af9dd1', '#71579c'],
      ['#927abc', '#8f6fc2'],
      ['#7459a1', '#ae93e0'],
      ['#553a7d', '#d3c1f8'],
    ],
  },
  {
    name: 'rust',
    primary: ['#8f4927', '#e2916d'],
    soft: ['#ecd3c8', '#5d3725'],
    sequence: [
      ['#f0dcd4', '#4e2e20'],
      ['#e3bdad', '#733e24'],
      ['#d09981', '#99502c'],
      ['#ba7454', '#bf673d'],
      ['#9e522c', '#de8c67'],
      ['#7a330b', '#f8bca2'],
    ],
  },
  {
    name: 'green',
    primary: ['#3b6d3d', '#82b883'],
    soft: ['#cedece', '#2f4930'],
    sequence: [
      ['#d9e5d8', '#283e28'],
      ['#b6ceb6', '#335934'],
      ['#8fb38f', '#417543'],
      ['#679668', '#569458'],
      ['#427945', '#7cb47d'],
      ['#245828', '#b1d8b1'],
    ],
  },
  {
    name: 'rose',
    primary: ['#904357', '#e28a9f'],
    soft: ['#edd1d6', '#5d333d'],
    sequence: [
      ['#f0dade', '#4e2b33'],
      ['#e4bac2', '#733948'],
      ['#d194a1', '#99495e'],
      ['#bb6e80', '#c05f78'],
      ['#9f4b61', '#df859a'],
      ['#7a2c43', '#f9b7c5'],
    ],
  },
];

export interface Hue {
  name: string;
  primary: readonly [light: string, dark: string];
  soft: readonly [light: string, dark: string];
  /** From little to much: the steps of `SEQUENCE` but for "none at all". */
  sequence: readonly (readonly [light: string, dark: string])[];
}

/**
 * Categories that stay apart for colour-blind readers too: neighbours differ in lightness, not in hue alone.
 * The last is for "other".
 */
export const CATEGORIES: readonly (readonly [light: string, dark: string])[] = [
  ['#2a5c8a', '#3f86c4'],
  ['#8fc1e3', '#b9dcf5'],
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
/** Bundled too, for what neither has: see `supplements` in font.ts. */
export const HEBREW_FONT = 'Noto Sans Hebrew';
export const ARABIC_FONT = 'Noto Sans Arabic';
export const PICTURE_FONT = 'Noto Emoji';
/** Pictures in the colours of the reader's system, where it has them. */
const COLOUR_PICTURES = "'Apple Color Emoji', 'Segoe UI Emoji', 'Noto Color Emoji'";
export const FONT_STACK = `${FONT}, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif, ${COLOUR_PICTURES}, '${HEBREW_FONT}', '${ARABIC_FONT}', '${PICTURE_FONT}'`;

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

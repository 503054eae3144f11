import type { TopLevelSpec } from 'vega-lite';
import { fontFace } from './font.ts';
import { cleanText, fitText } from './format.ts';
import { pixels, SPOKEN, spokenMark } from './marts.ts';
import { color, type Layout } from './theme.ts';

/**
 * One line of a ranking: the name, what stands after it in grey, the number that the bar shows and the text
 * of that number.
 */
export interface RankedRow {
  label: string;
  detail?: string;
  value: number;
  valueText: string;
  /** A second line in grey below the name; rows with one are taller. */
  below?: string;
  /** Stands at the end of the second line. */
  belowEnd?: string;
}

export interface RankedPanel {
  /** Shown where there are several panels. */
  title: string;
  rows: RankedRow[];
  /** Value of a full bar; default: the greatest of the rows. */
  most?: number;
  /** Whether the place in the list is written before the name; default true. */
  isNumbered?: boolean;
}

const PANEL_GAP_PX = 36;
/** A single list; longer bars are harder to compare, not easier. */
const SINGLE_PANEL_MAX_PX = 720;
const RANKED_ROW_PX = 40;
const TALL_ROW_PX = 58;
/** Longest name in an aria label: more than any real one, so that a page stays small. */
const SPOKEN_NAME_MAX_CHARS = 120;
/** Some ten characters; of less than that nobody guesses the rest. */
const CUT_DETAIL_MIN_PX = 80;

/**
 * Rankings as lists with thin bars: names stand in full above their bar, panels side by side (on a phone
 * below each other).
 */
export function rankedLists(
  panels: RankedPanel[],
  layout: Layout,
  token: 'primary' | 'accent' = 'primary',
): TopLevelSpec {
  const columns = layout.kind === 'wide' ? panels.length : 1;
  const full = panels.length === 1 ? Math.min(layout.width, SINGLE_PANEL_MAX_PX) : layout.width;
  const width = Math.floor((full - 2 - PANEL_GAP_PX * (columns - 1)) / columns);
  const views = panels.map((panel) => rankedPanel(panel, width, panels.length > 1, token));
  const spacing = { spacing: layout.kind === 'wide' ? PANEL_GAP_PX : 28 };
  const config = SPOKEN;
  if (views.length === 1) return { ...views[0], config } as TopLevelSpec;
  return { ...(layout.kind === 'wide' ? { hconcat: views } : { vconcat: views }), ...spacing, config } as TopLevelSpec;
}

function rankedPanel(panel: RankedPanel, width: number, isTitled: boolean, token: 'primary' | 'accent') {
  const regular = fontFace(400);
  const semibold = fontFace(600);
  const most = panel.most ?? Math.max(...panel.rows.map((row) => row.value), Number.MIN_VALUE);
  const isNumbered = panel.isNumbered ?? true;
  const rankPx = isNumbered ? (panel.rows.length > 9 ? 24 : 18) : 0;
  const values = panel.rows.map((row, index) => {
    const room = width - rankPx - regular.width(row.valueText, 12.5) - 14;
    const label = fitText(row.label, room, (text) => semibold.width(text, 13));
    const detailX = rankPx + semibold.width(label, 13) + 7;
    const detailRoom = width - detailX - regular.width(row.valueText, 12.5) - 14;
    const detail = fitDetail(row.detail ?? '', detailRoom, (text) => regular.width(text, 12.5));
    return {
      rank: index + 1,
      label,
      detail,
      detailX,
      // In pixels, so that lists differ in their rows alone: render.ts keeps what a chart is without them.
      barEnd: rankPx + (width - rankPx) * (row.value / most),
      valueText: row.valueText,
      below: fitText(row.below ?? '', width - rankPx - regular.width(row.belowEnd ?? '', 12.5) - 14, (text) =>
        regular.width(text, 12.5),
      ),
      belowEnd: row.belowEnd ?? '',
      spoken: spokenRow(row, isNumbered ? index + 1 : undefined),
    };
  });
  const isTall = panel.rows.some(({ below, belowEnd }) => below !== undefined || belowEnd !== undefined);
  const firstLine = isTall ? -9 : 1;
  // A layer costs as much as all its texts: none is made of empty ones.
  const has = (field: 'below' | 'belowEnd' | 'detail'): boolean => values.some((row) => row[field] !== '');
  const y = { field: 'rank', type: 'ordinal' as const, axis: null, scale: { paddingInner: 0, paddingOuter: 0 } };
  const text = (field: string, x: object, mark: object) => ({
    mark: { type: 'text' as const, baseline: 'alphabetic' as const, yOffset: 0, dy: firstLine, aria: false, ...mark },
    encoding: { y, x, text: { field, type: 'nominal' as const } },
  });
  const bar = { type: 'bar' as const, height: 5, yOffset: isTall ? 19 : 11, cornerRadius: 2.5 };
  return {
    width,
    height: (isTall ? TALL_ROW_PX : RANKED_ROW_PX) * panel.rows.length,
    ...(isTitled
      ? { title: { text: panel.title, fontSize: 13, fontWeight: 600, color: color('muted'), offset: 6 } }
      : {}),
    data: { values },
    layer: [
      {
        mark: { ...bar, color: color('line'), aria: false },
        encoding: { y, x: { value: rankPx }, x2: { value: width } },
      },
      {
        mark: { ...bar, color: color(token) },
        encoding: {
          y,
          ...spokenMark(),
          // Rows whose bars have names would be stacked otherwise, all of them in the corner.
          x: { ...pixels('barEnd'), stack: null },
          x2: { value: rankPx },
        },
      },
      ...(isNumbered ? [text('rank', { value: 0 }, { align: 'left', color: color('muted'), fontSize: 12.5 })] : []),
      text('label', { value: rankPx }, { align: 'left', fontWeight: 600, fontSize: 13 }),
      ...(has('detail')
        ? [text('detail', pixels('detailX'), { align: 'left', color: color('muted'), fontSize: 12.5 })]
        : []),
      text('valueText', { value: width }, { align: 'right', color: color('text'), fontSize: 12.5 }),
      ...(has('below') ? [text('below', { value: rankPx }, { ...SECOND_LINE, align: 'left' })] : []),
      ...(has('belowEnd') ? [text('belowEnd', { value: width }, { ...SECOND_LINE, align: 'right' })] : []),
    ],
  };
}

/** A row as a screen reader says it: in full up to a bound, also where the drawn name is cut. */
function spokenRow({ label, detail, valueText, below, belowEnd }: RankedRow, rank: number | undefined): string {
  const name = [label, detail ?? '', below ?? ''].map((text) => cleanText(text, SPOKEN_NAME_MAX_CHARS));
  const ends = [valueText, belowEnd ?? ''].filter((text) => text !== '').join(', ');
  return `${rank === undefined ? '' : `${rank}. `}${name.filter((text) => text !== '').join(', ')}: ${ends}`;
}

const SECOND_LINE = { dy: 9, color: color('muted'), fontSize: 12.5 };

/** A detail in full where it fits, cut where enough of it stays to be read, otherwise none. */
function fitDetail(detail: string, maxPx: number, widthOf: (text: string) => number): string {
  const fitted = maxPx > 0 ? fitText(detail, maxPx, widthOf) : '';
  return fitted.endsWith('…') && maxPx < CUT_DETAIL_MIN_PX ? '' : fitted;
}

/** A share with its interval, all from 0 to 1. */
export interface IntervalRow {
  label: string;
  /** Stands after the label in grey, where there is room. */
  detail?: string;
  share: number;
  low: number;
  high: number;
}

/** Shares as points with their intervals, one line each, against the overall share. */
export function intervalPoints(
  rows: IntervalRow[],
  overall: number | undefined,
  axisTitle: string,
  layout: Layout,
): TopLevelSpec {
  const widthOf = (text: string): number => fontFace(400).width(text, 12.5);
  const longest = Math.max(...rows.map((row) => widthOf(row.detail ? `${row.label}  ${row.detail}` : row.label)));
  const start = Math.min(layout.kind === 'wide' ? 340 : 140, longest + 24);
  const values = rows.map((row, index) => {
    const label = fitText(row.label, start - 20, widthOf);
    const detailX = widthOf(label) + 7;
    const detail = row.detail && start - 20 - detailX > 40 ? fitText(row.detail, start - 20 - detailX, widthOf) : '';
    return { ...row, rank: index, label, detail, detailX };
  });
  const y = { field: 'rank', type: 'ordinal' as const, axis: null };
  const most = Math.min(1, Math.max(...rows.map((row) => row.high), overall ?? 0) * 1.04);
  const x = {
    type: 'quantitative' as const,
    title: axisTitle,
    scale: { domain: [0, most], nice: false, range: [start, layout.width - 4] },
    axis: {
      format: '.0%',
      grid: true,
      tickCount: layout.kind === 'wide' ? 8 : 4,
      orient: 'top' as const,
      titleAnchor: 'start' as const,
      labelFlush: false,
    },
  };
  const dash = { type: 'rule' as const, color: color('accent'), strokeDash: [4, 3], strokeWidth: 1.25 };
  return {
    width: layout.width - 2,
    height: 26 * rows.length,
    data: { values },
    layer: [
      {
        mark: { type: 'rule', color: color('line'), strokeWidth: 1 },
        encoding: { y, x: { value: start }, x2: { value: layout.width - 4 } },
      },
      {
        mark: { type: 'text', align: 'left', fontSize: 12.5 },
        encoding: { y, x: { value: 0 }, text: { field: 'label', type: 'nominal' } },
      },
      {
        mark: { type: 'text', align: 'left', fontSize: 12.5, color: color('muted') },
        encoding: {
          y,
          x: { field: 'detailX', type: 'quantitative', scale: null, axis: null },
          text: { field: 'detail', type: 'nominal' },
        },
      },
      ...(overall === undefined
        ? []
        : [{ data: { values: [{ overall }] }, mark: dash, encoding: { x: { field: 'overall', ...x } } }]),
      {
        mark: { type: 'rule', color: color('primary'), strokeWidth: 2, opacity: 0.55 },
        encoding: { y, x: { field: 'low', ...x }, x2: { field: 'high' } },
      },
      { mark: { type: 'point', size: 64, opacity: 1 }, encoding: { y, x: { field: 'share', ...x } } },
    ],
  } as TopLevelSpec;
}

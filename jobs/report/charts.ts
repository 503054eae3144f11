import type { TopLevelSpec } from 'vega-lite';
import { fontFace } from './font.ts';
import { fitText } from './format.ts';
import { CATEGORIES, color, type Layout, SEQUENCE } from './theme.ts';

/** One bar of a chart over time; `date` is the first day of its period, `YYYY-MM-DD`. */
export interface TimeBar {
  date: string;
  value: number;
  /** Part of the bar, where bars are stacked. */
  part?: string;
}

/**
 * Bars over months or days, one for each period without gaps, stacked where the rows have parts: the first
 * part lies lowest and has the first of the colours.
 */
export function timeBars(
  rows: TimeBar[],
  axisTitle: string,
  step: 'month' | 'day',
  layout: Layout,
  colors: readonly string[] = [CATEGORIES[0]![0], CATEGORIES[1]![0]],
): TopLevelSpec {
  const dates = [...new Set(rows.map((row) => row.date))].sort();
  const parts = [...new Set(rows.map((row) => row.part ?? ''))];
  const axis = dateAxis(dates, step, layout.width - 60);
  return {
    width: layout.width,
    height: layout.kind === 'wide' ? 260 : 200,
    autosize: { type: 'fit', contains: 'padding' },
    data: { values: rows.map((row) => ({ ...row, part: row.part ?? '', order: parts.indexOf(row.part ?? '') })) },
    mark: { type: 'bar', cornerRadiusEnd: dates.length > 80 || parts.length > 1 ? 0 : 2 },
    encoding: {
      x: {
        field: 'date',
        type: 'ordinal',
        sort: null,
        title: null,
        scale: {
          domain: dates,
          paddingInner: dates.length > 80 ? 0.08 : dates.length > 14 ? 0.22 : 0.45,
          paddingOuter: 0.1,
        },
        axis: { values: axis.values, labelExpr: axis.labelExpr, labelOverlap: false, labelFlush: false },
      },
      y: {
        field: 'value',
        type: 'quantitative',
        title: axisTitle,
        stack: parts.length > 1 ? 'zero' : null,
        scale: { nice: 5 },
        axis: { format: ',~r' },
      },
      ...(parts.length > 1
        ? {
            order: { field: 'order', type: 'quantitative' as const },
            color: {
              field: 'part',
              type: 'nominal' as const,
              scale: { domain: parts, range: [...colors] },
              legend: { orient: 'top' as const, direction: 'horizontal' as const, offset: 32 },
            },
          }
        : {}),
    },
  };
}

/** A line over days on a soft area, from zero. */
export function dayLine(rows: { date: string; value: number }[], axisTitle: string, layout: Layout): TopLevelSpec {
  const dates = rows.map((row) => row.date);
  const axis = dateAxis(dates, 'day', layout.width - 60);
  const x = {
    field: 'date',
    type: 'ordinal' as const,
    sort: null,
    title: null,
    scale: { domain: dates, type: 'point' as const, padding: 0.5 },
    axis: { values: axis.values, labelExpr: axis.labelExpr, labelOverlap: false as const, labelFlush: false },
  };
  const y = {
    field: 'value',
    type: 'quantitative' as const,
    title: axisTitle,
    scale: { nice: 5 },
    axis: { format: ',~r', tickMinStep: 1 },
  };
  return {
    width: layout.width,
    height: layout.kind === 'wide' ? 220 : 180,
    autosize: { type: 'fit', contains: 'padding' },
    data: { values: rows },
    layer: [
      { mark: { type: 'area', interpolate: 'linear' }, encoding: { x, y } },
      { mark: { type: 'line', interpolate: 'linear', strokeWidth: 1.75 }, encoding: { x, y } },
    ],
  };
}

/** One cell of the week: weekday 1 (Monday) to 7, hour 0 to 23. */
export interface WeekCell {
  weekday: number;
  hour: number;
  value: number;
}

export const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

/** Weekday by hour; colour steps are of equal size, the palest is for nothing at all. */
export function weekHeatMap(cells: WeekCell[], unit: string, layout: Layout): TopLevelSpec {
  const most = Math.max(...cells.map((cell) => cell.value));
  const size = niceStep(most / (SEQUENCE.length - 1));
  const stepOf = (value: number): number => (value <= 0 ? 0 : Math.min(SEQUENCE.length - 1, Math.ceil(value / size)));
  const isWide = layout.kind === 'wide';
  const used = stepOf(most);
  const labels = Array.from({ length: used + 1 }, (_, step) =>
    step === 0 ? 'none' : `≤ ${(size * step).toLocaleString('en-US')}`,
  );
  labels[used] += ` ${unit}`;
  const name = (weekday: number): string => (isWide ? WEEKDAYS[weekday - 1]! : WEEKDAYS[weekday - 1]!.slice(0, 3));
  return {
    width: layout.width,
    height: isWide ? 270 : 250,
    autosize: { type: 'fit', contains: 'padding' },
    data: { values: cells.map((cell) => ({ ...cell, day: name(cell.weekday), step: labels[stepOf(cell.value)] })) },
    mark: { type: 'rect', cornerRadius: isWide ? 3 : 1.5 },
    encoding: {
      x: {
        field: 'hour',
        type: 'ordinal',
        title: null,
        scale: { paddingInner: isWide ? 0.08 : 0.1 },
        axis: {
          values: isWide ? [0, 3, 6, 9, 12, 15, 18, 21] : [0, 6, 12, 18],
          labelExpr: "(datum.value < 10 ? '0' : '') + datum.value + ':00'",
          labelOverlap: false,
          labelFlush: false,
          labelAlign: 'center',
          labelPadding: 8,
        },
      },
      y: {
        field: 'day',
        type: 'ordinal',
        sort: null,
        title: null,
        scale: { domain: WEEKDAYS.map((_, index) => name(index + 1)), paddingInner: 0.1 },
        axis: { grid: false, labelColor: color('text'), labelPadding: isWide ? 12 : 6 },
      },
      color: {
        field: 'step',
        type: 'ordinal',
        scale: { domain: labels, range: SEQUENCE.slice(0, used + 1).map(([light]) => light) },
        legend: {
          orient: 'top',
          direction: 'horizontal',
          columns: isWide ? 7 : 4,
          symbolStrokeWidth: 0,
          symbolSize: 140,
          offset: 14,
          columnPadding: 14,
        },
      },
    },
  };
}

/** Shares of a whole by month as stacked areas; `parts` from the bottom up, the last one is "other". */
export function shareAreas(
  rows: { date: string; part: string; share: number }[],
  parts: string[],
  layout: Layout,
): TopLevelSpec {
  const dates = [...new Set(rows.map((row) => row.date))].sort();
  const axis = dateAxis(dates, 'month', layout.width - (layout.kind === 'wide' ? 200 : 50));
  const isWide = layout.kind === 'wide';
  const labels = parts.map((part) => fitText(part, 130, (text) => fontFace(400).width(text, 12)));
  return {
    width: layout.width,
    height: isWide ? 320 : 300,
    autosize: { type: 'fit', contains: 'padding' },
    data: {
      values: rows.map((row) => ({ ...row, order: parts.indexOf(row.part), part: labels[parts.indexOf(row.part)] })),
    },
    mark: { type: 'area', stroke: color('page'), strokeWidth: 0.75, interpolate: 'monotone' },
    encoding: {
      x: {
        field: 'date',
        type: 'ordinal',
        sort: null,
        title: null,
        scale: { domain: dates, type: 'point', padding: 0 },
        axis: { values: axis.values, labelExpr: axis.labelExpr, labelOverlap: false, labelFlush: true },
      },
      y: {
        field: 'share',
        type: 'quantitative',
        title: null,
        stack: 'zero',
        scale: { domain: [0, 1] },
        axis: { format: '.0%' },
      },
      order: { field: 'order', type: 'quantitative' },
      color: {
        field: 'part',
        type: 'nominal',
        scale: { domain: labels, range: partColors(parts.length) },
        legend: isWide
          ? { orient: 'right', offset: 20, labelLimit: 140, values: [...labels].reverse() }
          : { orient: 'bottom', columns: 2, labelLimit: 140, offset: 12 },
      },
    },
  };
}

/** Columns of a distribution; the text above each says its share. */
export function columns(
  rows: { label: string; value: number; valueText: string }[],
  axisTitle: string,
  layout: Layout,
): TopLevelSpec {
  const x = {
    field: 'label',
    type: 'ordinal' as const,
    sort: null,
    title: null,
    scale: { paddingInner: 0.18, paddingOuter: 0.05 },
    axis: {
      labelOverlap: false as const,
      labelFontSize: layout.kind === 'wide' ? 12 : 11,
      labelExpr: "split(datum.label, '\\n')",
    },
  };
  const y = {
    field: 'value',
    type: 'quantitative' as const,
    title: axisTitle,
    stack: null,
    scale: { nice: 5 },
    axis: { format: ',~r', tickMinStep: 1 },
  };
  return {
    width: layout.width,
    height: layout.kind === 'wide' ? 240 : 200,
    autosize: { type: 'fit', contains: 'padding' },
    data: { values: rows },
    layer: [
      { mark: { type: 'bar', cornerRadiusEnd: 3 }, encoding: { x, y } },
      {
        mark: { type: 'text', dy: -8, color: color('muted'), fontSize: layout.kind === 'wide' ? 12 : 11 },
        encoding: { x, y, text: { field: 'valueText' } },
      },
    ],
  };
}

/** Colours of `count` parts, the last always the grey of "other". */
export function partColors(count: number): string[] {
  return [...CATEGORIES.slice(0, count - 1), CATEGORIES.at(-1)!].map(([light]) => light);
}

/**
 * Which periods get a label so that none overlaps, and the expression that writes it (Vega's, over
 * `datum.value`).
 */
function dateAxis(dates: string[], step: 'month' | 'day', widthPx: number): { values: string[]; labelExpr: string } {
  const room = Math.max(2, Math.floor(widthPx / 56));
  const written = 'toDate(datum.value)';
  if (step === 'day' && dates.length <= 120) {
    const every = [1, 2, 7, 14, 28].find((days) => Math.ceil(dates.length / days) <= room) ?? 56;
    return { values: dates.filter((_, index) => index % every === 0), labelExpr: `utcFormat(${written}, '%-d %b')` };
  }
  const firsts = step === 'day' ? dates.filter((date) => date.endsWith('-01')) : dates;
  const every = [1, 2, 3, 6, 12, 24, 36, 60].find((months) => Math.ceil(firsts.length / months) <= room) ?? 120;
  const monthNumber = (date: string): number => Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)) - 1;
  const values = firsts.filter((date) => monthNumber(date) % every === 0);
  if (every >= 12) return { values, labelExpr: `utcFormat(${written}, '%Y')` };
  const isYearShown = `datum.index === 0 || utcmonth(${written}) === 0`;
  return { values, labelExpr: `[utcFormat(${written}, '%b'), ${isYearShown} ? utcFormat(${written}, '%Y') : '']` };
}

/** The smallest round number (a short factor times a power of ten) that is not below `value`; at least 1. */
function niceStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((step) => step >= value)!;
}

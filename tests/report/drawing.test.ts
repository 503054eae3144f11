import { dayLine, timeBars, weekHeatMap } from '../../jobs/report/charts.ts';
import { rankedLists } from '../../jobs/report/rankings.ts';
import { renderSvg } from '../../jobs/report/render.ts';
import { type Layout, NARROW, WIDE } from '../../jobs/report/theme.ts';

/** Names and values of which no two are alike. */
function ranked(seed: number, titles: readonly string[]) {
  return titles.map((title, panel) => ({
    title,
    rows: Array.from({ length: 6 }, (_, row) => ({
      label: `Name ${seed}-${panel}-${row}`,
      detail: row % 2 === 0 ? `detail ${seed * row}` : '',
      value: 100 * seed - 7 * row - panel,
      valueText: `${100 * seed - 7 * row - panel} plays`,
    })),
  }));
}

function days(seed: number) {
  return Array.from({ length: 40 }, (_, day) => ({
    date: new Date(Date.UTC(2026, 0, 1 + day)).toISOString().slice(0, 10),
    value: (day * 37 * seed) % (50 * seed),
  }));
}

function week(seed: number) {
  return Array.from({ length: 168 }, (_, hour) => ({
    weekday: Math.floor(hour / 24) + 1,
    hour: hour % 24,
    value: (hour * seed) % 50,
  }));
}

const CHARTS: [name: string, chart: (seed: number, layout: Layout) => Parameters<typeof renderSvg>[0]][] = [
  ['one ranking', (seed, layout) => rankedLists(ranked(seed, ['']), layout)],
  ['three rankings', (seed, layout) => rankedLists(ranked(seed, ['One', 'Two', 'Three']), layout)],
  ['bars over time', (seed, layout) => timeBars(days(seed), 'minutes', 'day', layout)],
  ['a line of days', (seed, layout) => dayLine(days(seed), 'users', layout)],
  ['hours of the week', (seed, layout) => weekHeatMap(week(seed), 'plays', layout)],
];

it.each(CHARTS)('has the same text for the same chart, whatever was drawn before: %s', async (_name, chart) => {
  for (const layout of [WIDE, NARROW]) {
    const first = await renderSvg(chart(3, layout));
    const other = await renderSvg(chart(8, layout));
    expect(other).not.toBe(first);
    expect(await renderSvg(chart(3, layout))).toBe(first);
    // Side by side, too: whoever draws has its view alone.
    const [again, beside] = await Promise.all([renderSvg(chart(3, layout)), renderSvg(chart(8, layout))]);
    expect([again, beside]).toEqual([first, other]);
  }
});

it('changes no rows that it is given', async () => {
  const spec = rankedLists(ranked(2, ['']), WIDE);
  const before = JSON.stringify(spec);
  await renderSvg(spec);
  await renderSvg(spec);
  expect(JSON.stringify(spec)).toBe(before);
  const { data } = spec as { data: { values: object[] } };
  expect(data.values.flatMap((row) => Object.getOwnPropertySymbols(row))).toEqual([]);
});

it.each([
  ['numbered', true, 18],
  ['without numbers', false, 0],
])(
  'draws the bar of each row of a list in its own line, as long as its value says: %s',
  async (_, isNumbered, start) => {
    const values = [100, 50, 25];
    const rows = values.map((value) => ({ label: `Name ${value}`, value, valueText: `${value} plays` }));
    const svg = await renderSvg(rankedLists([{ title: '', rows, isNumbered }], WIDE));
    const bars = [...svg.matchAll(/aria-label="[^"]*Name (\d+): [^"]*"[^>]* d="([^"]*)"/g)].map(([, value, path]) => {
      const numbers = path!.match(/-?\d+(?:\.\d+)?/g)!.map(Number);
      const [across, down] = [0, 1].map((odd) => numbers.filter((_number, index) => index % 2 === odd));
      return { value: Number(value), from: Math.min(...across!), to: Math.max(...across!), top: Math.min(...down!) };
    });
    expect(bars.map(({ value }) => value)).toEqual(values);
    const length = bars[0]!.to - start;
    expect(bars.map(({ from, to, value }) => [from, Math.round((1000 * (to - start)) / length), value * 10])).toEqual(
      values.map((value) => [start, value * 10, value * 10]),
    );
    expect(bars.map(({ top }) => top - bars[0]!.top)).toEqual([0, 40, 80]);
  },
);

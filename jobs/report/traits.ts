import type { TopLevelSpec } from 'vega-lite';
import type { Figure } from './figure.ts';
import { formatShare } from './format.ts';
import { listed, pixels, pixelText, SPOKEN, spokenMark } from './marts.ts';
import type { PersonReading } from './person.ts';
import { color, type Layout, SEQUENCE } from './theme.ts';

/** In the order of the page; the sides from 0 to 1 of the value. */
const TRAITS = {
  early_late: { low: 'early', high: 'late', title: 'Between 20:00 and 04:00' },
  loyal_roaming: { low: 'roaming', high: 'loyal', title: 'With your ten first artists' },
  finisher_skipper: { low: 'skipper', high: 'finisher', title: 'Heard to the end' },
  albums_shuffle: { low: 'shuffle', high: 'albums', title: 'Along an album' },
} as const;
type Trait = keyof typeof TRAITS;

const TRAIT_ROWS = `
select
    year,
    trait,
    side,
    value,
    in_words
from listening_traits
where user_id = ?
order by year, trait`;

interface TraitRow extends Record<string, string | number> {
  year: string;
  trait: Trait;
  side: string;
  value: number;
  in_words: string;
}

/**
 * What kind of listener a person was in their newest year, beside their other years.
 *
 * @returns undefined where no year has enough plays for that
 */
export async function traitsInWords(reading: PersonReading): Promise<Figure | undefined> {
  const rows = await reading.rows<TraitRow>(TRAIT_ROWS, [reading.userId]);
  if (rows.length === 0) return undefined;
  const newestYear = rows.at(-1)!.year;
  const newest = (Object.keys(TRAITS) as Trait[]).flatMap((trait) =>
    rows.filter((row) => row.trait === trait).slice(-1),
  );
  const current = newest.filter((row) => row.year === newestYear);
  return {
    name: 'traits',
    title: `In ${newestYear} you were ${listed(current.map((row) => SIDES[row.side] ?? row.side))}`,
    takeaway: current
      .map((row) => `${row.in_words[0]!.toUpperCase()}${row.in_words.slice(1).replace(' %', '%')}.`)
      .join(' '),
    chart: (layout) => traitStrips(rows, layout),
    table: {
      columns: [
        { label: 'Year', kind: 'text' },
        { label: 'Trait', kind: 'text' },
        { label: 'Share', kind: 'number', format: (value) => formatShare(value) },
        { label: 'In words', kind: 'text' },
      ],
      rows: rows.map((row) => [row.year, TRAITS[row.trait].title, row.value, row.in_words]),
    },
    notes: [
      'Each year with enough plays is compared with your own other years, never with other people. The full dot is the newest year, the pale ones are those before.',
    ],
  };
}

const SIDES: Readonly<Record<string, string>> = {
  early: 'an early listener',
  late: 'a late listener',
  loyal: 'loyal to a few artists',
  roaming: 'a roamer among artists',
  finisher: 'a finisher',
  skipper: 'a skipper',
  albums: 'a listener to albums',
  shuffle: 'a shuffler',
};

/** A line from 0 to 100% for each trait, with its two sides at the ends and a dot for each year. */
function traitStrips(rows: TraitRow[], layout: Layout): TopLevelSpec {
  const isWide = layout.kind === 'wide';
  const [left, right] = isWide ? [320, layout.width - 84] : [64, layout.width - 70];
  const rowPx = isWide ? 50 : 66;
  const traits = (Object.keys(TRAITS) as Trait[]).filter((trait) => rows.some((row) => row.trait === trait));
  const yOf = (trait: Trait): number => traits.indexOf(trait) * rowPx + (isWide ? rowPx / 2 : 40);
  const newestOf = (trait: Trait): TraitRow => rows.filter((row) => row.trait === trait).at(-1)!;
  const lines = traits.map((trait) => ({
    x: left,
    x2: right,
    y: yOf(trait),
    title: TRAITS[trait].title,
    titleX: 0,
    titleY: isWide ? yOf(trait) : yOf(trait) - 24,
    low: TRAITS[trait].low,
    lowX: left - 14,
    high: TRAITS[trait].high,
    highX: right + 14,
  }));
  const dots = rows
    .map((row) => ({
      x: left + row.value * (right - left),
      y: yOf(row.trait),
      isNewest: row === newestOf(row.trait),
      spoken: `${row.year}, ${TRAITS[row.trait].title}: ${formatShare(row.value)}`,
      above: `${row.year}: ${formatShare(row.value, 0)}`,
      aboveX: isWide ? left + row.value * (right - left) : layout.width - 4,
      aboveY: yOf(row.trait) - (isWide ? 15 : 24),
    }))
    .sort((before, after) => Number(before.isNewest) - Number(after.isNewest));
  return {
    width: layout.width - 2,
    height: traits.length * rowPx,
    config: SPOKEN,
    layer: [
      {
        data: { values: lines },
        mark: { type: 'rule', color: color('line'), strokeWidth: 3, strokeCap: 'round', aria: false },
        encoding: { x: pixels('x'), x2: { field: 'x2' }, y: pixels('y') },
      },
      {
        data: { values: lines },
        ...pixelText('title', 'titleX', 'titleY', { fontWeight: 600, fontSize: 13, aria: false }),
      },
      {
        data: { values: lines },
        ...pixelText('low', 'lowX', 'y', { align: 'right', color: color('muted'), fontSize: 12.5, aria: false }),
      },
      {
        data: { values: lines },
        ...pixelText('high', 'highX', 'y', { color: color('muted'), fontSize: 12.5, aria: false }),
      },
      {
        data: { values: dots },
        mark: { type: 'point', opacity: 1, stroke: color('page') },
        encoding: {
          x: pixels('x'),
          y: pixels('y'),
          ...spokenMark(),
          size: { condition: { test: 'datum.isNewest', value: isWide ? 170 : 100 }, value: isWide ? 80 : 60 },
          color: {
            field: 'isNewest',
            type: 'nominal',
            scale: { domain: [true, false], range: [color('primary'), SEQUENCE[2]![0]] },
            legend: null,
          },
        },
      },
      {
        data: { values: dots.filter((dot) => dot.isNewest) },
        ...pixelText('above', 'aboveX', 'aboveY', {
          align: isWide ? 'center' : 'right',
          fontSize: 11.5,
          color: color('text'),
          aria: false,
        }),
      },
    ],
  } as TopLevelSpec;
}

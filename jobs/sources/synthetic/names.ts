import { pick, type Random } from './random.ts';

/**
 * Made-up words: no artist, person or title is meant, and a reader sees at once that the data is synthetic.
 */
const QUALITIES = (
  'Quorvish Velmic Ostrine Pallowy Murnful Zephrid Tarnling Glimmish Brindlow Corvane Dulcite Emberic Frostine ' +
  'Gavelling Hollowyn Irridal Jasperic Kelpish Lanterly Mistrel Noctine Opalith Prismal Quillow Rustle-bound Saffrid ' +
  'Thistly Umbric Vesperal Willowick Xylic Yarrowed Zinnial Ashwoven Bramblic Copperine Dapplic Evenlode'
).split(' ');

const THINGS = (
  'Loom Fathoms Lattice Orrery Spindles Tessel Quint Harrow Cinders Pylon Mosaic Gantry Ferrule Bellows Sextants ' +
  'Trellis Cairns Dynamo Eddies Foundry Girders Hinges Isobars Junctions Kilns Ledgers Mandrels Nodes Oscilla Pistons ' +
  'Quarries Rivets Sluice Turbines Undertows Vectors Wickets Yardarms Zeniths Abacus'
).split(' ');

const DEEDS = (
  'Drifting Counting Folding Borrowing Chasing Leaving Painting Losing Holding Turning Humming Mending Trading Waking ' +
  'Crossing Sorting Naming Lifting'
).split(' ');

/**
 * Names that break careless code: markup, formulas, quotes, separators, scripts of other directions, joined
 * emoji.
 */
export const ODD_TRACK_NAMES: readonly string[] = [
  'Glimmish 🌊 Drift 🚀',
  'שיר סינתטי',
  '</script><b>Loom</b>',
  '=1+1',
  'The "Quoted" Velm',
  'Comma, Comma, Lattice',
  "O'Quint's Cinders",
  'أغنية اصطناعية',
  'Fathoms 👨‍👩‍👧 Umbric',
  '@SUM(A1) & Sons',
  'Back\\slash\\Pylon',
  "'; drop table plays; --",
  'Zoë Ñandú Ørské ŁÓDŹ 合成',
  '-',
  `Long ${'Oscilla '.repeat(24)}(Extended)`,
];

export const ODD_ARTIST_NAMES: readonly string[] = [
  '🎛️ Tessel & Friends 🎛️',
  'Orrery, Loom "and" Quint',
  'فرقة اصطناعية',
  '=Dynamo()',
];

/** One name for each artist: `index` makes it unique once the pairs of words are used up. */
export function artistName(index: number): string {
  const pairs = QUALITIES.length * THINGS.length;
  // A step that shares no factor with the number of pairs visits every pair once before any comes again.
  const place = (index * 611) % pairs;
  const name = `${QUALITIES[place % QUALITIES.length]} ${THINGS[Math.floor(place / QUALITIES.length)]}`;
  const round = Math.floor(index / pairs);
  return round === 0 ? name : `${name} ${round + 1}`;
}

/** Titles repeat between artists now and then, as real ones do. */
export function trackName(random: Random): string {
  const thing = pick(random, THINGS);
  switch (random.int(6)) {
    case 0:
      return `${pick(random, DEEDS)} the ${thing}`;
    case 1:
      return `${pick(random, QUALITIES)} ${thing}`;
    case 2:
      return `${thing} (${pick(random, QUALITIES)} Mix)`;
    case 3:
      return `${pick(random, DEEDS)} ${pick(random, QUALITIES)} ${thing}`;
    case 4:
      return `${thing}, Pt. ${1 + random.int(4)}`;
    default:
      return `No ${thing} for ${pick(random, THINGS)}`;
  }
}

export function albumName(random: Random): string {
  const suffix = random.chance(0.12) ? ' (Deluxe)' : '';
  return `${pick(random, QUALITIES)} ${pick(random, THINGS)}${suffix}`;
}

export function showName(random: Random): string {
  return `The ${pick(random, QUALITIES)} ${pick(random, ['Briefing', 'Workshop', 'Almanac', 'Field Notes'])}`;
}

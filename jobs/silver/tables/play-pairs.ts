/** A recently-played item, or a scrobble, that may be a play of a better source. */
export interface PlayPair {
  item: string;
  /** `source_rank` of the item: items of one rank are paired off among themselves, the least rank first. */
  rank: number;
  play: string;
  /** Time of the item, Unix ms. */
  itemMs: number;
  /** End of the play, Unix ms. */
  playMs: number;
}

/**
 * A pair that was made, seen from a year: it decides about its own items and counts copies of its own
 * plays.
 */
export interface PlayMatch {
  item: string;
  play: string;
  isOfItem: boolean;
  isOfPlay: boolean;
}

/**
 * Pairs items off with plays, as seen from one year: only what lies in it or within the margin counts, so a
 * year's answer does not depend on what else is looked at. Each item takes one play, and of the items of
 * one rank at most one takes the same play. An item that has found its play stands for it: a scrobble that
 * is this item is that play.
 *
 * A song on repeat makes an item candidate of two plays: the end of one is the start of the next. In order
 * of time each item takes the play that ends first of those still free, which makes as many pairs as there
 * can be, whether the items hold starts or ends.
 *
 * @param candidates in order of user, item time, item, end of the play
 * @param fromMs first moment of the year; `toMs` is the first one after it
 */
export function pairOff(candidates: readonly PlayPair[], fromMs: number, toMs: number, marginMs: number): PlayMatch[] {
  const isNear = (ms: number): boolean => ms >= fromMs - marginMs && ms < toMs + marginMs;
  const isIn = (ms: number): boolean => ms >= fromMs && ms < toMs;
  const near = candidates.filter(({ itemMs, playMs }) => isNear(itemMs) && isNear(playMs));
  const matches: PlayMatch[] = [];
  /** By item: the play that it is, and when that ends. */
  const found = new Map<string, { play: string; playMs: number }>();
  for (const rank of [...new Set(near.map((pair) => pair.rank))].sort((a, b) => a - b)) {
    const taken = new Set<string>();
    for (const pair of near) {
      if (pair.rank !== rank || found.has(pair.item)) continue;
      const { play, playMs } = found.get(pair.play) ?? pair;
      if (taken.has(play)) continue;
      taken.add(play);
      found.set(pair.item, { play, playMs });
      const [isOfItem, isOfPlay] = [isIn(pair.itemMs), isIn(playMs)];
      if (isOfItem || isOfPlay) matches.push({ item: pair.item, play, isOfItem, isOfPlay });
    }
  }
  return matches;
}

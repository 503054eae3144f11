/** A recently-played item that may be a play of an export. */
export interface PlayPair {
  item: string;
  play: string;
  /** `played_at` of the item, Unix ms. */
  itemMs: number;
  /** End of the play, Unix ms. */
  playMs: number;
}

/** A pair that was made, seen from a year: it decides about its own items and counts copies of its own plays. */
export interface PlayMatch {
  item: string;
  play: string;
  isOfItem: boolean;
  isOfPlay: boolean;
}

/**
 * Pairs items off with plays, each at most once, as seen from one year: only what lies in it or within the margin counts, so a
 * year's answer does not depend on what else is looked at.
 *
 * A song on repeat makes an item candidate of two plays: the end of one is the start of the next. In order of time each item takes
 * the play that ends first of those still free, which makes as many pairs as there can be, whether the items hold starts or ends.
 *
 * @param candidates in order of user, item time, item, end of the play
 * @param fromMs first moment of the year; `toMs` is the first one after it
 */
export function pairOff(candidates: readonly PlayPair[], fromMs: number, toMs: number, marginMs: number): PlayMatch[] {
  const matches: PlayMatch[] = [];
  const items = new Set<string>();
  const plays = new Set<string>();
  const isNear = (ms: number): boolean => ms >= fromMs - marginMs && ms < toMs + marginMs;
  const isIn = (ms: number): boolean => ms >= fromMs && ms < toMs;
  for (const { item, play, itemMs, playMs } of candidates) {
    if (!isNear(itemMs) || !isNear(playMs) || items.has(item) || plays.has(play)) continue;
    items.add(item);
    plays.add(play);
    if (isIn(itemMs) || isIn(playMs)) matches.push({ item, play, isOfItem: isIn(itemMs), isOfPlay: isIn(playMs) });
  }
  return matches;
}

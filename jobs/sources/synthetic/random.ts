/** A seeded stream of random numbers. The same seed and path give the same stream on every machine. */
export interface Random {
  /** Uniform in [0, 1), in steps of 2^-32. */
  next(): number;
  /** A whole number, 0 inclusive to `below` exclusive; `below` at most 2^32. */
  int(below: number): number;
  /** True with probability `share` (0 to 1). */
  chance(share: number): boolean;
  /** Standard normal: mean 0, standard deviation 1. */
  normal(): number;
}

/** Draws indices 0 to n - 1 in proportion to n weights, at a cost that does not grow with n. */
export interface WeightedIndex {
  sample(random: Random): number;
}

/**
 * A generator of its own for each path below the seed, so that one part of the data set does not move when
 * another draws more. Algorithm: xoshiro128** (Blackman and Vigna), its state filled by a hash of seed and
 * path.
 *
 * @param seed whole number, 0 to 2^53 - 1
 * @param path names what the stream is for, e.g. `'events', 17`
 */
export function createRandom(seed: number, ...path: (string | number)[]): Random {
  let hash = mix(mix(0x9e3779b9 ^ (seed >>> 0)) ^ Math.floor(seed / 0x1_0000_0000));
  for (const step of path) {
    const text = String(step);
    for (let index = 0; index < text.length; index++) hash = mix(hash ^ text.charCodeAt(index));
    // A separator: ('a', 'bc') and ('ab', 'c') are different streams.
    hash = mix(hash ^ 0x1_ffff);
  }
  let a = mix(hash + 0x3c6ef372);
  let b = mix(a + 0x3c6ef372);
  let c = mix(b + 0x3c6ef372);
  let d = mix(c + 0x3c6ef372) | 1;
  let spare = Number.NaN;

  function next32(): number {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result >>> 0;
  }

  function next(): number {
    return next32() / 0x1_0000_0000;
  }

  return {
    next,
    int: (below) => Math.floor(next() * below),
    chance: (share) => next() < share,
    normal() {
      if (!Number.isNaN(spare)) {
        const kept = spare;
        spare = Number.NaN;
        return kept;
      }
      // Box and Muller: 1 - next() is never 0, which the logarithm could not take.
      const radius = Math.sqrt(-2 * Math.log(1 - next()));
      const angle = 2 * Math.PI * next();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
  };
}

/**
 * The alias method (Vose): O(n) to build, one draw in O(1).
 *
 * @param weights not negative, at least one above 0
 */
export function createWeightedIndex(weights: ArrayLike<number>): WeightedIndex {
  const size = weights.length;
  let sum = 0;
  for (let index = 0; index < size; index++) sum += weights[index]!;
  if (!(sum > 0)) throw new Error('createWeightedIndex: no weight above 0');
  const share = new Float64Array(size);
  const alias = new Uint32Array(size);
  const small: number[] = [];
  const large: number[] = [];
  for (let index = 0; index < size; index++) {
    share[index] = (weights[index]! * size) / sum;
    (share[index]! < 1 ? small : large).push(index);
  }
  while (small.length > 0 && large.length > 0) {
    const low = small.pop()!;
    const high = large.pop()!;
    alias[low] = high;
    share[high] = share[high]! - (1 - share[low]!);
    (share[high]! < 1 ? small : large).push(high);
  }
  // What is left differs from 1 by rounding only.
  for (const index of [...small, ...large]) share[index] = 1;
  return {
    sample(random) {
      const index = random.int(size);
      return random.next() < share[index]! ? index : alias[index]!;
    },
  };
}

/** A Poisson count (Knuth's product of uniforms): meant for means under about 20. */
export function poisson(random: Random, mean: number): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count++;
  return count;
}

/** One of the values, each equally likely. */
export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.int(values.length)]!;
}

const BASE62 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** An id of Spotify's shape: 22 characters of base 62. */
export function base62Id(random: Random): string {
  let id = '';
  for (let index = 0; index < 22; index++) id += BASE62[random.int(62)];
  return id;
}

function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return hash ^ (hash >>> 15);
}

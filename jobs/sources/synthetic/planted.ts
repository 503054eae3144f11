/** How often each fault or rarity is in the data, by name; a name that is absent stands for 0. */
export type Planted = Record<string, number>;

export function tally(planted: Planted, name: string, by = 1): void {
  planted[name] = (planted[name] ?? 0) + by;
}

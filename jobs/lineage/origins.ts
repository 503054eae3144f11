/**
 * How a value depends on a column: the subtypes of OpenLineage's column lineage
 * (https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet). The first three are direct:
 * the column's own values are in the result. The others decide which values or rows there are.
 */
export type How =
  /** The same value, also where it is cast to another type. */
  | 'identity'
  /** Computed from the value. */
  | 'transformation'
  /** Computed from the values of many rows. */
  | 'aggregation'
  | 'conditional'
  | 'window'
  | 'filter'
  | 'join'
  | 'group_by'
  | 'sort';

/** Column (`silver.plays.played_ms`, `dim_tracks.track_id`) to the ways in which something depends on it. */
export type Origins = ReadonlyMap<string, ReadonlySet<How>>;

export const NO_ORIGINS: Origins = new Map();

const DIRECT: readonly How[] = ['identity', 'transformation', 'aggregation'];

/** True where values of the column are in the result. */
export function isDirect(how: How): boolean {
  return DIRECT.includes(how);
}

/** All of them. */
export function union(...all: readonly Origins[]): Origins {
  const result = new Map<string, Set<How>>();
  for (const origins of all)
    for (const [column, hows] of origins) result.set(column, new Set([...(result.get(column) ?? []), ...hows]));
  return result;
}

/**
 * What a further step makes of them: of a sum that is divided an aggregation is left, and what only decides
 * about something that is used goes on deciding.
 */
export function through(origins: Origins, step: How): Origins {
  const compose = (how: How): How => {
    if (!isDirect(how)) return how;
    if (!isDirect(step)) return step;
    return DIRECT[Math.max(DIRECT.indexOf(how), DIRECT.indexOf(step))]!;
  };
  return new Map([...origins].map(([column, hows]) => [column, new Set([...hows].map(compose))]));
}

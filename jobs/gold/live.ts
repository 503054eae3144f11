/**
 * Live models: those that `run --follow` brings up to date round after round. They carry dbt's tag `live`; what
 * they read is built with them. The tables of all other models stay those of the version before until somebody
 * builds everything.
 */
import type { GoldVersion } from '../lake/manifest.ts';
import type { Project } from './project.ts';

const TAG = 'live';

/** A model, and which models it reads. */
interface Reader {
  model: { name: string };
  config: Record<string, unknown>;
  refs: ReadonlySet<string>;
}

/**
 * Names of all models that are not needed for a live one.
 *
 * @param nodes each after those that it reads
 */
export function notLive(nodes: readonly Reader[]): Set<string> {
  const live = new Set<string>();
  for (const { model, config, refs } of nodes.toReversed()) {
    if (![config.tags ?? []].flat().includes(TAG) && !live.has(model.name)) continue;
    for (const name of [model.name, ...refs]) live.add(name);
  }
  return new Set(nodes.map(({ model }) => model.name).filter((name) => !live.has(name)));
}

/**
 * True where the tables of the other models may stay: the version is of the same models, and of the same end of
 * the data, so that no two tables count back from two days.
 */
export function isKeepable(version: GoldVersion | undefined, { hash }: Pick<Project, 'hash'>, asOf: string): boolean {
  return version?.fingerprints !== undefined && version.modelsHash === hash && version.asOf === asOf;
}

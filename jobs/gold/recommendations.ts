/** What recommendations are worth, as the models have judged them. */
import type { EngineSession } from '../engine/index.ts';
import type { Project } from './project.ts';

/** The model that judges, and its one row. */
const QUALITY = 'recommendation_quality';
const COLUMNS = ['status', 'users', 'hit_rate', 'popularity_hit_rate'] as const;

/**
 * The row of `recommendation_quality`. Rates are shares of the recommended songs; null where nobody is
 * judged.
 */
export interface RecommendationQuality {
  /**
   * `published`, or why `track_recommendations` is empty: `no_plays`, `too_short`, `too_few`, `not_better`.
   */
  status: string;
  users: number;
  hitRate: number | null;
  popularityHitRate: number | null;
}

/** Reads it from the tables that the session has built; undefined for a project without that model. */
export async function recommendationQuality(
  session: EngineSession,
  project: Project,
): Promise<RecommendationQuality | undefined> {
  if (!project.models.has(QUALITY)) return undefined;
  const relation = await session.relation('run', QUALITY);
  const { rows } = await session.query(`select ${COLUMNS.join(', ')} from ${relation}`);
  const [status, users, hitRate, popularityHitRate] = rows[0]!;
  const share = (value: unknown): number | null => (value === null ? null : Number(value));
  return {
    status: String(status),
    users: Number(users),
    hitRate: share(hitRate),
    popularityHitRate: share(popularityHitRate),
  };
}

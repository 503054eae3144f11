import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { USER_LABEL } from '../base/config.ts';
import type { SqlEngine, SqlValue } from '../engine/index.ts';
import { WAREHOUSE_DIR } from '../lake/contracts.ts';
import type { Target } from '../lake/keys.ts';
import type { LakeState } from '../lake/manifest.ts';

/**
 * The choices behind the numbers, from the one place where the models take them: `vars` of
 * warehouse/dbt_project.yml.
 */
export interface Definitions {
  sessionGapMinutes: number;
  qualifiedPlaySeconds: number;
  isEndplaySkipped: boolean;
  isIncognitoIncluded: boolean;
  rankedTracks: number;
  exportSilenceDays: number;
}

/** What every section builds on: questions to gold, the definitions, and what there is at all. */
export interface Reading {
  /**
   * Rows of one select on gold as objects, 64-bit integers as numbers. `{in_reports}` in it becomes the
   * condition for plays that count, `{person}` the one for rows of the page's person (column `user_id`):
   * `true` on a page about everybody.
   */
  rows<T extends Record<string, string | number | boolean | null>>(
    sql: string,
    parameters?: readonly SqlValue[],
  ): Promise<T[]>;
  definitions: Definitions;
  totals: Totals;
  /** Names of gold's tables; those of an older version may lack some. */
  tables: ReadonlySet<string>;
  /** Whether the lengths of plays are known: then listening is counted in time, otherwise in plays. */
  isTimed: boolean;
  /** Whose page it is; undefined on a page about everybody. */
  userId?: string;
}

/** All of what counts in reports. Dates are local ones. */
export interface Totals extends Record<string, string | number | boolean | null> {
  plays: number;
  qualified_plays: number;
  /** In no number of the report but this one. */
  private_plays: number;
  /** Longer than a day: a broken counter. In no number of the report but this one. */
  implausible_plays: number;
  played_ms: number;
  plays_without_length: number;
  /** Of episodes, chapters and videos that are no known track. */
  episode_plays: number;
  chapter_plays: number;
  video_plays: number;
  /** Of nothing that a source names. */
  nameless_plays: number;
  /** Of these, without a URI as well. */
  unattributed_plays: number;
  users: number;
  songs: number;
  artists: number;
  days: number;
  skipped: number;
  finished: number;
  first_date: string | null;
  last_date: string | null;
}

const projectVars = z.object({
  session_gap_minutes: z.number(),
  qualified_play_ms: z.number(),
  is_endplay_skipped: z.boolean(),
  include_incognito: z.boolean(),
  top_tracks_max_rank: z.number(),
  export_silence_days: z.number(),
});

/**
 * Reads the definitions. @throws Error when the project's file lacks one: the report explains no number with
 * a guess
 */
export function readDefinitions(): Definitions {
  const project = z
    .object({ vars: projectVars })
    .parse(parseYaml(readFileSync(join(WAREHOUSE_DIR, 'dbt_project.yml'), 'utf8')));
  return {
    sessionGapMinutes: project.vars.session_gap_minutes,
    qualifiedPlaySeconds: project.vars.qualified_play_ms / 1000,
    isEndplaySkipped: project.vars.is_endplay_skipped,
    isIncognitoIncluded: project.vars.include_incognito,
    rankedTracks: project.vars.top_tracks_max_rank,
    exportSilenceDays: project.vars.export_silence_days,
  };
}

/** A further condition for plays that count, on columns of fct_plays, with a value for each `?` in it. */
export interface Narrowing {
  condition: string;
  parameters: readonly SqlValue[];
}

/** What a reader is for, besides gold of one target. */
export interface ReaderOptions {
  /** Whose rows `{person}` means; undefined: everybody's. */
  userId?: string | undefined;
  /** Narrows `{in_reports}`: numbers of marts, which are of all plays, do not follow it. */
  narrowing?: Narrowing;
  /** Told each statement as it is asked, with its values. */
  onAsk?: (statement: string, parameters: readonly SqlValue[]) => void;
}

/**
 * How questions reach gold of one target. Counts stay far below 2^53, where numbers are exact. Text of a
 * statement holds no `?` but those that stand for a value.
 *
 * @throws Error for a label that `load` would not take: it stands in the statement as it is
 */
export function reader(
  engine: SqlEngine,
  target: Target,
  definitions: Definitions,
  { userId, narrowing, onAsk }: ReaderOptions = {},
): Reading['rows'] {
  if (userId !== undefined && !USER_LABEL.test(userId)) throw new Error(`${JSON.stringify(userId)} is no label`);
  const person = userId === undefined ? 'true' : `user_id = '${userId}'`;
  const plain = definitions.isIncognitoIncluded ? 'not is_implausible' : '(not is_incognito and not is_implausible)';
  const condition = narrowing === undefined ? plain : `(${plain} and ${narrowing.condition})`;
  return async <T extends Record<string, string | number | boolean | null>>(
    sql: string,
    parameters: readonly SqlValue[] = [],
  ): Promise<T[]> => {
    const given = [...parameters];
    const values: SqlValue[] = [];
    // In the order in which they stand: the values of a narrowing lie between those of the question.
    const statement = sql.replace(/\{in_reports\}|\{person\}|\?/g, (mark) => {
      if (mark === '{person}') return person;
      if (mark === '{in_reports}') values.push(...(narrowing?.parameters ?? []));
      else values.push(given.shift()!);
      return mark === '?' ? mark : condition;
    });
    onAsk?.(statement, values);
    const result = await engine.query(statement, { target, parameters: values });
    return result.rows.map((row) => {
      const entries = result.columns.map(({ name, type }, index) => [name, plainValue(row[index] ?? null, type)]);
      return Object.fromEntries(entries) as T;
    });
  };
}

function plainValue(value: SqlValue, type: string): string | number | boolean | null {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'string' && type.startsWith('decimal')) return Number(value);
  return value;
}

/**
 * Names of the tables that readers see of one gold, by the lake itself: each engine's catalog has a name of
 * its own for the schema.
 *
 * @param state undefined: of a lake without a commit
 */
export function publishedTables(state: LakeState | undefined, target: Target): ReadonlySet<string> {
  return new Set(Object.keys(state?.gold[target]?.tables ?? {}));
}

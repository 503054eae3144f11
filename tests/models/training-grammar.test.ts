/**
 * What `train` asks an engine, looked at without the other engine: it parses as Trino's, with shared
 * functions.
 */
import type { EngineSession } from '../../jobs/engine/index.ts';
import { trainSkipModel } from '../../jobs/training/skip-model.ts';
import { openLakeFixture } from '../fixtures/effects.ts';
import { KNOWABLE, listeningOf } from '../fixtures/listening-features.ts';
import { emptySession, selectOf } from '../fixtures/observations.ts';
import { SHARED_FUNCTIONS } from './sql-functions.ts';
import { openTrinoGrammar } from './trino-grammar.ts';

/**
 * Called by `train` beside those of the models: doubles in, doubles out, the same on both but for the last
 * digit.
 */
const OF_DOUBLES = ['exp', 'ln', 'stddev_pop'];

it('every statement of a training that is published parses as Trino, and calls functions that both engines have', async () => {
  const grammar = await openTrinoGrammar();
  const lake = await openLakeFixture();
  const asked: string[] = [];
  try {
    const session = await emptySession(lake);
    const select = await selectOf(session, 'features', listeningOf(1, { users: 40, plays: 100, skip: KNOWABLE }));
    const recorded: EngineSession = {
      ...session,
      query: async (sql, parameters) => {
        asked.push(sql);
        return session.query(sql, parameters);
      },
    };
    const { predictions } = await trainSkipModel(recorded, {
      model_features: `(${select})`,
      int_track_identity: "(select 't1' as source_track_id, 't0' as track_id)",
      fct_plays: "(select 'skipped' as verdict, 'events' as source)",
    });
    asked.push(predictions!);
    await session.close();
  } finally {
    await lake.close();
  }
  expect(asked.length).toBeGreaterThan(10);
  // Athena's limit on the text of a statement.
  expect(Math.max(...asked.map((sql) => sql.length))).toBeLessThan(262_144);
  for (const sql of asked) {
    expect(grammar.faults(sql)).toEqual([]);
    const unknown = grammar.functions(sql).filter((name) => ![...SHARED_FUNCTIONS, ...OF_DOUBLES].includes(name));
    expect(unknown).toEqual([]);
  }
});

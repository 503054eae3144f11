/** Sessions and overlaps of fct_plays against a plain loop over the plays, however the plays came in. */
import fc from 'fast-check';
import { enrich } from '../../jobs/enrich.ts';
import { openLakeFixture, projectOfModels, type Row } from '../fixtures/effects.ts';

const AS_OF = '2026-03-01T00:00:00.000Z';
const GAP_MS = 30 * 60_000;
const DAY_MS = 86_400_000;
/** Half of the plays are of the year before. */
const NEW_YEAR_MS = Date.UTC(2026, 0, 1);

interface Play {
  user: string;
  endedMs: number;
  playedMs: number;
  /** In which run it comes in. */
  run: number;
}

const RUNS = 3;
const USERS = Array.from({ length: 8 }, (_, n) => `u${n}`);
const plays = fc.array(
  fc.record({
    user: fc.constantFrom(...USERS),
    // On few instants, so that plays lie in each other, touch, and leave gaps of exactly half an hour.
    endedMs: fc.integer({ min: -20, max: 20 }).map((quarters) => NEW_YEAR_MS + quarters * 900_000),
    playedMs: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(0, 1, 180_000, 900_000, 2_700_000) },
      { weight: 1, arbitrary: fc.constant(DAY_MS + 1) },
    ),
    run: fc.integer({ min: 0, max: RUNS - 1 }),
  }),
  { minLength: 30, maxLength: 80 },
);

it('any split of the plays into runs gives the sessions that a loop over all of them draws', async () => {
  const project = projectOfModels('fct_plays');
  await fc.assert(
    fc.asyncProperty(plays, async (given) => {
      const lake = await openLakeFixture();
      try {
        const rows = given.map(rowOf);
        for (let run = 0; run < RUNS; run += 1) {
          await lake.commitSilver({ plays: rows.filter((_, n) => given[n]!.run <= run) });
          await enrich({ runId: `run-${run}`, asOf: AS_OF, project }, lake.effects);
        }
        const found = await lake.engine.query('select play_id, session_id, is_overlap from fct_plays order by play_id');
        expect(found.rows).toEqual(drawn(given));
      } finally {
        await lake.close();
      }
    }),
    { numRuns: 3, endOnFailure: true },
  );
});

function rowOf({ user, endedMs, playedMs }: Play, n: number): Row {
  return {
    ...{ play_id: idOf(n), user_id: user, source: 'export', content_type: 'track', track_id: `t${n % 3}` },
    ...{ started_at: timeOf(endedMs - playedMs), ended_at: timeOf(endedMs), played_ms: playedMs },
  };
}

/** By play id: the session, and whether the play began while another one was on. */
function drawn(given: readonly Play[]): unknown[] {
  const result: [string, string | null, boolean][] = [];
  const ordered = given
    .map((play, n) => ({ ...play, id: idOf(n), startedMs: play.endedMs - play.playedMs }))
    .sort((a, b) => a.startedMs - b.startedMs || a.endedMs - b.endedMs || (a.id < b.id ? -1 : 1));
  for (const user of USERS) {
    let busyMs = Number.NEGATIVE_INFINITY;
    let sessionMs = 0;
    for (const { id, startedMs, endedMs, playedMs } of ordered.filter((play) => play.user === user)) {
      if (playedMs > DAY_MS) {
        result.push([id, null, false]);
        continue;
      }
      if (startedMs - busyMs >= GAP_MS) sessionMs = startedMs;
      result.push([id, `${user}:${sessionMs}`, startedMs < busyMs]);
      busyMs = Math.max(busyMs, endedMs);
    }
  }
  return result.sort(([a], [b]) => (a < b ? -1 : 1));
}

function idOf(n: number): string {
  return `p${String(n).padStart(3, '0')}`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, -1).replace('T', ' ');
}

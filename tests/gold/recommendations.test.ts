/**
 * Recommendations on generated listening: published where songs of one taste are heard together, refused
 * where listening is random, and the same as plain loops over the same plays count.
 */
import { DAY_MS } from '../../jobs/base/time.ts';
import { enrich } from '../../jobs/enrich.ts';
import { createRandom, type Random } from '../../jobs/sources/synthetic/random.ts';
import { type LakeFixture, openLakeFixture, projectOfModels, type Row } from '../fixtures/effects.ts';

const END_MS = Date.UTC(2026, 2, 1);
const DAYS = 84;
const HELD_OUT = 28;
const LISTED = 50;
const TASTES = 6;
const SONGS = 80;
const project = projectOfModels('track_recommendations');

interface Play {
  user: string;
  /** Days from the first one; a user has one session a day at most. */
  day: number;
  song: number;
}

/** Each session is of ten songs: of the user's taste, or (`isRandom`) of any. */
function listening(users: number, isRandom: boolean): Play[] {
  return Array.from({ length: users }, (_, n) => {
    const random: Random = createRandom(3, 'recommendations', n);
    const taste = n % TASTES;
    return Array.from({ length: DAYS / 2 }, (_, session) =>
      Array.from({ length: 10 }, () => ({
        user: `user-${String(n).padStart(2, '0')}`,
        day: session * 2 + 1,
        song: random.int(SONGS) * TASTES + (isRandom ? random.int(TASTES) : taste),
      })),
    );
  }).flat(2);
}

async function withGold<T>(plays: readonly Play[], action: (lake: LakeFixture) => Promise<T>): Promise<T> {
  const lake = await openLakeFixture();
  try {
    await lake.commitSilver({ listening_events: plays.map(rowOf) });
    await enrich({ runId: 'run', asOf: new Date(END_MS).toISOString(), project }, lake.effects);
    return await action(lake);
  } finally {
    await lake.close();
  }
}

function rowOf({ user, day, song }: Play, n: number): Row {
  const at = END_MS - (DAYS - day) * DAY_MS + 36_000_000 + (n % 10) * 60_000;
  return {
    ...{ event_id: `e${n}`, user_id: user, session_id: `d${day}`, track_id: trackOf(song), played_ms: 60_000 },
    ...{ track_name: `Song ${trackOf(song)}`, artist_name: 'Artist', action: 'play' },
    occurred_at: new Date(at).toISOString().replace('T', ' ').slice(0, -1),
  };
}

/** In the order of their numbers. */
function trackOf(song: number): string {
  return `t${String(song).padStart(4, '0')}`;
}

it('tastes that users share are found: what is published, and how good it is, are what loops count', async () => {
  const plays = listening(36, false);
  await withGold(plays, async ({ engine }) => {
    const { rows } = await engine.query(
      'select user_id, rank, track_id, score, because_track_id from track_recommendations order by 1, 2',
    );
    const lists = recommended(plays, 0);
    expect(rows.length).toBeGreaterThan(36 * 10);
    const counted = [...lists].flatMap(([user, list]) =>
      list.map(({ song, score, because }, n) => [
        ...[user, n + 1, trackOf(song), Math.round(score * 1e6) / 1e6],
        trackOf(because),
      ]),
    );
    expect(rows).toEqual(counted);
    // Never another taste, since nothing links two of them.
    for (const [user, , track] of rows as [string, number, string][])
      expect(Number(track.slice(1)) % TASTES).toBe(Number(user.slice(-2)) % TASTES);

    const quality = await engine.query(
      'select status, users, hits, popularity_hits, clusters from recommendation_quality',
    );
    const [hits, popularityHits] = [hitsOf(plays, recommended(plays, HELD_OUT)), hitsOf(plays, popular(plays))];
    const differing = [...hits].filter(([user, count]) => count !== popularityHits.get(user)).length;
    const total = (counts: Map<string, number>): bigint => BigInt([...counts.values()].reduce((a, b) => a + b, 0));
    expect(quality.rows).toEqual([['published', 36n, total(hits), total(popularityHits), BigInt(differing)]]);
  });
});

it('random listening is not told from the most popular songs: nothing is published', async () => {
  await withGold(listening(36, true), async ({ engine }) => {
    const { rows } = await engine.query('select status, hits > 0, popularity_hits > 0 from recommendation_quality');
    expect(rows).toEqual([['not_better', true, true]]);
    expect((await engine.query('select count(*) from track_recommendations')).rows).toEqual([[0n]]);
  });
});

it('one person alone is told from their own sessions, and judged by them', async () => {
  // Four moods of 112 days each, then the first one again: its songs come back, and no list of favourites
  // knows.
  const random = createRandom(4, 'moods');
  const plays = Array.from({ length: 252 }, (_, session) =>
    Array.from({ length: 20 }, () => ({
      ...{ user: 'me', day: DAYS - 1 - 2 * (251 - session) },
      song: random.int(300) * 4 + (Math.floor(session / 56) % 4),
    })),
  ).flat();
  await withGold(plays, async ({ engine }) => {
    const { rows } = await engine.query(
      'select status, users, hits > 2 * popularity_hits, clusters >= 10 from recommendation_quality',
    );
    expect(rows).toEqual([['published', 1n, true, true]]);
    const listed = await engine.query('select rank, track_id from track_recommendations order by rank');
    expect(listed.rows).toEqual(
      recommended(plays, 0)
        .get('me')!
        .map(({ song }, n) => [n + 1, trackOf(song)]),
    );
  });
});

type List = { song: number; score: number; because: number }[];

/** User to list, told from what lies `without` days or more before the user's end. */
function recommended(all: readonly Play[], without: number): Map<string, List> {
  const plays = all.filter((play) => beforeEnd(play) >= without);
  const sessions = new Map<number, Set<string>>();
  for (const { user, day, song } of plays) sessions.set(song, (sessions.get(song) ?? new Set()).add(`${user}/${day}`));
  const neighbours = new Map([...sessions].map(([song]) => [song, nearest(song, sessions)]));
  return new Map(
    [...Map.groupBy(plays, ({ user }) => user)].map(([user, own]) => {
      const recent = recentOf(own, without);
      const seeds = [...recent]
        .map(([song, days]) => ({ song, sessions: new Set(days).size, last: Math.min(...days) }))
        .sort((a, b) => b.sessions - a.sessions || a.last - b.last || a.song - b.song)
        .slice(0, 25);
      const found = new Map<number, { sum: number; most: number; because: number }>();
      for (const { song: seed } of seeds) {
        for (const { song, cosine } of neighbours.get(seed) ?? []) {
          if (recent.has(song)) continue;
          const { sum = 0, most = -1, because = seed } = found.get(song) ?? {};
          const isNearer = cosine > most;
          found.set(song, { sum: sum + cosine, most: isNearer ? cosine : most, because: isNearer ? seed : because });
        }
      }
      const list = [...found].map(([song, { sum, because }]) => ({ song, score: sum / seeds.length / 1e9, because }));
      return [user, list.sort((a, b) => b.score - a.score || a.song - b.song).slice(0, LISTED)] as const;
    }),
  );
}

/** In billionths, so that sums are the same in every order. */
function nearest(song: number, sessions: Map<number, Set<string>>): { song: number; cosine: number }[] {
  const own = sessions.get(song)!;
  return [...sessions]
    .filter(([other]) => other !== song)
    .map(([other, theirs]) => ({
      song: other,
      together: [...own].filter((session) => theirs.has(session)).length,
      size: theirs.size,
    }))
    .filter(({ together }) => together >= 2)
    .map(({ song: other, together, size }) => ({ song: other, exact: together / Math.sqrt(own.size * size) }))
    .sort((a, b) => b.exact - a.exact || a.song - b.song)
    .slice(0, 50)
    .map(({ song: other, exact }) => ({ song: other, cosine: Math.round(exact * 1e9) }));
}

function popular(all: readonly Play[]): Map<string, { song: number }[]> {
  const plays = all.filter((play) => beforeEnd(play) >= HELD_OUT);
  const ranked = [...Map.groupBy(plays, ({ song }) => song)]
    .map(([song, own]) => ({
      song,
      users: new Set(own.map(({ user }) => user)).size,
      sessions: new Set(own.map(({ user, day }) => `${user}/${day}`)).size,
    }))
    .sort((a, b) => b.users - a.users || b.sessions - a.sessions || a.song - b.song);
  return new Map(
    [...Map.groupBy(plays, ({ user }) => user)].map(([user, own]) => {
      const recent = recentOf(own, HELD_OUT);
      return [user, ranked.filter(({ song }) => !recent.has(song)).slice(0, LISTED)] as const;
    }),
  );
}

/** Song to the days before the end on which it was heard in the last 28 days of the period. */
function recentOf(own: readonly Play[], without: number): Map<number, number[]> {
  const recent = own.filter((play) => beforeEnd(play) < without + HELD_OUT);
  return new Map(
    [...Map.groupBy(recent, ({ song }) => song)].map(([song, plays]) => [song, plays.map(beforeEnd)] as const),
  );
}

function hitsOf(plays: readonly Play[], lists: Map<string, { song: number }[]>): Map<string, number> {
  const heard = new Set(plays.filter((play) => beforeEnd(play) < HELD_OUT).map(({ user, song }) => `${user}/${song}`));
  return new Map(
    [...lists].map(([user, list]) => [user, list.filter(({ song }) => heard.has(`${user}/${song}`)).length] as const),
  );
}

/** Everybody's last session is on the last day but one. */
function beforeEnd({ day }: Play): number {
  return DAYS - 1 - day;
}

/** The tables of a person's story, counted a second time: loops over the rows of silver, without SQL. */
import fc from 'fast-check';
import { enrich } from '../../jobs/enrich.ts';
import { openLakeFixture, projectOfModels, type Row } from '../fixtures/effects.ts';

const AS_OF = '2026-01-01';
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2023, 11, 20);
const TABLES = ['listening_streaks', 'discoveries', 'yearly_top', 'listening_years', 'artist_evolution'];
/** Country to time zone; nobody lives in QQ. */
const ZONES: Record<string, string> = {
  DE: 'Europe/Berlin',
  US: 'America/New_York',
  NZ: 'Pacific/Auckland',
};
/** What one account export of a person covers: of bob's 2024 a little less than 95 %. */
const COVERED: Record<string, [number, number]> = {
  ann: [Date.UTC(2023, 11, 25), Date.UTC(2025, 11, 31, 12)],
  bob: [Date.UTC(2024, 0, 20), Date.UTC(2026, 0, 1)],
};

/** One play as it is drawn: `what` is a number that stands for something to hear. */
interface Drawn {
  user: string;
  what: number;
  endedMs: number;
  playedMs: number | null;
  country: string | null;
  isPrivate: boolean;
}

/** One play as a person's tables see it. */
interface Play {
  user: string;
  date: string;
  endedMs: number;
  playedMs: number | null;
  items: Partial<Record<Kind, string>>;
}

type Kind = 'song' | 'artist' | 'album' | 'show';
const KINDS: readonly Kind[] = ['song', 'artist', 'album', 'show'];

const instants = fc.oneof(
  fc.integer({ min: 0, max: 745 * 4 }).map((quarter) => START_MS + quarter * (DAY_MS / 4)),
  // Days in a row, and the last days of the windows of a discovery.
  fc.integer({ min: 400, max: 430 }).map((day) => START_MS + day * DAY_MS),
  fc.constantFrom(0, 29, 30, 31, 90, 91, 365, 366).map((day) => START_MS + day * DAY_MS),
  // Around New Year, where local years differ, and around as_of.
  fc
    .tuple(fc.constantFrom(2024, 2025, 2026), fc.integer({ min: -14, max: 14 }))
    .map(([year, hour]) => Date.UTC(year, 0, 1, hour)),
);
const plays: fc.Arbitrary<Drawn[]> = fc.array(
  fc.record({
    user: fc.constantFrom('ann', 'ann', 'bob', 'cyd', 'crowd'),
    what: fc.integer({ min: 0, max: 11 }),
    endedMs: instants,
    // Few lengths, so that much is equal.
    playedMs: fc.constantFrom(null, 0, 29_999, 30_000, 60_000, 60_000, 180_000, DAY_MS + 1),
    country: fc.constantFrom(null, 'DE', 'US', 'NZ', 'QQ'),
    isPrivate: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  }),
  { minLength: 250, maxLength: 350 },
);

it('models and loops find the same streaks, discoveries, tops, years and artists', async () => {
  await fc.assert(
    fc.asyncProperty(plays, async (drawn) => {
      const lake = await openLakeFixture();
      try {
        await lake.commitSilver(silverOf(drawn));
        await enrich({ runId: 'recount', asOf: AS_OF, project: projectOfModels(...TABLES) }, lake.effects);
        const heard = heardOf(drawn);
        const expected: Record<string, Row[]> = {
          listening_streaks: byPerson(heard, streaks),
          discoveries: byPerson(heard, discoveries),
          yearly_top: byPerson(heard, tops),
          listening_years: byPerson(heard, years),
          artist_evolution: byPerson(heard, evolution),
        };
        for (const table of TABLES) {
          const columns = Object.keys(expected[table]![0]!);
          const { rows } = await lake.engine.query(`select ${columns.join(', ')} from ${table}`);
          const found = rows.map((row) => Object.fromEntries(row.map((value, n) => [columns[n]!, value])));
          expect([table, comparable(found)]).toEqual([table, comparable(expected[table]!)]);
        }
      } finally {
        await lake.close();
      }
    }),
    { numRuns: 6, endOnFailure: true },
  );
});

/** Own plays of ann, bob and cyd; crowd has listening events only, and cyd has some, too. */
function silverOf(drawn: readonly Drawn[]): Record<string, Row[]> {
  const numbered = drawn.map((play, n) => ({ ...play, id: `p${n}` }));
  const rows = numbered.filter((play) => !isEvent(play)).map(ownRow);
  const files = Object.entries(COVERED).map(([user_id, [first, last]]) => ({
    ...{ user_id, source: 'export_extended', file_number: 0, stretch: 1, is_music: true, plays: 9900 },
    ...{ first_at: timeOf(first), last_at: timeOf(last), source_key: user_id },
  }));
  return { plays: rows, export_files: files, listening_events: numbered.filter(isEvent).map(eventRow) };
}

function isEvent({ user, what }: Drawn): boolean {
  return user === 'crowd' || (user === 'cyd' && what === 0);
}

function ownRow({ id, user, what, endedMs, playedMs, country, isPrivate }: Drawn & { id: string }): Row {
  return {
    ...{ play_id: id, user_id: user, source: playedMs === null ? 'api' : 'export_extended' },
    ...{ ended_at: timeOf(endedMs), started_at: timeOf(endedMs - (playedMs ?? 0)), played_ms: playedMs },
    ...{ country, is_incognito: isPrivate, ...namesOf(what) },
  };
}

function eventRow({ id, user, endedMs, playedMs, country }: Drawn & { id: string }): Row {
  return {
    ...{ event_id: id, user_id: user, action: 'play', occurred_at: timeOf(endedMs), played_ms: playedMs, country },
    ...{ track_id: 'e0', track_name: 'Event', artist_name: 'Crowd', session_id: id, is_skipped: false },
  };
}

/**
 * 0 to 5: two recordings of each of three songs, on two albums. 6 to 8: songs without ids, in two spellings.
 * 9: a podcast. 10: a video. 11: nothing that a name is known of.
 */
function namesOf(what: number): Row {
  const artist_name = `Act ${what % 2}`;
  if (what < 6) {
    const names = { track_name: `Song ${what % 3}`, artist_name: `Act ${what % 3}`, album_name: `Album ${what}` };
    return { ...names, content_type: 'track', track_id: `t${what}`, content_uri: `spotify:track:t${what}` };
  }
  if (what < 9) {
    const track_name = what === 8 ? 'LOOSE  7' : `Loose ${what}`;
    return { track_name, artist_name: what === 8 ? 'act 1' : artist_name, album_name: 'Demos', content_type: 'track' };
  }
  if (what === 9) {
    return { content_type: 'episode', content_uri: 'spotify:episode:e', track_name: 'Pilot', album_name: 'Talk' };
  }
  return { content_type: what === 10 ? 'video' : 'unknown' };
}

/** The keys of what is heard, made by hand as gold makes them of names. */
function itemsOf(play: Drawn): Play['items'] {
  if (isEvent(play)) return { song: 'name:crowd|event', artist: 'name:crowd' };
  const { what } = play;
  if (what < 6) {
    const act = `name:act ${what % 3}`;
    return { song: `${act}|song ${what % 3}`, artist: act, album: `${act}|album ${what}` };
  }
  if (what < 9) {
    const act = `name:act ${what === 8 ? 1 : what % 2}`;
    return { song: `${act}|loose ${what === 8 ? 7 : what}`, artist: act, album: `${act}|demos` };
  }
  return what === 9 ? { show: 'name:talk' } : {};
}

function heardOf(drawn: readonly Drawn[]): Play[] {
  return drawn
    .filter((play) => play.user !== 'crowd' && (!play.isPrivate || isEvent(play)) && (play.playedMs ?? 0) <= DAY_MS)
    .map((play) => ({ ...play, date: localDate(play), items: itemsOf(play) }))
    .filter(({ date }) => date < AS_OF);
}

/** As Intl tells it, which has a time zone database of its own. */
function localDate({ endedMs, country }: Drawn): string {
  const timeZone = ZONES[country ?? ''] ?? 'UTC';
  return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' }).format(endedMs);
}

function byPerson(heard: readonly Play[], count: (plays: Play[], user: string) => Row[]): Row[] {
  return [...Map.groupBy(heard, ({ user }) => user)].flatMap(([user, own]) =>
    count(own, user).map((row) => ({ user_id: user, ...row })),
  );
}

function streaks(own: Play[]): Row[] {
  const days = new Set(own.filter(({ playedMs }) => playedMs === null || playedMs >= 30_000).map(({ date }) => date));
  const runs: { first_date: string; last_date: string; days: number }[] = [];
  for (const date of [...days].sort()) {
    const run = runs.at(-1);
    if (run !== undefined && later(run.last_date, 1) === date)
      Object.assign(run, { last_date: date, days: run.days + 1 });
    else runs.push({ first_date: date, last_date: date, days: 1 });
  }
  const longest = runs.find((run) => run.days === Math.max(...runs.map(({ days }) => days)));
  return runs.map((run) => ({ ...run, is_longest: run === longest, is_current: run.last_date >= later(AS_OF, -1) }));
}

function discoveries(own: Play[]): Row[] {
  const start = firstDate(own);
  return (['song', 'artist'] as const).flatMap((kind) =>
    itemGroups(own, kind).map(([item, of]) => {
      const first = firstDate(of);
      // From the second play on, in the order of dates.
      const following = of
        .map(({ date }) => date)
        .sort()
        .slice(1);
      const within = (days: number): number | null =>
        later(first, days) < AS_OF ? following.filter((date) => date <= later(first, days)).length : null;
      const stayed = following.some((date) => date >= later(first, 31) && date <= later(first, 365));
      return {
        ...{ kind, item, first_date: first, is_at_start: first < later(start, 90) },
        ...{ plays_30_days: within(30), plays_90_days: within(90), plays_365_days: within(365) },
        ...{ stayed: within(365) === null ? null : stayed },
      };
    }),
  );
}

function tops(own: Play[]): Row[] {
  const ranked = (kind: Kind, measure: string, of: Play[]): { item: string; value: number }[] =>
    itemGroups(of, kind)
      .map(([item, plays]) => ({ item, plays: plays.length, minutes: minutes(plays) }))
      .sort((a, b) => {
        const [more, then] = measure === 'plays' ? (['plays', 'minutes'] as const) : (['minutes', 'plays'] as const);
        return b[more] - a[more] || b[then] - a[then] || (a.item < b.item ? -1 : 1);
      })
      .map(({ item, ...counts }) => ({ item, value: measure === 'plays' ? counts.plays : counts.minutes }));
  return yearGroups(own).flatMap(([year, of, before]) =>
    KINDS.flatMap((kind) =>
      ['minutes', 'plays'].flatMap((measure) => {
        const old = ranked(kind, measure, before).map(({ item }) => item);
        return ranked(kind, measure, of).map(({ item, value }, n) => ({
          ...{ year, kind, measure, rank: n + 1, item, value },
          previous_rank: old.includes(item) ? old.indexOf(item) + 1 : null,
          first_played_at: timeOf(Math.min(...own.filter(({ items }) => items[kind] === item).map((p) => p.endedMs))),
        }));
      }),
    ),
  );
}

function years(own: Play[], user: string): Row[] {
  return yearGroups(own).map(([year, of, before]) => {
    const songPlays = of.filter(({ items }) => items.song !== undefined).length;
    const songs = itemGroups(of, 'song').length;
    const fresh = (kind: Kind): number =>
      itemGroups(own, kind).filter(([, plays]) => year === 'all' || firstDate(plays).startsWith(year)).length;
    const areWhole =
      year !== 'all' && coveredRate(user, Number(year)) >= 0.95 && coveredRate(user, Number(year) - 1) >= 0.95;
    const old = minutes(before);
    return {
      ...{ year, minutes: minutes(of), plays: of.length, song_plays: songPlays, songs },
      unknown_length_plays: of.filter(({ playedMs }) => playedMs === null).length,
      ...{ artists: itemGroups(of, 'artist').length, albums: itemGroups(of, 'album').length },
      ...{ new_songs: fresh('song'), new_artists: fresh('artist') },
      repeat_rate: songPlays === 0 ? null : 1 - songs / songPlays,
      change: areWhole && old > 0 ? minutes(of) / old - 1 : null,
      covered_rate: year === 'all' ? null : coveredRate(user, Number(year)),
    };
  });
}

function evolution(own: Play[]): Row[] {
  const months = Map.groupBy(own, ({ date }) => `${date.slice(0, 7)}-01`);
  return [...months].flatMap(([month_start, of]) => {
    const all = minutes(of.filter(({ items }) => items.artist !== undefined));
    return itemGroups(of, 'artist')
      .map(([artist_id, plays]) => ({ artist_id, plays: plays.length, minutes: minutes(plays) }))
      .sort((a, b) => b.minutes - a.minutes || b.plays - a.plays || (a.artist_id < b.artist_id ? -1 : 1))
      .map((row, n) => ({ ...row, month_start, share: all === 0 ? null : row.minutes / all, rank: n + 1 }));
  });
}

/** Each year with its plays and those of the year before, and `all`. */
function yearGroups(own: Play[]): [string, Play[], Play[]][] {
  const groups = Map.groupBy(own, ({ date }) => date.slice(0, 4));
  const before = (year: string): Play[] => groups.get(String(Number(year) - 1)) ?? [];
  return [...[...groups].map(([year, of]): [string, Play[], Play[]] => [year, of, before(year)]), ['all', own, []]];
}

function itemGroups(of: Play[], kind: Kind): [string, Play[]][] {
  const named = of.filter(({ items }) => items[kind] !== undefined);
  return [...Map.groupBy(named, ({ items }) => items[kind]!)];
}

function coveredRate(user: string, year: number): number {
  const [first, last] = COVERED[user] ?? [0, 0];
  const [from, to] = [Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)];
  return Math.max(0, Math.min(last, to) - Math.max(first, from)) / (to - from);
}

function firstDate(of: readonly Play[]): string {
  return of.map(({ date }) => date).sort()[0]!;
}

function minutes(of: readonly Play[]): number {
  return of.reduce((sum, { playedMs }) => sum + (playedMs ?? 0), 0) / 60_000;
}

function later(date: string, days: number): string {
  return new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, -1).replace('T', ' ');
}

/** In one order, integers as numbers, fractions to nine digits. */
function comparable(rows: readonly Row[]): string[] {
  const plain = (value: unknown): unknown => {
    if (typeof value === 'bigint') return Number(value);
    return typeof value === 'number' ? Number(value.toPrecision(9)) : value;
  };
  return rows.map((row) => JSON.stringify(Object.entries(row).map(([name, value]) => [name, plain(value)]))).sort();
}

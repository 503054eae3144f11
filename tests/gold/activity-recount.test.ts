/**
 * Numbers of activity against a second way of counting: plain loops over the same rows of silver, on random
 * listening with ties, private plays, unknown lengths, time zones and events of several users.
 */
import fc from 'fast-check';
import type { SqlValue } from '../../jobs/engine/index.ts';
import { enrich } from '../../jobs/enrich.ts';
import { type LakeFixture, openLakeFixture, projectOfModels, type Row } from '../fixtures/effects.ts';

const AS_OF = '2026-03-01T00:00:00.000Z';
const MIDDLE_MS = Date.UTC(2026, 1, 20);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const GAP_MS = 30 * MINUTE_MS;
const ZONES: Record<string, string> = { DE: 'Europe/Berlin', JP: 'Asia/Tokyo', AU: 'Australia/Sydney' };
const TRACKS = Array.from({ length: 6 }, (_, n) => ({ id: `t${n}`, name: `Song ${n}`, artist: `Artist ${n % 3}` }));

const user = fc.constantFrom('u0', 'u1', 'u2');
const track = fc.integer({ min: 0, max: TRACKS.length - 1 });
const country = fc.constantFrom('DE', 'JP', 'AU', null);
/** On few instants around midnights, so that times are equal, plays overlap, and local dates differ. */
const endedMs = fc.integer({ min: -40, max: 40 }).map((n) => MIDDLE_MS + n * 6 * 3_600_000 + (n % 5) * 12 * MINUTE_MS);
const own = fc.record({
  ...{ user, track, country, endedMs },
  playedMs: fc.constantFrom(0, 29_999, 30_000, 180_000, 1_500_000, null, DAY_MS + 1),
  reason: fc.constantFrom('trackdone', 'fwdbtn', 'backbtn', 'endplay', 'logout'),
  isSkipped: fc.constantFrom(true, false, null),
  isPrivate: fc.constantFrom(false, false, false, true),
});
const event = fc.record({
  ...{ user, track, country, endedMs },
  action: fc.constantFrom('play', 'play', 'skip', 'add_to_playlist', 'pause'),
  session: fc.constantFrom('s1', 's2', null),
  playedMs: fc.constantFrom(10_000, 200_000),
});
type Own = typeof own extends fc.Arbitrary<infer T> ? T : never;
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** A play as both ways know it. */
interface Play {
  id: string;
  user: string;
  track: number;
  startedMs: number;
  endedMs: number;
  playedMs: number | null;
  verdict: 'skipped' | 'finished' | 'neutral';
  country: string | null;
  session: string | null;
  isPrivate: boolean;
}

it('plays, users, sessions, skips, engagement and rankings are what loops over silver count', async () => {
  const project = projectOfModels(
    ...['daily_aggregates', 'fct_user_activity', 'skip_rate_by_track', 'top_tracks', 'artist_rankings'],
  );
  const listening = fc.tuple(
    fc.array(own, { minLength: 40, maxLength: 80 }),
    fc.array(event, { minLength: 30, maxLength: 60 }),
  );
  await fc.assert(
    fc.asyncProperty(listening, async ([owns, events]) => {
      const lake = await openLakeFixture();
      try {
        await lake.commitSilver({ plays: owns.map(rowOfOwn), listening_events: events.map(rowOfEvent) });
        await enrich({ runId: 'run', asOf: AS_OF, project }, lake.effects);
        const counted = inReports([...owns.map(playOfOwn), ...playsOfEvents(events)]);
        expect(await dailyOf(lake)).toEqual(dailyCounted(counted));
        expect(await activityOf(lake)).toEqual(activityCounted(counted, events));
        expect(await skipsOf(lake)).toEqual(skipsCounted(counted));
        expect(await ranksOf(lake, 'top_tracks', 'track_name')).toEqual(ranksCounted(counted, (n) => TRACKS[n]!.name));
        expect(await ranksOf(lake, 'artist_rankings', 'artist_name')).toEqual(
          ranksCounted(counted, (n) => TRACKS[n]!.artist),
        );
      } finally {
        await lake.close();
      }
    }),
    { numRuns: 3, endOnFailure: true },
  );
});

function rowOfOwn({ user, track, country, endedMs, playedMs, reason, isSkipped, isPrivate }: Own, n: number): Row {
  const { id, name, artist } = TRACKS[track]!;
  return {
    ...{ play_id: idOf('p', n), user_id: user, source: 'export_extended', content_type: 'track', track_id: id },
    ...{ track_name: name, artist_name: artist, country, played_ms: playedMs, reason_end: reason },
    ...{ is_skipped: isSkipped, is_incognito: isPrivate },
    ...{ started_at: timeOf(endedMs - (playedMs ?? 0)), ended_at: timeOf(endedMs) },
  };
}

function rowOfEvent({ user, track, country, endedMs, action, session, playedMs }: Event, n: number): Row {
  const { id, name, artist } = TRACKS[track]!;
  return {
    ...{ event_id: idOf('e', n), user_id: user, session_id: session, track_id: id, track_name: name },
    ...{ artist_name: artist, action, occurred_at: timeOf(endedMs), country },
    ...(action === 'play' && { played_ms: playedMs }),
  };
}

function playOfOwn({ user, track, country, endedMs, playedMs, reason, isSkipped, isPrivate }: Own, n: number): Play {
  const isSkip = isSkipped === true || reason === 'fwdbtn' || reason === 'backbtn';
  return {
    ...{ id: idOf('p', n), user, track, country, endedMs, playedMs, isPrivate, session: null },
    startedMs: endedMs - (playedMs ?? 0),
    verdict: isSkip ? 'skipped' : reason === 'trackdone' ? 'finished' : 'neutral',
  };
}

/** A play is skipped where the next play or skip of the track, in its session, is a skip. */
function playsOfEvents(events: readonly Event[]): Play[] {
  const ordered = events
    .map((each, n) => ({ ...each, id: idOf('e', n) }))
    .filter(({ action }) => action === 'play' || action === 'skip')
    .sort((a, b) => a.endedMs - b.endedMs || order(a.action, b.action) || order(a.id, b.id));
  return ordered
    .map((each, n) => ({ each, rest: ordered.slice(n + 1) }))
    .filter(({ each }) => each.action === 'play')
    .map(({ each, rest }) => {
      const next = rest.find(
        (other) => other.user === each.user && other.session === each.session && other.track === each.track,
      );
      const isNear = each.session !== null || (next?.endedMs ?? 0) - each.endedMs < GAP_MS;
      return {
        ...{ id: each.id, user: each.user, track: each.track, country: each.country, endedMs: each.endedMs },
        ...{ playedMs: each.playedMs, isPrivate: false },
        session: each.session === null ? null : `${each.user}:${each.session}`,
        startedMs: each.endedMs - each.playedMs,
        verdict: next?.action === 'skip' && isNear ? 'skipped' : 'finished',
      };
    });
}

/** The plays that count in reports, each with its session: drawn over all plays that are plausible. */
function inReports(all: readonly Play[]): Play[] {
  const plausible = all.filter(({ playedMs }) => (playedMs ?? 0) <= DAY_MS);
  const withSession: Play[] = [];
  for (const user of new Set(plausible.map((play) => play.user))) {
    let [busyMs, startMs] = [Number.NEGATIVE_INFINITY, 0];
    const plays = plausible
      .filter((play) => play.user === user)
      .sort((a, b) => a.startedMs - b.startedMs || a.endedMs - b.endedMs || order(a.id, b.id));
    for (const play of plays) {
      if (play.session === null) {
        if (play.startedMs - busyMs >= GAP_MS) startMs = play.startedMs;
        busyMs = Math.max(busyMs, play.endedMs);
      }
      withSession.push({ ...play, session: play.session ?? `${user}:${startMs}` });
    }
  }
  return withSession.filter(({ isPrivate }) => !isPrivate);
}

async function dailyOf(lake: LakeFixture): Promise<unknown> {
  return numbersOf(
    lake,
    `select played_date, plays, minutes, daily_active_users, sessions, average_session_minutes, skips, finishes
     from daily_aggregates order by played_date`,
  );
}

function dailyCounted(plays: readonly Play[]): unknown {
  const sessions = Map.groupBy(plays, ({ session }) => session!).values();
  const lengths = [...sessions].map((own) => ({
    date: dateOf(Math.min(...own.map(({ endedMs }) => dayOf(endedMs)))),
    minutes:
      (Math.max(...own.map((play) => play.endedMs)) - Math.min(...own.map((play) => play.startedMs))) / MINUTE_MS,
  }));
  return sorted(Map.groupBy(plays, ({ endedMs }) => dateOf(endedMs))).map(([date, own]) => {
    const begun = lengths.filter((session) => session.date === date);
    return [
      ...[date, own.length, minutesOf(own), new Set(own.map(({ user }) => user)).size, begun.length],
      begun.length === 0 ? null : rounded(begun.reduce((sum, { minutes }) => sum + minutes, 0) / begun.length),
      ...[having(own, 'skipped'), having(own, 'finished')],
    ];
  });
}

async function activityOf(lake: LakeFixture): Promise<unknown> {
  return numbersOf(
    lake,
    `select user_id, local_date, plays, qualified_plays, minutes, distinct_tracks, distinct_artists, skips,
       playlist_adds, engagement_score
     from fct_user_activity order by user_id, local_date`,
  );
}

function activityCounted(plays: readonly Play[], events: readonly Event[]): unknown {
  const adds = events.filter(({ action }) => action === 'add_to_playlist');
  const keyOf = (each: { user: string; endedMs: number; country: string | null }): string =>
    `${each.user} ${localDateOf(each.endedMs, each.country)}`;
  const playsOf = Map.groupBy(plays, keyOf);
  const addsOf = Map.groupBy(adds, keyOf);
  return [...new Set([...playsOf.keys(), ...addsOf.keys()])].sort().map((key) => {
    const own = playsOf.get(key) ?? [];
    const added = addsOf.get(key)?.length ?? 0;
    const [skips, finishes] = [having(own, 'skipped'), having(own, 'finished')];
    const tracks = new Set(own.map((play) => play.track)).size;
    const minutes = own.reduce((sum, { playedMs }) => sum + (playedMs ?? 0), 0) / MINUTE_MS;
    const score =
      40 * Math.min(1, minutes / 60) +
      (skips + finishes === 0 ? 0 : (30 * finishes) / (finishes + skips)) +
      20 * Math.min(1, tracks / 20) +
      10 * Math.min(1, added / 3);
    return [
      ...key.split(' '),
      ...[own.length, own.filter(({ playedMs }) => (playedMs ?? 0) >= 30_000).length, rounded(minutes), tracks],
      ...[new Set(own.map((play) => TRACKS[play.track]!.artist)).size, skips, added, rounded(score)],
    ];
  });
}

async function skipsOf(lake: LakeFixture): Promise<unknown> {
  return numbersOf(lake, 'select track_name, plays, skips, finishes, skip_rate from skip_rate_by_track order by 1');
}

function skipsCounted(plays: readonly Play[]): unknown {
  return sorted(Map.groupBy(plays, ({ track }) => TRACKS[track]!.name)).map(([name, own]) => {
    const [skips, finishes] = [having(own, 'skipped'), having(own, 'finished')];
    return [name, own.length, skips, finishes, skips + finishes === 0 ? null : rounded(skips / (skips + finishes))];
  });
}

async function ranksOf(lake: LakeFixture, table: string, name: string): Promise<unknown> {
  return numbersOf(
    lake,
    `select period, ${name}, plays, minutes, listeners, plays > 0 and previous_rank is not null as was_ranked
     from ${table} order by 1, 3 desc, 4 desc, 2`,
  );
}

function ranksCounted(plays: readonly Play[], nameOf: (track: number) => string): unknown {
  const asOfMs = Date.parse(AS_OF);
  const days: [string, number | null][] = [
    ['28 days', 28],
    ['7 days', 7],
    ['all', null],
    ['year', 365],
  ];
  return days.flatMap(([period, length]) => {
    const within = (fromMs: number, toMs: number): Map<string, Play[]> =>
      Map.groupBy(
        plays.filter(({ endedMs }) => endedMs >= fromMs && endedMs < toMs),
        ({ track }) => nameOf(track),
      );
    const startMs = length === null ? Number.NEGATIVE_INFINITY : asOfMs - length * DAY_MS;
    const before = length === null ? new Map() : within(startMs - length * DAY_MS, startMs);
    return [...within(startMs, asOfMs)]
      .map(([name, own]): [string, string, number, number, number, boolean] => [
        ...([period, name, own.length, minutesOf(own)] as [string, string, number, number]),
        new Set(own.map(({ user }) => user)).size,
        before.has(name),
      ])
      .sort((a, b) => b[2] - a[2] || b[3] - a[3] || order(a[1], b[1]));
  });
}

/** Rows with their numbers as numbers, doubles to nine digits. */
async function numbersOf(lake: LakeFixture, sql: string): Promise<unknown[][]> {
  const { rows } = await lake.engine.query(sql);
  return rows.map((row) => row.map((value: SqlValue) => (typeof value === 'boolean' ? value : numberOf(value))));
}

function numberOf(value: SqlValue): unknown {
  return typeof value === 'bigint' ? Number(value) : typeof value === 'number' ? rounded(value) : value;
}

function rounded(value: number): number {
  return Number(value.toPrecision(9));
}

function minutesOf(plays: readonly Play[]): number {
  return rounded(plays.reduce((sum, { playedMs }) => sum + (playedMs ?? 0), 0) / MINUTE_MS);
}

function having(plays: readonly Play[], verdict: Play['verdict']): number {
  return plays.filter((play) => play.verdict === verdict).length;
}

function sorted<T>(groups: Map<string, T>): [string, T][] {
  return [...groups].sort(([a], [b]) => order(a, b));
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The date that a clock of the country shows; UTC where no country is known. */
function localDateOf(ms: number, country: string | null): string {
  const timeZone = country === null ? 'UTC' : ZONES[country]!;
  return new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' }).format(ms);
}

function idOf(kind: string, n: number): string {
  return `${kind}${String(n).padStart(3, '0')}`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, -1).replace('T', ' ');
}

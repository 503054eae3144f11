import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/time.ts';
import { isWeekend } from './calendar.ts';
import type { Catalogue } from './catalogue.ts';
import {
  COUNTRIES,
  chooseDevice,
  chooseTrack,
  countryOn,
  createListener,
  heardBeforeSkip,
  type Listener,
  localStartMinute,
  offsetOn,
  sessionLength,
} from './listeners.ts';
import { type ExportOptions, exportDays } from './options.ts';
import { createOwnSession, type OwnSession, type PlayKind, sessionKind } from './own-session.ts';
import { type Planted, tally } from './planted.ts';
import { createRandom, pick, type Random } from './random.ts';
import { deviceLogOdds, hourLogOdds, skipProbability, trackLogOdds } from './skip-model.ts';
import type { SpokenContent } from './spoken-content.ts';

/** One play of the person's own listening. */
export interface OwnPlay {
  kind: PlayKind;
  /** Index of the track, episode or chapter. */
  item: number;
  /** Played under the alternate id of the track. */
  isAlternate: boolean;
  startMs: number;
  /** When it really ended, Unix milliseconds. */
  endMs: number;
  /** What the export states as its end: the moment of the sync for an offline play, else `endMs`. */
  statedMs: number;
  playedMs: number;
  reasonStart: string;
  reasonEnd: string;
  /** By the skip model, whatever the export's flag says. */
  isSkipped: boolean;
  /** As the export writes it: seconds, milliseconds, 0 or null. */
  offlineTimestamp: number | null;
  session: OwnSession;
}

interface DraftPlay {
  kind: PlayKind;
  item: number;
  isAlternate: boolean;
  /** From the start of the session. */
  offsetMs: number;
  playedMs: number;
  reasonStart: string;
  reasonEnd: string;
  isSkipped: boolean;
}

interface DraftSession {
  startMs: number;
  lengthMs: number;
  shared: OwnSession;
  plays: DraftPlay[];
}

/** Wanted between two sessions, across windows too, so that they do not merge into one. */
const SESSION_GAP_MS = 31 * MINUTE_MS;
/** Days end in the night's lull, 03:00 UTC, and not in the middle of an evening. */
const LULL_MS = 3 * HOUR_MS;
/**
 * One person's plays, a window of about a day at a time, ordered by what the export states as their end.
 * Exactly `exportPlays` plays in all, no two alike in content, stated second and length, all of them ended
 * before `endMs`.
 *
 * Without `faults` no two plays overlap. A day that is asked to hold more than fits gets shorter plays
 * instead.
 *
 * @param endMs exclusive, Unix milliseconds
 * @param planted counts are added to it
 */
export function* ownListening(
  options: ExportOptions,
  catalogue: Catalogue,
  spoken: SpokenContent,
  endMs: number,
  planted: Planted,
): Generator<OwnPlay[]> {
  if (options.exportPlays === 0) return;
  const listener = createListener(catalogue, options.seed, 'person');
  // A home whose nights are near the edge of the windows, and trips away from it.
  listener.home = COUNTRIES.findIndex((country) => country.code === 'DE');
  listener.isTraveller = true;
  const person: Person = { options, catalogue, spoken, listener, logOdds: trackLogOdds(catalogue), planted };
  const days = exportDays(options.exportYears);
  const firstMs = endMs - days * DAY_MS;
  const shares = dayShares(options.seed, firstMs, days);
  const isNew = createNovelty();
  let waiting: OwnPlay[] = [];
  let given = 0;
  for (let day = 0; day < days; day++) {
    const fromMs = day === 0 ? firstMs : firstMs + day * DAY_MS + LULL_MS;
    const toMs = day === days - 1 ? endMs : firstMs + (day + 1) * DAY_MS + LULL_MS;
    const upTo = Math.round(shares[day]! * options.exportPlays);
    const random = createRandom(options.seed, 'own', fromMs);
    const sessions = planWindow(person, random, fromMs, toMs, upTo - given);
    given = upTo;
    const plays = sessions.flatMap((session) => finishSession(person, random, session, endMs));
    const due = [...plays, ...waiting];
    waiting = due.filter((play) => play.statedMs >= toMs);
    const stated = due.filter((play) => play.statedMs < toMs).sort((a, b) => a.statedMs - b.statedMs);
    for (const play of stated) {
      while (!isNew(play)) play.playedMs++;
    }
    yield stated;
  }
}

interface Person {
  options: ExportOptions;
  catalogue: Catalogue;
  spoken: SpokenContent;
  listener: Listener;
  logOdds: Float64Array;
  planted: Planted;
}

/** Running sum, to 1, of what share of all plays each day has: seasons, weekdays, moods, days without. */
function dayShares(seed: number, firstMs: number, days: number): Float64Array {
  const random = createRandom(seed, 'own days');
  const running = new Float64Array(days);
  let sum = 0;
  for (let day = 0; day < days; day++) {
    const season = 1 + 0.2 * Math.sin((2 * Math.PI * day) / 365.25);
    const mood = Math.exp(0.5 * random.normal());
    const isSilent = random.chance(0.06) && day > 0;
    sum += isSilent ? 0 : season * mood * (isWeekend(firstMs + day * DAY_MS) ? 1.2 : 1);
    running[day] = sum;
  }
  return running.map((value) => value / sum);
}

function planWindow(person: Person, random: Random, fromMs: number, toMs: number, count: number): DraftSession[] {
  const sessions: DraftSession[] = [];
  const country = countryOn(person.listener, person.options.seed, 'person', fromMs);
  const offsetMs = offsetOn(country, fromMs) * MINUTE_MS;
  for (let left = count; left > 0; ) {
    const localMs = localStartMinute(random, isWeekend(fromMs)) * MINUTE_MS + random.int(MINUTE_MS);
    // The local hour is first met at some instant of the 24 hours that begin with the window.
    const startMs = fromMs + ((((localMs - offsetMs - fromMs) % DAY_MS) + DAY_MS) % DAY_MS);
    const session = draftSession(person, random, startMs, country.code, Math.floor(localMs / HOUR_MS), left);
    left -= session.plays.length;
    sessions.push(session);
  }
  placeSessions(sessions, fromMs, toMs);
  return sessions;
}

/**
 * Moves sessions apart, so that each ends before the next begins and all lie in the window; shortens them if
 * they cannot.
 */
function placeSessions(sessions: DraftSession[], fromMs: number, toMs: number): void {
  // One second stays free at the end, for plays that are made a millisecond longer to be unlike another.
  const roomMs = toMs - fromMs - SECOND_MS;
  const wantedMs = sessions.reduce((sum, session) => sum + session.lengthMs, 0);
  if (wantedMs > roomMs) {
    const scale = roomMs / wantedMs;
    for (const session of sessions) {
      for (const play of session.plays) {
        play.offsetMs = Math.floor(play.offsetMs * scale);
        play.playedMs = Math.floor(play.playedMs * scale);
      }
      session.lengthMs = Math.floor(session.lengthMs * scale);
    }
  }
  const lengthMs = sessions.reduce((sum, session) => sum + session.lengthMs, 0);
  const gapMs = Math.min(SESSION_GAP_MS, Math.floor((roomMs - lengthMs) / (sessions.length + 1)));
  sessions.sort((a, b) => a.startMs - b.startMs);
  let freeMs = fromMs + gapMs;
  for (const session of sessions) {
    session.startMs = Math.max(session.startMs, freeMs);
    freeMs = session.startMs + session.lengthMs + gapMs;
  }
  let limitMs = fromMs + roomMs;
  for (const session of sessions.toReversed()) {
    session.startMs = Math.min(session.startMs, limitMs - session.lengthMs);
    limitMs = session.startMs - gapMs;
  }
}

function draftSession(
  person: Person,
  random: Random,
  startMs: number,
  country: string,
  hour: number,
  most: number,
): DraftSession {
  const { options, listener, planted } = person;
  const kind = sessionKind(random, options.faults, startMs);
  const device = chooseDevice(listener, random);
  const shared = createOwnSession(random, {
    device,
    country,
    isMusic: kind === 'track',
    faults: options.faults,
    startMs,
  });
  const wanted = kind === 'track' ? sessionLength(random) : 1 + random.int(kind === 'unattributed' ? 8 : 4);
  const count = Math.min(most, wanted);
  if (shared.country === 'ZZ') tally(planted, 'unknown_country', count);
  if (shared.isIncognito) tally(planted, 'private_session', count);
  // Two devices at once, or a clock that jumped: the plays of some sessions lie half over one another.
  const overlapShare = options.faults && random.chance(0.012) ? 1 : options.faults ? 0.02 : 0;
  const plays: DraftPlay[] = [];
  let cursorMs = 0;
  let reason = pick(random, ['clickrow', 'clickrow', 'playbtn', 'appload', 'remote']);
  let item = Math.floor(random.next() * itemCount(person, kind));
  for (let position = 1; position <= count; position++) {
    // After `backbtn` the same track begins again: two real plays of it within a minute.
    if (kind === 'track' || kind === 'local' || kind === 'unattributed') {
      if (reason !== 'backbtn') item = chooseTrack(listener, person.catalogue, random);
    } else if (position > 1) {
      item = (item + 1) % itemCount(person, kind);
    }
    const play = draftPlay(person, random, shared, { kind, item, position, count, hour, reason, cursorMs });
    const previous = plays.at(-1);
    if (previous !== undefined && play.playedMs > 0 && random.chance(overlapShare)) {
      const overlapMs = Math.min(Math.floor(0.45 * previous.playedMs), Math.floor(0.45 * play.playedMs));
      if (overlapMs > 1_000) {
        play.offsetMs = previous.offsetMs + previous.playedMs - overlapMs;
        tally(planted, 'overlap');
      }
    }
    plays.push(play);
    reason = play.reasonEnd;
    const breakMs = random.chance(0.03) ? random.int(20 * MINUTE_MS) : random.int(SECOND_MS);
    cursorMs = play.offsetMs + play.playedMs + breakMs;
  }
  const lastPlay = plays.at(-1)!;
  return { startMs, lengthMs: lastPlay.offsetMs + lastPlay.playedMs, shared, plays };
}

interface Slot {
  kind: PlayKind;
  item: number;
  position: number;
  count: number;
  hour: number;
  reason: string;
  cursorMs: number;
}

function draftPlay(person: Person, random: Random, session: OwnSession, slot: Slot): DraftPlay {
  const { options, catalogue, listener, spoken, planted } = person;
  const { kind, item, position } = slot;
  const isMusic = kind !== 'episode' && kind !== 'chapter' && kind !== 'video';
  const taste = isMusic ? listener.tasteMatch[catalogue.genres[item]!]! : 1;
  const duration = isMusic
    ? catalogue.durationMs[item]!
    : (kind === 'chapter' ? spoken.chapters : spoken.episodes)[item]!.durationMs;
  const logOdds = isMusic
    ? listener.skipEffect + person.logOdds[item]! + deviceLogOdds(session.device) + hourLogOdds(slot.hour)
    : -2;
  const isSkipped = random.chance(skipProbability(logOdds, taste, position));
  let playedMs = isSkipped ? heardBeforeSkip(random, duration, taste, position) : duration;
  let reasonEnd = isSkipped ? (random.chance(0.055) ? 'backbtn' : 'fwdbtn') : 'trackdone';
  if (position === slot.count && !isSkipped && random.chance(0.6)) {
    playedMs = Math.floor(duration * (0.05 + 0.95 * random.next()));
    reasonEnd = pick(random, ['endplay', 'endplay', 'endplay', 'logout', 'unexpected-exit-while-paused', 'remote']);
  }
  if (options.faults && random.chance(0.003)) {
    playedMs = 0;
    reasonEnd = pick(random, ['fwdbtn', 'trackerror', 'unknown', '']);
    tally(planted, 'zero_length');
  }
  if (playedMs > 0 && playedMs < 30_000) tally(planted, 'under_30_seconds');
  const isAlternate = options.faults && kind === 'track' && catalogue.alternateIds[item] !== '' && random.chance(0.3);
  if (isAlternate) tally(planted, 'alternate_id');
  if (kind !== 'track') tally(planted, kind);
  return { kind, item, isAlternate, offsetMs: slot.cursorMs, playedMs, reasonStart: slot.reason, reasonEnd, isSkipped };
}

function finishSession(person: Person, random: Random, draft: DraftSession, endMs: number): OwnPlay[] {
  const { options, planted } = person;
  // The device meets the network again half an hour to two and a half days later, and all its plays get that
  // moment.
  const syncMs = draft.startMs + draft.lengthMs + 30 * MINUTE_MS + random.int(60 * HOUR_MS);
  const isOffline = draft.shared.isOffline && syncMs < endMs;
  const session = { ...draft.shared, isOffline };
  return draft.plays.map((play) => {
    const startMs = draft.startMs + play.offsetMs;
    const finished: OwnPlay = {
      kind: play.kind,
      item: play.item,
      isAlternate: play.isAlternate,
      startMs,
      endMs: startMs + play.playedMs,
      statedMs: isOffline ? syncMs : startMs + play.playedMs,
      playedMs: play.playedMs,
      reasonStart: play.reasonStart,
      reasonEnd: play.reasonEnd,
      isSkipped: play.isSkipped,
      offlineTimestamp: null,
      session,
    };
    if (isOffline) {
      tally(planted, 'offline');
      finished.offlineTimestamp = offlineTimestamp(random, startMs, syncMs, planted);
    } else if (options.faults) {
      // Rows that were online hold 0 in the early years, later now and then a start in seconds: both mean
      // nothing.
      finished.offlineTimestamp = startMs < Date.UTC(2021, 6, 1) ? 0 : random.chance(0.3) ? seconds(startMs) : null;
    }
    return finished;
  });
}

function offlineTimestamp(random: Random, startMs: number, syncMs: number, planted: Planted): number | null {
  const point = random.next();
  if (point < 0.8) {
    tally(planted, 'offline_timestamp_seconds');
    return seconds(startMs);
  }
  if (point < 0.88) {
    tally(planted, 'offline_timestamp_milliseconds');
    return startMs;
  }
  if (point < 0.93) {
    tally(planted, 'offline_timestamp_zero');
    return 0;
  }
  if (point < 0.98) {
    tally(planted, 'offline_timestamp_null');
    return null;
  }
  tally(planted, 'offline_timestamp_implausible');
  return random.chance(0.5) ? 1 + random.int(1_000) : seconds(syncMs) + 86_400;
}

function itemCount(person: Person, kind: PlayKind): number {
  if (kind === 'chapter') return person.spoken.chapters.length;
  return kind === 'episode' || kind === 'video' ? person.spoken.episodes.length : person.catalogue.size;
}

/** Says whether a play differs from all before it in content, stated second or length. */
function createNovelty(): (play: OwnPlay) => boolean {
  // Plays come ordered by their stated end, so only those of the same second can be alike.
  let second = Number.NaN;
  const seen = new Set<string>();
  return (play) => {
    const stated = seconds(play.statedMs);
    if (stated !== second) {
      second = stated;
      seen.clear();
    }
    const content = play.kind === 'local' || play.kind === 'unattributed' ? '' : `${kindOfUri(play)}${play.item}`;
    const key = `${content} ${play.playedMs}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  };
}

function kindOfUri(play: OwnPlay): string {
  // A video is played under its episode's uri.
  const kind = play.kind === 'video' ? 'episode' : play.kind;
  return play.isAlternate ? 'alternate' : kind;
}

function seconds(ms: number): number {
  return Math.floor(ms / SECOND_MS);
}

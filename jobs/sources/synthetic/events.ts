import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/time.ts';
import { isoDate, isoMillisecond, isWeekend } from './calendar.ts';
import { type Catalogue, mainArtistName } from './catalogue.ts';
import {
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
import type { SyntheticOptions } from './options.ts';
import { createRandom, poisson, type Random } from './random.ts';
import { deviceLogOdds, hourLogOdds, skipProbability, trackLogOdds } from './skip-model.ts';
import type { FileSet } from './text-file.ts';

/** Two sessions of a user are at least this far apart. */
const SESSION_GAP_MS = 30 * MINUTE_MS;

export interface EventCounts {
  events: number;
  /** Plays without a length, planted with `faults`. */
  unknownLengths: number;
}

/**
 * Writes `events/events-YYYY-MM-DD.json` for each UTC day on which anything happened: one JSON object a line,
 * one line an event, each in the file of its `occurred_at`. A user's lines are in the order of time; users
 * follow one another.
 *
 * - `play`: `occurred_at` is when the play ended, `played_ms` how long it was heard (null where unknown),
 *   `is_skipped` null.
 * - `skip`: 0 to 9 ms after the `play` that it ended, same session and track, `is_skipped` true.
 * - `pause`: while the track is on, so before its `play`. `add_to_playlist`: at the end of a play that was
 *   not skipped.
 *
 * In a session, less than 30 minutes lie between the end of a play and the start of the next; between two
 * sessions of a user at least 30. All of `occurred_at` is in [end - days, end). Memory: O(users + tracks), no
 * more on a longer data set.
 *
 * @param endMs exclusive, Unix milliseconds
 * @param files are given one line at a time
 * @param onDay called after each day
 */
export async function writeEvents(
  options: SyntheticOptions,
  catalogue: Catalogue,
  endMs: number,
  files: Pick<FileSet, 'create'>,
  onDay: () => void,
): Promise<EventCounts> {
  const counts: EventCounts = { events: 0, unknownLengths: 0 };
  const world: World = {
    options,
    catalogue,
    endMs,
    counts,
    logOdds: trackLogOdds(catalogue),
    trackJson: catalogue.names.map(
      (name, track) =>
        `,"track_id":"${catalogue.ids[track]}","track_name":${JSON.stringify(name)},"artist_name":${JSON.stringify(mainArtistName(catalogue, track))},"action":`,
    ),
  };
  const people: Person[] = Array.from({ length: options.days === 0 ? 0 : options.users }, (_, index) => {
    const label = String(index + 1).padStart(4, '0');
    return { label, listener: createListener(catalogue, options.seed, 'user', label), busyUntilMs: 0, carried: [] };
  });
  for (let day = 0; day < options.days; day++) {
    const dayMs = endMs - (options.days - day) * DAY_MS;
    const random = createRandom(options.seed, 'events', dayMs);
    const file = files.create(`events/events-${isoDate(dayMs)}.json`);
    for (const person of people) {
      const lines = person.carried;
      person.carried = [];
      addSessions(world, person, dayMs, random, lines);
      counts.events += lines.length;
      let isFull = false;
      for (const line of lines) isFull = file.add(line);
      if (isFull) await file.flush();
    }
    await file.close();
    onDay();
  }
  return counts;
}

interface World {
  options: SyntheticOptions;
  catalogue: Catalogue;
  endMs: number;
  counts: EventCounts;
  logOdds: Float64Array;
  /** The part of an event's JSON that the track decides. */
  trackJson: string[];
}

interface Person {
  label: string;
  listener: Listener;
  busyUntilMs: number;
  /** Lines of a session that ran past midnight: they belong to the next day's file. At most one session. */
  carried: string[];
}

function addSessions(world: World, person: Person, dayMs: number, random: Random, lines: string[]): void {
  const { listener } = person;
  const weekend = isWeekend(dayMs);
  // One day in ten without any music, whatever the habit.
  const sessions = random.chance(0.1) ? 0 : poisson(random, listener.sessionsPerDay * (weekend ? 1.15 : 0.95));
  if (sessions === 0) return;
  const country = countryOn(listener, world.options.seed, person.label, dayMs);
  const offsetMs = offsetOn(country, dayMs) * MINUTE_MS;
  const starts: number[] = [];
  for (let session = 0; session < sessions; session++) {
    const localMs = localStartMinute(random, weekend) * MINUTE_MS + random.int(MINUTE_MS);
    starts.push(dayMs + ((localMs - offsetMs + 2 * DAY_MS) % DAY_MS));
  }
  starts.sort((a, b) => a - b);
  const stamp = `${world.options.seed.toString(36)}-${person.label}-${isoDate(dayMs).replaceAll('-', '')}`;
  let sequence = 0;
  for (const [index, startMs] of starts.entries()) {
    if (startMs < person.busyUntilMs + SESSION_GAP_MS) continue;
    sequence = addSession(world, person, random, lines, {
      startMs,
      nextDayMs: dayMs + DAY_MS,
      offsetMs,
      country: country.code,
      eventPrefix: `{"event_id":"evt-${stamp}-`,
      owner: `","user_id":"user-${person.label}","session_id":"ses-${stamp}-${index + 1}"`,
      sequence,
    });
  }
}

interface SessionPlan {
  startMs: number;
  nextDayMs: number;
  offsetMs: number;
  country: string;
  eventPrefix: string;
  owner: string;
  sequence: number;
}

function addSession(world: World, person: Person, random: Random, lines: string[], plan: SessionPlan): number {
  const { catalogue, counts } = world;
  const { listener } = person;
  const device = chooseDevice(listener, random);
  const tail = `,"device":"${device}","country":"${plan.country}"}\n`;
  const sessionLogOdds = deviceLogOdds(device) + listener.skipEffect;
  const length = sessionLength(random);
  let sequence = plan.sequence;
  let cursorMs = plan.startMs;

  function add(track: number, action: string, isSkipped: boolean, atMs: number, playedMs: number | null): void {
    sequence++;
    const line = `${plan.eventPrefix}${sequence}${plan.owner}${world.trackJson[track]}"${action}","is_skipped":${isSkipped ? 'true' : 'null'},"occurred_at":"${isoMillisecond(atMs)}","played_ms":${playedMs}${tail}`;
    (atMs < plan.nextDayMs ? lines : person.carried).push(line);
  }

  for (let position = 1; position <= length; position++) {
    const track = chooseTrack(listener, catalogue, random);
    const taste = listener.tasteMatch[catalogue.genres[track]!]!;
    const hour = Math.floor((((cursorMs + plan.offsetMs) % DAY_MS) + DAY_MS) / HOUR_MS) % 24;
    const fixed = sessionLogOdds + world.logOdds[track]! + hourLogOdds(hour);
    const isSkipped = random.chance(skipProbability(fixed, taste, position));
    const duration = catalogue.durationMs[track]!;
    let heardMs = isSkipped ? heardBeforeSkip(random, duration, taste, position) : duration;
    // The last track of a session is often left before its end, which is no skip.
    if (!isSkipped && position === length && random.chance(0.4))
      heardMs = Math.floor(duration * (0.1 + 0.9 * random.next()));
    const pauseMs = heardMs > 5_000 && random.chance(0.03) ? 3_000 + random.int(4 * MINUTE_MS) : 0;
    const playEndMs = cursorMs + heardMs + pauseMs;
    if (playEndMs >= world.endMs) break;
    const isUnknown = world.options.faults && random.chance(0.004);
    if (isUnknown) counts.unknownLengths++;
    if (pauseMs > 0) add(track, 'pause', false, cursorMs + Math.floor(heardMs * random.next()), null);
    add(track, 'play', false, playEndMs, isUnknown ? null : heardMs);
    if (isSkipped) {
      // Never past midnight: the skip stays in the file of its play.
      const lastOfDayMs = Math.floor(playEndMs / DAY_MS) * DAY_MS + DAY_MS - 1;
      add(track, 'skip', true, Math.min(playEndMs + random.int(10), lastOfDayMs), null);
    } else if (random.chance(0.012 + 0.02 * taste)) {
      add(track, 'add_to_playlist', false, playEndMs, null);
    }
    person.busyUntilMs = playEndMs;
    const breakMs = random.chance(0.02) ? random.int(25 * MINUTE_MS) : random.int(2 * SECOND_MS);
    cursorMs = playEndMs + 10 + breakMs;
  }
  return sequence;
}

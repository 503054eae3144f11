import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/time.ts';
import { writeAccountExport } from './account-export.ts';
import { createCatalogue } from './catalogue.ts';
import { writeCharts, writeTracksCsv } from './csv.ts';
import { writeEvents } from './events.ts';
import {
  type EventOptions,
  type ExportOptions,
  endOfDataset,
  exportDays,
  type PollOptions,
  type SyntheticOptions,
} from './options.ts';
import { type OwnPlay, ownListening } from './own-listening.ts';
import type { Planted } from './planted.ts';
import { densePolling, isTold, type PollCounts, usualPolling, writeRecentlyPlayed } from './recently-played.ts';
import { truthDocument } from './skip-model.ts';
import { createSpokenContent } from './spoken-content.ts';
import { createFileSet, type FileSet, type FileSink, type TextFile } from './text-file.ts';
import { writeWeather } from './weather.ts';
import { writeLibrary } from './web-api.ts';

export type { EventOptions, ExportOptions, PollOptions, SyntheticOptions } from './options.ts';
export type { FileSink, SinkFile } from './text-file.ts';

/** What a data set holds; every number was counted while it was written. */
export interface SyntheticSummary {
  files: number;
  events: number;
  /** Rows of the extended export, repeats included. */
  exportRows: number;
  /** Of these, different in content, second of `ts` and `ms_played`. */
  exportDistinctPlays: number;
  /** Rows of the account data: plays of the last year, told again. */
  accountRows: number;
  /** Tracks of the catalogue. */
  tracks: number;
  /** Rows of `tracks.csv`; more than `tracks` with faults. */
  trackRows: number;
  /** Polls of recently played, the items they delivered, and of how many different plays. */
  polls: number;
  deliveries: number;
  distinctDeliveries: number;
  /** How often each fault or rarity is in the data; a name that is absent stands for 0. */
  planted: Planted;
}

export interface ExportSummary {
  files: number;
  exportRows: number;
  exportDistinctPlays: number;
  accountRows: number;
  planted: Planted;
}

/**
 * Writes a whole synthetic data set: `tracks.csv`, `truth.json`, `events/`, `export/`, `api/` and `charts/`,
 * all of one catalogue of tracks, and the `weather/` of the export's days, all before `options.end`. A pure
 * function of the options: no clock, no other randomness. Nothing in it is real: names are made-up words,
 * addresses are those for documentation.
 *
 * Memory grows with users and tracks, not with days or plays.
 *
 * @param onProgress called with the steps done and their number (days of events, days of the export, and
 *   three more)
 * @throws JobError `options_invalid` (usage; a retry does not help); and whatever the sink throws, after
 *   closing its files
 */
export async function generateDataset(
  options: SyntheticOptions,
  sink: FileSink,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<SyntheticSummary> {
  const endMs = endOfDataset(options);
  const total = options.days + (options.exportPlays > 0 ? exportDays(options.exportYears) : 0) + 3;
  let done = 0;
  const step = () => onProgress(++done, total);
  return withFiles(sink, async (files) => {
    const catalogue = createCatalogue(options.seed, options.tracks, endMs);
    const csv = await writeTracksCsv(options, catalogue, files);
    await files.writeWhole('truth.json', truthDocument(options.seed));
    step();
    const events = await writeEvents(options, catalogue, endMs, files, step);
    const polling = options.polls ? densePolling(options.polls, endMs) : usualPolling(endMs);
    const told: OwnPlay[] = [];
    const account = await writeAccountExport(options, catalogue, endMs, files, (plays) => {
      for (const play of plays) if (play.startMs >= polling.fromMs && isTold(play)) told.push(play);
      step();
    });
    const polls = await writeRecentlyPlayed(options.seed, catalogue, told, polling, endMs, files);
    await writeLibrary(options.seed, catalogue, endMs, files);
    step();
    await writeCharts(options.seed, catalogue, endMs, files);
    if (options.exportPlays > 0) await writeWeather(options.seed, exportDays(options.exportYears), endMs, files);
    step();
    const planted: Planted = { ...csv.planted, ...account.planted };
    if (events.unknownLengths > 0) planted.event_unknown_length = events.unknownLengths;
    if (polls.overflows > 0) planted.poll_overflow = polls.overflows;
    if (polls.emptyPolls > 0) planted.poll_empty = polls.emptyPolls;
    return {
      files: files.count,
      events: events.events,
      exportRows: account.rows,
      exportDistinctPlays: account.distinctPlays,
      accountRows: account.accountRows,
      tracks: catalogue.size,
      trackRows: csv.rows,
      polls: polls.polls,
      deliveries: polls.deliveries,
      distinctDeliveries: polls.distinctDeliveries,
      planted,
    };
  });
}

/**
 * Writes the person's account export alone (`export/`), the same bytes as in the whole data set of these
 * options. For measurements: 500,000 plays with faults are about 350 MB.
 *
 * @param onProgress called with the days done and their number
 * @throws JobError `options_invalid` (usage; a retry does not help); and whatever the sink throws, after
 *   closing its files
 */
export async function generateExport(
  options: ExportOptions,
  sink: FileSink,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<ExportSummary> {
  const endMs = endOfDataset(options);
  const total = options.exportPlays > 0 ? exportDays(options.exportYears) : 0;
  let done = 0;
  return withFiles(sink, async (files) => {
    const catalogue = createCatalogue(options.seed, options.tracks, endMs);
    const account = await writeAccountExport(options, catalogue, endMs, files, () => onProgress(++done, total));
    return {
      files: files.count,
      exportRows: account.rows,
      exportDistinctPlays: account.distinctPlays,
      accountRows: account.accountRows,
      planted: account.planted,
    };
  });
}

/**
 * Tells the events of a data set day by day, as lines of JSON in the order of their time: the same lines as in
 * the `events/` of the whole data set of these options. Memory: one day of events.
 *
 * @param onDay called with each day that has events; the next one waits for it
 * @throws JobError `options_invalid` (usage; a retry does not help); and what `onDay` throws
 */
export async function generateEvents(options: EventOptions, onDay: (lines: string[]) => Promise<void>): Promise<void> {
  const whole = { ...options, exportPlays: 0, exportYears: 1 };
  const endMs = endOfDataset(whole);
  const createDay = (): TextFile => {
    const lines: string[] = [];
    return {
      add(line) {
        lines.push(line.slice(0, -1));
        return false;
      },
      flush: async () => undefined,
      close: async () => {
        if (lines.length > 0) await onDay(inOrderOfTime(lines));
      },
    };
  };
  await writeEvents(
    whole,
    createCatalogue(options.seed, options.tracks, endMs),
    endMs,
    { create: createDay },
    () => {},
  );
}

const TIME_FIELD = '"occurred_at":"YYYY-MM-DDT';
/** More lines than a day can have, and with the milliseconds of a day still an exact number. */
const LINES_MAX = 2 ** 26;

/** Lines of one day. Time and place in one number each: sorting texts took a third of what making them takes. */
function inOrderOfTime(lines: readonly string[]): string[] {
  const keys = Float64Array.from(lines, (line, index) => millisecondOfDay(line) * LINES_MAX + index);
  return Array.from(keys.sort(), (key) => lines[key % LINES_MAX]!);
}

/** Of `HH:MM:SS.mmm`. */
function millisecondOfDay(line: string): number {
  const at = line.indexOf('"occurred_at":"') + TIME_FIELD.length;
  const digit = (index: number): number => line.charCodeAt(at + index) - ZERO;
  const two = (index: number): number => 10 * digit(index) + digit(index + 1);
  return two(0) * HOUR_MS + two(3) * MINUTE_MS + two(6) * SECOND_MS + 100 * digit(9) + two(10);
}

const ZERO = '0'.charCodeAt(0);

/**
 * Writes recorded polls alone (`api/recently-played-YYYY-MM.ndjson`), one every ten minutes, of somebody who
 * hears about 70 tracks a day. For measurements: 31,610 polls are about 3 GB with 325,000 deliveries of
 * 15,000 plays.
 *
 * @param onProgress called with the days done and their number
 * @throws JobError `options_invalid` (usage; a retry does not help); and whatever the sink throws, after
 *   closing its files
 */
export async function generatePolls(
  options: PollOptions,
  sink: FileSink,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<PollCounts> {
  const exportYears = Math.max(1, Math.ceil(options.polls / 144) + 1) / 365.25;
  const own = { ...options, exportYears, exportPlays: Math.round(exportYears * 365.25 * 77), faults: false };
  const endMs = endOfDataset(own);
  const total = exportDays(exportYears);
  let done = 0;
  return withFiles(sink, async (files) => {
    const catalogue = createCatalogue(options.seed, options.tracks, endMs);
    const polling = densePolling(options.polls, endMs);
    const told: OwnPlay[] = [];
    for (const plays of ownListening(own, catalogue, createSpokenContent(options.seed), endMs, {})) {
      for (const play of plays) if (play.startMs >= polling.fromMs && isTold(play)) told.push(play);
      onProgress(Math.min(++done, total), total);
    }
    return writeRecentlyPlayed(options.seed, catalogue, told, polling, endMs, files);
  });
}

async function withFiles<T>(sink: FileSink, write: (files: FileSet) => Promise<T>): Promise<T> {
  const files = createFileSet(sink);
  try {
    return await write(files);
  } catch (error) {
    await files.abandon();
    throw error;
  }
}

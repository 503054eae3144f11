import { resolve } from 'node:path';
import { JobError } from '../base/errors.ts';
import { count } from '../base/words.ts';
import type { Effects } from '../effects/index.ts';
import { observed } from '../lineage/observe.ts';
import type { SyntheticOptions } from '../sources/synthetic/index.ts';
import { type Arguments, type Command, list, type Outcome, optional, PATHS, whole } from './command.ts';
import type { ApiSource } from './extract-api.ts';

/** The heading of the flags that go with no other source. */
const EVENTS_GROUP = 'extract events (synthetic data):';

/**
 * The synthetic data set of `extract events`: about 25 people for a quarter, one of them with an export of
 * six years.
 */
const EVENTS_OPTIONS = {
  seed: { group: EVENTS_GROUP, type: 'string', default: '1', describe: 'Same seed, same bytes' },
  users: { group: EVENTS_GROUP, type: 'string', default: '25', describe: 'Listeners in the event stream' },
  days: { group: EVENTS_GROUP, type: 'string', default: '90', describe: 'Days of events before --end' },
  tracks: { group: EVENTS_GROUP, type: 'string', default: '5000', describe: 'Tracks in the catalogue' },
  'export-plays': {
    group: EVENTS_GROUP,
    type: 'string',
    default: '40000',
    describe: "Plays in the person's own export",
  },
  'export-years': {
    group: EVENTS_GROUP,
    type: 'string',
    default: '6',
    describe: "Years that the person's export covers",
  },
  polls: {
    group: EVENTS_GROUP,
    type: 'string',
    default: '0',
    describe: 'Recorded polls of recently played, one every ten minutes before --end; 0: two weeks of short ones',
  },
  end: { group: EVENTS_GROUP, type: 'string', default: '2026-11-01', describe: 'Exclusive end, a date (UTC)' },
  faults: { group: EVENTS_GROUP, type: 'boolean', default: true, describe: 'Plant the faults that real files have' },
  out: {
    group: EVENTS_GROUP,
    type: 'string',
    requiresArg: true,
    describe: 'Write into this folder instead of landing',
  },
} as const;

/** `extract`: files, the Web API or the generator, by what its positionals say. */
export const EXTRACT: Command = {
  usage: 'extract <paths..>',
  group: 'start',
  isPersonal: true,
  summary:
    'Put files, or what the Web API answers, into landing as they are, or generate synthetic data (extract events)',
  reads: 'files, Web API',
  writes: 'landing',
  positionals: {
    paths: {
      ...PATHS.paths,
      describe:
        'Files, folders or zips; or what to ask the Web API for: recently-played, playlists, library or metadata; or events: synthetic data',
    },
  },
  options: EVENTS_OPTIONS,
  isWriter: (args) => !isEvents(args),
  needsLake: false,
  examples: [
    ['listenlake extract my_spotify_data.zip', 'into landing'],
    ['listenlake extract events --out demo/source', 'synthetic data into a folder'],
    ['listenlake extract recently-played', "the last plays from Spotify's Web API, after listenlake login"],
    ['listenlake extract playlists', 'a snapshot of the playlists that you follow'],
  ],
  async runAlone(args, _config) {
    const out = optional(args.out);
    if (!isEvents(args) || out === undefined) {
      if (out !== undefined)
        throw new JobError('usage_invalid', 'usage', '--out goes with `extract events`', { hint: 'leave it out' });
      return undefined;
    }
    const { generateIntoFolder } = await import('../sources/synthetic/landing.ts');
    return eventsOutcome(await generateIntoFolder(eventsOptions(args), resolve(out)), out);
  },
  run: (args, effects, runId) => observed({ job: 'extract', runId }, effects, () => extractInto(args, effects, runId)),
};

/** Into landing, from wherever the positionals say. */
async function extractInto(args: Arguments, effects: Effects, runId: string): Promise<Outcome> {
  const source = await apiSourceOf(args);
  if (source !== undefined) return (await import('./extract-api.ts')).extractFromApi(source, runId, effects);
  if (isEvents(args)) {
    const { generateIntoLanding } = await import('../sources/synthetic/landing.ts');
    return eventsOutcome(await generateIntoLanding(eventsOptions(args), effects), 'landing');
  }
  const { extract } = await import('../extract.ts');
  const result = await extract({ paths: list(args.paths), userId: effects.config.userId }, effects);
  const added = result.files.filter((file) => file.status === 'new').length;
  const known = result.files.filter((file) => file.status === 'known').length;
  const bad = result.files.filter((file) => file.status === 'refused' || file.status === 'changed');
  const lines = [
    `${count(added, 'file')} put into landing, ${count(known, 'file')} known already`,
    ...bad.map((file) => `${file.fileName}: ${file.reason}`),
  ];
  return {
    text: [...lines, 'next: listenlake load'].join('\n'),
    json: { status: added === 0 ? 'nothing_new' : 'extracted', added, known, refused: bad.length },
    exit: result.exit,
  };
}

/**
 * What `extract <word>` is to ask the Web API for; undefined for files and folders (one of that name is given
 * as `./library`).
 */
export async function apiSourceOf(args: Arguments): Promise<ApiSource | undefined> {
  const paths = list(args.paths);
  const { CAPTURE } = await import('../sources/spotify-api/tables.ts');
  return paths.length === 1 ? CAPTURE.words.find((word) => word === paths[0]) : undefined;
}

/** `extract events` generates; a file or folder of that name is given as `./events`. */
function isEvents(args: Arguments): boolean {
  const paths = list(args.paths);
  return paths.length === 1 && paths[0] === 'events';
}

function eventsOptions(args: Arguments): SyntheticOptions {
  const number = (name: string): number => whole(`--${name}`, String(args[name]));
  return {
    seed: number('seed'),
    users: number('users'),
    days: number('days'),
    tracks: number('tracks'),
    exportPlays: number('export-plays'),
    exportYears: number('export-years'),
    polls: number('polls'),
    end: String(args.end),
    faults: args.faults === true,
  };
}

function eventsOutcome(
  summary: { files: number; events: number; exportRows: number; trackRows: number },
  where: string,
): Outcome {
  const { files, events, exportRows, trackRows } = summary;
  return {
    text: `${count(files, 'file')} in ${where}: ${count(events, 'event')}, an export of ${count(exportRows, 'row')}, ${count(trackRows, 'row')} of tracks`,
    json: { files, events, export_rows: exportRows, track_rows: trackRows },
  };
}

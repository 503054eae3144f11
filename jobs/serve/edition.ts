import { JobError } from '../base/errors.ts';
import type { Effects } from '../effects/index.ts';
import type { Target } from '../lake/keys.ts';
import { latestManifest } from '../lake/manifest.ts';
import { readPeople } from '../report/people.ts';
import { type Definitions, publishedTables, readDefinitions, reader } from '../report/reading.ts';
import { readAsOf, readTotals } from '../report/totals.ts';
import { cardShownBy } from '../training/records.ts';
import type { Choices } from './filters.ts';
import { freshnessOf, waitingFor } from './freshness.ts';

type Card = Awaited<ReturnType<typeof cardShownBy>>;

/** One published version of gold, and what every page of it needs. */
export interface Edition {
  /** The run that built it; undefined where nothing is published. */
  builtBy: string | undefined;
  target: Target;
  tables: ReadonlySet<string>;
  definitions: Definitions;
  choices: Choices;
  /** Exclusive end of the data. */
  asOf: string | undefined;
  card: Card;
  /** What is newer than these tables, and what to run: a line for each. */
  waiting: readonly string[];
}

type Sources = Pick<Effects, 'engine' | 'store'>;

/** Pages that are kept; a page with its charts is some 300 kB. */
const KEPT_MAX = 100;
/** Pages that are made at once: charts are drawn in this process. */
const AT_ONCE = 2;
/** Whoever comes behind so many others is told to come again. */
const WAITING_MAX = 200;
/** How often a page is begun anew because another version was published while it was made. */
const TRIES_MAX = 3;

const VALUES = `
select distinct
    country,
    device
from fct_plays`;

/** What pages are made with: each once for a version, whoever asks for it. */
export interface Press {
  /**
   * What `make` gives of the version that is published now, from what is kept where it is there. All of it is
   * of one version.
   *
   * @throws what `make` and `SqlEngine.query` throw; `dashboard_busy`, `commit_conflict` (75); `lake_away`
   *   (69; a retry helps once it is back) where a lake that had commits has none any more
   */
  print<T extends object>(name: string, make: (edition: Edition) => Promise<T>): Promise<T>;
}

/** Opens the press for gold of one target. */
export function openPress(sources: Sources, target: Target): Press {
  const kept = new Map<string, Promise<object>>();
  const turns = turnTaking();
  const versionOf = versions(sources, target);
  const keep = <T extends object>(key: string, make: () => Promise<T>): Promise<T> => {
    const known = kept.get(key) as Promise<T> | undefined;
    kept.delete(key);
    const page = known ?? make();
    kept.set(key, page);
    for (const old of kept.keys()) if (kept.size > KEPT_MAX) kept.delete(old);
    // What failed is tried again by whoever asks next.
    if (known === undefined) page.catch(() => kept.get(key) === page && kept.delete(key));
    return page;
  };
  const once = async <T extends object>(name: string, make: (edition: Edition) => Promise<T>): Promise<T> => {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const { version, freshness } = await versionOf();
      const edition = `${version} ${freshness}`;
      const made = await keep(`${edition} ${name}`, () =>
        turns(async () => make(await keep(`${edition} edition`, () => readEdition(sources, target)))),
      );
      if ((await versionOf()).version === version) return made;
    }
    throw new JobError('commit_conflict', 'tempfail', 'another version was published while the page was made', {
      hint: 'load the page again',
    });
  };
  return { print: once };
}

/**
 * Names what readers see: another version means other numbers, another freshness another word on what waits.
 * A folder that was moved away, or a disk that was taken out, looks like a lake without a commit, and is told
 * from one that has none yet.
 */
function versions(
  { store }: Pick<Sources, 'store'>,
  target: Target,
): () => Promise<{ version: string; freshness: string }> {
  let wasThere = false;
  return async () => {
    const state = (await latestManifest(store))?.state;
    if (state === undefined && wasThere)
      throw new JobError('lake_away', 'unavailable', 'the lake is not where it was', {
        place: { file: store.uri },
        hint: 'bring it back and load the page again, or end this and serve another lake',
      });
    wasThere = state !== undefined;
    return {
      version: state?.gold[target]?.runId ?? '-',
      freshness: state === undefined ? '' : freshnessOf(state, target),
    };
  };
}

async function readEdition({ engine, store }: Sources, target: Target): Promise<Edition> {
  const state = (await latestManifest(store))?.state;
  const builtBy = state?.gold[target]?.runId;
  const definitions = readDefinitions();
  const rows = reader(engine, target, definitions);
  const tables = publishedTables(state, target);
  const hasPlays = tables.has('fct_plays');
  const people = tables.has('dim_users') ? await readPeople(rows) : [];
  const values = hasPlays ? await rows<{ country: string | null; device: string | null }>(VALUES) : [];
  const totals = hasPlays ? await readTotals(rows) : undefined;
  const lastDate = totals?.last_date ?? undefined;
  const distinct = (column: 'country' | 'device'): string[] =>
    [...new Set(values.flatMap((row) => row[column] ?? []))].filter((value) => value !== 'unknown').sort();
  return {
    ...{ builtBy, target, tables, definitions },
    choices: {
      people,
      ...{ countries: distinct('country'), devices: distinct('device') },
      ...{ firstDate: totals?.first_date ?? undefined, lastDate },
      isPrivateAlways: definitions.isIncognitoIncluded,
    },
    asOf: lastDate === undefined ? undefined : await readAsOf(rows, lastDate),
    card: state === undefined ? undefined : await cardShownBy(store, state, target),
    waiting: state === undefined ? [] : await waitingFor(store, state, target),
  };
}

/** Runs what it is given in turn, a few at once. @throws `dashboard_busy` (75) */
function turnTaking(): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= AT_ONCE) {
      if (waiting.length >= WAITING_MAX)
        throw new JobError('dashboard_busy', 'tempfail', `${WAITING_MAX} other pages are being waited for`, {
          hint: 'load the page again in a minute',
        });
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

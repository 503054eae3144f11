/**
 * A lake of two people, anna and bob, and what a test wants to know of it without asking the code under test.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { openEngine } from '../../jobs/engine/open.ts';
import { makeScratch, openFolderLake } from '../../jobs/lake/folder/store.ts';
import { load } from '../../jobs/load.ts';
import { report } from '../../jobs/report.ts';
import { run } from '../../jobs/run.ts';
import { transform } from '../../jobs/transform.ts';
import { play } from '../bronze/load-fixture.ts';

export const NOW_MS = Date.UTC(2026, 10, 21, 6, 54);
/** Whoever is to be removed; every value of theirs has this in it, or is in `TRACKS.anna`. */
const PEOPLE = ['anna', 'bob'] as const;
export type Person = (typeof PEOPLE)[number];

const idOf = (person: Person, n: number): string =>
  `${person}${'0'.repeat(22)}`.slice(0, 20) + String(n).padStart(2, '0');
const hour = (n: number): string => new Date(Date.UTC(2026, 9, 1) + n * 3_600_000).toISOString().slice(0, 19);

/** Texts that only this person's files have. */
export const MARKS: Record<Person, RegExp> = {
  anna: /anna0{10}|Song of anna|session-anna/,
  bob: /bob0{10}|Song of bob|session-bob/,
};

function exportRows(person: Person, from: number, count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, n) =>
    play({
      ts: `${hour(from + n)}Z`,
      master_metadata_track_name: `Song of ${person} ${n % 5}`,
      master_metadata_album_artist_name: `Artist of ${person}`,
      spotify_track_uri: `spotify:track:${idOf(person, n % 5)}`,
    }),
  );
}

/** An answer of recently played: `plays` of them were in the export too. */
export function pollOf(person: Person, polledAt: string, hours: readonly number[]): string {
  const items = hours.map((n) => ({
    played_at: `${hour(n)}.000Z`,
    context: null,
    track: {
      ...{ id: idOf(person, n % 5), type: 'track', name: `Song of ${person} ${n % 5}`, duration_ms: 200_000 },
      ...{
        uri: `spotify:track:${idOf(person, n % 5)}`,
        explicit: false,
        is_local: false,
        track_number: 1,
        disc_number: 1,
      },
      artists: [{ id: idOf(person, 80), name: `Artist of ${person}`, type: 'artist' }],
      album: { id: idOf(person, 90), name: `Album of ${person}`, type: 'album', album_type: 'album', artists: [] },
    },
  }));
  return `${JSON.stringify({ polled_at: polledAt, body: { href: 'https://api.spotify.com/v1/me/player/recently-played', items, cursors: null } })}\n`;
}

function eventRows(person: string, day: number): string[] {
  return Array.from({ length: 6 }, (_, n) =>
    JSON.stringify({
      ...{ event_id: `event-${person}-${day}-${n}-00000000`, user_id: person, session_id: `session-${person}-${day}` },
      ...{ track_id: `events000000000000000${n}`, track_name: `Common ${n}`, artist_name: 'Everybody', action: 'play' },
      ...{ occurred_at: new Date(Date.UTC(2026, 9, day, n)).toISOString(), played_ms: 60_000 + n, country: 'DE' },
    }),
  );
}

/** File name to content, of one person. */
export function filesOf(person: Person): Record<string, string> {
  return {
    'Streaming_History_Audio_2026_0.json': JSON.stringify([
      ...exportRows(person, 0, 30),
      play({ ts: 'never', master_metadata_track_name: `Song of ${person} refused` }),
    ]),
    [`recently-played-${person}.ndjson`]:
      pollOf(person, `${hour(40)}.000Z`, [25, 26, 35]) + pollOf(person, `${hour(300)}.000Z`, [290, 291]),
    [`broken-${person}.json`]: `[{"ts": "2026-01-01T00:00:00Z", "Song of ${person}`,
  };
}

/** Their scrobbles: of the first play of the export, and of a play that only an answer has. */
export function scrobblesOf(person: Person): Record<string, string> {
  const rows = [0, 35].map(
    (n) => `${Date.parse(`${hour(n)}Z`) / 1000},Artist of ${person},Song of ${person} ${n % 5}\n`,
  );
  const metadata = { artist_name: `Artist of ${person}`, track_name: `Song of ${person} 0` };
  return {
    [`scrobbles-${person}.csv`]: `uts,artist,track\n${rows.join('')}`,
    [`listens-${person}.jsonl`]: `${JSON.stringify({ listened_at: Date.parse(`${hour(0)}Z`) / 1000, track_metadata: metadata })}\n`,
  };
}

/** What everybody shares: events whose rows name their users. */
export const SHARED = {
  'events-2026-10-01.json': `${[...eventRows('anna', 1), ...eventRows('bob', 1), ...eventRows('carl', 1)].join('\n')}\n`,
  'events-2026-10-02.json': `${eventRows('bob', 2).join('\n')}\n`,
  'events-2026-10-03.json': `${eventRows('anna', 3).join('\n')}\n`,
};

export interface OpenLake {
  root: string;
  effects: Effects;
  close(): Promise<void>;
}

export async function openLake(
  root: string,
  userId = 'me',
  environment: Record<string, string> = {},
): Promise<OpenLake> {
  const store = await openFolderLake(root);
  const config = readConfig({
    ...{ LISTENLAKE_LAKE: root, LISTENLAKE_USER: userId, LISTENLAKE_MEMORY_MB: '256', LISTENLAKE_THREADS: '2' },
    ...{ XDG_CACHE_HOME: join(root, '../cache'), XDG_CONFIG_HOME: join(root, '../config') },
    ...environment,
  });
  mkdirSync(config.cacheDir, { recursive: true });
  const scratch = await makeScratch(root);
  const engine = await openEngine(store, { config, scratch });
  return {
    root,
    effects: {
      ...{ config, store, engine, scratch, progress: silentProgress, log: createLog('silent') },
      ...{ now: () => NOW_MS, signal: new AbortController().signal },
    },
    async close() {
      await engine.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

export function give(folder: string, files: Record<string, string>): string {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

export class Lakes {
  readonly folder = mkdtempSync(join(tmpdir(), 'listenlake-forget-'));
  private readonly opened: OpenLake[] = [];
  private copies = 0;

  /**
   * A lake with the files of these people: bronze and silver, and with `isWhole` gold (dev and prod) and a
   * report.
   */
  async make(
    name: string,
    people: readonly Person[],
    shared: Record<string, string>,
    { isWhole }: { isWhole: boolean },
  ): Promise<string> {
    const root = join(this.folder, name, 'lake');
    for (const [index, person] of people.entries()) {
      const lake = await openLake(root, person);
      const source = give(join(this.folder, name, person), { ...filesOf(person), ...(index === 0 ? shared : {}) });
      const isLast = index === people.length - 1;
      const runId = `run-${person}`;
      if (isWhole && isLast) {
        const outDir = join(root, 'report');
        await run({ runId, paths: [source], userId: person, asOf: '2026-10-20', report: { outDir } }, lake.effects);
        await report({ runId, outDir, target: 'prod', hasPngs: true }, lake.effects);
      } else {
        await load({ runId, paths: [source], userId: person, keepLanding: false }, lake.effects);
        await transform({ runId, loadedOn: '2026-11-21' }, lake.effects);
      }
      await lake.close();
    }
    return root;
  }

  async copy(from: string, environment: Record<string, string> = {}): Promise<OpenLake> {
    this.copies += 1;
    const root = join(this.folder, `copy-${this.copies}`, 'lake');
    cpSync(from, root, { recursive: true, preserveTimestamps: true });
    const lake = await openLake(root, 'me', environment);
    this.opened.push(lake);
    return lake;
  }

  async close(): Promise<void> {
    for (const lake of this.opened) await lake.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Rows of each table of silver and gold that name this person: their number and a hash of them all. */
export async function rowsOf(root: string, person: string): Promise<Record<string, string>> {
  return eachTable(root, async (name, columns, ask) => {
    const people = columns.filter((column) => /user_id/.test(column));
    if (people.length === 0) return undefined;
    const isTheirs = people.map((column) => `"${column}" = '${person}'`).join(' or ');
    // Numbers of songs are given anew in each build, to all songs of the lake in one order.
    const rows = columns.includes('song_number') ? `(select * exclude (song_number) from ${name})` : name;
    return ask(`select count(*) || ' ' || coalesce(sum(hash(t)::hugeint), 0) from ${rows} as t where ${isTheirs}`);
  });
}

async function eachTable(
  root: string,
  action: (name: string, columns: string[], ask: (sql: string) => Promise<string>) => Promise<string | undefined>,
): Promise<Record<string, string>> {
  const instance = await DuckDBInstance.create(join(root, 'lake.duckdb'), { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  const rows = async (sql: string): Promise<string[][]> =>
    (await connection.runAndReadAll(sql)).getRowsJS().map((row) => row.map(String));
  try {
    const columns = Map.groupBy(
      await rows(
        `select table_schema || '.' || table_name, column_name from information_schema.columns
         where table_schema in ('silver', 'gold_dev', 'gold_prod') order by all`,
      ),
      ([name]) => name!,
    );
    const answers: Record<string, string> = {};
    for (const [name, found] of columns) {
      const ask = async (sql: string): Promise<string> => (await rows(sql))[0]![0]!;
      const answer = await action(
        name,
        found.map(([, column]) => column!),
        ask,
      );
      if (answer !== undefined) answers[name] = answer;
    }
    return answers;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * Files of the lake's folder, hidden ones too, in which a text stands: bytes of each, and of Parquet every
 * value as JSON.
 */
export async function filesWith(root: string, text: RegExp): Promise<string[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const found: string[] = [];
  try {
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (text.test(path.slice(root.length))) found.push(path.slice(root.length + 1));
      if (!entry.isFile()) continue;
      const bytes = readFileSync(path);
      let content = bytes.toString('latin1');
      if (content.startsWith('PAR1')) {
        const rows = await connection.runAndReadAll(`select to_json(t)::varchar from read_parquet('${path}') as t`);
        content = rows.getRowsJS().join('\n');
      }
      if (text.test(content)) found.push(path.slice(root.length + 1));
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
  return [...new Set(found)].sort();
}

export const isThere = (root: string, key: string): boolean => existsSync(join(root, key));

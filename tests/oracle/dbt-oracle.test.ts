import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { enrich } from '../../jobs/enrich.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { contractOf } from '../../jobs/lake/contracts.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { type LakeFixture, openLakeFixture, type Row } from '../fixtures/effects.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { openDbt, runDbt } from './python-tools.ts';

const AS_OF = '2026-03-01T00:00:00.000Z';
const TIMEOUT_MS = 900_000;
const dbt = openDbt();

if ('missing' in dbt) {
  layerSkipped('oracle', dbt.missing, PYTHON);
  it('is left out, which CI does not allow', () => {
    expect(process.env.CI).not.toBe('true');
  });
} else {
  describe('dbt as the oracle', () => {
    let work: string;
    let lake: LakeFixture;
    beforeEach(async () => {
      work = mkdtempSync(join(tmpdir(), 'listenlake-dbt-'));
      lake = await openLakeFixture();
    });
    afterEach(async () => {
      await lake.close();
      rmSync(work, { recursive: true, force: true });
    });

    /**
     * Runs dbt over the silver that `catalog` shows and compares every table with those in `schema` there.
     */
    const compareWith = async (
      command: 'build' | 'run',
      catalog: string,
      schema: string,
      asOf: string,
    ): Promise<Record<string, string>> => {
      const { gold, statuses, output } = runDbt(dbt.program, command, catalog, work, { as_of: asOf });
      const broken = Object.entries(statuses).filter(([, status]) => status !== 'success' && status !== 'pass');
      expect({ broken, output: broken.length === 0 ? '' : output }).toEqual({ broken: [], output: '' });
      // For dbt the table that `train` fills is a source; an ephemeral model is no table.
      const built = [...readProject().models.values()].filter(
        ({ trainedFrom, config }) => trainedFrom === undefined && config.materialized !== 'ephemeral',
      );
      const models = built.map(({ name }) => name).sort();
      const differences = await differencesOf(gold, catalog, schema, models);
      expect(differences).toEqual(models.map((model) => ({ model, columns: [], onlyDbt: 0, onlyOurs: 0 })));
      return statuses;
    };

    const compare = async (
      command: 'build' | 'run',
      silver: Record<string, Row[]>,
    ): Promise<Record<string, string>> => {
      await lake.commitSilver(silver);
      await enrich({ runId: 'ours', asOf: AS_OF }, lake.effects);
      return compareWith(command, join(lake.root, 'lake.duckdb'), 'gold_dev', AS_OF);
    };

    it(
      'builds the same gold_prod from what the whole pipeline made of synthetic files',
      async () => {
        const target = ['--lake', join(work, 'lake')];
        const size = [
          '--users',
          '5',
          '--days',
          '30',
          '--tracks',
          '300',
          '--export-plays',
          '2000',
          '--export-years',
          '2',
        ];
        expect(await listenlake(['extract', 'events', ...size, ...target])).toMatchObject({ code: 0 });
        const run = await listenlake(['run', '--on-quarantine', 'warn', ...target]);
        expect(run).toMatchObject({ code: 0, json: { status: 'done' } });
        await compareWith('run', join(work, 'lake', 'lake.duckdb'), 'gold_prod', String(run.json.as_of));
      },
      TIMEOUT_MS,
    );

    it(
      'builds the same tables from generated listening, and finds them good',
      async () => {
        const statuses = await compare('build', generatedSilver());
        const { rows } = await lake.engine.query('select count(*) from fct_plays');
        expect(rows[0]?.[0]).toBeGreaterThan(500n); // it had something to compare
        expect(Object.values(statuses).filter((status) => status === 'pass').length).toBeGreaterThan(100);
      },
      TIMEOUT_MS,
    );

    // Their rows are odd on purpose, so only the models run: a failing test would make dbt leave out what
    // comes after it. The tests of the models take most of dbt's time: they run once, on the generated
    // listening.
    it(
      'builds the same tables from the rows of all model cases',
      async () => {
        await compare('run', silverOfCases());
      },
      TIMEOUT_MS,
    );

    it(
      'builds the same tables from an empty silver',
      async () => {
        await compare('run', {});
      },
      TIMEOUT_MS,
    );
  });
}

interface Difference {
  model: string;
  /** Columns that are not in both, or not in the same place. */
  columns: string[];
  /** Rows of the multiset that the other one does not have. */
  onlyDbt: number;
  onlyOurs: number;
}

async function differencesOf(
  theirs: string,
  ours: string,
  schema: string,
  models: readonly string[],
): Promise<Difference[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const rows = async (sql: string): Promise<unknown[][]> => (await connection.runAndReadAll(sql)).getRowsJS();
  try {
    await connection.run(`attach '${theirs}' as theirs (read_only)`);
    await connection.run(`attach '${ours}' as ours (read_only)`);
    const differences: Difference[] = [];
    for (const model of models) {
      const [dbt, own] = [`theirs.gold.${model}`, `ours.${schema}.${model}`];
      const names = async (table: string): Promise<string[]> =>
        (await rows(`describe ${table}`)).map((column) => String(column[0]));
      const [dbtNames, ownNames] = [await names(dbt), await names(own)];
      const columns = dbtNames.filter((name, index) => ownNames[index] !== name);
      const only = async (a: string, b: string): Promise<number> =>
        columns.length > 0
          ? -1
          : Number((await rows(`select count(*) from (select * from ${a} except all select * from ${b})`))[0]?.[0]);
      differences.push({ model, columns, onlyDbt: await only(dbt, own), onlyOurs: await only(own, dbt) });
    }
    return differences;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Silver rows of every case under tests/models, the first of each key. */
function silverOfCases(): Record<string, Row[]> {
  const cases = join(import.meta.dirname, '../models');
  const silver: Record<string, Map<string, Row>> = {};
  for (const path of readdirSync(cases, { recursive: true, encoding: 'utf8' }).sort()) {
    const table = /^silver\.(\w+)\.json$/.exec(basename(path))?.[1];
    if (table === undefined) continue;
    silver[table] ??= new Map();
    for (const row of JSON.parse(readFileSync(join(cases, path), 'utf8')) as Row[]) {
      const key = JSON.stringify(contractOf('silver', table).key.map((name) => row[name]));
      if (!silver[table].has(key)) silver[table].set(key, row);
    }
  }
  return Object.fromEntries(Object.entries(silver).map(([table, rows]) => [table, [...rows.values()]]));
}

/**
 * Two months of four listeners and of one person, over tracks known by id, by ISRC or by name only. The same
 * at every call.
 */
function generatedSilver(): Record<string, Row[]> {
  const random = generator(20260301);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const times = <T>(count: number, make: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => make(index));
  const at = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
  const artists = times(12, (n) => ({
    artist_id: `artist-${n}`,
    artist_name: n === 3 ? 'Sigur Rós' : `The  Artist ${n}`,
  }));
  const albums = times(20, (n) => ({
    album_id: `album-${n}`,
    album_name: `Album ${n}`,
    release_date: n % 5 === 4 ? '2026-01-01' : `20${10 + (n % 16)}-0${1 + (n % 9)}-01`,
    release_precision: n === 4 ? 'year' : n === 9 ? 'month' : 'day',
    primary_artist_id: `artist-${n % 12}`,
    total_tracks: n % 3 === 0 ? null : n,
  }));
  const tracks = times(60, (n) => ({
    track_id: `track-${n}`,
    track_name: `Song ${n % 50}`,
    album_id: `album-${n % 20}`,
    album_name: `Album ${n % 20}`,
    primary_artist_id: `artist-${n % 12}`,
    primary_artist_name: artists[n % 12]!.artist_name,
    duration_ms: 120_000 + n * 1000,
    popularity: n % 7 === 0 ? null : (n * 37) % 101,
    isrc: n % 5 === 0 ? `XX000000000${n % 10}` : null,
    source: n % 4 === 0 ? 'api' : 'tracks_csv',
    last_seen_at: at(Date.UTC(2026, 0, 1 + (n % 28))),
  }));
  const start = Date.UTC(2025, 11, 28);
  const plays = times(900, (n) => {
    const track = pick(tracks);
    const endedAt = start + Math.floor(random() * 60 * 86_400_000);
    const playedMs = random() < 0.05 ? null : Math.floor(random() * 200_000);
    const isNameOnly = random() < 0.3;
    return {
      play_id: `play-${n}`,
      user_id: 'me',
      source: pick(['export_extended', 'export_account', 'api']),
      content_type: pick(['track', 'track', 'track', 'track', 'episode', 'unknown']),
      content_uri: isNameOnly ? null : `spotify:track:${track.track_id}`,
      track_id: isNameOnly ? null : track.track_id,
      track_name: isNameOnly ? track.track_name.toUpperCase() : track.track_name,
      artist_name: isNameOnly ? ` ${track.primary_artist_name.toLowerCase()} ` : track.primary_artist_name,
      album_name: track.album_name,
      started_at: at(endedAt - (playedMs ?? 0)),
      ended_at: at(endedAt),
      reported_at: at(endedAt),
      played_ms: playedMs,
      device: pick(['ios', 'web', null]),
      country: pick(['DE', 'US', 'IN', null]),
      reason_end: pick(['trackdone', 'fwdbtn', 'backbtn', 'endplay', 'logout', null]),
      is_skipped: pick([true, false, false, null]),
      is_incognito: random() < 0.05,
      time_quality: 'exact',
    };
  });
  const events = times(1500, (n) => {
    const track = pick(tracks);
    return {
      event_id: `event-${n}`,
      user_id: `user-${n % 4}`,
      session_id: random() < 0.5 ? `session-${n % 90}` : null,
      track_id: track.track_id,
      track_name: track.track_name,
      artist_name: track.primary_artist_name,
      action: pick(['play', 'play', 'play', 'skip', 'pause', 'add_to_playlist']),
      occurred_at: at(start + Math.floor(random() * 60 * 86_400_000)),
      played_ms: Math.floor(random() * 200_000),
      device: pick(['android', 'speaker']),
      country: pick(['BR', 'JP', null]),
      source: 'synthetic',
    };
  });
  return {
    plays,
    listening_events: events,
    artists,
    albums,
    tracks,
    track_observations: times(240, (n) => ({
      track_id: `track-${n % 60}`,
      seen_at: n < 60 ? null : at(Date.UTC(2026, 0, 1 + Math.floor(n / 60) * 9 + (n % 9), n % 24)),
      source: n < 60 ? 'tracks_csv' : 'api',
      track_name: n % 11 === 0 ? null : `Song ${(n % 60) % 50}`,
      popularity: n % 7 === 0 ? null : (n * 37) % 101,
      duration_ms: 120_000 + (n % 60) * 1000,
    })),
    track_artists: tracks.map(({ track_id, primary_artist_id }) => ({
      track_id,
      artist_id: primary_artist_id,
      position: 1,
    })),
    track_genres: tracks.flatMap(({ track_id }, n) =>
      n % 3 === 0 ? [] : ['pop', n % 2 === 0 ? 'rock' : 'jazz'].map((genre) => ({ track_id, genre, source: 'artist' })),
    ),
    chart_entries: times(100, (n) => ({
      chart: 'top50_daily',
      region: n % 2 === 0 ? 'global' : 'DE',
      period_start: `2026-02-${String(1 + Math.floor(n / 20)).padStart(2, '0')}`,
      period_end: `2026-02-${String(2 + Math.floor(n / 20)).padStart(2, '0')}`,
      rank: 1 + (Math.floor(n / 2) % 10),
      track_id: n % 4 === 0 ? null : `track-${n % 60}`,
      track_name: `Song ${n % 50}`,
      artist_name: artists[n % 12]!.artist_name,
      streams: 9_000_000_000 + n,
    })),
    playlists: [{ playlist_id: 'list', snapshot_id: 's', playlist_name: 'Mine' }],
    playlist_items: times(90, (n) => ({
      playlist_id: 'list',
      position: (n % 30) + 1,
      item_uri: n % 13 === 0 ? null : `spotify:track:track-${(n * 2) % 50}`,
      item_type: n % 13 === 0 ? 'unavailable' : 'track',
      track_id: n % 13 === 0 ? null : `track-${(n * 2) % 50}`,
      snapshot_date: ['2026-02-18', '2026-02-20', '2026-02-21'][Math.floor(n / 30)],
      added_at: at(Date.UTC(2026, 0, 1 + (n % 30))),
    })),
  };
}

/** Mulberry32: small, and the same numbers everywhere. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

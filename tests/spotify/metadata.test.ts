import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { latestManifest, readSilverFiles } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { extractLibrary } from '../../jobs/sources/spotify-api/library.ts';
import { extractMetadata, type MetadataResult } from '../../jobs/sources/spotify-api/metadata.ts';
import { doctorSpotify } from '../../jobs/sources/spotify-api/probe.ts';
import { openSpotifyFixture, type SpotifyFixture } from './fixture.ts';
import { type StubRequest, stubId, stubTrack } from './stub.ts';

let fixture: SpotifyFixture;
beforeAll(async () => {
  fixture = await openSpotifyFixture();
});
beforeEach(async () => {
  await fixture.reset();
  await fixture.openEngine();
});
afterAll(() => fixture.close());

const SONGS = ['a', 'b', 'c', 'd', 'e', 'f'];
const idOf = (song: string): string => stubId(`track ${song}`);

/**
 * An account export: song a is played once, b twice, ..., and the lake knows nothing of them but their ids
 * and names.
 */
async function loadExport(songs = SONGS, month = 5): Promise<void> {
  const played = songs.flatMap((song, index) => Array.from({ length: index + 1 }, () => song));
  const rows = played.map((song, index) => ({
    ts: new Date(Date.UTC(2026, month, 1) + index * 300_000).toISOString().replace('.000', ''),
    ...{ platform: 'ios', ms_played: 200_000, conn_country: 'IS', ip_addr: '192.0.2.1' },
    ...{
      master_metadata_track_name: song,
      master_metadata_album_artist_name: 'Stub Artist',
      master_metadata_album_album_name: 'Album',
    },
    ...{
      spotify_track_uri: `spotify:track:${idOf(song)}`,
      episode_name: null,
      episode_show_name: null,
      spotify_episode_uri: null,
    },
    ...{
      reason_start: 'trackdone',
      reason_end: 'trackdone',
      shuffle: false,
      skipped: false,
      offline: false,
      offline_timestamp: null,
      incognito_mode: false,
    },
  }));
  const path = join(fixture.folder, `Streaming_History_Audio_2026_${month}.json`);
  writeFileSync(path, JSON.stringify(rows));
  expect(await fixture.loadAndTransform([path])).toBe(0);
}

function serve(songs: string[]): void {
  for (const song of songs) fixture.stub.world.objects.set(`tracks/${idOf(song)}`, stubTrack(song));
  const artistId = stubId('artist Stub Artist');
  fixture.stub.world.objects.set(`artists/${artistId}`, {
    id: artistId,
    name: 'Stub Artist',
    type: 'artist',
    uri: `spotify:artist:${artistId}`,
    genres: ['stub pop'],
  });
}

function lookUp(callBudget = 100): Promise<MetadataResult> {
  return extractMetadata({ runId: 'run', callBudget }, fixture.effects, fixture.web);
}

const paths = (): string[] =>
  fixture.stub.requests.filter(({ host }: StubRequest) => host === 'api.spotify.com').map(({ path }) => path);

describe('extract metadata', () => {
  it('looks up tracks most played first, within the budget, and goes on where it stopped; artists follow once they are heard of', async () => {
    await loadExport();
    serve(SONGS);
    const first = await lookUp(4);
    expect(paths()).toEqual(['f', 'e', 'd', 'c'].map((song) => `/v1/tracks/${idOf(song)}`));
    expect(first).toMatchObject({
      lookedUp: { tracks: 4, albums: 0, artists: 0 },
      missing: 0,
      left: 2,
      calls: 4,
      plays: { total: 21, before: 0, after: 6 + 5 + 4 + 3 },
    });
    // Before anything is loaded, too, nothing is looked up twice.
    expect(await lookUp(1)).toMatchObject({ lookedUp: { tracks: 1 }, left: 1, plays: { before: 18, after: 20 } });
    expect(await fixture.loadAndTransform()).toBe(0);
    expect(await lookUp()).toMatchObject({
      lookedUp: { tracks: 1, albums: 0, artists: 1 },
      left: 0,
      plays: { before: 20, after: 21 },
    });
    expect(await fixture.loadAndTransform()).toBe(0);
    expect(await lookUp()).toMatchObject({ lookedUp: { tracks: 0, albums: 0, artists: 0 }, left: 0, calls: 0 });
    expect(await fixture.rows('select count(*) as tracks, count(isrc) as with_isrc from silver.tracks')).toEqual([
      { tracks: 6n, with_isrc: 6n },
    ]);
    expect(
      await fixture.rows(`select genres from silver.artists where artist_id = '${stubId('artist Stub Artist')}'`),
    ).toEqual([{ genres: 'stub pop' }]);
  });

  it('F8: a 404 is remembered for a month, and not for ever', async () => {
    await loadExport(['a', 'b']);
    serve(['a']);
    expect(await lookUp()).toMatchObject({ lookedUp: { tracks: 1 }, missing: 1, left: 0 });
    fixture.clock.ms += 29 * 86_400_000;
    fixture.writeLogin();
    expect(await lookUp()).toMatchObject({ missing: 0, calls: 0 });
    serve(['b']);
    fixture.clock.ms += 2 * 86_400_000;
    fixture.writeLogin();
    expect(await lookUp()).toMatchObject({ lookedUp: { tracks: 1 }, missing: 0 });
  });

  it.each([403, 410])(
    'F8: status %i closes the look-up after one call, exit 0 with a note; later runs do not try',
    async (status) => {
      await loadExport();
      fixture.stub.fault = ({ path }) => (path.startsWith('/v1/tracks/') ? { kind: 'status', status } : undefined);
      const result = await lookUp();
      expect(result).toMatchObject({ lookedUp: { tracks: 0 }, missing: 0, calls: 1 });
      expect(result.notices).toEqual([
        expect.stringMatching(
          /^tracks: closed to this app.*tracks, albums, artists get nothing.*Instead: a tracks CSV/,
        ),
      ]);
      expect(await lookUp()).toMatchObject({ calls: 0, notices: [expect.stringContaining('closed')] });
    },
  );

  it('F8: an endpoint that is gone and answers 404 to everything is told from ids that are wrong', async () => {
    await loadExport(Array.from({ length: 14 }, (_, index) => `song ${index}`));
    const result = await lookUp();
    expect(result).toMatchObject({ calls: 10, notices: [expect.stringContaining('status 404')] });
    expect((await fixture.ledger()).missing).toEqual({});
  });

  it('F3, F4: when Spotify asks for a pause, what was looked up is kept', async () => {
    await loadExport();
    serve(SONGS);
    let calls = 0;
    fixture.stub.fault = () => {
      calls += 1;
      return calls === 3 ? { kind: 'status', status: 429, body: '{"reason":"QUOTA_EXCEEDED"}' } : undefined;
    };
    await expect(lookUp()).rejects.toMatchObject({ code: 'quota_exceeded', exit: 'tempfail' });
    expect(await fixture.landing()).toHaveLength(2);
    // The export path goes on (I10).
    await loadExport(['x', 'y', 'z']);
    fixture.clock.ms += 3_600_001;
    expect(await lookUp()).toMatchObject({ lookedUp: { tracks: 4 }, missing: 3, left: 0 });
  });

  it('reads neither silver nor asks an engine: its role may not', async () => {
    await loadExport(['a', 'b']);
    serve(['a', 'b']);
    const { store } = fixture;
    const may = /^(landing|manifests|state)\//;
    const refuse = async (key: string): Promise<never> => {
      throw new Error(`extract may not read ${key}`);
    };
    const role: LakeStore = {
      ...store,
      get: (key) => (may.test(key) ? store.get(key) : refuse(key)),
      localFile: refuse,
    };
    const query = () => refuse('through an engine');
    const effects = { ...fixture.effects, store: role, engine: { ...fixture.effects.engine, query, session: query } };
    const result = await extractMetadata({ runId: 'run', callBudget: 100 }, effects, fixture.web);
    expect(result).toMatchObject({ lookedUp: { tracks: 2 }, left: 0, plays: { total: 3, before: 0, after: 3 } });
  });

  it('where a part of silver is gone, transform goes on and the queue stays as it was', async () => {
    await loadExport(['a', 'b']);
    await loadExport(['c'], -6);
    const { state } = (await latestManifest(fixture.store))!;
    rmSync(join(fixture.lake, (await readSilverFiles(fixture.store, state, 'plays'))[0]!.key));
    const queue = state.lookUps;
    fixture.stub.world.savedTracks = [{ added_at: '2026-01-01T00:00:00Z', track: stubTrack('saved') }];
    await extractLibrary({ runId: 'run' }, fixture.effects, fixture.web);
    expect(await fixture.loadAndTransform()).toBe(0);
    expect(await fixture.rows('select count(*) as rows from silver.saved_tracks')).toEqual([{ rows: 1n }]);
    expect((await latestManifest(fixture.store))?.state.lookUps).toBe(queue);
  });

  it('a lake without listening has nothing to look up', async () => {
    expect(await lookUp()).toMatchObject({ left: 0, calls: 0, plays: { total: 0 } });
  });
});

describe('doctor --spotify', () => {
  it('says what is open and which tables stay empty, and remembers it for extract', async () => {
    await loadExport(['a']);
    serve(['a']);
    await lookUp();
    await fixture.loadAndTransform();
    fixture.stub.fault = ({ path, query }) => {
      if (path.startsWith('/v1/audio-features')) return { kind: 'status', status: 403 };
      if (query.has('ids') || path === '/v1/me/tracks') return { kind: 'status', status: 410 };
      return undefined;
    };
    const findings = await doctorSpotify({ runId: 'run' }, fixture.effects, fixture.web);
    const of = (name: string): unknown => findings.find((finding) => finding.name === name);
    expect(of('login')).toMatchObject({ verdict: 'ok', text: 'valid until 2027-05-01' });
    expect(of('recently played')).toMatchObject({ verdict: 'ok', text: 'open' });
    expect(of('audio features')).toMatchObject({
      verdict: 'warn',
      text: expect.stringMatching(/status 403.*track_features get nothing.*tracks CSV with audio features/),
    });
    expect(of('several tracks')).toMatchObject({ verdict: 'warn' });
    expect(await fixture.landing()).toEqual([]);
    fixture.stub.requests.length = 0;
    fixture.stub.fault = () => undefined;
    const library = await extractLibrary({ runId: 'run' }, fixture.effects, fixture.web);
    expect(library.notices).toEqual([expect.stringContaining('saved tracks: closed to this app (status 410')]);
    expect(paths()).not.toContain('/v1/me/tracks');
  });

  it('a login that has ended is a finding that says what to do', async () => {
    fixture.writeLogin({ endedAt: fixture.clock.ms });
    expect(await doctorSpotify({ runId: 'run' }, fixture.effects, fixture.web)).toEqual([
      { name: 'spotify', verdict: 'fail', text: expect.stringContaining('listenlake login') },
    ]);
    expect(fixture.stub.requests).toEqual([]);
  });
});

it('snapshots of the library reach silver, followed artists too', async () => {
  fixture.stub.world.followed = [
    { id: stubId('followed'), name: 'Followed', type: 'artist', uri: `spotify:artist:${stubId('followed')}` },
  ];
  fixture.stub.world.topTracks = [stubTrack('top')];
  fixture.stub.world.savedTracks = [{ added_at: '2026-01-01T00:00:00Z', track: stubTrack('saved') }];
  await extractLibrary({ runId: 'run' }, fixture.effects, fixture.web);
  expect(await fixture.loadAndTransform()).toBe(0);
  expect(await fixture.rows("select artist_name from silver.artists where artist_name = 'Followed'")).toEqual([
    { artist_name: 'Followed' },
  ]);
  expect(await fixture.rows('select count(*) as rows from silver.top_items')).toEqual([{ rows: 3n }]);
  expect(await fixture.rows('select count(*) as rows from silver.saved_tracks')).toEqual([{ rows: 1n }]);
});

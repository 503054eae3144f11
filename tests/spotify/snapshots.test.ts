import { extractFromApi } from '../../jobs/commands/extract-api.ts';
import { extractLibrary } from '../../jobs/sources/spotify-api/library.ts';
import { extractPlaylists } from '../../jobs/sources/spotify-api/playlists.ts';
import { type Envelope, openSpotifyFixture, type SpotifyFixture } from './fixture.ts';
import { type Fault, type StubPlaylist, type StubRequest, stubId, stubTrack } from './stub.ts';

let fixture: SpotifyFixture;
beforeAll(async () => {
  fixture = await openSpotifyFixture();
});
beforeEach(() => fixture.reset());
afterAll(() => fixture.close());

const playlists = (): ReturnType<typeof extractPlaylists> =>
  extractPlaylists({ runId: 'run' }, fixture.effects, fixture.web);
const library = (): ReturnType<typeof extractLibrary> => extractLibrary({ runId: 'run' }, fixture.effects, fixture.web);

/**
 * A playlist with everything that real ones hold: tracks, an episode, a withdrawn track, a file of the
 * owner's own.
 */
function playlist(name: string, tracks: number, changes: Partial<StubPlaylist> = {}): StubPlaylist {
  const generation = changes.generation ?? 'items';
  const entry = (content: unknown, index: number): Record<string, unknown> => ({
    added_at: new Date(Date.UTC(2026, 0, 1) + index * 60_000).toISOString().replace('.000', ''),
    added_by: { id: 'stub-owner', type: 'user' },
    is_local: (content as { is_local?: boolean } | null)?.is_local === true,
    [generation === 'items' ? 'item' : 'track']: content,
  });
  const local = {
    type: 'track',
    is_local: true,
    id: null,
    uri: 'spotify:local:Garage:Tapes:Rehearsal:187',
    name: 'Rehearsal',
    duration_ms: 187_000,
    artists: [],
    album: { name: 'Tapes', artists: [] },
  };
  const episode = {
    type: 'episode',
    id: stubId('episode'),
    uri: `spotify:episode:${stubId('episode')}`,
    name: 'Stub episode',
    duration_ms: 1_000,
  };
  const songs = Array.from({ length: tracks }, (_, index) => stubTrack(`${name} ${index}`));
  return {
    ...{ id: stubId(`playlist ${name}`), name, owner: 'stub-owner', snapshotId: `snapshot of ${name}`, generation },
    entries: [...songs, null, episode, local].map(entry),
    ...changes,
  };
}

function follow(...ids: string[]): void {
  const { config } = fixture.effects;
  fixture.effects = { ...fixture.effects, config: { ...config, spotify: { ...config.spotify, playlists: ids } } };
}

function onPath(path: string, faults: Record<number, Fault>): void {
  let calls = 0;
  fixture.stub.fault = (request) => {
    if (request.path === path) calls += 1;
    return request.path === path ? faults[calls] : undefined;
  };
}

function entriesOf(envelopes: Envelope[], id: string): unknown[] {
  return envelopes
    .filter(({ endpoint }) => endpoint.startsWith(`/v1/playlists/${id}`))
    .flatMap(
      ({ body }) =>
        (body.items as { items?: unknown[] } | undefined)?.items ??
        (body.tracks as { items?: unknown[] } | undefined)?.items ??
        (body.items as unknown[]),
    );
}

const apiCalls = (): StubRequest[] => fixture.stub.requests.filter(({ host }) => host === 'api.spotify.com');

describe('extract playlists', () => {
  it('reads own and followed playlists, both generations of field names, over all their pages, as received', async () => {
    const world = fixture.stub.world;
    world.playlists = [
      playlist('mornings', 250),
      playlist('old fields', 130, { generation: 'tracks' }),
      playlist('of a friend', 5, { owner: 'somebody' }),
    ];
    const result = await playlists();
    expect(result).toMatchObject({ read: 2, unchanged: 0, items: 253 + 133, refused: [] });
    const landed = await fixture.landing();
    for (const own of world.playlists.slice(0, 2)) expect(entriesOf(landed, own.id)).toEqual(own.entries);
    expect(landed.some(({ endpoint }) => endpoint === '/v1/me')).toBe(false);
  });

  it('F8: 403 and 404 cost one line each and exit 65; the other playlists are read', async () => {
    const [closed, gone] = [playlist('closed', 2, { owner: 'somebody', status: 403 }), stubId('gone')];
    const withoutEntries = playlist('heads only', 2, { owner: 'somebody', status: 200 });
    fixture.stub.world.playlists = [playlist('mine', 2), closed, withoutEntries];
    follow(gone, closed.id, withoutEntries.id);
    const outcome = await extractFromApi('playlists', 'run', fixture.effects, fixture.web);
    expect(outcome.exit).toBe('data');
    expect(outcome.json).toMatchObject({ read: 1, refused: 3 });
    for (const [id, status] of [
      [gone, 404],
      [closed.id, 403],
      [withoutEntries.id, 403],
    ]) {
      expect(
        outcome.text.split('\n').filter((line) => line.includes(`playlist ${id}`) && line.includes(String(status))),
      ).toHaveLength(1);
    }
  });

  it('the same version on the same day is not read again; a new version or a new day is', async () => {
    const mine = playlist('mine', 3);
    fixture.stub.world.playlists = [mine];
    await playlists();
    expect(await playlists()).toMatchObject({ read: 0, unchanged: 1, calls: 2 });
    mine.snapshotId = 'newer';
    expect(await playlists()).toMatchObject({ read: 1, unchanged: 0 });
    fixture.clock.ms += 86_400_000;
    fixture.writeLogin();
    expect(await playlists()).toMatchObject({ read: 1, unchanged: 0 });
  });

  it('F3: a long pause in the middle keeps the pages so far; the next run goes on after it and reads no playlist twice', async () => {
    fixture.stub.world.playlists = [playlist('first', 10), playlist('second', 250)];
    const [first, second] = fixture.stub.world.playlists as [StubPlaylist, StubPlaylist];
    onPath(`/v1/playlists/${second.id}/items`, {
      2: { kind: 'status', status: 429, headers: { 'retry-after': '7200' } },
    });
    await expect(playlists()).rejects.toMatchObject({ code: 'rate_limited', exit: 'tempfail' });
    expect(entriesOf(await fixture.landing(), second.id)).toHaveLength(200);
    expect((await fixture.ledger()).playlists).toHaveProperty([first.id]);
    const calls = apiCalls().length;
    await expect(playlists()).rejects.toMatchObject({ code: 'rate_limited' });
    expect(apiCalls()).toHaveLength(calls);
    fixture.clock.ms += 7_200_000;
    fixture.writeLogin();
    expect(await playlists()).toMatchObject({ read: 1, unchanged: 1, items: 253 });
  });

  it('F5: the login ends between two pages: refreshed once, no page twice, none lost', async () => {
    const mine = playlist('mine', 350);
    fixture.stub.world.playlists = [mine];
    onPath(`/v1/playlists/${mine.id}/items`, { 2: { kind: 'expired' } });
    await playlists();
    expect(entriesOf(await fixture.landing(), mine.id)).toEqual(mine.entries);
    expect(fixture.stub.requests.filter(({ path }) => path === '/api/token')).toHaveLength(1);
  });

  it('F9: pages that lead round in a circle, or on for ever, end; the playlist is told and not taken for whole', async () => {
    const mine = playlist('mine', 250);
    fixture.stub.world.playlists = [mine];
    const address = `https://api.spotify.com/v1/playlists/${mine.id}/items`;
    fixture.stub.fault = ({ path }) =>
      path.endsWith('/items')
        ? { kind: 'edit', edit: (body) => ({ ...body, next: `${address}?offset=100&limit=100` }) }
        : undefined;
    expect((await playlists()).refused).toEqual([expect.stringContaining('circle')]);
    expect((await fixture.ledger()).playlists).toEqual({});
    let page = 0;
    const next = (): string => {
      page += 1;
      return `${address}?offset=100&limit=100&more=${page}`;
    };
    fixture.stub.fault = ({ path }) =>
      path.endsWith('/items') ? { kind: 'edit', edit: (body) => ({ ...body, next: next() }) } : undefined;
    expect((await playlists()).refused).toEqual([expect.stringContaining('circle')]);
    expect(page).toBeLessThan(20);
  });

  it('a snapshot that is read over midnight is one of the day it began on', async () => {
    const mine = playlist('mine', 250);
    fixture.stub.world.playlists = [mine];
    fixture.clock.ms = Date.UTC(2026, 10, 1, 23, 59, 59, 800);
    fixture.writeLogin();
    await playlists();
    const days = (await fixture.landing())
      .filter(({ endpoint }) => endpoint.includes(mine.id))
      .map(({ polled_at }) => polled_at.slice(0, 10));
    expect(new Set(days).size).toBe(1);
    expect(days.length).toBe(3);
  });
});

describe('extract library', () => {
  it('reads every list over all its pages', async () => {
    const world = fixture.stub.world;
    world.savedTracks = Array.from({ length: 120 }, (_, index) => ({
      added_at: '2026-01-01T00:00:00Z',
      track: stubTrack(`saved ${index}`),
    }));
    world.topTracks = [stubTrack('top')];
    world.topArtists = [{ id: stubId('a'), name: 'A', type: 'artist', uri: `spotify:artist:${stubId('a')}` }];
    world.followed = world.topArtists;
    const result = await library();
    expect(result.items).toEqual({
      'saved tracks': 120,
      ...{ 'top tracks, short term': 1, 'top tracks, medium term': 1, 'top tracks, long term': 1 },
      ...{ 'top artists, short term': 1, 'top artists, medium term': 1, 'top artists, long term': 1 },
      'followed artists': 1,
    });
    expect(await library()).toMatchObject({ items: {}, unchanged: 8, calls: 0 });
  });

  it('F8: a list that Spotify has closed costs no other, is told with its tables, and not tried again for a week', async () => {
    fixture.stub.fault = ({ path }) =>
      path.startsWith('/v1/me/top/tracks') ? { kind: 'status', status: 410 } : undefined;
    const first = await library();
    expect(Object.keys(first.items)).toHaveLength(5);
    expect(first.notices).toEqual([
      expect.stringMatching(
        /top tracks: closed to this app \(status 410.*top_items get nothing.*Instead: your own play counts/,
      ),
    ]);
    fixture.clock.ms += 86_400_000;
    fixture.writeLogin();
    fixture.stub.requests.length = 0;
    expect((await library()).notices).toHaveLength(1);
    expect(apiCalls().filter(({ path }) => path === '/v1/me/top/tracks')).toEqual([]);
    fixture.stub.fault = () => undefined;
    fixture.clock.ms += 7 * 86_400_000;
    fixture.writeLogin();
    expect((await library()).notices).toEqual([]);
    expect(apiCalls().filter(({ path }) => path === '/v1/me/top/tracks')).toHaveLength(3);
  });

  it('an empty account is eight empty lists, exit 0', async () => {
    const outcome = await extractFromApi('library', 'run', fixture.effects, fixture.web);
    expect(outcome.exit).toBeUndefined();
    expect(Object.values(outcome.json.items as Record<string, number>)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

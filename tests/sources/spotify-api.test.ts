import { JobError } from '../../jobs/base/errors.ts';
import { createPseudonyms, isPersonalKey, isPersonalValue } from '../../jobs/base/personal-fields.ts';
import { createApiReader } from '../../jobs/sources/spotify-api/answers.ts';

const pseudonym = createPseudonyms('a key for tests only');
const api = createApiReader(pseudonym);
const read = (body: unknown, name = 'page.json') =>
  api.read(typeof body === 'string' ? body : JSON.stringify(body), name);
/** What is kept of a response. */
const textKept = (body: unknown): string => JSON.stringify(api.withoutPeople(read(body).body));

function codeOf(body: unknown): string {
  try {
    return read(body).kind;
  } catch (error) {
    if (error instanceof JobError) return error.code;
    throw error;
  }
}

const track = { type: 'track', id: 't1', name: 'One', album: { type: 'album', id: 'a1' } };
const page = (path: string, items: unknown[]) => ({ href: `https://api.spotify.com/v1/${path}`, items, limit: 50 });

describe('responses of the Web API', () => {
  it.each([
    ['recently_played', { items: [{ track, played_at: '2026-11-01T10:00:00Z', context: null }], cursors: null }],
    ['recently_played', { items: [], cursors: null }],
    ['playlist', { type: 'playlist', id: 'p', tracks: { items: [{ track: null }] } }],
    ['playlist', { type: 'playlist', id: 'p', items: { items: [{ item: track }] } }],
    [
      'playlist_items',
      page('playlists/p1/tracks', [{ added_at: '2026-01-01T00:00:00Z', added_by: { id: 'x' }, track }]),
    ],
    ['playlist_items', page('playlists/p1/items', [null, { added_at: null, item: track }])],
    ['playlist_items', page('playlists/p1/items', [])],
    ['playlists', page('me/playlists', [{ type: 'playlist', id: 'p', owner: { id: 'x' } }])],
    ['saved_tracks', page('me/tracks', [{ added_at: '2026-01-01T00:00:00Z', track }])],
    ['saved_albums', page('me/albums', [{ added_at: '2026-01-01T00:00:00Z', album: {} }])],
    ['top_tracks', page('me/top/tracks?time_range=short_term', [track])],
    ['top_artists', page('me/top/artists', [{ type: 'artist', id: 'r' }])],
    ['tracks', { ...track, type: 'Track' }],
    ['tracks', { tracks: [null, track] }],
    ['albums', { albums: [{ type: 'album' }] }],
    ['artists', { type: 'artist', id: 'r' }],
    ['kind_unsupported', { tracks: { items: [track] } }],
    ['kind_unsupported', { tracks: [track], seeds: [] }],
    ['kind_unsupported', { is_playing: true, item: track }],
    ['kind_unsupported', { audio_features: [] }],
    ['kind_unsupported', { error: { status: 401 } }],
    ['kind_unsupported', page('albums/a1/tracks', [{ type: 'track', id: 't' }])],
    ['kind_unknown', { anything: 1 }],
    ['kind_unknown', {}],
    ['envelope_invalid', { polled_at: 'yesterday', body: { items: [], cursors: null } }],
  ])('is read as %s by what it holds', (kind, body) => {
    expect(codeOf(body)).toBe(kind);
  });

  it('takes the time from the envelope, else the newest one inside', () => {
    const body = {
      items: [
        { track, played_at: '2026-10-31T10:00:00.123Z' },
        { track, played_at: '2026-10-31T10:05:00Z' },
      ],
      cursors: null,
    };
    expect(read({ polled_at: '2026-11-01T12:00:00Z', body })).toMatchObject({
      observedAt: '2026-11-01T12:00:00Z',
      items: body.items,
      periods: ['2026-10', '2026-11'],
    });
    expect(read(body)).toMatchObject({ observedAt: '2026-10-31T10:05:00Z' });
  });

  it.each([
    ['an offset', '2026-05-15T12:00:00+02:00'],
    ['no zone', '2026-05-15 10:00'],
    ['seconds', 1778839200],
    ['milliseconds', '1778839200000'],
    ['microseconds', 1778839200000000],
  ])('F28: notes the month of a play whose time is written with %s, as silver reads it', (_name, played_at) => {
    expect(read({ items: [{ track, played_at }] }).periods).toEqual(['2026-05']);
  });

  it('takes range and playlist from the address, or the range from the file name', () => {
    expect(read(page('me/top/tracks?time_range=short_term&limit=50', [track])).timeRange).toBe('short_term');
    expect(read(page('me/top/tracks', [track]), 'top_tracks_long_term.json').timeRange).toBe('long_term');
    expect(read(page('playlists/3cEYpjA9oz9GiPac4AsH4n/tracks?limit=1', [])).playlistId).toBe('3cEYpjA9oz9GiPac4AsH4n');
  });

  it('S9: people become a keyed hash, everywhere and consistently, and nothing else of them is kept', () => {
    const user = {
      id: 'canary.user',
      display_name: 'Canary Name',
      email: 'canary@example.com',
      type: 'user',
      uri: 'spotify:user:canary.user',
      href: 'https://api.spotify.com/v1/users/canary.user',
      images: [{ url: 'https://example.com/canary' }],
    };
    const body = textKept({
      ...{ type: 'playlist', id: 'p', name: 'Mine', description: 'mail canary@example.com', owner: user },
      external_urls: { spotify: 'https://open.spotify.com/user/canary.user/playlist/p' },
      ...{
        uri: 'spotify:user:canary%2Euser:playlist:p',
        ip_address: '192.0.2.7',
        client: '2001:db8::7',
        user_agent: 'canary',
      },
      tracks: {
        href: 'https://api.spotify.com/v1/users/canary.user/playlists/p/tracks',
        items: [
          { added_at: null, added_by: user, track },
          { added_at: null, added_by: { id: '' }, track: null },
        ],
      },
    });
    const hash = pseudonym('canary.user');
    expect(hash).toMatch(/^u_[0-9a-f]{16}$/);
    expect(body).not.toMatch(/canary|192\.0\.2|2001:db8|example\.com/i);
    const kept = JSON.parse(body);
    expect(kept.owner).toEqual({ id: hash, type: 'user', uri: `spotify:user:${hash}` });
    expect(kept.uri).toBe(`spotify:user:${hash}:playlist:p`);
    expect(kept.tracks.items.map((item: { added_by: { id: string } }) => item.added_by.id)).toEqual([hash, null]);
    expect(createPseudonyms('another key for tests')('canary.user')).not.toBe(hash);
  });

  it('F31: names stay byte by byte what they are, but for an address in one', () => {
    const names = [
      '\u0000',
      '</script>',
      '127.0.0.1',
      [1, 2, 3, 4].join('.'),
      'M@rc',
      '\u202eabc',
      "'; drop table",
      '🎧\u200d',
    ];
    const body = textKept({ tracks: [...names, 'me@example.com'].map((name) => ({ ...track, name })) });
    expect(JSON.parse(body).tracks.map((each: { name: string }) => each.name)).toEqual([...names, '[address]']);
  });

  it('F21: a key called __proto__ is a key, and integers beyond 2^53 keep their digits', () => {
    const body = textKept('{"type":"track","id":"t","__proto__":{"x":1},"streams":9007199254740993}');
    expect(body).toContain('"__proto__":{"x":1}');
    expect(body).toContain('9007199254740993');
  });
});

describe('personal fields', () => {
  it.each([
    'ip_addr',
    'ip_addr_decrypted',
    'ipAddress',
    'username',
    'user_agent_decrypted',
    'userAgent',
    'email',
    'e-mail'.replace('-', ''),
    'User',
  ])('%s is one', (key) => {
    expect(isPersonalKey(key)).toBe(true);
  });
  it.each(['ts', 'skipped', 'platform', 'spotify_track_uri', 'shipping', 'description', 'master_metadata_track_name'])(
    '%s is none',
    (key) => {
      expect(isPersonalKey(key)).toBe(false);
    },
  );
  it('S26: values are recognised in bounded time', () => {
    expect(['a@example.com', 'from 192.0.2.9 on', '2001:db8::1', '2001:db8:0:1:2:3:4:5'].every(isPersonalValue)).toBe(
      true,
    );
    expect(['12:30:45', '1.2.3', 'v10.4', 'spotify:track:abc', 'AC/DC'].some(isPersonalValue)).toBe(false);
    const started = process.cpuUsage();
    for (const text of ['a'.repeat(1e6), '1.'.repeat(5e5), ':'.repeat(1e6), '@'.repeat(1e6)]) isPersonalValue(text);
    // Milliseconds of the processor, and a thousand times more where each character looks back at those
    // before it.
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(10_000);
  });
});

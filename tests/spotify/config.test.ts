import { readConfig } from '../../jobs/base/config.ts';
import { stubId } from './stub.ts';

describe('configuration of the Web API', () => {
  it('takes playlists as ids, URIs and links, each once', () => {
    const [a, b, c] = [stubId('a'), stubId('b'), stubId('c')];
    const given = `${a}, spotify:playlist:${b} https://open.spotify.com/playlist/${c}?si=share,${a}`;
    expect(readConfig({ LISTENLAKE_SPOTIFY_PLAYLISTS: given }).spotify.playlists).toEqual([a, b, c]);
  });

  it.each([
    ['LISTENLAKE_SPOTIFY_PLAYLISTS', 'my favourites'],
    ['LISTENLAKE_SPOTIFY_CLIENT_ID', 'copy-me'],
    ['LISTENLAKE_SPOTIFY_REDIRECT_PORT', '80'],
    ['LISTENLAKE_SPOTIFY_CALL_BUDGET', '0'],
  ])('refuses %s=%s, exit 78', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(
      expect.objectContaining({ code: 'config_invalid', exit: 'config', message: expect.stringContaining(name) }),
    );
  });

  it('S3: the client secret is among what logs hide; every user has a login of their own', () => {
    const config = readConfig({
      LISTENLAKE_SPOTIFY_CLIENT_SECRET: 'CANARYsecret00000000000000000000',
      LISTENLAKE_USER: 'second',
      XDG_CONFIG_HOME: '/home/somebody/.config',
    });
    expect(config.secrets).toEqual(['CANARYsecret00000000000000000000']);
    expect(config.spotify.tokenFile).toBe('/home/somebody/.config/listenlake/spotify-second.json');
  });
});

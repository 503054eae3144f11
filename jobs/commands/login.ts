import type { Config } from '../base/config.ts';
import type { Arguments, Command, Outcome } from './command.ts';

/** Logs in once; every `extract` from the Web API works from what it leaves. */
export const LOGIN: Command = {
  usage: 'login',
  group: 'start',
  isPersonal: true,
  summary: 'Log in to Spotify once, in a browser, so that extract can read your listening',
  reads: "Spotify's consent page",
  writes: 'the token file, or the secret',
  options: {
    allow: {
      choices: ['playlists', 'library'] as const,
      array: true,
      default: [],
      describe: 'Also allow playlists, or library (saved tracks, top items, followed artists)',
    },
    browser: { type: 'boolean', default: true, describe: 'Open the browser (--no-browser: only show the address)' },
  },
  isWriter: false,
  needsLake: false,
  examples: [
    ['listenlake login', 'what was played recently, and nothing else'],
    ['listenlake login --allow playlists library', 'everything that extract can read'],
  ],
  runAlone: logIn,
  async run() {
    throw new Error('login works without a lake');
  },
};

async function logIn(args: Arguments, config: Config): Promise<Outcome> {
  const { login } = await import('../login.ts');
  const { openWeb } = await import('../sources/spotify-api/transport.ts');
  const allow = (args.allow as ('playlists' | 'library')[] | undefined) ?? [];
  const onAddress = (address: string): void => {
    process.stderr.write(
      `Open this address in a browser on this machine and agree:\n\n  ${address}\n\nWaiting for you to come back to http://127.0.0.1:${config.spotify.redirectPort} (5 minutes) ...\n`,
    );
  };
  const web = openWeb({ now: Date.now, signal: new AbortController().signal });
  const { place, scopes, endsOn } = await login(
    { allow, isBrowserOpened: args.browser !== false, onAddress },
    config,
    web,
  );
  return {
    text: `logged in as ${config.userId} until ${endsOn}; the login is in ${place}\nallowed: ${scopes.join(', ')}\nnext: listenlake extract recently-played`,
    json: { status: 'logged_in', ends_on: endsOn, scopes },
  };
}

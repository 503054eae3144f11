import type { Config } from '../../config.ts';
import { JobError } from '../../errors.ts';
import { type App, loginEnded, refreshGrant } from './authorization.ts';
import { readToken, type Token, withTokenLock, writeToken } from './token-file.ts';
import type { Web } from './transport.ts';

/** A login at work. */
export interface Session {
  /** A token that is valid for another minute, as far as our clock knows. @throws as `renew` */
  accessToken(): Promise<string>;
  /**
   * A token other than the one Spotify has refused; refreshed once, by whichever job comes first.
   *
   * @throws `login_ended` (77), `client_refused` (78), `token_busy` (75), `source_unavailable` (69), `disk_failed` (74)
   */
  renew(refused: string): Promise<string>;
  allows(scope: Scope): boolean;
  /** The day on which it ends, YYYY-MM-DD. */
  readonly endsOn: string;
  /** @throws `scope_missing` (77) that says how to log in with it */
  requireScope(scope: Scope): void;
  /** One line when the login ends within three weeks. */
  readonly notice: string | undefined;
}

/** What a person may allow, by the word of `login --allow`. Recently played is always asked for; the rest only when wanted. */
export const SCOPES = {
  'recently-played': ['user-read-recently-played'],
  playlists: ['playlist-read-private', 'playlist-read-collaborative'],
  library: ['user-library-read', 'user-top-read', 'user-follow-read'],
} as const;
export type Allowance = keyof typeof SCOPES;
export type Scope = (typeof SCOPES)[Allowance][number];

const EXPIRES_SOON_MS = 60_000;
const CONSENT_MONTHS = 6;
const NOTICE_MS = 21 * 86_400_000;

/** The app of the configuration. @throws `app_missing` (78) */
export function appOf(config: Config): App {
  const { clientId, clientSecret } = config.spotify;
  if (clientId === '' || clientSecret === '') {
    throw new JobError('app_missing', 'config', 'no Spotify app is set up', {
      hint: 'set LISTENLAKE_SPOTIFY_CLIENT_ID and LISTENLAKE_SPOTIFY_CLIENT_SECRET; docs/spotify.md shows how to get them',
    });
  }
  return { clientId, clientSecret };
}

/** When a login ends: six months after consent (Unix ms). Refreshing does not move it. */
export function consentEnd(consentedAt: number): number {
  const date = new Date(consentedAt);
  const day = date.getUTCDate();
  date.setUTCMonth(date.getUTCMonth() + CONSENT_MONTHS, 1);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  return date.setUTCDate(Math.min(day, lastDay));
}

/**
 * Opens the login of the configured user.
 *
 * @throws `app_missing` (78), `not_logged_in`, `token_file_invalid`, `login_ended` (77), `token_file_open`, `token_of_another` (78)
 */
export async function openSession(config: Config, web: Web): Promise<Session> {
  const app = appOf(config);
  const path = config.spotify.tokenFile;
  const read = async (): Promise<Token> => {
    const token = await readToken(path);
    const [what, theirs, ours] =
      token.clientId !== app.clientId ? ['app', token.clientId, app.clientId] : ['user', token.userId, config.userId];
    if (theirs !== ours) {
      throw new JobError('token_of_another', 'config', `this login is of the ${what} ${theirs}, not of ${ours}`, {
        place: { file: path },
        hint: 'run `listenlake login`, or give every user a file with LISTENLAKE_SPOTIFY_TOKEN_FILE',
      });
    }
    if (token.endedAt !== undefined) throw loginEnded();
    return token;
  };
  let token = await read();

  const isValid = (): boolean => token.expiresAt - web.now() > EXPIRES_SOON_MS;

  async function refresh(isWanted: () => boolean): Promise<string> {
    return withTokenLock(path, web, async () => {
      // Another job may have refreshed it while we waited.
      token = await read();
      if (!isWanted()) return token.accessToken;
      try {
        const grant = await refreshGrant(app, token.refreshToken, web);
        token = {
          ...token,
          accessToken: grant.accessToken,
          refreshToken: grant.refreshToken ?? token.refreshToken,
          expiresAt: web.now() + grant.expiresInS * 1000,
          scopes: grant.scopes.length > 0 ? grant.scopes : token.scopes,
        };
      } catch (error) {
        if (error instanceof JobError && error.code === 'login_ended')
          await writeToken(path, { ...token, endedAt: web.now() });
        throw error;
      }
      // On the disk before it is used: whoever is killed now has not lost the new refresh token.
      await writeToken(path, token);
      return token.accessToken;
    });
  }

  return {
    accessToken: async () => (isValid() ? token.accessToken : refresh(() => !isValid())),
    renew: (refused) => refresh(() => token.accessToken === refused || !isValid()),
    allows: (scope) => token.scopes.includes(scope),
    endsOn: new Date(consentEnd(token.consentedAt)).toISOString().slice(0, 10),
    requireScope(scope) {
      if (token.scopes.includes(scope)) return;
      const allowance = (Object.keys(SCOPES) as Allowance[]).find((key) =>
        (SCOPES[key] as readonly string[]).includes(scope),
      );
      throw new JobError('scope_missing', 'auth', `this login does not allow ${scope}`, {
        hint: `run \`listenlake login --allow ${allowance}\``,
      });
    },
    get notice() {
      const end = consentEnd(token.consentedAt);
      if (end - web.now() > NOTICE_MS) return undefined;
      return `the login at Spotify ends on ${new Date(end).toISOString().slice(0, 10)}: run \`listenlake login\` before`;
    },
  };
}

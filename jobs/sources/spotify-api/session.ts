import type { Config } from '../../base/config.ts';
import { JobError } from '../../base/errors.ts';
import { DAY_MS } from '../../base/time.ts';
import { type App, loginEnded, refreshGrant } from './authorization.ts';
import { openTokenStore } from './open-token-store.ts';
import type { NextToken, Token, TokenStore } from './token-store.ts';
import type { Web } from './transport.ts';

/** A login at work. */
export interface Session {
  /** A token that is valid for another minute, as far as our clock knows. @throws as `renew` */
  accessToken(): Promise<string>;
  /**
   * A token other than the one Spotify has refused; refreshed once, by whichever job comes first.
   *
   * @throws `login_ended` (77), `client_refused` (78), `token_busy` (75), `source_unavailable` (69),
   *   `disk_failed` (74)
   */
  renew(refused: string): Promise<string>;
  allows(scope: Scope): boolean;
  /** The day on which it ends, YYYY-MM-DD. */
  readonly endsOn: string;
  /** @throws `scope_missing` (77) that says how to log in with it */
  requireScope(scope: Scope): void;
  /** One line when the login ends within three weeks. */
  readonly notice: string | undefined;
  close(): void;
}

/**
 * What a person may allow, by the word of `login --allow`. Recently played is always asked for; the rest only
 * when wanted.
 */
export const SCOPES = {
  'recently-played': ['user-read-recently-played'],
  playlists: ['playlist-read-private', 'playlist-read-collaborative'],
  library: ['user-library-read', 'user-top-read', 'user-follow-read'],
} as const;
export type Allowance = keyof typeof SCOPES;
export type Scope = (typeof SCOPES)[Allowance][number];

const EXPIRES_SOON_MS = 60_000;
const CONSENT_MONTHS = 6;
const NOTICE_MS = 21 * DAY_MS;

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
 * Opens the login of the configured user. Close it.
 *
 * @throws `app_missing` (78), `not_logged_in`, `token_invalid`, `login_ended` (77), `token_file_open`,
 *   `token_of_another` (78); of a login in Secrets Manager `secret_missing` (78), `secret_denied` (77),
 *   `secret_unavailable` (69)
 */
export async function openSession(config: Config, web: Web): Promise<Session> {
  const app = appOf(config);
  const store = await openTokenStore(config, web);
  try {
    return await sessionOf(store, app, config.userId, web);
  } catch (error) {
    store.close();
    throw error;
  }
}

async function sessionOf(store: TokenStore, app: App, userId: string, web: Web): Promise<Session> {
  const checked = (token: Token): Token => {
    const [what, theirs, ours] =
      token.clientId !== app.clientId ? ['app', token.clientId, app.clientId] : ['user', token.userId, userId];
    if (theirs !== ours) {
      throw new JobError('token_of_another', 'config', `this login is of the ${what} ${theirs}, not of ${ours}`, {
        place: { file: store.place },
        hint: 'run `listenlake login`, or give every user a place of their own with LISTENLAKE_SPOTIFY_TOKEN_FILE or LISTENLAKE_SPOTIFY_TOKEN_SECRET',
      });
    }
    if (token.endedAt !== undefined) throw loginEnded();
    return token;
  };
  let token = checked(await store.read());

  const isValid = ({ expiresAt }: Token): boolean => expiresAt - web.now() > EXPIRES_SOON_MS;

  async function next(now: Token): Promise<NextToken> {
    try {
      const grant = await refreshGrant(app, now.refreshToken, web);
      return {
        token: {
          ...now,
          accessToken: grant.accessToken,
          refreshToken: grant.refreshToken ?? now.refreshToken,
          expiresAt: web.now() + grant.expiresInS * 1000,
          scopes: grant.scopes.length > 0 ? grant.scopes : now.scopes,
        },
      };
    } catch (error) {
      if (error instanceof JobError && error.code === 'login_ended')
        return { token: { ...now, endedAt: web.now() }, failure: error };
      throw error;
    }
  }

  /** The store has it before it is used: whoever is killed now has not lost the new refresh token. */
  async function refresh(isWanted: (now: Token) => boolean): Promise<string> {
    token = checked(await store.change((now) => isWanted(checked(now)), next));
    return token.accessToken;
  }

  return {
    accessToken: async () => (isValid(token) ? token.accessToken : refresh((now) => !isValid(now))),
    renew: (refused) => refresh((now) => now.accessToken === refused || !isValid(now)),
    close: () => store.close(),
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

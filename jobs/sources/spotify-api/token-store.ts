import { z } from 'zod';

const tokenSchema = z.object({
  format: z.literal(1),
  /** The app that it was made for. */
  clientId: z.string().min(1),
  /** Label of the person who agreed. */
  userId: z.string().min(1),
  scopes: z.array(z.string()),
  accessToken: z.string().min(1),
  refreshToken: z.string().min(1),
  /** When the access token ends, Unix ms. */
  expiresAt: z.number(),
  /** When the person agreed, Unix ms; refreshing does not move it. */
  consentedAt: z.number(),
  /** Spotify has refused the refresh token (Unix ms): nobody asks again. */
  endedAt: z.number().optional(),
});

/** A login, as it is kept. */
export type Token = z.output<typeof tokenSchema>;

/** Where a login is kept, for every job that uses it. */
export interface TokenStore {
  /** For people: the path of a file, or the name of a secret. */
  readonly place: string;
  /** @throws `not_logged_in`, `token_invalid` (77), and what else stands in the way of reading it there */
  read(): Promise<Token>;
  /**
   * Lets one job at a time replace the login by one that follows from it, so that two jobs never send the
   * same refresh token.
   *
   * @param isWanted asked of the login as it is now; where it says no, that login is the result, and nothing
   *   is changed
   * @param next told the login as it is now. What it gives is stored, durably, before this resolves, and
   *   before `failure` is thrown
   * @throws `token_busy` (75) when others hold it for a minute; what `read` and `next` throw, and what stands
   *   in the way of storing it
   */
  change(isWanted: (token: Token) => boolean, next: (token: Token) => Promise<NextToken>): Promise<Token>;
  /** Stores a new login, whatever was there. @throws as `change` */
  replace(token: Token): Promise<void>;
  close(): void;
}

export interface NextToken {
  token: Token;
  /** Thrown once the token is stored: a refusal is remembered, too. */
  failure?: unknown;
}

/**
 * Waits for others that refresh the same login, at most; a refresh takes seconds, under three minutes where
 * Spotify is slow.
 */
export const LOCK_WAIT_MAX_MS = 60_000;
/** A refresh takes under three minutes, so an older claim was left by a process that is gone. */
export const LOCK_STALE_MS = 5 * 60_000;

/** The login in a text, or undefined where it is not one that listenlake wrote. */
export function parseToken(text: string): Token | undefined {
  try {
    return tokenSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // without the reason: it quotes the text
  }
}

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { JobError } from '../base/errors.ts';

/** Who may ask: on the own machine whoever names it, from elsewhere whoever has the token. */
export interface Access {
  /** Undefined on the own machine. */
  token: string | undefined;
  /** Whether a request with this `Host` may be answered at all. */
  isHostAllowed(host: string | undefined): boolean;
  isToken(given: string | undefined): boolean;
}

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Access for a server that listens on this address. A page of another site can make a browser ask this one
 * under that site's name (DNS rebinding): on the own machine only names of the machine itself are answered.
 * Elsewhere the token decides, which such a page does not have.
 *
 * @param host an IP address, or localhost
 * @throws `usage_invalid` (64) for anything else
 */
export function accessFor(host: string): Access {
  if (host !== 'localhost' && isIP(host) === 0)
    throw new JobError('usage_invalid', 'usage', `--host ${JSON.stringify(host)} is no IP address`, {
      hint: 'leave it out for this machine alone, or give 0.0.0.0 for every address of it',
    });
  const token = isLoopback(host) ? undefined : randomBytes(24).toString('base64url');
  return {
    token,
    isHostAllowed: (named) =>
      token !== undefined || (named !== undefined && LOOPBACK_NAMES.has(named.replace(/:\d{1,5}$/, '').toLowerCase())),
    isToken: (given) => token === undefined || (given !== undefined && timingSafeEqual(digest(given), digest(token))),
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Of equal length, whatever was given. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

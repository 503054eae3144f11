import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { isErrno, JobError } from './base/errors.ts';
import type { Effects } from './effects/index.ts';
import type { Target } from './lake/keys.ts';
import { accessFor } from './serve/access.ts';
import { dashboardServer } from './serve/server.ts';

export interface ServeInput {
  /** An IP address, or localhost. */
  host: string;
  /** 0: any free one. */
  port: number;
  target: Target;
  /** Told the address, with the token where one is needed, once the server listens. */
  onListening(address: string): void;
}

/**
 * Serves the dashboard until the signal is aborted. It reads the published tables and writes nothing.
 *
 * @throws `port_in_use` (69; retry helps once the other program is gone); `usage_invalid` (64) for an address
 *   that this machine does not have, or a port that it may not open
 */
export async function serve(
  { host, port, target, onListening }: ServeInput,
  effects: Pick<Effects, 'engine' | 'log' | 'signal' | 'store'>,
): Promise<void> {
  const access = accessFor(host);
  const server = dashboardServer(effects, target, access);
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error, host, port);
  }
  const named = host.includes(':') ? `[${host}]` : host;
  const query = access.token === undefined ? '' : `?token=${access.token}`;
  onListening(`http://${named}:${(server.address() as AddressInfo).port}/${query}`);
  if (!effects.signal.aborted) await once(effects.signal, 'abort');
  server.close();
  server.closeAllConnections();
}

function listenError(error: unknown, host: string, port: number): unknown {
  if (isErrno(error, 'EADDRINUSE'))
    return new JobError('port_in_use', 'unavailable', `another program listens on port ${port} of ${host}`, {
      hint: 'give another one: --port 8788, or --port 0 for any that is free',
      cause: error,
    });
  if (isErrno(error, 'EADDRNOTAVAIL', 'EACCES', 'EAFNOSUPPORT'))
    return new JobError('usage_invalid', 'usage', `${host} port ${port} cannot be opened (${error.code})`, {
      hint: 'give an address of this machine, and a port above 1023',
      cause: error,
    });
  return error;
}

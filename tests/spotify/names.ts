/**
 * Name resolution of the test process only: connections to Spotify's two hosts (and to `elsewhere.example`, a
 * host that must never see a token) end at the stub on loopback, and every other host that is not this
 * machine is refused. The product has no such switch.
 */
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';

export const STUB_HOSTS = ['api.spotify.com', 'accounts.spotify.com', 'elsewhere.example'];

/** @returns undoes it */
export function resolveToStub(port: number, caFile: string): () => void {
  const connect = net.Socket.prototype.connect;
  const trusted = tls.getCACertificates('default');
  tls.setDefaultCACertificates([...trusted, readFileSync(caFile, 'utf8')]);
  net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
    // Node calls itself with its arguments already made into one list.
    const list = Array.isArray(args[0]) ? args[0] : args;
    const options = list[0] as { host?: string; port?: number; path?: string };
    const host = options?.host;
    if (typeof options === 'object' && options !== null && options.path === undefined && host !== undefined) {
      if (STUB_HOSTS.includes(host)) list[0] = { ...options, host: '127.0.0.1', port };
      else if (host !== '127.0.0.1' && host !== 'localhost') throw new Error(`a test must not reach ${host}`);
    }
    return connect.apply(this, args as Parameters<typeof connect>);
  } as typeof connect;
  return () => {
    net.Socket.prototype.connect = connect;
    tls.setDefaultCACertificates(trusted);
  };
}

/** In a child process: `NODE_OPTIONS=--import <this file>` with these two variables. */
const { LISTENLAKE_TEST_SPOTIFY_PORT: port, LISTENLAKE_TEST_SPOTIFY_CA: ca } = process.env;
if (port !== undefined && ca !== undefined && existsSync(ca)) resolveToStub(Number(port), ca);

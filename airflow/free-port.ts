import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A port of loopback on which nobody listens now. Below those that systems give away by themselves, so that no connection made meanwhile takes it.
 */
export async function freePort(): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = randomInt(15_000, 29_000);
    const server = createServer();
    try {
      await once(server.listen(port, '127.0.0.1'), 'listening');
      await new Promise((resolve) => server.close(resolve));
      return port;
    } catch (error) {
      if (tries >= 50) throw error;
    }
  }
}

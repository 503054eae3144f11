import { type DestinationStream, type Logger, pino } from 'pino';
import { withoutPersonal } from './personal-fields.ts';
import { visibleJson } from './visible.ts';

export type Log = Logger;

/**
 * A JSON-lines logger to stderr (or `destination`, for tests). Values listed in `secrets` are replaced
 * wherever they stand in a line, and what the rule for personal values finds.
 */
export function createLog(level: string, secrets: readonly string[] = [], destination?: DestinationStream): Log {
  const target = destination ?? pino.destination({ fd: 2, sync: true });
  // By value, not by path: redaction by path leaks what stands in messages, in error texts and deeper than it
  // looks.
  const needles = secrets.filter((secret) => secret.length >= 8).map((secret) => JSON.stringify(secret).slice(1, -1));
  const stream = {
    write: (line: string) =>
      target.write(
        visibleJson(withoutPersonal(needles.reduce((text, needle) => text.replaceAll(needle, '[redacted]'), line))),
      ),
  };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

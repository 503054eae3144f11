import type { FileSink, SyntheticOptions } from '../../jobs/sources/synthetic/index.ts';

/** A data set that is made in about a second and is large enough for every fault. */
export const SMALL: SyntheticOptions = {
  seed: 1,
  users: 6,
  days: 5,
  tracks: 600,
  end: '2026-11-01',
  exportPlays: 9_000,
  exportYears: 6,
  faults: true,
};

/**
 * Keeps the files as texts, by name; opening a name twice fails as it would on a disk that refuses to
 * overwrite.
 */
export function memorySink(): { files: Map<string, string>; sink: FileSink } {
  const files = new Map<string, string>();
  return {
    files,
    sink: {
      async open(name) {
        if (files.has(name)) throw new Error(`${name} was opened twice`);
        files.set(name, '');
        return {
          async write(text) {
            files.set(name, files.get(name)! + text);
          },
          async close() {},
        };
      },
    },
  };
}

import type { Embedded } from '../engine/duckdb/database.ts';
import type { Ended, ExaminedFile } from './walked.ts';

/** Files written at the same time: one reads while the other waits for the disk; more only cost memory. */
const WRITERS = 2;

/**
 * Writes one file with an engine.
 *
 * @param isAlone nothing else is at work, so a failure is the file's own
 * @returns undefined where it failed beside others, which may be why: it is to be tried again alone
 * @throws what is not about this file: the disk, the store
 */
export type WriteFile = (engine: Embedded, file: ExaminedFile, isAlone: boolean) => Promise<Ended | undefined>;

/** Writes files side by side, and those that fail once more alone. */
export interface Writers {
  /** Resolves when there is room for one more. @throws the first error that is not one file's own */
  room(): Promise<void>;
  /** Begins to write; to be called after `room`. It resolves at the latest after the next `room`, or after `finish`. */
  write(file: ExaminedFile): Promise<Ended>;
  /** Resolves when everything is written. @throws the first error that is not one file's own */
  finish(): Promise<void>;
  /** Waits for what is running, and closes the engines. */
  close(): Promise<void>;
}

interface Waiting {
  file: ExaminedFile;
  end(ended: Ended): void;
}

/** @param openEngine called when a file needs it: a run without new files does not wait for an engine */
export function openWriters(openEngine: () => Promise<Embedded>, writeFile: WriteFile): Writers {
  const engines = enginePool(openEngine);
  const running = new Set<Promise<void>>();
  const again: Waiting[] = [];
  let failure: { error: unknown } | undefined;

  async function attempt(file: ExaminedFile, isAlone: boolean): Promise<Ended | undefined> {
    const engine = await engines.take();
    try {
      return await writeFile(engine, file, isAlone);
    } finally {
      engines.giveBack(engine);
    }
  }

  /** An engine that has failed may be of no use any more, so each of them gets a new one. */
  async function tryAgainAlone(): Promise<void> {
    if (again.length === 0) return;
    await Promise.all(running);
    for (let waiting = again.shift(); waiting !== undefined; waiting = again.shift()) {
      await engines.close();
      const ended = await attempt(waiting.file, true);
      if (ended === undefined) throw new Error('a file that was tried alone is to be tried again');
      waiting.end(ended);
    }
    await engines.close();
  }

  function throwFailure(): void {
    if (failure !== undefined) throw failure.error;
  }

  async function clear(): Promise<void> {
    throwFailure();
    await tryAgainAlone();
    throwFailure();
  }

  return {
    async room() {
      while (running.size >= WRITERS) await Promise.race(running);
      await clear();
    },
    write(file) {
      const { promise, resolve: end, reject } = Promise.withResolvers<Ended>();
      promise.catch(() => {}); // `room` and `finish` throw it
      const writing: Promise<void> = attempt(file, false)
        .then((ended) => {
          if (ended === undefined) again.push({ file, end });
          else end(ended);
        })
        .catch((error: unknown) => {
          failure ??= { error };
          reject(error);
        })
        .finally(() => running.delete(writing));
      running.add(writing);
      return promise;
    },
    async finish() {
      await Promise.all(running);
      await clear();
    },
    async close() {
      await Promise.all(running);
      await engines.close();
    },
  };
}

interface EnginePool {
  take(): Promise<Embedded>;
  giveBack(engine: Embedded): void;
  close(): Promise<void>;
}

/** One database, with a connection for each file at work. */
function enginePool(open: () => Promise<Embedded>): EnginePool {
  let opened: Promise<Embedded>[] = [];
  let idle: Embedded[] = [];
  return {
    async take() {
      const free = idle.pop();
      if (free !== undefined) return free;
      const first = opened[0];
      const engine = first === undefined ? open() : first.then((database) => database.connect());
      opened.push(engine);
      return engine;
    },
    giveBack(engine) {
      idle.push(engine);
    },
    async close() {
      const settled = await Promise.allSettled(opened);
      const engines = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      for (const engine of engines.reverse()) engine.close();
      [opened, idle] = [[], []];
    },
  };
}

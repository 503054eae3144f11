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

/** A file that waits to be tried alone. */
interface Waiting {
  file: ExaminedFile;
  end(ended: Ended): void;
}

/** Writes files side by side, and those that fail once more alone. */
export class Writers {
  readonly #engines: EnginePool;
  readonly #writeFile: WriteFile;
  readonly #running = new Set<Promise<void>>();
  readonly #again: Waiting[] = [];
  #failure: { error: unknown } | undefined;

  /** @param openEngine called when a file needs it: a run without new files does not wait for an engine */
  constructor(openEngine: () => Promise<Embedded>, writeFile: WriteFile) {
    this.#engines = enginePool(openEngine);
    this.#writeFile = writeFile;
  }

  /** Resolves when there is room for one more. @throws the first error that is not one file's own */
  async room(): Promise<void> {
    while (this.#running.size >= WRITERS) await Promise.race(this.#running);
    await this.#clear();
  }

  /**
   * Begins to write; to be called after `room`. It resolves at the latest in the next `room`, or in `finish`.
   */
  write(file: ExaminedFile): Promise<Ended> {
    const { promise, resolve: end, reject } = Promise.withResolvers<Ended>();
    promise.catch(() => {}); // `room` and `finish` throw it
    const writing: Promise<void> = this.#attempt(file, false)
      .then((ended) => {
        if (ended === undefined) this.#again.push({ file, end });
        else end(ended);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
        reject(error);
      })
      .finally(() => this.#running.delete(writing));
    this.#running.add(writing);
    return promise;
  }

  /** Resolves when everything is written. @throws the first error that is not one file's own */
  async finish(): Promise<void> {
    await Promise.all(this.#running);
    await this.#clear();
  }

  /** Waits for what is running, and closes the engines. */
  async close(): Promise<void> {
    await Promise.all(this.#running);
    await this.#engines.close();
  }

  async #attempt(file: ExaminedFile, isAlone: boolean): Promise<Ended | undefined> {
    const engine = await this.#engines.take();
    try {
      return await this.#writeFile(engine, file, isAlone);
    } finally {
      this.#engines.giveBack(engine);
    }
  }

  async #clear(): Promise<void> {
    this.#throwFailure();
    if (this.#again.length > 0) await this.#tryAgainAlone();
    this.#throwFailure();
  }

  /** An engine that has failed may be of no use any more, so each of them gets a new one. */
  async #tryAgainAlone(): Promise<void> {
    await Promise.all(this.#running);
    for (let waiting = this.#again.shift(); waiting !== undefined; waiting = this.#again.shift()) {
      await this.#engines.close();
      const ended = await this.#attempt(waiting.file, true);
      if (ended === undefined) throw new Error('a file that was tried alone is to be tried again');
      waiting.end(ended);
    }
    await this.#engines.close();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
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

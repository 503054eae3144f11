/**
 * Where the generator puts its files. `name` may hold folders, separated by `/`; every name is opened once.
 */
export interface FileSink {
  open(name: string): Promise<SinkFile>;
}

export interface SinkFile {
  write(text: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * A text that is written bit by bit. The sink's file is opened with the first flush, so what stays empty is
 * never a file.
 */
export interface TextFile {
  /** Adds text; true when enough has gathered for a `flush`. */
  add(text: string): boolean;
  flush(): Promise<void>;
  /** Flushes the rest and closes. */
  close(): Promise<void>;
}

export interface FileSet {
  readonly count: number;
  create(name: string): TextFile;
  /** The whole of a small file at once. */
  writeWhole(name: string, text: string): Promise<void>;
  /** Closes what is still open, without flushing: for the way out after an error. */
  abandon(): Promise<void>;
}

/** Characters that gather before one write: large enough that the write's own cost does not count. */
const CHUNK_CHARACTERS = 256 * 1_024;

/** Counts and remembers the files of one run, so that none stays open when a write fails. */
export function createFileSet(sink: FileSink): FileSet {
  const open = new Set<SinkFile>();
  let count = 0;

  function create(name: string): TextFile {
    let file: SinkFile | undefined;
    let parts: string[] = [];
    let characters = 0;

    async function flush(): Promise<void> {
      if (characters === 0) return;
      if (file === undefined) {
        file = await sink.open(name);
        open.add(file);
        count++;
      }
      const text = parts.join('');
      parts = [];
      characters = 0;
      await file.write(text);
    }

    return {
      add(text) {
        parts.push(text);
        characters += text.length;
        return characters >= CHUNK_CHARACTERS;
      },
      flush,
      async close() {
        await flush();
        if (file === undefined) return;
        open.delete(file);
        await file.close();
      },
    };
  }

  return {
    get count() {
      return count;
    },
    create,
    async writeWhole(name, text) {
      const file = create(name);
      file.add(text);
      await file.close();
    },
    async abandon() {
      const files = [...open];
      open.clear();
      for (const file of files) await file.close();
    },
  };
}

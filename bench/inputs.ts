/** Where a benchmark puts the files that it makes. */
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FileSink } from '../jobs/sources/synthetic/index.ts';

/** Writes generated files below a folder. */
export function sinkInto(folder: string): FileSink {
  return {
    async open(file) {
      const path = join(folder, file);
      mkdirSync(dirname(path), { recursive: true });
      const stream = createWriteStream(path);
      return {
        async write(chunk) {
          if (!stream.write(chunk)) await once(stream, 'drain');
        },
        async close() {
          stream.end();
          await once(stream, 'finish');
        },
      };
    },
  };
}

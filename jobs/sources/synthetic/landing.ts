import { open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeFolders, onDisk } from '../../base/disk.ts';
import { hashObject } from '../../base/hash.ts';
import { count } from '../../base/words.ts';
import { type Effects, stopIfAsked } from '../../effects/index.ts';
import { landingKey } from '../../lake/keys.ts';
import { type FileSink, generateDataset, type SyntheticOptions, type SyntheticSummary } from './index.ts';

/** Text is gathered to this size before it is written: one system call for thousands of rows. */
const WRITE_CHARS = 1 << 18;

/**
 * Generates a synthetic data set into a folder, for people to look at and to load from there.
 *
 * @param outDir created when absent; must be empty or hold an earlier data set, whose files are replaced
 * @throws `options_invalid` (64), `disk_failed` (74)
 */
export async function generateIntoFolder(
  options: SyntheticOptions,
  outDir: string,
  onProgress?: (done: number, total: number) => void,
): Promise<SyntheticSummary> {
  return generateDataset(options, folderSink(outDir), onProgress);
}

/**
 * Generates a synthetic data set into the lake's landing: what a source would have put there.
 *
 * @throws `options_invalid` (64), `stopped` (75), and what the store throws
 */
export async function generateIntoLanding(options: SyntheticOptions, effects: Effects): Promise<SyntheticSummary> {
  const staging = join(effects.scratch, 'synthetic');
  const sink = folderSink(staging, async (path) => {
    stopIfAsked(effects.signal);
    const sha256 = await hashObject(path);
    await effects.store.put(landingKey(sha256, basename(path)), { file: path }, { ifAbsent: true });
    await rm(path, { force: true });
  });
  effects.progress.start('extract');
  const summary = await generateDataset(options, sink, (done, total) =>
    effects.progress.update(done / Math.max(1, total)),
  );
  effects.progress.end(`${count(summary.files, 'file')} generated`);
  return summary;
}

function folderSink(folder: string, onClosed?: (path: string) => Promise<void>): FileSink {
  return {
    async open(name) {
      const path = join(folder, name);
      const written = <T>(action: () => Promise<T>): Promise<T> =>
        onDisk(path, action, { failed: 'choose another folder' });
      const handle = await written(async () => {
        await makeFolders(dirname(path), 0o777);
        return open(path, 'w');
      });
      let pending = '';
      const flush = async (): Promise<void> => {
        await written(() => handle.writeFile(pending));
        pending = '';
      };
      return {
        async write(text) {
          pending += text;
          if (pending.length >= WRITE_CHARS) await flush();
        },
        async close() {
          await flush();
          await written(() => handle.close());
          await onClosed?.(path);
        },
      };
    },
  };
}

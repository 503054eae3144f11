import { visible } from './visible.ts';

/** Where a job says how far it is. Units are the job's own: files, rows, models. */
export interface Progress {
  /** Starts a step; `total` undefined when unknown. */
  start(step: string, total?: number): void;
  /** Sets how much of the step is done. */
  update(done: number, note?: string): void;
  /** Ends the step with one line of what it did. */
  end(note: string): void;
}

/** Nothing is shown. */
export const silentProgress: Progress = { start: () => {}, update: () => {}, end: () => {} };

const BAR_CHARS = 24;
/** A terminal is redrawn at most this often. */
const REDRAW_MS = 80;

/** A bar on a terminal, redrawn in place; each finished step leaves one line. */
export function terminalProgress(out: NodeJS.WriteStream, now: () => number): Progress {
  let step = '';
  let total: number | undefined;
  let drawnAt = 0;
  let startedAt = 0;
  const width = (): number => Math.max(40, out.columns ?? 80);
  const draw = (line: string): void => void out.write(`\r\u001b[2K${line.slice(0, width() - 1)}`);
  return {
    start(name, count) {
      [step, total, startedAt, drawnAt] = [name, count, now(), 0];
      this.update(0);
    },
    update(done, note = '') {
      if (now() - drawnAt < REDRAW_MS) return;
      drawnAt = now();
      const share = total === undefined || total === 0 ? undefined : Math.min(1, done / total);
      const filled = Math.round((share ?? 0) * BAR_CHARS);
      const bar =
        share === undefined
          ? ''
          : `${'█'.repeat(filled)}${'░'.repeat(BAR_CHARS - filled)} ${Math.round(share * 100)} % `;
      draw(`  ${step.padEnd(12)} ${bar}${visible(note)}`);
    },
    end(note) {
      draw('');
      out.write(
        `\r\u001b[32m✓\u001b[0m ${step.padEnd(12)} ${visible(note)}  \u001b[2m${((now() - startedAt) / 1000).toFixed(1)} s\u001b[0m\n`,
      );
    },
  };
}

import { visible } from './visible.ts';
import { clipped, padded } from './width.ts';

/** Where a job says how far it is. Units are the job's own: files, rows, models. */
export interface Progress {
  /** Says which of how many jobs the next steps belong to. A command of one job leaves it out. */
  job(number: number, of: number): void;
  /** Starts a step; `total` undefined when unknown. */
  start(step: string, total?: number): void;
  /** Sets how much of the step is done. */
  update(done: number, note?: string): void;
  /** Ends the step with one line of what it did. */
  end(note: string): void;
}

/** A progress that is shown somewhere, and has to be taken away where its command ends early. */
export interface ShownProgress extends Progress {
  /** Leaves the cursor at the beginning of a line, whatever was under way. */
  close(): void;
}

/** Nothing is shown. */
export const silentProgress: ShownProgress = {
  job: () => {},
  start: () => {},
  update: () => {},
  end: () => {},
  close: () => {},
};

const BAR_COLUMNS = 24;
const STEP_COLUMNS = 13;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** A terminal is redrawn at most this often; what turns, turns as fast. */
const REDRAW_MS = 100;

/**
 * One plain line for each finished step, for the log of a scheduler: nothing in it is drawn over.
 *
 *     [2/8] transform: 12 objects (1.2 s)
 */
export function plainProgress(out: NodeJS.WritableStream, now: () => number): ShownProgress {
  let place = '';
  let step = '';
  let startedAt = 0;
  return {
    ...silentProgress,
    job(number, of) {
      place = `[${number}/${of}] `;
    },
    start(name) {
      [step, startedAt] = [name, now()];
    },
    end(note) {
      out.write(`${place}${step}: ${visible(note)} (${secondsSince(startedAt, now)})\n`);
    },
  };
}

/**
 * A line on a terminal that is redrawn in place: a bar where the total is known, else a sign that turns, so
 * that a long statement is seen to be at work. Each finished step leaves one line, with its time at the end.
 *
 * @param isColoured false: no colour, as NO_COLOR asks (https://no-color.org)
 */
export function terminalProgress(
  out: NodeJS.WriteStream,
  now: () => number,
  { isColoured }: { isColoured: boolean },
): ShownProgress {
  let place = '';
  let step: string | undefined;
  let total: number | undefined;
  let [done, note, turns, drawnAt, startedAt] = [0, '', 0, 0, 0];
  let timer: NodeJS.Timeout | undefined;
  const columns = (): number => Math.max(20, out.columns || 80) - 1;
  const coloured = (code: number, text: string): string => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);

  function draw(): void {
    drawnAt = now();
    const share = total === undefined || total === 0 ? undefined : Math.min(1, done / total);
    const filled = Math.round((share ?? 0) * BAR_COLUMNS);
    const sign = share === undefined ? `${SPINNER[turns % SPINNER.length]} ` : '  ';
    const bar =
      share === undefined
        ? ''
        : `${'█'.repeat(filled)}${'░'.repeat(BAR_COLUMNS - filled)} ${padded(`${Math.round(share * 100)} %`, 5, 'start')} `;
    const line = `${sign}${place}${padded(step ?? '', STEP_COLUMNS)} ${bar}${visible(note)}`;
    out.write(`\r\u001b[2K${clipped(line.trimEnd(), columns())}`);
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
    if (step !== undefined) out.write('\r\u001b[2K');
    step = undefined;
  }

  return {
    job(number, of) {
      place = `[${number}/${of}] `;
    },
    start(name, count) {
      stop();
      [step, total, done, note, turns, startedAt] = [name, count, 0, '', 0, now()];
      draw();
      timer = setInterval(() => {
        turns += 1;
        if (total === undefined) draw();
      }, REDRAW_MS);
      timer.unref();
    },
    update(count, about = '') {
      [done, note] = [count, about];
      if (now() - drawnAt >= REDRAW_MS) draw();
    },
    end(about) {
      const name = step ?? '';
      const time = secondsSince(startedAt, now);
      stop();
      const room = columns() - 4 - time.length;
      const line = clipped(`${place}${padded(name, STEP_COLUMNS)} ${visible(about)}`, room);
      out.write(`${coloured(32, '✓')} ${line}  ${coloured(2, time)}\n`);
    },
    close: stop,
  };
}

function secondsSince(startedAt: number, now: () => number): string {
  return `${((now() - startedAt) / 1000).toFixed(1)} s`;
}

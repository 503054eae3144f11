import { Writable } from 'node:stream';
import stringWidth from 'string-width';
import { plainProgress, terminalProgress } from '../../jobs/base/progress.ts';
import { clipped } from '../../jobs/base/width.ts';

/** What was written, and a clock that stands still unless it is moved. */
function stage(columns: number) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      written.push(String(chunk));
      done();
    },
  });
  const clock = { now: 0 };
  const out = Object.assign(stream, { columns }) as unknown as NodeJS.WriteStream;
  return { out, written, clock, now: () => clock.now };
}

describe('without a terminal', () => {
  it('one plain line for each finished step, and none while it is under way', () => {
    const { out, written, clock, now } = stage(0);
    const progress = plainProgress(out, now);
    progress.job(2, 8);
    progress.start('transform', 12);
    progress.update(5, 'plays');
    clock.now = 1_240;
    expect(written).toEqual([]);
    progress.end('12 objects\u001b[2J');
    expect(written).toEqual(['[2/8] transform: 12 objects\\u001b[2J (1.2 s)\n']);
  });
});

describe('on a terminal', () => {
  it.each([60, 80, 200])('no line is wider than %i columns, whatever the names', (columns) => {
    const { out, written, clock, now } = stage(columns);
    const progress = terminalProgress(out, now, { isColoured: false });
    progress.job(3, 8);
    progress.start('recently played by everybody', 3);
    for (const name of ['a'.repeat(300), '日本語の歌'.repeat(60), '👩‍👩‍👧‍👦'.repeat(90)]) {
      clock.now += 1_000;
      progress.update(1, name);
    }
    progress.end('日本語の歌'.repeat(60));
    for (const line of written.flatMap((text) => text.split(/[\r\n]/)))
      expect(stringWidth(line.replace('\u001b[2K', ''))).toBeLessThanOrEqual(columns);
    expect(written.at(-1)).toMatch(/^✓ \[3\/8\] recently played by.* 3\.0 s\n$/s);
  });

  it('a bar where the total is known; else a sign that turns though nothing is told', async () => {
    const { out, written, now } = stage(80);
    const progress = terminalProgress(out, now, { isColoured: false });
    progress.start('load', 4);
    expect(written.at(-1)).toContain('0 %');
    progress.end('4 files');
    progress.start('report');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const signs = written.map((text) => /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.exec(text)?.[0]).filter((sign) => sign !== undefined);
    expect(new Set(signs).size).toBeGreaterThan(1);
    progress.close();
    expect(written.at(-1)).toBe('\r\u001b[2K');
  });

  it('colours only where they are wanted', () => {
    for (const isColoured of [true, false]) {
      const { out, written, now } = stage(80);
      const progress = terminalProgress(out, now, { isColoured });
      progress.start('load');
      progress.end('done');
      expect(written.join('').includes('\u001b[32m')).toBe(isColoured);
    }
  });

  it('is taken away once, where its command ends early', () => {
    const { out, written, now } = stage(80);
    const progress = terminalProgress(out, now, { isColoured: false });
    progress.start('load');
    progress.close();
    const before = written.length;
    progress.close();
    expect(written).toHaveLength(before);
  });
});

it.each([
  ['short', 10, 'short'],
  ['exactly ten', 11, 'exactly ten'],
  ['exactly ten', 10, 'exactly t…'],
  ['日本語', 5, '日本…'],
  ['日本語', 4, '日…'],
  ['👩‍👩‍👧‍👦x', 2, '…'],
])('clipped(%j, %i) is %j', (text, columns, expected) => expect(clipped(text, columns)).toBe(expected));

/** A dashboard that the real command serves, and its pages as a reader finds them. */
import { once } from 'node:events';
import { finished, start } from '../fixtures/command-line.ts';
import { readFigures, textOf } from '../report/report-page.ts';

export type Cell = string | number | null;

/** One figure of a page. */
export interface ShownFigure {
  columns: string[];
  rows: Cell[][];
  /** What each mark of its wide chart says to a screen reader. */
  marks: string[];
}

/** One page. */
export interface ShownPage {
  path: string;
  html: string;
  /** The numbers on top, by their labels, as they are written. */
  tiles: Record<string, string>;
  figures: Map<string, ShownFigure>;
}

export interface Dashboard {
  /** @throws where the answer is not 200 */
  page(path: string): Promise<ShownPage>;
  /** The text behind an address. @throws where the answer is not 200 */
  text(path: string): Promise<string>;
  /** Asks it to end; its exit code and what it said on stderr. */
  close(): Promise<{ code: number | null; stderr: string }>;
}

/** Starts `listenlake serve` with these arguments, on a port of its own. */
export async function startDashboard(args: string[], env: Record<string, string> = {}): Promise<Dashboard> {
  const child = start(['serve', '--port', '0', ...args], env);
  const ended = finished(child);
  const [said] = (await Promise.race([once(child.stdout!, 'data'), once(child, 'close')])) as [Buffer | number];
  const address = /serve: (http:\/\/127\.0\.0\.1:\d+)\/\n/.exec(String(said))?.[1];
  if (address === undefined) throw new Error(`serve did not begin: ${(await ended).stderr}`);
  const text = async (path: string): Promise<string> => {
    const answer = await fetch(address + path);
    const body = await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${noticeOf(body)}`);
    return body;
  };
  return {
    text,
    page: async (path) => readPage(path, await text(path)),
    async close() {
      child.kill('SIGINT');
      const { code, stderr } = await ended;
      return { code, stderr };
    },
  };
}

function readPage(path: string, html: string): ShownPage {
  const tiles = html.matchAll(/<div class="tile"><dt>(.*?)<\/dt><dd><b>(.*?)<\/b>/g);
  const rows = readFigures(html);
  const bodies = html.matchAll(/<figure id="([^"]+)">(.*?)<\/figure>/gs);
  return {
    ...{ path, html },
    tiles: Object.fromEntries([...tiles].map(([, label, value]) => [textOf(label!), textOf(value!)])),
    figures: new Map(
      [...bodies].map(([, name = '', body = '']): [string, ShownFigure] => {
        const head = /<thead>(.*?)<\/thead>/s.exec(body)?.[1] ?? '';
        const wide = /<div class="chart wide">(.*?)<\/svg><\/div>/s.exec(body)?.[1] ?? '';
        return [
          name,
          {
            columns: [...head.matchAll(/<th[^>]*>(.*?)<\/th>/gs)].map(([, label]) => textOf(label!)),
            rows: rows.get(name)?.rows ?? [],
            marks: [...wide.matchAll(/<path aria-label="([^"]*)"/g)].map(([, label]) => textOf(label!)),
          },
        ];
      }),
    ),
  };
}

/** The cells of some columns of a figure. @throws where it has no such figure or column */
export function cellsOf(page: ShownPage, figure: string, columns: readonly string[]): Cell[][] {
  const found = page.figures.get(figure);
  if (found === undefined) throw new Error(`${page.path} has no figure ${figure}`);
  const places = columns.map((label) => found.columns.indexOf(label));
  if (places.includes(-1)) throw new Error(`${figure} of ${page.path} has no such column: ${found.columns.join(', ')}`);
  return found.rows.map((row) => places.map((place) => row[place]!));
}

/** The line in which a page says what is not as it should be. */
export function noticeOf(html: string): string {
  return textOf(/<p class="notice">(.*?)<\/p>/s.exec(html)?.[1] ?? '');
}

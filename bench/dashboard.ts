/** What whoever looks at the dashboard waits for: filters, the first picture, and bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { chromium } from 'playwright-core';
import { openFolderLake } from '../jobs/lake/folder/store.ts';
import { latestManifest } from '../jobs/lake/manifest.ts';
import { usageOf } from './measure.ts';

/** Filters that no page was made with before, one after the other. */
const FILTERS = [
  'from=2024-01-01',
  'from=2024-02-01&to=2025-06-30',
  'private=in',
  'to=2026-01-31',
  'device=ios',
  'from=2025-01-01',
  'device=android',
];
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** What the dashboard of a lake takes. */
export interface DashboardTimes {
  /** Median of pages whose filters are new: every question is asked, every chart drawn. In seconds. */
  filtered: number;
  /** Processor seconds of the server for one of them, of all threads. */
  filteredCpu: number;
  /** Of one that was made before. */
  kept: number;
}

/** Runs `work` on a dashboard that is started as a user starts it. */
async function withDashboard<T>(
  program: readonly string[],
  lake: string,
  work: (address: string, server: ChildProcess) => Promise<T>,
): Promise<T> {
  const server = spawn(process.execPath, [...program, 'serve', '--lake', lake, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    return await work((JSON.parse(line.toString()) as { address: string }).address, server);
  } finally {
    server.kill('SIGTERM');
    if (server.exitCode === null) await once(server, 'exit');
  }
}

/** Asks the overview by new filters. @param person in the address; `*` for everybody @throws where a page is none */
export async function measureDashboard(
  program: readonly string[],
  lake: string,
  person?: string,
): Promise<DashboardTimes> {
  return withDashboard(program, lake, async (address, server) => {
    const whose = person === undefined ? '' : `&person=${encodeURIComponent(person)}`;
    // The first pages make ready what all need: the engine, fonts, charts that are compiled once.
    for (const filter of ['', 'device=macos', 'from=2023-06-01']) await secondsOf(`${address}?${filter}${whose}`);
    const before = usageOf(server.pid!)?.cpuSeconds ?? 0;
    const seconds: number[] = [];
    for (const filter of FILTERS) seconds.push(await secondsOf(`${address}?${filter}${whose}`));
    const cpu = (usageOf(server.pid!)?.cpuSeconds ?? before) - before;
    return {
      filtered: seconds.sort((a, b) => a - b)[Math.floor(FILTERS.length / 2)]!,
      filteredCpu: cpu / FILTERS.length,
      kept: await secondsOf(`${address}?${FILTERS[0]}${whose}`),
    };
  });
}

/**
 * Seconds until the largest thing of the overview is seen in a real browser, where the page was made before,
 * and the bytes that came for it; undefined without Chromium.
 */
export async function measurePaint(
  program: readonly string[],
  lake: string,
): Promise<{ seconds: number; bytes: number } | undefined> {
  if (!existsSync(CHROMIUM)) return undefined;
  return withDashboard(program, lake, async (address) => {
    await secondsOf(address);
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
    try {
      const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
      let bytes = 0;
      const session = await page.context().newCDPSession(page);
      await session.send('Network.enable');
      session.on('Network.loadingFinished', ({ encodedDataLength }) => {
        bytes += encodedDataLength;
      });
      await page.goto(address);
      const milliseconds = await page.evaluate<number>(`new Promise((resolve) =>
        new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime))
          .observe({ type: 'largest-contentful-paint', buffered: true }))`);
      return { seconds: milliseconds / 1000, bytes };
    } finally {
      await browser.close();
    }
  });
}

/**
 * Copies a lake and writes its published plays so often that there are at least `plays` of them, each time of
 * other people, in the order in which the model writes them.
 *
 * @returns the labels of people with as many plays each as the first has
 */
export async function enlarge(lake: string, into: string, plays: number): Promise<string[]> {
  rmSync(into, { recursive: true, force: true });
  cpSync(lake, into, { recursive: true });
  const prod = (await latestManifest(await openFolderLake(into)))!.state.gold.prod!;
  const [facts, users] = ['fct_plays', 'dim_users'].map((model) => resolve(into, prod.tables[model]!.key)) as [
    string,
    string,
  ];
  const copies = Math.ceil(plays / prod.tables.fct_plays!.rows);
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: '1GiB',
    temp_directory: join(into, 'spill'),
  });
  const connection = await instance.connect();
  const renamed = `case when copy = 0 then user_id else user_id || '-' || copy end as user_id`;
  for (const [file, order] of [
    [facts, 'user_id, played_date'],
    [users, 'user_id'],
  ] as const) {
    const from = join(lake, file.slice(into.length));
    await connection.run(
      `copy (select * replace (${renamed}) from '${from}', range(${copies}) as copies (copy) order by ${order})
       to '${file}' (format parquet, compression zstd)`,
    );
  }
  connection.closeSync();
  instance.closeSync();
  return Array.from({ length: copies }, (_, copy) => (copy === 0 ? 'me' : `me-${copy}`));
}

async function secondsOf(address: string): Promise<number> {
  const started = performance.now();
  const answer = await fetch(address);
  const page = await answer.text();
  if (answer.status !== 200) throw new Error(`${address} answers ${answer.status}: ${page.slice(0, 200)}`);
  return (performance.now() - started) / 1000;
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Filters that no page was made with before, one after the other. */
const FILTERS = ['from=2024-01-01', 'from=2024-02-01&to=2025-06-30', 'private=in', 'to=2026-01-31', 'device=ios'];

/** Seconds that the dashboard of a lake takes. */
export interface DashboardTimes {
  /** Median of pages whose filters are new: every question is asked, every chart drawn. */
  filtered: number;
  /** Of one that was made before. */
  kept: number;
}

/** Starts the dashboard as a user does, and asks it. @throws where a page is none */
export async function measureDashboard(program: readonly string[], lake: string): Promise<DashboardTimes> {
  const server = spawn(process.execPath, [...program, 'serve', '--lake', lake, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const { address } = JSON.parse(line.toString()) as { address: string };
    await secondsOf(address);
    const seconds: number[] = [];
    for (const filter of FILTERS) seconds.push(await secondsOf(`${address}?${filter}`));
    return { filtered: seconds.sort((a, b) => a - b)[2]!, kept: await secondsOf(address) };
  } finally {
    server.kill('SIGTERM');
    if (server.exitCode === null) await once(server, 'exit');
  }
}

async function secondsOf(address: string): Promise<number> {
  const started = performance.now();
  const answer = await fetch(address);
  const page = await answer.text();
  if (answer.status !== 200) throw new Error(`${address} answers ${answer.status}: ${page.slice(0, 200)}`);
  return (performance.now() - started) / 1000;
}

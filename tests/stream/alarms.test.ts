/** A real Prometheus says when each alarm rings, and has an answer to every question of the dashboard. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../airflow/free-port.ts';
import { serveMetrics } from '../../jobs/stream/metrics.ts';
import { openBatch } from '../../jobs/stream/writer.ts';
import { finished, ROOT } from '../fixtures/command-line.ts';
import { layerSkipped } from '../fixtures/layers.ts';

const run = promisify(execFile);
const isThere = ['promtool', 'prometheus'].every((program) => spawnSync(program, ['--version']).error === undefined);
if (!isThere) layerSkipped('alarms of streams', 'no Prometheus', 'install it (Debian: prometheus)');
const CONFIG = join(ROOT, 'deploy/stream/prometheus');

(isThere ? it : it.skip)('each alarm rings when it should, and not before', async () => {
  const { stdout } = await run('promtool', ['test', 'rules', join(ROOT, 'tests/stream/alarms.yml')]);
  expect(stdout).toContain('SUCCESS');
});

(isThere ? it : it.skip)('no alarm is without a case in which it rings', async () => {
  const cases = await readFile(join(ROOT, 'tests/stream/alarms.yml'), 'utf8');
  const alarms = (await readFile(join(CONFIG, 'alarms.yml'), 'utf8')).matchAll(/- alert: (\w+)/g);
  for (const [, alarm] of alarms) expect(cases).toMatch(new RegExp(`alertname: ${alarm}\\n\\s+exp_alerts:\\n\\s+- `));
});

describe('a Prometheus with the configuration of the compose profile', () => {
  const folder = mkdtemp(join(tmpdir(), 'listenlake-prometheus-'));
  afterAll(async () => rm(await folder, { recursive: true, force: true }));

  (isThere ? it : it.skip)(
    'answers every question of the dashboard from what a consumer tells, and its alarms are evaluated',
    async () => {
      const [metricsPort, port] = [await freePort(), await freePort()];
      const metrics = await serveMetrics('plays', metricsPort, '127.0.0.1', Date.now);
      const config = (await readFile(join(CONFIG, 'prometheus.yml'), 'utf8'))
        .replace('consumer:9464', `127.0.0.1:${metricsPort}`)
        .replace('/etc/prometheus/alarms.yml', join(CONFIG, 'alarms.yml'))
        .replace('scrape_interval: 5s', 'scrape_interval: 1s')
        .replace('evaluation_interval: 15s', 'evaluation_interval: 1s');
      const file = join(await folder, 'prometheus.yml');
      await writeFile(file, config);
      const data = join(await folder, 'data');
      const address = `127.0.0.1:${port}`;
      const flags = [`--config.file=${file}`, `--storage.tsdb.path=${data}`, `--web.listen-address=${address}`];
      const server = spawn('prometheus', flags, { stdio: 'ignore' });
      const ended = finished(server);
      try {
        const batch = openBatch('plays', 0);
        const tell = (records: number): void => {
          const reached = { partition: 0, next: records, stored: records, end: records + 9, newestAt: Date.now() };
          const counts = { records, batches: records, deadLetters: 3, conflicts: 0, lost: 7 };
          metrics.update([{ ...reached, batch, dueAt: 0, probe: undefined }], counts);
        };
        const asked = await questions();
        const answers = await eventually(async (turn) => {
          tell(10 * turn);
          const all = await Promise.all(asked.map((query) => answered(address, query)));
          return all.every((each) => each.length > 0) ? all : undefined;
        });
        expect(answers).toHaveLength(asked.length);
        const ringing = await eventually(async (turn) => {
          tell(1_000 + turn);
          const rules = await rulesOf(address);
          const names = rules.filter(({ state }) => state === 'firing').map(({ name }) => name);
          return names.length >= 2 ? { names, broken: rules.filter(({ health }) => health === 'err') } : undefined;
        });
        expect(ringing).toEqual({ names: ['StreamDeadLetters', 'StreamRecordsLost'], broken: [] });
      } finally {
        server.kill('SIGTERM');
        await ended;
        await metrics.close();
      }
    },
  );
});

async function questions(): Promise<string[]> {
  const text = await readFile(join(ROOT, 'deploy/stream/grafana/dashboards/stream.json'), 'utf8');
  const { panels } = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] };
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
}

/** @see https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries */
async function answered(address: string, query: string): Promise<unknown[]> {
  const response = await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(query)}`);
  const { data, error } = (await response.json()) as { data?: { result: unknown[] }; error?: string };
  if (data === undefined) throw new Error(`${query}: ${error}`);
  return data.result;
}

interface Rule {
  name: string;
  health: string;
  state: string;
}

/** @see https://prometheus.io/docs/prometheus/latest/querying/api/#rules */
async function rulesOf(address: string): Promise<Rule[]> {
  const response = await fetch(`http://${address}/api/v1/rules`);
  const { data } = (await response.json()) as { data: { groups: { rules: Rule[] }[] } };
  return data.groups.flatMap(({ rules }) => rules);
}

/** Asks every half second until there is an answer; a server that does not listen yet has none. */
async function eventually<T>(ask: (turn: number) => Promise<T | undefined>): Promise<T> {
  for (let turn = 1; turn <= 240; turn += 1) {
    const answer = await ask(turn).catch((error: unknown) => {
      if ((error as Error).name === 'TypeError') return undefined; // what `fetch` throws where nobody answers
      throw error;
    });
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('no answer within two minutes');
}

/** What the dashboard and the alarms ask for is what a consumer really tells, and docs/streaming.md explains it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { freePort } from '../../airflow/free-port.ts';
import { serveMetrics } from '../../jobs/stream/metrics.ts';
import { openBatch } from '../../jobs/stream/writer.ts';
import { ROOT } from '../fixtures/command-line.ts';

interface Panel {
  title: string;
  datasource: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets: { expr: string; legendFormat: string }[];
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const { panels } = JSON.parse(read('deploy/stream/grafana/dashboards/stream.json')) as { panels: Panel[] };
const alarms = (
  parse(read('deploy/stream/prometheus/alarms.yml')) as {
    groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
  }
).groups.flatMap(({ rules }) => rules);
const targets = panels.flatMap((panel) => panel.targets);

/** Metric to the labels that it has, as the registry of a consumer gives them. */
async function metricsOfConsumer(): Promise<Map<string, Set<string>>> {
  const port = await freePort();
  const metrics = await serveMetrics('plays', port, '127.0.0.1', () => 1_000_000);
  const common = { batch: openBatch('plays', 0), dueAt: 0, probe: undefined };
  const state = { ...common, partition: 0, next: 5, stored: 3, end: 9, newestAt: 999_000 };
  metrics.update([state], { records: 3, batches: 1, deadLetters: 1, conflicts: 1, lost: 1 });
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  await metrics.close();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? [];
      return [name, new Set([...labels.matchAll(/(\w+)="/g)].map(([, label]) => label!))];
    }),
  );
}

it('every question of the dashboard and of the alarms is about metrics that /metrics gives, and their labels', async () => {
  const told = await metricsOfConsumer();
  const asked = [...targets, ...alarms].map(({ expr }) => expr);
  expect(asked.length).toBeGreaterThan(10);
  for (const expr of asked) {
    const names = [...expr.matchAll(/\b(listenlake_\w+|process_\w+|up)\b/g)].map(([name]) => name);
    expect([expr, names.length > 0]).toEqual([expr, true]);
    for (const name of names.filter((each) => each !== 'up')) {
      expect([...told.keys()]).toContain(name);
      for (const [, labels = ''] of expr.matchAll(/by \(([^)]*)\)/g))
        for (const label of labels.split(/,\s*/))
          expect([name, [...told.get(name)!]]).toEqual([name, expect.arrayContaining([label])]);
    }
  }
  for (const { expr, legendFormat } of targets)
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      const [, by] = /by \(([^)]*)\)/.exec(expr) ?? [];
      const labels = by?.split(/,\s*/) ?? [...told.get(/(?:listenlake|process)_\w+/.exec(expr)![0])!];
      // Prometheus itself adds where it has asked.
      expect([expr, [...labels, 'instance']]).toEqual([expr, expect.arrayContaining([label])]);
    }
  // And nothing that a consumer tells is on no panel.
  const shown = targets.map(({ expr }) => expr).join(' ');
  expect([...told.keys()].filter((name) => !shown.includes(name))).toEqual([]);
});

it('a counter is asked for how it grows, a gauge as it is', async () => {
  for (const { expr } of [...targets, ...alarms])
    for (const [, name = ''] of expr.matchAll(/(?:increase|rate)\((listenlake_\w+)/g))
      expect([name, /_total$|_end_offset$/.test(name)]).toEqual([name, true]);
});

it('panels do not lie on one another, read one source, and are named in docs/streaming.md with all alarms', () => {
  const docs = read('docs/streaming.md');
  const taken = new Set<string>();
  for (const { title, datasource, gridPos } of panels) {
    expect([title, datasource.uid]).toEqual([title, 'prometheus']);
    expect([title, docs.includes(`*${title}*`)]).toEqual([title, true]);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect([title, taken.has(`${x} ${y}`), x < 24]).toEqual([title, false, true]);
        taken.add(`${x} ${y}`);
      }
  }
  for (const { alert } of alarms) expect([alert, docs.includes(`\`${alert}\``)]).toEqual([alert, true]);
  const sources = parse(read('deploy/stream/grafana/provisioning/datasources/prometheus.yml'));
  expect(sources.datasources.map(({ uid }: { uid: string }) => uid)).toEqual(['prometheus']);
});

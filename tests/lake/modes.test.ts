import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { play } from '../bronze/load-fixture.ts';
import { ROOT } from '../fixtures/command-line.ts';

it("S25: files and folders of a lake are their owner's alone, also where the umask gives everything to everybody", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'listenlake-modes-'));
  try {
    await writeFile(join(folder, 'plays.json'), JSON.stringify([play()]));
    const event = { event_id: '1', user_id: 'u', action: 'play', occurred_at: '2026-01-01T00:00:00Z' };
    await writeFile(join(folder, 'events.ndjson'), JSON.stringify(event));
    await writeFile(join(folder, 'refused.json'), 'broken');
    const lake = join(folder, 'new/lake');
    const cli = `'${process.execPath}' --disable-warning=ExperimentalWarning '${join(ROOT, 'jobs/cli.ts')}'`;
    const files = `'${folder}'/*.json '${folder}'/*.ndjson --lake '${lake}'`;
    const script = `umask 000; ${cli} run ${files} --on-quarantine warn && ${cli} load --lake '${lake}' ; ${cli} extract ${files}; ${cli} transform --rebuild --lake '${lake}'`;
    await promisify(execFile)('sh', ['-c', script], {
      env: { PATH: process.env.PATH, HOME: folder, NODE_OPTIONS: '' },
    });
    const open: string[] = [];
    let seen = 0;
    for (const name of ['new', '.cache']) {
      for (const entry of await readdir(join(folder, name), { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        seen += 1;
        if (((await stat(path)).mode & 0o777) !== (entry.isDirectory() ? 0o700 : 0o600)) open.push(path);
      }
    }
    expect(open).toEqual([]);
    expect(seen).toBeGreaterThan(60);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

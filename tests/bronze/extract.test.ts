import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { extract } from '../../jobs/extract.ts';
import { landingName } from '../../jobs/lake/keys.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { load } from '../../jobs/load.ts';
import { type LoadFixture, openLoadFixture, play, zipOf } from './load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const run = (...paths: string[]) =>
  extract({ paths: paths.length === 0 ? [lake.source] : paths, userId: 'me' }, lake.effects);
const keys = async () => Object.keys(await lake.objects()).filter((key) => key.startsWith('landing/'));

describe('F35: a file that does not stay as it was', () => {
  const [before, after] = ['["as it was"]', '["as it is "]'];
  const changes: [string, (path: string) => Promise<unknown>][] = [
    ['is written to', (path) => writeFile(path, `${before} `)],
    ['is written over with as many bytes', (path) => writeFile(path, after)],
    ['is cut short', (path) => writeFile(path, '["as')],
    [
      'is replaced by another one',
      async (path) => {
        await writeFile(`${path}.new`, after);
        await rename(`${path}.new`, path);
      },
    ],
    ['is deleted', (path) => rm(path)],
  ];
  it.each(
    changes.flatMap(([what, change]) => (['head', 'put'] as const).map((moment) => [what, moment, change] as const)),
  )(
    '%s after it was hashed (before the store is asked to %s): 75, nothing of it in landing, and the other file is there',
    async (_, moment, change) => {
      await lake.give({ 'a.json': before, 'b.json': '[2]' });
      const path = join(lake.source, 'a.json');
      let isChanged = false;
      const changeOnce = async (key: string): Promise<void> => {
        if (isChanged || !key.endsWith('a.json')) return;
        isChanged = true;
        await change(path);
      };
      const { store } = lake.effects;
      const changing: LakeStore = {
        ...store,
        head: async (key) => {
          const found = await store.head(key);
          if (moment === 'head') await changeOnce(key);
          return found;
        },
        put: async (key, ...rest) => {
          if (moment === 'put') await changeOnce(key);
          return store.put(key, ...rest);
        },
      };
      const result = await extract({ paths: [lake.source], userId: 'me' }, { ...lake.effects, store: changing });
      expect(isChanged).toBe(true);
      expect([result.exit, result.files.map(({ fileName, status }) => [fileName, status])]).toEqual([
        'tempfail',
        [
          ['source/a.json', 'changed'],
          ['source/b.json', 'new'],
        ],
      ]);
      expect((await keys()).map(landingName)).toEqual(['b.json']);
    },
  );
});

describe('extract', () => {
  it('puts every file of a folder into landing, byte by byte, under the hash of its content and its name', async () => {
    const files = { 'a.json': '[1]', 'sub/x[1] é.csv': 'a,b\n', 'sub/broken.zip': Buffer.of(1, 2, 255), empty: '' };
    await lake.give(files);
    const result = await run();
    expect(result.exit).toBe('ok');
    expect(result.files.map(({ fileName, status }) => [fileName, status])).toEqual([
      ['source/a.json', 'new'],
      ['source/empty', 'new'],
      ['source/sub/broken.zip', 'new'],
      ['source/sub/x[1] é.csv', 'new'],
    ]);
    for (const [name, content] of Object.entries(files)) {
      const key = (await keys()).find((each) => landingName(each) === name.split('/').at(-1));
      const bytes = await buffer(await lake.store.get(key!));
      expect(bytes.equals(Buffer.from(content))).toBe(true);
      expect(key!.split('/')[1]).toBe(createHash('sha256').update(content).digest('hex'));
    }
  });

  it('again is nothing new; new content under an old name is', async () => {
    await lake.give({ 'a.json': '[1]', 'same/a.json': '[1]' });
    expect((await run()).files.map(({ status }) => status)).toEqual(['new', 'known']);
    const before = await lake.objects();
    expect((await run()).files.map(({ status }) => status)).toEqual(['known', 'known']);
    expect(await lake.objects()).toEqual(before);
    await lake.give({ 'a.json': '[2]' });
    expect((await run()).files.map(({ status }) => status)).toEqual(['new', 'known']);
    expect(await keys()).toHaveLength(2);
  });

  it('does not bring again what load has taken from landing, a zip of such files neither', async () => {
    const rows = (n: number): string => JSON.stringify([play({ ms_played: n })]);
    const name = (n: number): string => `Streaming_History_Audio_2026_${n}.json`;
    const packed = (...numbers: number[]): Promise<Buffer> =>
      zipOf({ ...Object.fromEntries(numbers.map((n) => [name(n), rows(n)])), 'ReadMeFirst.pdf': 'x' });
    await lake.give({
      [name(1)]: rows(1),
      'a.zip': await packed(1, 2),
      'b.json.gz': gzipSync(rows(3)),
      'bad.json': '[{',
    });
    expect((await run()).files.map(({ status }) => status)).toEqual(['new', 'new', 'new', 'new']);
    await load({ runId: 'r', paths: [], userId: 'me', keepLanding: false }, lake.effects);
    // What was refused waits in landing; somebody has taken it away from there.
    for (const key of await keys()) await lake.store.delete(key);
    const states = async () => Object.fromEntries((await run()).files.map((file) => [file.fileName, file.status]));
    const known = { [`source/${name(1)}`]: 'known', 'source/a.zip': 'known', 'source/b.json.gz': 'known' };
    expect(await states()).toEqual({ ...known, 'source/bad.json': 'new' });
    await lake.give({ 'a.zip': await packed(1, 2, 4), 'c.zip': await packed(2), 'none.zip': await packed() });
    expect(await states()).toEqual({
      ...known,
      ...{ 'source/a.zip': 'new', 'source/c.zip': 'known', 'source/none.zip': 'new', 'source/bad.json': 'known' },
    });
    const kept = { ...lake.effects, config: { ...lake.effects.config, keepLanding: true } };
    const all = await extract({ paths: [join(lake.source, 'c.zip')], userId: 'me' }, kept);
    expect(all.files.map(({ status }) => status)).toEqual(['new']);
  });

  it('passes over hidden files and desktop litter, names links inside folders, but follows a link that was given', async () => {
    await lake.give({ 'a.json': '[]', '.hidden': 'x', '.DS_Store': 'x', '__MACOSX/._a.json': 'x', 'Thumbs.db': 'x' });
    await symlink(lake.source, join(lake.source, 'loop'));
    await symlink(join(lake.source, 'a.json'), join(lake.source, 'link.json'));
    expect((await run()).files.map(({ fileName, status }) => [fileName, status])).toEqual([
      ['source/a.json', 'new'],
      ['source/link.json', 'refused'],
      ['source/loop', 'refused'],
    ]);
    expect((await run(join(lake.source, 'link.json'))).files).toMatchObject([{ fileName: 'link.json', status: 'new' }]);
  });

  it('refuses a path that is not there before anything is written, and names a file that is no UTF-8', async () => {
    await lake.give({ 'a.json': '[]' });
    await expect(run(lake.source, join(lake.source, 'nowhere'))).rejects.toMatchObject({
      code: 'input_missing',
      exit: 'usage',
    });
    expect(await keys()).toEqual([]);
    await writeFile(Buffer.concat([Buffer.from(`${lake.source}/`), Buffer.of(0xff), Buffer.from('.json')]), '[]');
    const result = await run();
    expect(result.files.map(({ status, code }) => code ?? status)).toEqual(['new', 'name_invalid']);
    expect(result.exit).toBe('data');
  });

  it('a disk that is full is not taken for a bad file', async () => {
    await lake.give({ 'a.json': '[]' });
    const full = {
      ...lake.store,
      put: async () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
    };
    await expect(extract({ paths: [lake.source], userId: 'me' }, { ...lake.effects, store: full })).rejects.toThrow(
      'no space',
    );
    expect(await readFile(join(lake.source, 'a.json'), 'utf8')).toBe('[]');
  });

  it('stops between files when it is asked to, and goes on the next time', async () => {
    await lake.give({ 'a.json': '[1]', 'b.json': '[2]' });
    const stop = new AbortController();
    const progress = { ...lake.effects.progress, update: () => stop.abort() };
    await expect(
      extract({ paths: [lake.source], userId: 'me' }, { ...lake.effects, progress, signal: stop.signal }),
    ).rejects.toMatchObject({ code: 'stopped', exit: 'tempfail' });
    expect((await run()).files.map(({ status }) => status)).toEqual(['known', 'new']);
    await rm(join(lake.source, 'a.json'));
    await mkdir(join(lake.source, 'empty'));
    expect((await run()).files).toHaveLength(1);
  });
});

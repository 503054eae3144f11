/** What every LakeStore must hold to; each implementation runs this suite (see lake.test.ts). */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LakeStore, ObjectInfo, OldVersion } from '../../jobs/lake/store.ts';

export async function readText(store: LakeStore, key: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await store.get(key)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export async function listKeys(store: LakeStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const info of store.list(prefix)) keys.push(info.key);
  return keys;
}

/** @param open gives an empty lake; called before each test */
export function lakeContract(
  name: string,
  open: () => Promise<{ store: LakeStore; reopen: () => Promise<LakeStore> }>,
): void {
  describe(`LakeStore: ${name}`, () => {
    let store: LakeStore;
    let reopen: () => Promise<LakeStore>;
    let folder: string;
    beforeEach(async () => {
      ({ store, reopen } = await open());
      folder = await mkdtemp(join(tmpdir(), 'listenlake-test-'));
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));

    it('gives back the bytes that were put, to another opening too', async () => {
      const bytes = randomBytes(300_000);
      const put = await store.put('bronze/t/a.json', bytes);
      expect(put).toMatchObject({ status: 'written', info: { key: 'bronze/t/a.json', bytes: 300_000 } });
      const again = await reopen();
      const local = await readFile(await again.localFile('bronze/t/a.json'));
      expect(createHash('sha256').update(local).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    });

    it('puts pieces as one object', async () => {
      const pieces = [Buffer.alloc(70_000, 'a'), Buffer.alloc(0), Buffer.from('bc'), Buffer.alloc(300_000, 'd')];
      const whole = Buffer.concat(pieces);
      const put = await store.put('bronze/t/pieces.json', pieces, { ifAbsent: true });
      expect(put).toMatchObject({ status: 'written', info: { bytes: whole.length } });
      expect(whole.equals(await readFile(await store.localFile('bronze/t/pieces.json')))).toBe(true);
    });

    it('puts a local file and leaves an outside one where it is', async () => {
      const file = join(folder, 'x[1]*.json');
      await writeFile(file, 'content');
      await store.put('landing/x', { file });
      expect(await readText(store, 'landing/x')).toBe('content');
      expect(await readFile(file, 'utf8')).toBe('content');
    });

    it('copies an object as it is, whatever its key, and again with the same result', async () => {
      const from = 'gold/dev/run-1/m/1/20261126_081500_00001 a+b%c.parquet';
      await store.put(from, 'the bytes');
      for (const _ of ['once', 'again']) {
        const copied = await store.copy(from, 'gold/prod/run-2/m/1/x');
        expect(copied).toMatchObject({ key: 'gold/prod/run-2/m/1/x', bytes: 9 });
        expect(await store.head('gold/prod/run-2/m/1/x')).toMatchObject(copied);
        expect(await readText(store, 'gold/prod/run-2/m/1/x')).toBe('the bytes');
      }
      await store.put(from, 'others');
      expect(await readText(store, 'gold/prod/run-2/m/1/x')).toBe('the bytes');
      await expect(store.copy('gold/none', 'gold/prod/y')).rejects.toMatchObject({ code: 'object_missing' });
      expect(await store.head('gold/prod/y')).toBeUndefined();
    });

    it('creates only if absent: of 20 writers at once exactly one wins, and its bytes are there', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, writer) => store.put('manifests/1', `writer ${writer}`, { ifAbsent: true })),
      );
      const winners = results.flatMap((result, writer) => (result.status === 'written' ? [writer] : []));
      expect(winners).toHaveLength(1);
      expect(await readText(store, 'manifests/1')).toBe(`writer ${winners[0]}`);
    });

    it('replaces only the version it is told: of 10 writers at once exactly one wins', async () => {
      const first = await store.put('leases/writer.json', 'first');
      if (first.status !== 'written') throw new Error('not written');
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, writer) =>
          store.put('leases/writer.json', `writer ${writer}`, { ifVersion: first.info.version }),
        ),
      );
      expect(results.filter((result) => result.status === 'written')).toHaveLength(1);
      const stale = await store.put('leases/writer.json', 'stale', { ifVersion: first.info.version });
      expect(stale.status).toBe('conflict');
    });

    it('refuses to replace a version of an object that is not there', async () => {
      expect((await store.put('leases/none.json', 'x', { ifVersion: 'v' })).status).toBe('conflict');
      expect(await store.head('leases/none.json')).toBeUndefined();
    });

    it('changes the version when the content changes', async () => {
      const first = await store.put('a', 'one');
      const second = await store.put('a', 'two');
      if (first.status !== 'written' || second.status !== 'written') throw new Error('not written');
      expect(second.info.version).not.toBe(first.info.version);
      expect((await store.head('a'))?.version).toBe(second.info.version);
    });

    it('says when an object was written, the same by listing and by looking', async () => {
      const before = Date.now();
      await store.put('silver/t/a', 'one');
      const first = (await store.head('silver/t/a'))!;
      // Whole seconds in some stores, and another clock than ours.
      expect(Math.abs(first.modifiedAt - before)).toBeLessThan(60_000);
      const listed: ObjectInfo[] = [];
      for await (const info of store.list('silver/')) listed.push(info);
      expect(listed).toEqual([first]);
      await sleep(1_100);
      await store.put('silver/t/a', 'two');
      expect((await store.head('silver/t/a'))!.modifiedAt).toBeGreaterThan(first.modifiedAt);
    });

    it('deletes old versions for good where it keeps any, and the object stays as it is', async () => {
      await store.put('gold/x/a', 'one');
      await store.put('gold/x/a', 'two');
      await store.put('gold/x/b', 'gone');
      await store.delete('gold/x/b');
      await store.put('gold/y', 'another');
      const old = async (): Promise<OldVersion[]> => {
        const versions: OldVersion[] = [];
        for await (const version of store.remains.oldVersions('gold/x/')) versions.push(version);
        return versions;
      };
      for (const version of await old()) {
        expect(version.key).toMatch(/^gold\/x\//);
        await store.remains.deleteVersion(version);
        await store.remains.deleteVersion(version);
      }
      expect(await old()).toEqual([]);
      expect(await readText(store, 'gold/x/a')).toBe('two');
      expect(await store.head('gold/x/b')).toBeUndefined();
      expect(await listKeys(store, 'gold/')).toEqual(['gold/x/a', 'gold/y']);
    });

    it('lists by prefix in key order, deep and shallow, and not its neighbours', async () => {
      for (const key of [
        'silver/a/year=2025/month=1/p',
        'silver/a/year=2025/month=11/p',
        'silver/ab/p',
        'silver/a-b',
        'silver/a/p',
      ]) {
        await store.put(key, key);
      }
      expect(await listKeys(store, 'silver/a/')).toEqual([
        'silver/a/p',
        'silver/a/year=2025/month=1/p',
        'silver/a/year=2025/month=11/p',
      ]);
      const all = await listKeys(store, '');
      expect(all).toEqual([...all].sort());
      expect(all).toHaveLength(5);
      expect(await listKeys(store, 'nothing/')).toEqual([]);
    });

    it('says that an object is missing, and deletes one that is not there without a word', async () => {
      await expect(store.get('bronze/none')).rejects.toMatchObject({ code: 'object_missing', exit: 'data' });
      await expect(store.localFile('bronze/none')).rejects.toMatchObject({ code: 'object_missing' });
      await store.delete('bronze/none');
      await store.put('bronze/one', '1');
      await store.delete('bronze/one');
      expect(await store.head('bronze/one')).toBeUndefined();
    });

    it('shows a reader whole objects only, while a writer replaces them', async () => {
      const contents = ['a'.repeat(200_000), 'b'.repeat(100_000)];
      await store.put('gold/x', contents[0]!);
      let isWriting = true;
      const writer = (async () => {
        for (let i = 0; i < 40; i += 1) await store.put('gold/x', contents[i % 2]!);
        isWriting = false;
      })();
      let reads = 0;
      while (isWriting) {
        expect(contents).toContain(await readText(store, 'gold/x'));
        reads += 1;
      }
      await writer;
      expect(reads).toBeGreaterThan(5);
    });
  });
}

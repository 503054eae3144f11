/** The account of a load, from where the ways of its files have ended. */
import { settle } from '../../jobs/bronze/settle.ts';
import { storedFiles } from '../../jobs/bronze/stored.ts';
import type { Ended } from '../../jobs/bronze/walked.ts';
import type { BronzeFile } from '../../jobs/lake/manifest.ts';
import { SOURCES } from '../../jobs/sources/index.ts';
import { openLoadFixture, play } from './load-fixture.ts';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];

function entry(sourceKey: string, values: Partial<BronzeFile> = {}): BronzeFile {
  return {
    ...{ key: `k/${sourceKey}`, rows: 2, bytes: 10, sha256: sourceKey, table: 'charts_csv', sourceKey, kind: 'chart' },
    ...{ fileName: 'stored.csv', userId: null, readRows: 2, periods: [], sequence: 1 },
    ...values,
  };
}

const stored = storedFiles([entry(A)], SOURCES);
const nothing = storedFiles([], SOURCES);
const refused = (name: string, sha256: string): Ended => {
  return { name, as: 'refused', sha256, code: 'bad', reason: 'it is bad', byte: 7 };
};
const known = (name: string, ...hashes: string[]): Ended => ({ name, as: 'known', hashes });
const written = (name: string, sha256: string, replaces?: BronzeFile): Ended => {
  return { name, as: 'written', sha256, file: entry(sha256, { fileName: name, rows: 3, readRows: 3 }), replaces };
};

it('a copy of what was refused in the same load is refused, too, and quarantined once', () => {
  const { files, refusals, drafts } = settle([[refused('1', B)], [known('2', B)]], nothing, 'me');
  expect(files.flat()).toMatchObject([
    { fileName: '1', status: 'refused' },
    { fileName: '2', status: 'refused', isRepeated: true, code: 'bad' },
  ]);
  expect(refusals).toEqual([{ fileName: '1', sourceKey: B, code: 'bad', reason: 'it is bad', byte: 7 }]);
  expect(drafts).toEqual([]);
});

it('a copy of what changed while it was read is to be loaded again, too', () => {
  const { files } = settle([[{ name: '1', as: 'changed', sha256: B }, known('2', B)]], nothing, 'me');
  expect(files).toMatchObject([[{ status: 'changed' }, { fileName: '2', status: 'changed', code: 'file_changed' }]]);
});

it('what was refused under one name and written under another is both, and a copy of it is known', () => {
  const { files, drafts, refusals } = settle([[refused('1', B)], [written('2', B)], [known('3', B)]], nothing, 'me');
  expect(files.flat().map(({ status, rows }) => [status, rows])).toEqual([
    ['refused', 0],
    ['loaded', 3],
    ['known', 3],
  ]);
  expect([drafts.length, refusals.length]).toEqual([1, 1]);
});

it('content that was written under another name takes the place of the stored one, unless that lies there as well', () => {
  const other = written('folder/other.csv', A, entry(A));
  const replaced = settle([[other]], stored, 'me');
  expect(replaced.files).toMatchObject([[{ status: 'loaded', replaces: 'stored.csv', rows: 3 }]]);
  expect(replaced.drafts).toHaveLength(1);
  const kept = settle([[other], [known('folder/stored.csv', A)]], stored, 'me');
  expect(kept.files[0]).toMatchObject([{ status: 'known', storedAs: 'stored.csv' }]);
  expect(kept.drafts).toEqual([]);
});

it('a known archive counts what its files were counted as, and names whose they are', () => {
  const theirs = storedFiles([entry(A, { userId: 'her' }), entry(B, { readRows: 5 })], SOURCES);
  const { files } = settle([[known('all.zip', A, B)]], theirs, 'me');
  expect(files).toEqual([[{ fileName: 'all.zip', kind: 'archive', rows: 7, status: 'known', storedUnder: 'her' }]]);
});

it('in a load, copies of a file that cannot be written share its fate and cost no other file', async () => {
  const lake = await openLoadFixture();
  try {
    const keys = Object.fromEntries(Array.from({ length: 300 }, (_, number) => [`new_key_${number}`, number]));
    const bad = JSON.stringify([play(keys)]);
    const good = JSON.stringify([play()]);
    const { files, accounts } = await lake.load([await lake.give({ '1.json': bad, '2.json': bad, '3.json': good })]);
    expect(files.map(({ status, code, isRepeated }) => [status, code, isRepeated])).toEqual([
      ['refused', 'json_too_many_keys', undefined],
      ['refused', 'json_too_many_keys', true],
      ['loaded', undefined, undefined],
    ]);
    expect(accounts).toEqual({ read: 3, new: 1, duplicate: 0, quarantined: 2 });
    expect((await lake.index()).filter(({ table }) => table === 'refused')).toHaveLength(1);
  } finally {
    await lake.close();
  }
});

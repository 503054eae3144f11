import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Table } from '@aws-sdk/client-glue';
import { contractTable } from '../../jobs/engine/athena/catalog.ts';
import { differencesOf } from '../../jobs/engine/athena/differences.ts';
import { contractOf } from '../../jobs/lake/contracts.ts';
import { listenlake } from '../fixtures/command-line.ts';

const wanted = contractTable(contractOf('silver', 'plays'), 's3://lake');

/** The table as it should be, changed by hand. */
function altered(change: (table: Table) => void): string[] {
  const table = structuredClone(wanted) as Table;
  change(table);
  return differencesOf(wanted, table);
}

describe('what of a table in Glue differs from its contract', () => {
  it('nothing, also where words and comments were changed', () => {
    expect(
      altered((table) => {
        table.Description = 'mine';
        table.StorageDescriptor!.Columns![0]!.Comment = 'mine';
        table.Parameters!.transient_lastDdlTime = '1';
      }),
    ).toEqual([]);
  });

  it.each<[string, (table: Table) => void, string[]]>([
    [
      'a column of another type',
      ({ StorageDescriptor }) => {
        StorageDescriptor!.Columns!.find(({ Name }) => Name === 'played_ms')!.Type = 'string';
      },
      ['has the column played_ms as string instead of bigint'],
    ],
    [
      'a column that is gone, and one that nobody knows',
      ({ StorageDescriptor }) => {
        StorageDescriptor!.Columns!.shift();
        StorageDescriptor!.Columns!.push({ Name: 'mood', Type: 'string' });
      },
      ['lacks the column play_id', 'has the column mood too many'],
    ],
    [
      'columns in another order',
      ({ StorageDescriptor }) => void StorageDescriptor!.Columns!.reverse(),
      ['has its columns in another order'],
    ],
    [
      'a partition key of another type',
      ({ PartitionKeys }) => {
        PartitionKeys![0]!.Type = 'string';
      },
      ['has the partition key year as string instead of int'],
    ],
    [
      'another location',
      ({ StorageDescriptor }) => {
        StorageDescriptor!.Location = 's3://elsewhere/';
      },
      ['lies in s3://elsewhere/ instead of s3://lake/silver/plays/'],
    ],
    [
      'a projection, with which registered partitions would be ignored',
      ({ Parameters }) => {
        Object.assign(Parameters!, { 'projection.enabled': 'true', 'storage.location.template': 's3://lake/${year}/' });
      },
      [
        'has projection.enabled true instead of not set',
        'has storage.location.template s3://lake/${year}/ instead of not set',
      ],
    ],
    [
      'another format',
      ({ StorageDescriptor }) => {
        StorageDescriptor!.SerdeInfo!.SerializationLibrary = 'org.openx.data.jsonserde.JsonSerDe';
      },
      [
        'is read by org.openx.data.jsonserde.JsonSerDe instead of org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe',
      ],
    ],
  ])('%s', (_, change, differences) => expect(altered(change)).toEqual(differences));

  it('a table that is not there', () => expect(differencesOf(wanted, undefined)).toEqual(['is not in Glue']));
});

it('doctor --aws on a lake in a folder says in one line that there is no account, exit 78', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-doctor-'));
  const { code, stderr } = await listenlake(['doctor', '--aws', '--lake', folder]);
  rmSync(folder, { recursive: true, force: true });
  expect([code, stderr.trimEnd().split('\n')]).toEqual([78, [expect.stringMatching(/is a folder.*--lake s3:/)]]);
});

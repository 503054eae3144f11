import type { Table, TableInput } from '@aws-sdk/client-glue';

/**
 * What of a table of Glue is not as it should be, each in a few words. What people may change (descriptions,
 * comments) is not looked at.
 */
export function differencesOf(wanted: TableInput, actual: Table | undefined): string[] {
  const differences = structureDifferences(wanted, actual);
  const [should, is] = [wanted.StorageDescriptor?.Location, actual?.StorageDescriptor?.Location];
  if (actual !== undefined && should !== is) differences.push(`lies in ${is ?? 'nothing'} instead of ${should}`);
  return differences;
}

/** As `differencesOf`, but for where the table lies: that is up to the jobs where they publish by it. */
export function structureDifferences(wanted: TableInput, actual: Table | undefined): string[] {
  if (actual === undefined) return ['is not in Glue'];
  const differences = [
    ...columnDifferences('column', wanted.StorageDescriptor?.Columns, actual.StorageDescriptor?.Columns),
    ...columnDifferences('partition key', wanted.PartitionKeys, actual.PartitionKeys),
  ];
  const pairs: [what: string, wanted: string | undefined, actual: string | undefined][] = [
    ['is read as', wanted.StorageDescriptor?.InputFormat, actual.StorageDescriptor?.InputFormat],
    [
      'is read by',
      wanted.StorageDescriptor?.SerdeInfo?.SerializationLibrary,
      actual.StorageDescriptor?.SerdeInfo?.SerializationLibrary,
    ],
  ];
  for (const [what, should, is] of pairs) {
    if (should !== is) differences.push(`${what} ${is ?? 'nothing'} instead of ${should}`);
  }
  const projected = /^(projection\.|storage\.location\.template$)/;
  const names = [...Object.keys(wanted.Parameters ?? {}), ...Object.keys(actual.Parameters ?? {})].filter((name) =>
    projected.test(name),
  );
  for (const name of new Set(names)) {
    const [should, is] = [wanted.Parameters?.[name], actual.Parameters?.[name]];
    if (should !== is) differences.push(`has ${name} ${shown(is)} instead of ${shown(should)}`);
  }
  return differences;
}

interface NamedColumn {
  Name?: string | undefined;
  Type?: string | undefined;
}

function columnDifferences(
  noun: string,
  wanted: readonly NamedColumn[] = [],
  actual: readonly NamedColumn[] = [],
): string[] {
  const there = new Map(actual.map((column) => [column.Name, column.Type]));
  const differences = wanted.flatMap(({ Name, Type }) => {
    if (!there.has(Name)) return [`lacks the ${noun} ${Name}`];
    return there.get(Name) === Type ? [] : [`has the ${noun} ${Name} as ${there.get(Name)} instead of ${Type}`];
  });
  const expected = new Set(wanted.map(({ Name }) => Name));
  for (const { Name } of actual) if (!expected.has(Name)) differences.push(`has the ${noun} ${Name} too many`);
  const isSameOrder = wanted.every(({ Name }, index) => actual[index]?.Name === Name);
  if (differences.length === 0 && !isSameOrder) differences.push(`has its ${noun}s in another order`);
  return differences;
}

function shown(value: string | undefined): string {
  return value === undefined ? 'not set' : value;
}

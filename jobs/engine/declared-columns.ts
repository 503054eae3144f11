import { JobError } from '../base/errors.ts';
import type { BuildRequest, ResultColumn } from './index.ts';

/**
 * Throws where a select does not give the columns that its model declares, in their order. @throws
 * `model_columns` (65)
 */
export function checkColumns({ model, columns }: BuildRequest, given: readonly ResultColumn[]): void {
  const shown = (column: { name: string; type: string } | undefined): string =>
    column === undefined ? 'no column' : `${column.name} ${column.type}`;
  for (let index = 0; index < Math.max(columns.length, given.length); index += 1) {
    const [declared, actual] = [columns[index], given[index]];
    if (declared?.name === actual?.name && declared?.type === actual?.type) continue;
    throw new JobError(
      'model_columns',
      'data',
      `column ${index + 1} of ${model} is ${shown(actual)}, its .yml says ${shown(declared)}`,
      {
        hint: 'name, order and data_type in the .yml are what the select must give; cast in the last select',
      },
    );
  }
}

import type { Source } from '../../bronze/source.ts';

/**
 * Files that the generator writes are those of other sources, but for the document of its true coefficients.
 */
export const SYNTHETIC: Source = {
  name: 'synthetic',
  tables: [],
  reasonToPassOver: ({ form, keys }) =>
    form === 'value' && keys.has('listenlake_truth') ? 'the true coefficients of generated data' : undefined,
};

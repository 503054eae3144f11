import { z } from 'zod';

/** One run of one job, as lineage backends know it. */
export interface LineageRun {
  readonly namespace: string;
  readonly name: string;
  /** A UUID. */
  readonly runId: string;
}

/**
 * Which run of which job has started this one: `namespace/name/run`, as OpenLineage's integrations pass it
 * on.
 */
const PARENT_RUN = /^(.+)\/([^/]+)\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
/** The rule of a variable that names one. */
export const parentRun = z
  .string()
  .default('')
  .refine((text) => text === '' || PARENT_RUN.test(text), 'namespace/name/run, the last a UUID');

/** The run that a checked text names; undefined for an empty one. */
export function lineageRunOf(text: string): LineageRun | undefined {
  const [, namespace, name, runId] = PARENT_RUN.exec(text) ?? [];
  return runId === undefined ? undefined : { namespace: namespace!, name: name!, runId };
}

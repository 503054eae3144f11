import type { JobError } from '../jobs/errors.ts';

/** What the action failed with. @throws Error where it did not fail */
export async function failureOf(action: Promise<unknown>): Promise<JobError> {
  try {
    await action;
  } catch (error) {
    return error as JobError;
  }
  throw new Error('it did not fail');
}

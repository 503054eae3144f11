/**
 * The entry of a function on AWS Lambda, beside cli.ts: the same image, the same jobs.
 *
 *     node jobs/lambda.ts load --on-quarantine=warn
 *
 * takes the calls of a function that is the job `load`. terraform/serverless.tf makes one function for each job,
 * because each job has a role of its own. What a call may ask for is in serverless/request.ts.
 */
import { fileURLToPath } from 'node:url';
import { readConfig } from './base/config.ts';
import { describeError, EXIT, JobError } from './base/errors.ts';
import { openPlace } from './lake/open.ts';
import { invoke } from './serverless/invoke.ts';
import { ERROR_TYPES } from './serverless/job-process.ts';
import { type FunctionError, RuntimeApi } from './serverless/runtime-api.ts';

const line = process.argv.slice(2);
const api = new RuntimeApi(process.env.AWS_LAMBDA_RUNTIME_API ?? '');
const say = (text: string): void => void process.stderr.write(`${text}\n`);

// One call after the other, until Lambda ends the process.
for (;;) {
  const invocation = await api.next();
  try {
    const config = readConfig(process.env);
    const answer = await invoke(invocation.event, {
      line,
      cli: fileURLToPath(new URL('cli.ts', import.meta.url)),
      environment: process.env,
      deadlineMs: invocation.deadlineMs,
      now: () => Date.now(),
      config,
      openStore: async () => (await openPlace(config)).store,
      say,
    });
    if (answer.error === undefined) await api.respond(invocation, answer.result);
    else await api.fail(invocation, answer.error);
  } catch (error) {
    if (!(error instanceof JobError)) throw error; // a bug: Lambda starts the process anew
    await api.fail(invocation, failureOf(error));
  }
}

function failureOf(error: JobError): FunctionError {
  const type = ERROR_TYPES[EXIT[error.exit]] ?? 'Bug';
  return { type, message: describeError(error) };
}

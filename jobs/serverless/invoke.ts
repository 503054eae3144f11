import type { Config } from '../base/config.ts';
import { PREFIX } from '../lake/keys.ts';
import type { LakeStore } from '../lake/store.ts';
import { type Ended, type JobProcess, runJob } from './job-process.ts';
import { type Message, readRequest } from './request.ts';
import type { FunctionError } from './runtime-api.ts';

/** A function is one job: its name and the flags that all its calls have. */
export interface ServerlessJob extends JobProcess {
  line: readonly string[];
  config: Pick<Config, 'lakeUri' | 'keepLanding'>;
  /** Opens the lake, where what became of arrived files has to be looked up. */
  openStore: () => Promise<LakeStore>;
  /** Says a line in the function's log. */
  say: (line: string) => void;
}

/** What the queue is to deliver again; after some times it becomes a dead letter. */
export interface BatchResponse {
  batchItemFailures: { itemIdentifier: string }[];
}

/** How a call ended: the command's result, or the messages that failed. */
export type Answer = { result: Record<string, unknown> | BatchResponse; error?: undefined } | { error: FunctionError };

/**
 * One call of a function. With arguments: runs the command once, and fails where the command fails. With
 * messages: runs the command once for all of them, and answers with those that are to come again:
 *
 * - all of them where the command failed (another one writes, the disk is full, time is up);
 * - those whose object still lies in landing afterwards, because `load` refused it: its bytes are kept there;
 * - those that nobody can act on.
 *
 * A message of an object that is gone, or that was loaded before, is done: `load` reads what is there.
 *
 * @throws `event_invalid` (64); what opening the lake throws
 */
export async function invoke(event: unknown, job: ServerlessJob): Promise<Answer> {
  const request = readRequest(event, job.config.lakeUri);
  if (request.kind === 'arguments') return runJob([...job.line, ...request.arguments], job);
  const faulty = request.messages.filter(({ fault }) => fault !== undefined);
  for (const { id, fault } of faulty) job.say(`message ${id} is of no use: ${fault}`);
  const arrived = request.messages.filter(({ keys }) => keys.length > 0);
  const failed = arrived.length === 0 ? [] : await failedOf(arrived, await runJob(job.line, job), job);
  return { result: { batchItemFailures: [...faulty, ...failed].map(({ id }) => ({ itemIdentifier: id })) } };
}

/** Messages that are to be delivered again. */
async function failedOf(messages: readonly Message[], ended: Ended, job: ServerlessJob): Promise<readonly Message[]> {
  if (ended.error !== undefined) {
    job.say(`${ended.error.type}: ${ended.error.message}`);
    return messages;
  }
  if (job.config.keepLanding) return [];
  const store = await job.openStore();
  const failed: Message[] = [];
  for (const message of messages) {
    const inLanding = message.keys.filter((key) => key.startsWith(PREFIX.landing));
    for (const key of inLanding) {
      if ((await store.head(key)) === undefined) continue;
      job.say(`message ${message.id}: its file was refused, or is not loaded yet, and still lies in landing`);
      failed.push(message);
      break;
    }
  }
  return failed;
}

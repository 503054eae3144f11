import { z } from 'zod';
import { JobError } from '../base/errors.ts';
import { PREFIX } from '../lake/keys.ts';
import { isElsewhere } from '../lake/store.ts';

/** What a call of the function asks for. */
export type Request =
  | { kind: 'arguments' /** After the job's name, as on the command line. */; arguments: readonly string[] }
  | { kind: 'messages'; messages: readonly Message[] };

/** One message of a queue: objects that have arrived in the lake. */
export interface Message {
  id: string;
  /** Keys of the lake, without its prefix, such as `landing/...`. Empty: nothing to do about it. */
  keys: readonly string[];
  /** Why nobody can act on it; such a message goes to the dead letters. */
  fault?: string;
}

const ARGUMENTS = z.strictObject({ arguments: z.array(z.string()).default([]) });

const MESSAGES = z.object({
  Records: z.array(z.object({ eventSource: z.literal('aws:sqs'), messageId: z.string(), body: z.string() })).min(1),
});

/** What S3 says of new objects. Keys are encoded as in a form: a blank is `+`. */
const ARRIVALS = z.object({
  Records: z.array(
    z.object({
      eventSource: z.literal('aws:s3'),
      s3: z.object({ bucket: z.object({ name: z.string() }), object: z.object({ key: z.string() }) }),
    }),
  ),
});

/** What S3 sends once when a bucket is told to notify a queue. */
const TEST_EVENT = z.object({ Event: z.literal('s3:TestEvent') });

/** Where a queue's function looks: what arrives elsewhere is no work for it. */
const WATCHED = [PREFIX.landing, PREFIX.bronze];

/**
 * Reads the event of a call: `{"arguments": ["--scope=silver"]}` of a schedule or a step, or a batch of messages
 * of an SQS queue that S3 tells about new objects.
 *
 * @param lakeUri `s3://bucket/prefix`: what arrives in another bucket, or outside of the lake, is a fault
 * @throws `event_invalid` (64) for anything else
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 */
export function readRequest(event: unknown, lakeUri: string): Request {
  const messages = MESSAGES.safeParse(event);
  if (messages.success) {
    const read = messages.data.Records.map(({ messageId, body }) => ({ id: messageId, ...readBody(body, lakeUri) }));
    return { kind: 'messages', messages: read };
  }
  const given = ARGUMENTS.safeParse(event);
  if (given.success) return { kind: 'arguments', arguments: given.data.arguments };
  throw new JobError('event_invalid', 'usage', 'the event is neither {"arguments": [...]} nor messages of a queue', {
    hint: 'call the function with {"arguments": []}',
  });
}

function readBody(body: string, lakeUri: string): Pick<Message, 'keys' | 'fault'> {
  let content: unknown;
  try {
    content = JSON.parse(body);
  } catch {
    return { keys: [], fault: 'it is not JSON' };
  }
  if (TEST_EVENT.safeParse(content).success) return { keys: [] };
  const arrivals = ARRIVALS.safeParse(content);
  if (!arrivals.success) return { keys: [], fault: 'it is no event of S3' };
  const keys: string[] = [];
  for (const { s3 } of arrivals.data.Records) {
    const key = keyInLake(s3.bucket.name, decoded(s3.object.key), lakeUri);
    if (key === undefined) return { keys: [], fault: `it tells of an object outside of ${lakeUri}` };
    if (!WATCHED.some((prefix) => key.startsWith(prefix)))
      return { keys: [], fault: `it tells of an object that is not in ${WATCHED.join(' or ')}` };
    keys.push(key);
  }
  return { keys };
}

/** The key without the lake's prefix; undefined for an object elsewhere. */
function keyInLake(bucket: string, key: string, lakeUri: string): string | undefined {
  if (!isElsewhere(lakeUri)) return undefined;
  const uri = `${lakeUri.slice(0, lakeUri.indexOf('://'))}://${bucket}/${key}`;
  const root = lakeUri.endsWith('/') ? lakeUri : `${lakeUri}/`;
  return uri.startsWith(root) ? uri.slice(root.length) : undefined;
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key; // not encoded: put there by hand
  }
}

import { JobError } from '../../jobs/base/errors.ts';
import { type Request, readRequest } from '../../jobs/serverless/request.ts';

const LAKE = 's3://the-lake/mine';

const message = (body: string): object => ({ eventSource: 'aws:sqs', messageId: 'a', body });
/** As S3 says it, with the key encoded as in a form. */
const arrival = (key: string, bucket = 'the-lake'): string =>
  JSON.stringify({ Records: [{ eventSource: 'aws:s3', s3: { bucket: { name: bucket }, object: { key } } }] });
const read = (body: string, lake = LAKE): Request => readRequest({ Records: [message(body)] }, lake);

it('a schedule or a step gives the arguments', () => {
  expect(readRequest({ arguments: ['--scope=silver'] }, LAKE)).toEqual({
    kind: 'arguments',
    arguments: ['--scope=silver'],
  });
  expect(readRequest({}, LAKE)).toEqual({ kind: 'arguments', arguments: [] });
});

it.each([
  ['no JSON', undefined],
  ['a list', []],
  ['other fields', { command: 'forget' }],
  ['a word', 'load'],
])('%s is refused', (_what, event) => {
  let thrown: unknown;
  try {
    readRequest(event, LAKE);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(JobError);
  expect(thrown).toMatchObject({ code: 'event_invalid', exit: 'usage' });
});

it('a key with blanks, a plus, a percent sign and emoji is the key of the object', () => {
  const key = 'landing/my data + more 100% 🎧.zip';
  const encoded = encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/');
  expect(read(arrival(`mine/${encoded}`))).toEqual({ kind: 'messages', messages: [{ id: 'a', keys: [key] }] });
});

it('a key that somebody has not encoded is taken as it is', () => {
  expect(read(arrival('mine/landing/100%.json'))).toMatchObject({ messages: [{ keys: ['landing/100%.json'] }] });
});

it("S3's test message asks for nothing", () => {
  const body = JSON.stringify({ Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'the-lake' });
  expect(read(body)).toEqual({ kind: 'messages', messages: [{ id: 'a', keys: [] }] });
});

it.each([
  ['no JSON', 'not JSON', 'it is not JSON'],
  ['another event', '{"Records":[{"eventSource":"aws:sns"}]}', 'it is no event of S3'],
  ['another bucket', arrival('mine/landing/a.zip', 'other'), 'outside of s3://the-lake/mine'],
  ['another prefix', arrival('yours/landing/a.zip'), 'outside of s3://the-lake/mine'],
  ['a prefix that begins the same', arrival('mineral/landing/a.zip'), 'outside of s3://the-lake/mine'],
  ['an object outside of landing and bronze', arrival('mine/silver/a.parquet'), 'not in landing/ or bronze/'],
])('%s: nobody can act on it', (_what, body, fault) => {
  expect(read(body)).toEqual({
    kind: 'messages',
    messages: [{ id: 'a', keys: [], fault: expect.stringContaining(fault) }],
  });
});

it('a lake in a folder has no arrivals', () => {
  expect(read(arrival('landing/a.zip'), './lake')).toMatchObject({ messages: [{ fault: expect.any(String) }] });
});

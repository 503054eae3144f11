/**
 * One address for every call of the AWS SDKs: Athena's are answered here, all others go on to moto. On the
 * way a test can make any of them fail as the real services and networks do.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One call as the fault rules and the tests see it. */
export interface Call {
  /**
   * The operation's name in the API: `PutObject`, `CompleteMultipartUpload`, `UpdateTable`,
   * `StartQueryExecution`, ...
   */
  operation: string;
  method: string;
  /** Path and query as sent. */
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** What happens to a call instead of a good answer. */
export type Fault =
  /** An answer of the service's own making; nothing is passed on. */
  | { kind: 'answer'; status: number; body: string; headers?: Record<string, string> }
  /** The connection is cut before the service hears of the call. */
  | { kind: 'reset' }
  /** The service does it, and its answer is lost. */
  | { kind: 'lose-answer' }
  /** The head of the answer and the first half of its body arrive, then the connection is cut. */
  | { kind: 'cut-body' }
  /** The call waits. */
  | { kind: 'delay'; ms: number }
  /** The call waits for something else to happen, as if its sender had been asleep. */
  | { kind: 'hold'; until: Promise<unknown> };

export interface Rule {
  operation: string | RegExp;
  fault: Fault;
  /** How many calls it hits; default 1. */
  times?: number;
  /** Calls of this kind that pass before it begins; default 0. */
  after?: number;
}

export interface Endpoint {
  url: string;
  /** Every call since the start, or since a test emptied it. */
  calls: Call[];
  /** Rules that are still in force, in the order in which they are tried. */
  rules: Rule[];
  /**
   * S3 says that an object is not there (404) only to who may list the bucket without a prefix. Our roles may
   * list their own prefixes, and are told 403 (docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
   */
  rights: { hideAbsent: boolean };
  close(): Promise<void>;
}

/** Answers one Athena call: a JSON text and its status. */
export type AthenaHandler = (operation: string, body: Buffer) => Promise<{ status: number; body: string }>;

/**
 * @param upstream moto's address
 * @param athena answers `AmazonAthena.*` calls; undefined for the ones that moto is to answer (workgroups,
 *   named queries, tags)
 * @param host address of this machine that it listens on: containers reach one of their bridge, and not
 *   loopback
 */
export async function startEndpoint(
  upstream: string,
  athena: (operation: string) => AthenaHandler | undefined,
  host = '127.0.0.1',
): Promise<Endpoint> {
  const calls: Call[] = [];
  const rules: Rule[] = [];
  const rights = { hideAbsent: false };

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const call = await readCall(incoming);
    calls.push(call);
    const fault = takeFault(rules, call.operation);
    if (fault?.kind === 'reset') return void incoming.socket.destroy();
    if (fault?.kind === 'answer') {
      outgoing.writeHead(fault.status, { 'content-type': contentTypeOf(fault.body), ...fault.headers });
      return void outgoing.end(fault.body);
    }
    // A test may end before it.
    if (fault?.kind === 'delay') await sleep(fault.ms, undefined, { ref: false });
    if (fault?.kind === 'hold') await fault.until;
    const handler = athena(call.operation);
    const good = handler === undefined ? await pass(upstream, call) : await handled(handler, call);
    if (fault?.kind === 'lose-answer') return void incoming.socket.destroy();
    const isAboutObject = /^(?:Head|Get|Put|Copy)Object$|^CompleteMultipartUpload$/.test(call.operation);
    if (rights.hideAbsent && good.status === 404 && isAboutObject && !String(good.body).includes('NoSuchUpload')) {
      outgoing.writeHead(403, { 'content-type': 'application/xml' });
      return void outgoing.end(incoming.method === 'HEAD' ? '' : '<Error><Code>AccessDenied</Code></Error>');
    }
    outgoing.writeHead(good.status, good.headers);
    if (fault?.kind === 'cut-body') {
      outgoing.write(good.body.subarray(0, good.body.length / 2), () => incoming.socket.destroySoon());
      return;
    }
    outgoing.end(good.body);
  }

  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch((error: unknown) => {
      if (outgoing.headersSent) incoming.socket.destroy();
      else outgoing.writeHead(502).end(String(error));
    });
  });
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => server.on('error', reject).listen(0, host, resolve));
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    calls,
    rules,
    rights,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An error as S3 words it. */
export function s3Error(code: string, status: number, more = ''): Fault {
  return {
    kind: 'answer',
    status,
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>said by a test</Message>${more}</Error>`,
  };
}

/** An error as the JSON services (Athena, Glue) word it. */
export function jsonError(type: string, status: number): Fault {
  return {
    kind: 'answer',
    status,
    body: JSON.stringify({ __type: type, message: 'said by a test', Message: 'said by a test' }),
  };
}

function takeFault(rules: Rule[], operation: string): Fault | undefined {
  const index = rules.findIndex((rule) =>
    typeof rule.operation === 'string' ? rule.operation === operation : rule.operation.test(operation),
  );
  const rule = rules[index];
  if (rule === undefined) return undefined;
  if ((rule.after ?? 0) > 0) {
    rule.after = (rule.after ?? 0) - 1;
    return undefined;
  }
  rule.times = (rule.times ?? 1) - 1;
  if (rule.times <= 0) rules.splice(index, 1);
  return rule.fault;
}

async function readCall(incoming: IncomingMessage): Promise<Call> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const { method = 'GET', url = '/', headers } = incoming;
  return { operation: operationOf(method, url, headers), method, url, headers, body: Buffer.concat(chunks) };
}

function operationOf(method: string, url: string, headers: IncomingHttpHeaders): string {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') return target.slice(target.lastIndexOf('.') + 1);
  const { pathname, searchParams } = new URL(url, 'http://local');
  const isBucket = /^\/[^/]*\/?$/.test(pathname);
  if (isBucket) {
    if (searchParams.get('list-type') === '2') return 'ListObjectsV2';
    if (searchParams.has('versions')) return 'ListObjectVersions';
    return searchParams.has('uploads') ? 'ListMultipartUploads' : `${method} bucket`;
  }
  const isUpload = searchParams.has('uploadId');
  if (method === 'POST') return isUpload ? 'CompleteMultipartUpload' : 'CreateMultipartUpload';
  if (method === 'PUT' && headers['x-amz-copy-source'] !== undefined) return 'CopyObject';
  if (method === 'PUT') return isUpload ? 'UploadPart' : 'PutObject';
  if (method === 'DELETE') return isUpload ? 'AbortMultipartUpload' : 'DeleteObject';
  return method === 'HEAD' ? 'HeadObject' : 'GetObject';
}

async function handled(
  handler: AthenaHandler,
  call: Call,
): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
  const { status, body } = await handler(call.operation, call.body);
  return { status, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: Buffer.from(body) };
}

function pass(upstream: string, call: Call): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(upstream + call.url, { method: call.method, headers: call.headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(call.body);
  });
}

function contentTypeOf(body: string): string {
  return body.startsWith('<') ? 'application/xml' : 'application/x-amz-json-1.1';
}

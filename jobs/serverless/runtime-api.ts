import { type IncomingMessage, request } from 'node:http';

/** One call of the function. */
export interface Invocation {
  id: string;
  /** Unix ms at which Lambda ends it. */
  deadlineMs: number;
  /** What it was called with; undefined where that is no JSON. */
  event: unknown;
}

/** An error as Lambda, Step Functions (by its type) and the log tell it. */
export interface FunctionError {
  type: string;
  message: string;
}

const VERSION = '2018-06-01';

/**
 * Lambda's runtime API, as a container image speaks it: it asks for the next call, and says how each one ended.
 * Spoken directly, because AWS's own client for Node compiles C++ when it is installed, and this is all of it.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export class RuntimeApi {
  readonly #base: string;

  /** @param address host and port, as Lambda gives it in AWS_LAMBDA_RUNTIME_API */
  constructor(address: string) {
    this.#base = `http://${address}/${VERSION}/runtime`;
  }

  /** Waits for the next call, for as long as there is none: the sandbox is frozen meanwhile. */
  async next(): Promise<Invocation> {
    const { headers, body } = await this.#send('GET', '/invocation/next');
    return {
      id: String(headers['lambda-runtime-aws-request-id']),
      deadlineMs: Number(headers['lambda-runtime-deadline-ms']),
      event: parsed(body),
    };
  }

  /** The call ended well, with this result (JSON, at most 6 MB). */
  async respond({ id }: Invocation, result: unknown): Promise<void> {
    await this.#send('POST', `/invocation/${id}/response`, JSON.stringify(result));
  }

  /** The call failed. */
  async fail({ id }: Invocation, { type, message }: FunctionError): Promise<void> {
    const body = JSON.stringify({ errorType: type, errorMessage: message, stackTrace: [] });
    await this.#send('POST', `/invocation/${id}/error`, body, { 'Lambda-Runtime-Function-Error-Type': type });
  }

  async #send(
    method: string,
    path: string,
    content?: string,
    headers: Record<string, string> = {},
  ): Promise<{ headers: IncomingMessage['headers']; body: string }> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      // No time-out, and not `fetch`, which has one: a call may be days away.
      request(`${this.#base}${path}`, { method, headers }, resolve).on('error', reject).end(content);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const status = response.statusCode ?? 0;
    if (status >= 300) throw new Error(`the runtime API answers ${status} to ${method} ${path}: ${body.slice(0, 200)}`);
    return { headers: response.headers, body };
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

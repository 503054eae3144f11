import { setTimeout as sleep } from 'node:timers/promises';
import { credentialsOfMachine } from './config.ts';
import { JobError, stopped } from './errors.ts';

/**
 * Where AWS is. What is left out comes from where the SDK looks: environment, profile, the machine's role.
 */
export interface AwsOptions {
  region?: string;
  /** A service that speaks the same protocol, e.g. a test server. */
  endpoint?: string;
  /** How long an answer may take to begin; default 60 s. */
  requestTimeoutMs?: number;
  /** How long to wait for credentials that the machine renews (`credentialsOfMachine`); default 60 s. */
  credentialsTimeoutMs?: number;
}

/** One service of AWS: requests with bounded retries, and errors that say what to do. */
export interface AwsCaller<C> {
  /**
   * Sends with up to `ATTEMPTS_MAX` attempts where the service is busy or the network fails, and once more
   * with credentials read anew where they have expired. Credentials that the machine renews are waited for:
   * the agent of a new node answers late, a file may be renewed a moment later.
   *
   * @returns what `action` returns
   * @throws the SDK's own error for an answer that a caller may understand (`toJobError` translates it);
   *   `credentials_late` (75; retry helps); `stopped` (75) once `signal` is aborted
   */
  send<T>(action: (client: C, attempt: number) => Promise<T>, signal?: AbortSignal): Promise<T>;
  close(): void;
}

/** What a service is called in messages and in error codes. */
export type AwsPart = 'store' | 'engine' | 'catalog' | 'secret';

/** Six pauses of at most 0.2, 0.4, ... 5 s: a service that is busy for longer is down for this run. */
const ATTEMPTS_MAX = 7;
const PAUSE_FIRST_MS = 200;
const PAUSE_MAX_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 60_000;
const CREDENTIALS_TIMEOUT_MS = 60_000;

const BUSY_NAMES = new Set([
  'InternalError',
  'InternalServerException',
  'InternalServiceError',
  'InternalServiceException',
  'OperationTimeoutException',
  'RequestLimitExceeded',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TimeoutError',
  'TooManyRequestsException',
]);
const NETWORK_CODES = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
]);
const EXPIRED_NAMES = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);
/** Nobody has given credentials, or they are no longer good: where something renews them, that may pass. */
const LATE_NAMES = new Set([...EXPIRED_NAMES, 'CredentialsProviderError']);
const CREDENTIAL_NAMES = new Set([
  ...LATE_NAMES,
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'TokenProviderError',
  'UnrecognizedClientException',
]);
const DENIED_NAMES = new Set(['AccessDenied', 'AccessDeniedException', 'AllAccessDisabled', 'NotAuthorizedException']);

/** What both the SDK's clients and its command errors have in common, as far as it is looked at here. */
interface AwsError extends Error {
  code?: string;
  Region?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

/** @param makeClient called again when credentials have to be read anew */
export function awsCaller<C extends { destroy(): void }>(
  makeClient: () => C,
  { credentialsTimeoutMs = CREDENTIALS_TIMEOUT_MS }: Pick<AwsOptions, 'credentialsTimeoutMs'> = {},
): AwsCaller<C> {
  let client = makeClient();
  /** Of many requests at once, the first one makes the new client for all. */
  const renew = (used: C): void => {
    if (client !== used) return;
    client.destroy();
    client = makeClient();
  };
  return {
    async send(action, signal) {
      let isRefreshed = false;
      let breaks = 0;
      let waits = 0;
      let lateSince: number | undefined;
      for (let attempt = 1; ; attempt += 1) {
        if (signal?.aborted) throw stopped();
        const used = client;
        try {
          return await action(used, attempt);
        } catch (error) {
          if (signal?.aborted) throw stopped();
          const source = LATE_NAMES.has(nameOf(error)) ? credentialsOfMachine() : undefined;
          if (EXPIRED_NAMES.has(nameOf(error)) && !isRefreshed) {
            isRefreshed = true;
            renew(used);
          } else if (source !== undefined) {
            lateSince ??= performance.now();
            if (performance.now() - lateSince > credentialsTimeoutMs) throw late(source, credentialsTimeoutMs, error);
            waits += 1;
            await pause(waits, signal);
            renew(used);
          } else {
            breaks += 1;
            if (!isTransient(error) || breaks >= ATTEMPTS_MAX) throw error;
            await pause(breaks, signal);
          }
        }
      }
    },
    close() {
      client.destroy();
    },
  };
}

function late(source: string, waitedMs: number, cause: unknown): JobError {
  const { name, message } = cause as Error;
  return new JobError(
    'credentials_late',
    'tempfail',
    `no credentials that AWS takes for ${Math.round(waitedMs / 1000)} s (${name}: ${firstLine(message)})`,
    { hint: `run it again later; they should come from ${source}; what was committed is whole`, cause },
  );
}

/** Settings of an SDK client whose retries are ours: the SDK makes one attempt, waits are bounded. */
export function clientSettings({ region, endpoint, requestTimeoutMs = REQUEST_TIMEOUT_MS }: AwsOptions): {
  region?: string;
  endpoint?: string;
  maxAttempts: number;
  ignoreCache: true;
  requestHandler: Record<string, number | boolean>;
} {
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    maxAttempts: 1,
    // Handed on to where the SDK looks for credentials: without it a new client gets those of the file as it
    // was read first.
    ignoreCache: true,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      socketTimeout: requestTimeoutMs,
    },
  };
}

/**
 * Waits a random time (so that many clients do not come back together) that grows with the attempt, at most 5
 * s.
 */
export async function pause(attempt: number, signal?: AbortSignal): Promise<void> {
  const most = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** (attempt - 1));
  try {
    await sleep(Math.random() * most, undefined, signal === undefined ? undefined : { signal });
  } catch {
    throw stopped(); // a wait fails for one reason only
  }
}

/** The name of a service's error (`AccessDenied`), of an error of the network (`ECONNRESET`), or empty. */
export function nameOf(error: unknown): string {
  const { name, code } = error as AwsError;
  return code !== undefined && NETWORK_CODES.has(code) ? code : (name ?? '');
}

/** The HTTP status of the answer that this error is, or 0. */
export function statusOf(error: unknown): number {
  return (error as AwsError).$metadata?.httpStatusCode ?? 0;
}

/** True where the same request may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  return (
    isNetwork(error) || isSkewed(error) || BUSY_NAMES.has(nameOf(error)) || [429, 500, 502, 503, 504].includes(status)
  );
}

/**
 * This machine's clock is minutes away from that of AWS. The SDK learns the difference from the answer and
 * signs the next request by it. S3 has a name for it, the others say it in words:
 * docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html
 */
function isSkewed(error: unknown): boolean {
  const name = nameOf(error);
  if (/^(RequestTimeTooSkewed|RequestExpired|RequestInTheFuture)$/.test(name)) return true;
  return name === 'InvalidSignatureException' && /^Signature (expired|not yet current)/.test((error as Error).message);
}

/**
 * An expected failure of AWS in our words, or the error as it is (a bug, or an answer that the caller should
 * have understood).
 *
 * `<part>_denied` (77), `<part>_unavailable` (69; retry helps), `bucket_missing` and `region_wrong` (78).
 *
 * @param doing what was asked, e.g. `read s3://bucket/key`
 */
export function toJobError(error: unknown, part: AwsPart, doing: string): unknown {
  if (error instanceof JobError || typeof error !== 'object' || error === null) return error;
  const name = nameOf(error);
  const status = statusOf(error);
  const { message } = error as AwsError;
  const region = regionOf(error as AwsError);
  if (status === 301 || name === 'PermanentRedirect' || name === 'AuthorizationHeaderMalformed') {
    return new JobError('region_wrong', 'config', `cannot ${doing}: the bucket is in ${region ?? 'another region'}`, {
      hint: `set AWS_REGION${region === undefined ? '' : `=${region}`}`,
      cause: error,
    });
  }
  if (/^Region is missing/.test(message)) {
    return new JobError('region_wrong', 'config', `cannot ${doing}: no region is set`, {
      hint: 'set AWS_REGION to the region of the bucket',
      cause: error,
    });
  }
  if (name === 'NoSuchBucket') {
    return new JobError('bucket_missing', 'config', `cannot ${doing}: there is no such bucket`, {
      hint: 'make it with `terraform apply`, or give the right address with --lake',
      cause: error,
    });
  }
  if (isSkewed(error)) {
    return new JobError(
      `${part}_unavailable`,
      'unavailable',
      `cannot ${doing}: the clock of this machine is not that of AWS (${name})`,
      { hint: 'set the clock and run it again; what was committed is whole', cause: error },
    );
  }
  if (CREDENTIAL_NAMES.has(name)) {
    return new JobError(`${part}_denied`, 'auth', `cannot ${doing}: AWS does not take the credentials (${name})`, {
      hint: 'log in again and run this again; what was committed is whole',
      cause: error,
    });
  }
  if (DENIED_NAMES.has(name) || name.startsWith('KMS.') || status === 401 || status === 403) {
    return new JobError(`${part}_denied`, 'auth', `cannot ${doing}: AWS refuses it (${name || status})`, {
      hint: 'the role of this job lacks the right; see the policies in terraform/',
      cause: error,
    });
  }
  if (isTransient(error)) {
    return new JobError(
      `${part}_unavailable`,
      'unavailable',
      `cannot ${doing}: ${name || status}: ${firstLine(message)}`,
      {
        hint: 'run it again later; what was committed is whole',
        cause: error,
      },
    );
  }
  return error;
}

function isNetwork(error: unknown): boolean {
  return NETWORK_CODES.has(nameOf(error)) || (error as Error).message === 'aborted';
}

function regionOf(error: AwsError): string | undefined {
  return error.Region ?? error.$response?.headers?.['x-amz-bucket-region'];
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { BaseOptions } from '@platformatic/kafka';
import { isErrno, JobError } from '../../base/errors.ts';
import type { KafkaConfig } from '../../base/kafka-settings.ts';

/** How long one request may take, and how often the client itself asks again; longer outages are the caller's. */
const CONNECT_TIMEOUT_MS = 5_000;
const RETRIES = 3;
const RETRY_DELAY_MS = 500;

/**
 * What every client of a cluster is opened with.
 *
 * @throws `kafka_plaintext` (78) where what is sent could be read on the way and nobody has allowed that;
 *   `kafka_ca_unreadable` (78)
 */
export function connectionOptions(kafka: KafkaConfig): BaseOptions {
  refusePlaintext(kafka);
  const { mechanism, username, password } = kafka;
  return {
    clientId: 'listenlake',
    bootstrapBrokers: [...kafka.brokers],
    connectTimeout: CONNECT_TIMEOUT_MS,
    retries: RETRIES,
    retryDelay: RETRY_DELAY_MS,
    ...(kafka.isTls
      ? { tls: kafka.caFile === undefined ? {} : { ca: readCa(kafka.caFile) }, tlsServerName: isNamed(kafka) }
      : {}),
    ...(mechanism === undefined ? {} : { sasl: { mechanism, username, password } }),
  };
}

/**
 * Whether brokers are told which name is asked for. An address is none (RFC 6066, 3); the certificate is
 * compared with whichever was given.
 */
function isNamed({ brokers }: KafkaConfig): boolean {
  return brokers.every((broker) => isIP(broker.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')) === 0);
}

/** Names and passwords cross a network in the clear only where somebody has said so. */
function refusePlaintext({ brokers, isTls, isPlaintextAllowed }: KafkaConfig): void {
  const far = brokers.find((broker) => !/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):\d+$/.test(broker));
  if (isTls || isPlaintextAllowed || far === undefined) return;
  throw new JobError('kafka_plaintext', 'config', `without TLS everybody on the way to ${far} can read the events`, {
    hint: 'set LISTENLAKE_KAFKA_TLS=true, or LISTENLAKE_KAFKA_PLAINTEXT=true in a network that is yours',
  });
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EACCES', 'EISDIR')) throw error;
    throw new JobError('kafka_ca_unreadable', 'config', `the certificates in ${path} cannot be read`, {
      hint: 'give LISTENLAKE_KAFKA_CA_FILE the path of a PEM file',
      cause: error,
    });
  }
}

/** Every error in the tree of one: the top one of this client often says only "failed". */
function errorTree(error: unknown): Record<string, unknown>[] {
  if (typeof error !== 'object' || error === null) return [];
  const each = error as Record<string, unknown> & { errors?: unknown[]; cause?: unknown };
  return [each, ...(each.errors ?? []).flatMap(errorTree), ...errorTree(each.cause)];
}

/** True where one of the errors has this id of Kafka's protocol, e.g. `OFFSET_OUT_OF_RANGE`. */
export function isKafkaError(error: unknown, ...ids: string[]): boolean {
  return errorTree(error).some(({ apiId }) => ids.includes(String(apiId)));
}

/** What went wrong in one line: the messages of the whole tree, each once. */
export function kafkaWords(error: unknown): string {
  const words = errorTree(error).map(({ message }) => String(message).split('\n', 1)[0]!);
  return [...new Set(words)].slice(0, 6).join('; ').slice(0, 600);
}

const DENIED = ['TOPIC_AUTHORIZATION_FAILED', 'GROUP_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED'];
const LOGIN = ['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE'];

/**
 * A failure of the client as one of ours.
 *
 * @returns `kafka_denied` (77), `kafka_certificate` (78), `topic_missing` (78), else `kafka_unavailable` (69;
 *   a retry helps)
 */
export function kafkaFailure(error: unknown, doing: string): JobError {
  if (error instanceof JobError) return error;
  const words = kafkaWords(error);
  const isLogin =
    isKafkaError(error, ...LOGIN) || errorTree(error).some(({ code }) => code === 'PLT_KFK_AUTHENTICATION');
  if (isLogin || isKafkaError(error, ...DENIED))
    return new JobError('kafka_denied', 'auth', `${doing}: the cluster does not let this user: ${words}`, {
      hint: 'check LISTENLAKE_KAFKA_USERNAME, its password, and the rights on topic and group',
      cause: error,
    });
  if (/certificate|self.signed|altname|UNABLE_TO_VERIFY/i.test(words))
    return new JobError('kafka_certificate', 'config', `${doing}: the cluster's certificate is not trusted: ${words}`, {
      hint: 'give LISTENLAKE_KAFKA_CA_FILE the certificate of its authority',
      cause: error,
    });
  if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID', 'INVALID_TOPIC_EXCEPTION'))
    return new JobError('topic_missing', 'config', `${doing}: there is no such topic`, {
      hint: 'make it, or name another one with --topic',
      cause: error,
    });
  return new JobError('kafka_unavailable', 'unavailable', `${doing}: ${words}`, {
    hint: 'check LISTENLAKE_KAFKA_BROKERS and run it again',
    cause: error,
  });
}

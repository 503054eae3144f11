import { z } from 'zod';
import { flag } from './variable-rules.ts';

/** Where Kafka is, and how to speak to it. Part of `VARIABLES`. */
export const KAFKA_VARIABLES = {
  LISTENLAKE_KAFKA_BROKERS: {
    rule: z
      .string()
      .default('127.0.0.1:9092')
      .transform((text) => text.split(/[\s,]+/).filter((part) => part !== ''))
      .pipe(
        z
          .array(z.string().regex(/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'host:port, separated by commas'))
          .min(1, 'host:port is needed'),
      ),
    help: 'Brokers of the Kafka cluster that `stream` asks first: host:port, separated by commas.',
  },
  LISTENLAKE_KAFKA_TLS: {
    rule: flag.default(false),
    help: 'true: `stream` speaks TLS to the brokers.',
  },
  LISTENLAKE_KAFKA_CA_FILE: {
    rule: z.string().default(''),
    help: "PEM file of the authority that has signed the brokers' certificates. Empty: those that Node trusts.",
  },
  LISTENLAKE_KAFKA_PLAINTEXT: {
    rule: flag.default(false),
    help: 'true: `stream` may speak without TLS also to brokers on other machines. Only for a network that is yours.',
  },
  LISTENLAKE_KAFKA_SASL: {
    rule: z.enum(['', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']).default(''),
    help: 'How `stream` logs in at the brokers: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Empty: not at all.',
  },
  LISTENLAKE_KAFKA_USERNAME: {
    rule: z.string().default(''),
    help: 'User that `stream` logs in as.',
  },
  LISTENLAKE_KAFKA_PASSWORD: {
    rule: z.string().default(''),
    help: 'Password of that user. Keep it here or in .env; never on a command line.',
  },
} as const satisfies Record<string, { rule: z.ZodType; help: string }>;

/** A Kafka cluster, and how to speak to it. */
export interface KafkaConfig {
  /** `host:port`, at least one. */
  readonly brokers: readonly string[];
  readonly isTls: boolean;
  /** PEM file; undefined: what Node trusts. */
  readonly caFile: string | undefined;
  /** Whether brokers on other machines may be spoken to without TLS. */
  readonly isPlaintextAllowed: boolean;
  /** Undefined: no login. */
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | undefined;
  readonly username: string;
  readonly password: string;
}

type Values = { [K in keyof typeof KAFKA_VARIABLES]: z.output<(typeof KAFKA_VARIABLES)[K]['rule']> };

/** The settings from the checked variables. */
export function kafkaConfigOf(v: Values): KafkaConfig {
  return Object.freeze({
    brokers: Object.freeze(v.LISTENLAKE_KAFKA_BROKERS),
    isTls: v.LISTENLAKE_KAFKA_TLS,
    caFile: v.LISTENLAKE_KAFKA_CA_FILE || undefined,
    isPlaintextAllowed: v.LISTENLAKE_KAFKA_PLAINTEXT,
    mechanism: v.LISTENLAKE_KAFKA_SASL || undefined,
    username: v.LISTENLAKE_KAFKA_USERNAME,
    password: v.LISTENLAKE_KAFKA_PASSWORD,
  });
}

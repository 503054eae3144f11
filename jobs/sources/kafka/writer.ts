import { Admin, type MessageToProduce, Producer } from '@platformatic/kafka';
import type { KafkaConfig } from '../../base/kafka-settings.ts';
import { connectionOptions, isKafkaError, kafkaFailure } from './connection.ts';

/** One record to send. */
export interface NewRecord {
  key: Buffer;
  value: Buffer;
}

/** Puts records into a topic. */
export interface TopicWriter {
  /**
   * Sends records, in order; resolves when all replicas that are in step have them. A send that the client
   * repeats by itself leaves each record once.
   *
   * @throws what `kafkaFailure` gives; some of the records may be in the topic
   */
  send(records: readonly NewRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** All replicas that are in step. */
const ACKS_ALL = -1;

/**
 * Makes the topic where there is none.
 *
 * @throws what `kafkaFailure` gives
 */
export async function ensureTopic(kafka: KafkaConfig, topic: string, partitions: number): Promise<void> {
  const admin = new Admin(connectionOptions(kafka));
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas: -1 });
  } catch (error) {
    if (!isKafkaError(error, 'TOPIC_ALREADY_EXISTS')) throw kafkaFailure(error, `topic ${topic}`);
  } finally {
    await admin.close();
  }
}

/** Opens a topic for writing. @throws `kafka_plaintext` (78) */
export function openTopicWriter(kafka: KafkaConfig, topic: string): TopicWriter {
  const producer = new Producer({ ...connectionOptions(kafka), idempotent: true, acks: ACKS_ALL });
  return {
    async send(records) {
      const messages: MessageToProduce[] = records.map(({ key, value }) => ({ topic, key, value }));
      try {
        await producer.send({ messages });
      } catch (error) {
        throw kafkaFailure(error, `topic ${topic} at ${kafka.brokers.join(', ')}`);
      }
    },
    close: () => producer.close(true),
  };
}

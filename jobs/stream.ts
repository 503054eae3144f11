import type { Effects } from './effects/index.ts';
import { openTopicReader } from './sources/kafka/reader.ts';
import { type ConsumeCounts, type ConsumeOptions, consume } from './stream/consume.ts';

/**
 * Brings a topic into bronze as a member of a consumer group.
 *
 * @throws what `consume` throws
 */
export async function consumeTopic(
  { group, ...options }: Omit<ConsumeOptions, 'open'> & { group: string },
  effects: Effects,
): Promise<ConsumeCounts> {
  const { kafka } = effects.config;
  const open = () => openTopicReader(kafka, { topic: options.topic, group, isMember: true });
  return consume({ ...options, open }, effects);
}

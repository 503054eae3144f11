import { writeRecords } from '../../bronze/records.ts';
import type { BronzeDraft, DocumentSource, People, RowSource, StagedFile } from '../../bronze/source.ts';
import { linesOf } from '../../formats/json/lines.ts';
import type { JsonScan } from '../../formats/json/scanner.ts';
import { eventOf, parseObject } from './record.ts';

/** `<topic>-<partition>-<first offset>`, as Aiven's sink names its objects. */
const SINK_NAME = /(?:^|\/)([A-Za-z0-9._-]{1,249})-(\d{1,9})-(\d{1,20})(?:\.[a-z]+)*$/;

/**
 * Files of a Kafka sink for S3 that writes an envelope a line: `value` (the event, or its text) and `offset`,
 * beside `key` and `timestamp`. Topic and partition are in the file's name. Sinks that write the bare event
 * give files of events like any other.
 *
 * @see https://github.com/Aiven-Open/cloud-storage-connectors-for-apache-kafka (JSON lines output)
 */
export function sinkFiles(events: RowSource): DocumentSource {
  return {
    namesPeople: true,
    fits: ({ form, keys, firstOtherRow }: JsonScan) =>
      form !== 'array' && firstOtherRow === undefined && keys.has('value') && keys.has('offset'),
    async write(staged: StagedFile, _scan: JsonScan, people: People | undefined): Promise<BronzeDraft> {
      const [, topic = null, partition = null] = SINK_NAME.exec(staged.name) ?? [];
      async function* records(): AsyncGenerator<Record<string, unknown>> {
        for await (const line of linesOf(staged.path)) {
          if (line.trim() === '') continue;
          const { value, offset } = parseObject(line) ?? {};
          const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
          const place = { topic, partition: partition === null ? null : Number(partition) };
          yield eventOf({ ...place, offset: Number.isSafeInteger(offset) ? Number(offset) : null, value: text }).row;
        }
      }
      const { keys: _, ...draft } = await writeRecords(staged, events, records(), people);
      return { ...draft, kind: 'sink_events' };
    },
  };
}

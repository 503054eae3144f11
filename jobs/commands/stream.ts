import { JobError } from '../base/errors.ts';
import { count } from '../base/words.ts';
import type { Effects } from '../effects/index.ts';
import { observed } from '../lineage/observe.ts';
import type { PartitionLag } from '../stream/lag.ts';
import { type Arguments, type Command, type Outcome, optional, whole } from './command.ts';
import { number, row } from './lines.ts';
import { transformText } from './transform.ts';

const VERBS = ['produce', 'consume', 'lag', 'replay'] as const;
type Verb = (typeof VERBS)[number];

/** What a topic may be called, so that its name can stand in a key. */
const TOPIC = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,248}$/;

const OPTIONS = {
  topic: { type: 'string', requiresArg: true, default: 'listening-events', describe: 'The topic' },
  group: { type: 'string', requiresArg: true, default: 'listenlake', describe: 'consume, lag: the consumer group' },
  linger: {
    type: 'string',
    default: '30',
    describe: 'consume: seconds that a batch waits for more at the end of the topic',
  },
  'until-end': {
    type: 'boolean',
    default: false,
    describe: 'consume: stop where the topic ended when this began',
  },
  'accept-gap': {
    type: 'boolean',
    default: false,
    describe: 'consume: go on where the topic has deleted records before they were read',
  },
  'metrics-port': { type: 'string', requiresArg: true, describe: 'consume: serve Prometheus /metrics on this port' },
  'metrics-host': { type: 'string', default: '127.0.0.1', describe: 'consume: the address that /metrics listens on' },
  'max-events': { type: 'string', requiresArg: true, describe: 'lag: exit 75 where the lake is more events behind' },
  'max-seconds': { type: 'string', requiresArg: true, describe: 'lag: exit 75 where an event waits for longer' },
  watch: { type: 'boolean', default: false, describe: 'lag: look again every two seconds until Ctrl-C' },
  rate: { type: 'string', default: '50', describe: 'produce: events a second; 0: as fast as it goes' },
  count: { type: 'string', requiresArg: true, describe: 'produce: stop after so many events' },
  seconds: { type: 'string', requiresArg: true, describe: 'produce: stop after so many seconds' },
  partitions: { type: 'string', default: '3', describe: 'produce: partitions of a topic that it has to make' },
  seed: { type: 'string', default: '1', describe: 'produce: same seed, same events as `extract events`' },
  users: { type: 'string', default: '25', describe: 'produce: listeners' },
  days: { type: 'string', default: '90', describe: 'produce: days of events before --end' },
  tracks: { type: 'string', default: '5000', describe: 'produce: tracks in the catalogue' },
  end: { type: 'string', default: '2026-11-01', describe: 'produce: exclusive end of the events, a date (UTC)' },
  faults: { type: 'boolean', default: true, describe: 'produce: plant the faults that real events have' },
} as const satisfies Command['options'];

/** Events as they happen: from a producer through Kafka into bronze. */
export const STREAM: Command = {
  usage: 'stream <verb>',
  group: 'operate',
  summary:
    'Events by Kafka: send synthetic ones (produce), bring a topic into bronze (consume), see how far it is (lag), build from bronze again (replay)',
  reads: 'topic, bronze',
  writes: 'topic, bronze',
  positionals: { verb: { choices: VERBS, describe: 'produce, consume, lag or replay' } },
  options: OPTIONS,
  // A consumer needs no lease (decision 38).
  isWriter: (args) => args.verb === 'replay',
  needsLake: (args) => args.verb === 'lag' || args.verb === 'replay',
  examples: [
    ['listenlake stream produce --seconds 60', 'synthetic events into a topic'],
    ['listenlake stream consume --until-end', 'what the topic has, into bronze'],
    ['listenlake stream lag --max-seconds 600', 'exit 75 where the lake is ten minutes behind'],
    ['listenlake stream replay', 'events of streams again from their batches, and all of silver'],
  ],
  async run(args, effects, runId) {
    const topic = topicOf(args);
    const verbs: Record<Verb, () => Promise<Outcome>> = {
      produce: () => runProduce(topic, args, effects),
      consume: () => runConsume(topic, args, effects),
      lag: () => runLag(topic, args, effects),
      replay: () => runReplay(effects, runId),
    };
    return verbs[args.verb as Verb]();
  },
};

function topicOf(args: Arguments): string {
  const topic = String(args.topic);
  if (TOPIC.test(topic)) return topic;
  throw new JobError('usage_invalid', 'usage', `--topic ${JSON.stringify(topic)} is no name of a topic`, {
    hint: 'letters, digits, dots, hyphens and underscores, at most 249',
  });
}

function wholeOrNone(args: Arguments, name: string): number | undefined {
  const text = optional(args[name]);
  return text === undefined ? undefined : whole(`--${name}`, text);
}

async function runProduce(topic: string, args: Arguments, effects: Effects): Promise<Outcome> {
  const { ensureTopic, openTopicWriter } = await import('../sources/kafka/writer.ts');
  const { produce } = await import('../stream/produce.ts');
  const { config, now, signal, progress } = effects;
  const given = (name: string): number => whole(`--${name}`, String(args[name]));
  const seconds = wholeOrNone(args, 'seconds');
  const options = {
    events: {
      seed: given('seed'),
      users: given('users'),
      days: given('days'),
      tracks: given('tracks'),
      end: String(args.end),
      faults: args.faults === true,
    },
    rate: given('rate'),
    countMax: wholeOrNone(args, 'count'),
    lastsMs: seconds === undefined ? undefined : seconds * 1000,
  };
  await ensureTopic(config.kafka, topic, Math.max(1, given('partitions')));
  const writer = openTopicWriter(config.kafka, topic);
  const beganAt = now();
  progress.start('produce');
  try {
    const { sent } = await produce(options, { writer, signal, now });
    const took = (now() - beganAt) / 1000;
    progress.end(count(sent, 'event'));
    return {
      text: `${count(sent, 'event')} sent to ${topic} in ${took.toFixed(1)} s`,
      json: { status: 'produced', topic, events: sent, seconds: took },
    };
  } finally {
    await writer.close();
  }
}

async function runConsume(topic: string, args: Arguments, effects: Effects): Promise<Outcome> {
  const { consumeTopic } = await import('../stream.ts');
  const { now, progress } = effects;
  const port = wholeOrNone(args, 'metrics-port');
  const lingerMs = whole('--linger', String(args.linger)) * 1000;
  const metrics =
    port === undefined
      ? undefined
      : await (await import('../stream/metrics.ts')).serveMetrics(topic, port, String(args['metrics-host']), now);
  progress.start('consume');
  try {
    const counts = await consumeTopic(
      {
        topic,
        group: String(args.group),
        lingerMs,
        isUntilEnd: args['until-end'] === true,
        isGapAccepted: args['accept-gap'] === true,
        ...(metrics === undefined ? {} : { onProgress: metrics.update }),
      },
      effects,
    );
    progress.end(count(counts.records, 'event'));
    const letters = counts.deadLetters === 0 ? '' : `, ${count(counts.deadLetters, 'dead letter')}`;
    const lost = counts.lost === 0 ? '' : `, ${count(counts.lost, 'record')} deleted before it was read`;
    return {
      text: `${count(counts.records, 'event')} of ${topic} in bronze, in ${count(counts.batches, 'batch', 'batches')}${letters}${lost}`,
      json: {
        status: counts.records + counts.deadLetters === 0 ? 'nothing_new' : 'consumed',
        topic,
        events: counts.records,
        batches: counts.batches,
        dead_letters: counts.deadLetters,
        conflicts: counts.conflicts,
        lost: counts.lost,
      },
    };
  } finally {
    await metrics?.close();
  }
}

async function runLag(topic: string, args: Arguments, effects: Effects): Promise<Outcome> {
  const { openTopicReader } = await import('../sources/kafka/reader.ts');
  const { readLag } = await import('../stream/lag.ts');
  const { config, store, now, signal } = effects;
  const [maxEvents, maxSeconds] = [wholeOrNone(args, 'max-events'), wholeOrNone(args, 'max-seconds')];
  const reader = await openTopicReader(config.kafka, { topic, group: String(args.group), isMember: false });
  try {
    let before = await readLag({ reader, store }, now());
    while (args.watch === true && !signal.aborted) {
      process.stdout.write(`${lagText(before)}\n\n`);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      before = await readLag({ reader, store }, now());
    }
    const events = before.reduce((sum, { lag }) => sum + lag, 0);
    const seconds = Math.max(0, ...before.map(({ lagSeconds }) => lagSeconds));
    const isBehind =
      events > (maxEvents ?? Number.POSITIVE_INFINITY) || seconds > (maxSeconds ?? Number.POSITIVE_INFINITY);
    const json = {
      status: isBehind ? 'behind' : 'ok',
      topic,
      lag_events: events,
      lag_seconds: seconds,
      partitions: before.map((each) => ({
        partition: each.partition,
        end_offset: each.end,
        committed_offset: each.committed,
        lake_offset: each.stored,
        lag_events: each.lag,
        lag_seconds: each.lagSeconds,
        newest_record_at: each.newestAt,
      })),
    };
    return { text: lagText(before), json, exit: isBehind ? 'tempfail' : 'ok' };
  } finally {
    await reader.close();
  }
}

/** The same as `transform --replay`: of all topics. */
async function runReplay(effects: Effects, runId: string): Promise<Outcome> {
  const { transform } = await import('../transform.ts');
  const loadedOn = new Date(effects.now()).toISOString().slice(0, 10);
  const input = { runId, loadedOn, replay: true };
  const result = await observed({ job: 'transform', runId }, effects, () => transform(input, effects));
  const { status, accounts } = result;
  return { text: transformText(result), json: { status, accounts } };
}

function lagText(partitions: readonly PartitionLag[]): string {
  const cells = partitions.map((each) => [
    String(each.partition),
    number(each.end),
    each.committed === null ? '-' : number(each.committed),
    number(each.stored),
    number(each.lag),
    `${number(each.lagSeconds)} s`,
    each.newestAt === null ? '-' : each.newestAt.slice(0, 19).replace('T', ' '),
  ]);
  const table = [['partition', 'end', 'committed', 'lake', 'lag', 'waits for', 'newest record (UTC)'], ...cells];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  const lag = partitions.reduce((sum, each) => sum + each.lag, 0);
  return [
    ...table.map((line) => line.map((cell, column) => cell.padStart(widths[column]!)).join('  ')),
    row('lag', count(lag, 'event')),
  ].join('\n');
}

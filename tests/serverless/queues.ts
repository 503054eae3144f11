/** SQS's JSON protocol, as far as a queue's mapping to a function uses it. */

export interface Message {
  id: string;
  /** By which a delivery is answered. */
  receipt: string;
  body: string;
}

export interface Queues {
  /** All messages that are there, each delivered once. */
  receive(url: string): Promise<Message[]>;
  /** It was dealt with. */
  remove(url: string, message: Message): Promise<void>;
  /** It failed, and is delivered again. */
  giveBack(url: string, message: Message): Promise<void>;
  /** One delivery of everything, in which everything fails. */
  giveBackAll(url: string): Promise<void>;
}

const BATCH_MAX = 10;

/** @see https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html */
export function openQueues(url: string, region: string): Queues {
  const send = async (operation: string, body: object): Promise<Record<string, unknown>> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-amz-json-1.0',
        'X-Amz-Target': `AmazonSQS.${operation}`,
        Authorization: `AWS4-HMAC-SHA256 Credential=test/20261127/${region}/sqs/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${operation}: ${response.status} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  };
  const receive = async (queue: string): Promise<Message[]> => {
    const all: Message[] = [];
    for (;;) {
      const { Messages = [] } = (await send('ReceiveMessage', { QueueUrl: queue, MaxNumberOfMessages: BATCH_MAX })) as {
        Messages?: { MessageId: string; ReceiptHandle: string; Body: string }[];
      };
      if (Messages.length === 0) return all;
      all.push(...Messages.map((each) => ({ id: each.MessageId, receipt: each.ReceiptHandle, body: each.Body })));
    }
  };
  const giveBack = async (queue: string, { receipt }: Message): Promise<void> => {
    await send('ChangeMessageVisibility', { QueueUrl: queue, ReceiptHandle: receipt, VisibilityTimeout: 0 });
  };
  return {
    receive,
    giveBack,
    remove: async (queue, { receipt }) => {
      await send('DeleteMessage', { QueueUrl: queue, ReceiptHandle: receipt });
    },
    giveBackAll: async (queue) => {
      for (const message of await receive(queue)) await giveBack(queue, message);
    },
  };
}

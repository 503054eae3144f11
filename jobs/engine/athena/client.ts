import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AthenaClient,
  type ColumnInfo,
  GetQueryExecutionCommand,
  GetQueryResultsCommand,
  type QueryExecution,
  StartQueryExecutionCommand,
  StopQueryExecutionCommand,
} from '@aws-sdk/client-athena';
import { type AwsOptions, awsCaller, clientSettings, nameOf, pause, toJobError } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';
import type { ResultColumn, ResultSet, SqlValue } from '../index.ts';
import { busy, executionFailure, startFailure } from './failures.ts';
import { costOf } from './price.ts';

export interface AthenaClientOptions extends AwsOptions {
  /** Aborted: the query at hand is cancelled. */
  signal?: AbortSignal;
  /** How long a query may wait for its turn; default 10 minutes. */
  queueTimeoutMs?: number;
}

export interface Statement {
  sql: string;
  /** Texts of literals for `?`. */
  parameters?: string[] | undefined;
  database: string;
  workGroup: string;
  /** What makes it the same execution when it is sent again: the run, the attempt. */
  identity: readonly (string | number)[];
  /** A failure of Athena's own is tried again. Not for what writes: it may have written something. */
  isRepeatable: boolean;
  /** Aborted: this statement alone is cancelled. */
  signal?: AbortSignal | undefined;
}

export interface Finished {
  id: string;
  /** Its results begin with a row of column names. */
  hasHeader: boolean;
  scannedBytes: number;
}

export interface StatementRunner {
  /**
   * Runs a statement to its end.
   *
   * @throws what `failures.ts` makes of Athena's words: `sql_invalid` (64), `object_damaged`, `scan_limit`
   *   (65), `engine_timeout`, `engine_exhausted`, `engine_failed` (69), `engine_busy` (75; also where it is
   *   queued for too long), `engine_denied` (77), `workgroup_missing` (78); `stopped` (75)
   */
  run(statement: Statement): Promise<Finished>;
  /** All rows of a finished select. @throws `result_too_large` (64) beyond `maxRows` */
  results(finished: Finished, maxRows: number): Promise<ResultSet>;
  /** Rows that a finished insert has written, as Athena counts them; undefined where it does not say. */
  rowsWritten(finished: Finished): Promise<number | undefined>;
  close(): void;
}

const QUEUE_TIMEOUT_MS = 600_000;
/** Athena ends a query after 30 minutes itself. */
const RUN_TIMEOUT_MS = 35 * 60_000;
const POLL_FIRST_MS = 100;
const POLL_MAX_MS = 2_000;
const PAGE_ROWS = 1_000;
const TRIES_MAX = 3;
const THROTTLED = new Set(['TooManyRequestsException', 'ThrottlingException', 'Throttling']);

/** Athena's asynchronous calls as one that waits. */
export function statementRunner(options: AthenaClientOptions): StatementRunner {
  const aws = awsCaller(() => new AthenaClient(clientSettings(options)), options);
  const { signal, queueTimeoutMs = QUEUE_TIMEOUT_MS } = options;

  async function start(statement: Statement, attempt: number): Promise<string> {
    const token = tokenOf(statement, attempt);
    const waitedFrom = performance.now();
    for (let tries = 1; ; tries += 1) {
      try {
        const { QueryExecutionId } = await aws.send(
          (client) =>
            client.send(
              new StartQueryExecutionCommand({
                QueryString: statement.sql,
                ClientRequestToken: token,
                QueryExecutionContext: { Database: statement.database },
                WorkGroup: statement.workGroup,
                ...(statement.parameters === undefined ? {} : { ExecutionParameters: statement.parameters }),
              }),
            ),
          signal,
        );
        if (QueryExecutionId === undefined) throw new Error('Athena answered without an execution');
        return QueryExecutionId;
      } catch (error) {
        if (!THROTTLED.has(nameOf(error))) throw startFailure(error, statement.workGroup);
        if (performance.now() - waitedFrom > queueTimeoutMs) throw busy('Athena takes no more queries now', error);
        await pause(tries, signal); // others' queries are running: there is room when one of them ends
      }
    }
  }

  async function wait(id: string, stopping: AbortSignal): Promise<QueryExecution> {
    const startedAt = performance.now();
    for (let pauseMs = POLL_FIRST_MS; ; pauseMs = Math.min(POLL_MAX_MS, pauseMs * 1.5)) {
      const execution = await look(id);
      const state = execution.Status?.State;
      if (state !== 'QUEUED' && state !== 'RUNNING') return execution;
      const waitedMs = performance.now() - startedAt;
      if (waitedMs > (state === 'QUEUED' ? queueTimeoutMs : RUN_TIMEOUT_MS)) {
        await stop(id);
        throw busy(`the query was ${state === 'QUEUED' ? 'queued' : 'running'} for ${Math.round(waitedMs / 1000)} s`);
      }
      await sleep(pauseMs, undefined, { signal: stopping }).catch(() => undefined);
      if (stopping.aborted) {
        await stop(id);
        throw new JobError('stopped', 'tempfail', 'stopped by a signal; the query was cancelled', {
          hint: 'what was committed is whole; run it again to go on',
        });
      }
    }
  }

  async function look(id: string): Promise<QueryExecution> {
    const { QueryExecution: execution } = await asked('look at a query', () =>
      aws.send((client) => client.send(new GetQueryExecutionCommand({ QueryExecutionId: id }))),
    );
    if (execution === undefined) throw new Error(`Athena knows no execution ${id}`);
    return execution;
  }

  /** Whether it can be stopped or not, it is not waited for: Athena ends it at its own limits. */
  async function stop(id: string): Promise<void> {
    await aws
      .send((client) => client.send(new StopQueryExecutionCommand({ QueryExecutionId: id })))
      .catch(() => undefined);
  }

  async function* pages(
    id: string,
  ): AsyncGenerator<{ columns: ColumnInfo[]; rows: (string | null)[][]; updated: number | undefined }> {
    let token: string | undefined;
    do {
      const page = await asked('read the result of a query', () =>
        aws.send(
          (client) =>
            client.send(new GetQueryResultsCommand({ QueryExecutionId: id, NextToken: token, MaxResults: PAGE_ROWS })),
          signal,
        ),
      );
      yield {
        columns: page.ResultSet?.ResultSetMetadata?.ColumnInfo ?? [],
        rows: (page.ResultSet?.Rows ?? []).map(({ Data = [] }) => Data.map(({ VarCharValue }) => VarCharValue ?? null)),
        updated: page.UpdateCount,
      };
      token = page.NextToken;
    } while (token !== undefined);
  }

  return {
    async run(statement) {
      const stopping = AbortSignal.any([signal, statement.signal].filter((each) => each !== undefined));
      for (let attempt = 1; ; attempt += 1) {
        const id = await start(statement, attempt);
        const execution = await wait(id, stopping);
        if (execution.Status?.State === 'SUCCEEDED') {
          return {
            id,
            hasHeader: execution.StatementType === 'DML',
            scannedBytes: execution.Statistics?.DataScannedInBytes ?? 0,
          };
        }
        const error = executionFailure(execution);
        if (!(statement.isRepeatable && error.code === 'engine_failed' && attempt < TRIES_MAX)) throw error;
        await pause(attempt, signal);
      }
    },
    async results({ id, hasHeader, scannedBytes }, maxRows) {
      let columns: ResultColumn[] = [];
      let types: string[] = [];
      const rows: SqlValue[][] = [];
      let isFirst = true;
      for await (const page of pages(id)) {
        if (isFirst) {
          columns = page.columns.map(resultColumn);
          types = columns.map(({ type }) => type);
          const isHeader = page.rows[0]?.every((text, index) => text === columns[index]?.name);
          if (hasHeader && isHeader) page.rows.shift();
          isFirst = false;
        }
        if (rows.length + page.rows.length > maxRows) {
          throw new JobError('result_too_large', 'usage', `the result has more than ${maxRows} rows`, {
            hint: 'add a limit or aggregate',
          });
        }
        for (const row of page.rows) rows.push(types.map((type, index) => typedValue(row[index] ?? null, type)));
      }
      return { columns, rows, scannedBytes, costUsd: costOf(scannedBytes) };
    },
    async rowsWritten({ id }) {
      for await (const page of pages(id)) return page.updated;
      return undefined;
    },
    close: () => aws.close(),
  };
}

/**
 * The same statement of the same run and attempt is the same execution, however often it is sent. 64
 * characters; Athena wants 32 to 128.
 */
function tokenOf({ sql, parameters, workGroup, database, identity }: Statement, attempt: number): string {
  return createHash('sha256')
    .update(JSON.stringify([sql, parameters ?? [], workGroup, database, identity, attempt]))
    .digest('hex');
}

async function asked<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (THROTTLED.has(nameOf(error))) throw busy('Athena answers no more calls now', error);
    throw toJobError(error, 'engine', doing);
  }
}

function resultColumn({ Name = '', Type = '', Precision, Scale }: ColumnInfo): ResultColumn {
  const type = Type.toLowerCase();
  return { name: Name, type: type === 'decimal' ? `decimal(${Precision},${Scale})` : type };
}

/** Athena gives every value as text. */
function typedValue(text: string | null, type: string): SqlValue {
  if (text === null) return null;
  if (type === 'boolean') return text === 'true';
  if (type === 'bigint') return BigInt(text);
  if (/^(tinyint|smallint|integer|double|float|real)$/.test(type)) return Number(text);
  return text;
}

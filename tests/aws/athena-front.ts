/**
 * Athena's protocol in front of a real Trino: what Athena adds to Trino (states, workgroup rules, tokens,
 * result pages of strings, the result file) is done here, the SQL is done there. Workgroups are moto's. What
 * a test wants Athena to do wrong is set in `switches`.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { columnInfo, kindOf, type StatementKind, textOf, toTrino } from './athena-dialect.ts';
import type { AthenaHandler } from './endpoint.ts';
import { runOnTrino, type TrinoColumn } from './trino-client.ts';

const QUERY_MAX_BYTES = 262_144;
const PAGE_MAX_ROWS = 1_000;
/**
 * The Trino behind it has one node and little memory: further queries wait for their turn, as they do at
 * Athena.
 */
const TRINO_AT_ONCE = 4;

/** What the next queries do instead of what they should; a test sets it and it wears off. */
export interface Switches {
  /** This many calls of the operation are answered with TooManyRequestsException. */
  throttle: { StartQueryExecution: number; GetQueryExecution: number; GetQueryResults: number };
  /** The next queries end like this after Trino has done (and written) everything. */
  failAfter:
    | {
        match: RegExp;
        state: 'FAILED' | 'CANCELLED';
        reason: string;
        errorType?: number;
        isRetryable?: boolean;
        times: number;
      }
    | undefined;
  /** Queries that match stay QUEUED this long. */
  queue: { match: RegExp; ms: number } | undefined;
  /** Queries that match stay RUNNING as long as this is set. */
  hold: RegExp | undefined;
}

export interface AthenaFront {
  handlerOf(operation: string): AthenaHandler | undefined;
  readonly switches: Switches;
  /** Every execution since the start, oldest first. */
  readonly executions: readonly Execution[];
}

export interface Execution {
  id: string;
  sql: string;
  parameters: string[] | undefined;
  workGroup: string;
  database: string | undefined;
  kind: StatementKind;
  token: string | undefined;
  output: string;
  state: 'QUEUED' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';
  reason: string | undefined;
  errorType: number | undefined;
  isUserError: boolean;
  isRetryable: boolean;
  scannedBytes: number;
  /** Bytes after which the workgroup cancels. */
  cutoff: number | undefined;
  isEnforced: boolean;
  submittedAt: number;
  completedAt: number | undefined;
  columns: TrinoColumn[];
  rows: (string | null)[][];
  updateCount: number | undefined;
}

interface WorkGroup {
  State: string;
  Configuration?: {
    EnforceWorkGroupConfiguration?: boolean;
    BytesScannedCutoffPerQuery?: number;
    ResultConfiguration?: { OutputLocation?: string };
  };
}

interface StartRequest {
  QueryString: string;
  ClientRequestToken?: string;
  QueryExecutionContext?: { Database?: string; Catalog?: string };
  ResultConfiguration?: { OutputLocation?: string };
  WorkGroup?: string;
  ExecutionParameters?: string[];
}

/** A request that Athena refuses. */
class Refusal extends Error {
  readonly type: string;
  readonly status: number;
  constructor(message: string, type = 'InvalidRequestException', status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

export function athenaFront(motoUrl: string, trinoUrl: string, region: string): AthenaFront {
  const executions: Execution[] = [];
  const switches: Switches = {
    throttle: { StartQueryExecution: 0, GetQueryExecution: 0, GetQueryResults: 0 },
    failAfter: undefined,
    queue: undefined,
    hold: undefined,
  };
  const onTrino = new Set<string>();

  async function start(request: StartRequest): Promise<object> {
    const { QueryString: sql, ClientRequestToken: token, WorkGroup: workGroup = 'primary' } = request;
    if (token !== undefined && token.length < 32)
      throw new Refusal('ClientRequestToken must have 32 characters or more');
    if (Buffer.byteLength(sql) > QUERY_MAX_BYTES)
      throw new Refusal(`the query is longer than ${QUERY_MAX_BYTES} bytes`);
    const group = await readWorkGroup(motoUrl, region, workGroup);
    if (group === undefined) throw new Refusal(`WorkGroup ${workGroup} is not found.`);
    if (group.State === 'DISABLED') throw new Refusal(`WorkGroup ${workGroup} is disabled.`);
    const {
      EnforceWorkGroupConfiguration: isEnforced = false,
      ResultConfiguration,
      BytesScannedCutoffPerQuery,
    } = group.Configuration ?? {};
    const given = request.ResultConfiguration?.OutputLocation;
    const location = isEnforced
      ? (ResultConfiguration?.OutputLocation ?? given)
      : (given ?? ResultConfiguration?.OutputLocation);
    if (location === undefined) throw new Refusal('No output location provided.');
    // No wait may stand between this look and the push below: two starts at once with one token are one
    // execution.
    const known = token === undefined ? undefined : executions.find((execution) => execution.token === token);
    if (known !== undefined) {
      if (known.sql !== sql || known.workGroup !== workGroup) throw new Refusal('Idempotent parameters do not match');
      return { QueryExecutionId: known.id };
    }
    const id = randomUUID();
    const kind = kindOf(sql);
    const execution: Execution = {
      id,
      sql,
      parameters: request.ExecutionParameters,
      workGroup,
      database: request.QueryExecutionContext?.Database,
      kind,
      token,
      output: `${location.replace(/\/?$/, '/')}${kind.isSelect ? `${id}.csv` : kind.isWrite ? `tables/${id}` : `${id}.txt`}`,
      state: 'QUEUED',
      reason: undefined,
      errorType: undefined,
      isUserError: false,
      isRetryable: false,
      scannedBytes: 0,
      cutoff: BytesScannedCutoffPerQuery,
      isEnforced,
      submittedAt: Date.now(),
      completedAt: undefined,
      columns: [],
      rows: [],
      updateCount: undefined,
    };
    executions.push(execution);
    run(execution, { motoUrl, trinoUrl, region, switches, onTrino }).catch((error: unknown) => {
      finish(execution, 'FAILED', `GENERIC_INTERNAL_ERROR: ${String(error)}`, { errorType: 200, isRetryable: true });
    });
    return { QueryExecutionId: id };
  }

  const find = (id: string): Execution => {
    const found = executions.find((execution) => execution.id === id);
    if (found === undefined) throw new Refusal(`QueryExecution ${id} was not found`);
    return found;
  };

  const operations: Record<string, (request: never) => Promise<object> | object> = {
    StartQueryExecution: (request: StartRequest) => start(request),
    GetQueryExecution: ({ QueryExecutionId }: { QueryExecutionId: string }) => ({
      QueryExecution: shown(find(QueryExecutionId)),
    }),
    BatchGetQueryExecution: ({ QueryExecutionIds }: { QueryExecutionIds: string[] }) => ({
      QueryExecutions: QueryExecutionIds.map((id) => shown(find(id))),
      UnprocessedQueryExecutionIds: [],
    }),
    ListQueryExecutions: ({ WorkGroup = 'primary' }: { WorkGroup?: string }) => ({
      QueryExecutionIds: executions
        .filter(({ workGroup }) => workGroup === WorkGroup)
        .map(({ id }) => id)
        .reverse(),
    }),
    StopQueryExecution: ({ QueryExecutionId }: { QueryExecutionId: string }) => {
      finish(find(QueryExecutionId), 'CANCELLED', 'Query cancelled by user');
      return {};
    },
    GetQueryResults: resultsOf,
  };

  function resultsOf(request: { QueryExecutionId: string; NextToken?: string; MaxResults?: number }): object {
    const execution = find(request.QueryExecutionId);
    const { state, kind, columns, rows, updateCount } = execution;
    if (state === 'QUEUED' || state === 'RUNNING')
      throw new Refusal(`Query has not yet finished. Current state: ${state}`);
    if (state !== 'SUCCEEDED') throw new Refusal(`Query did not finish successfully. Final query state: ${state}`);
    const most = request.MaxResults ?? PAGE_MAX_ROWS;
    if (most > PAGE_MAX_ROWS) throw new Refusal(`MaxResults is at most ${PAGE_MAX_ROWS}`);
    const header = kind.isSelect ? [columns.map(({ name }) => name)] : [];
    const all = kind.isWrite ? [] : [...header, ...rows];
    const from = Number(request.NextToken ?? 0);
    const page = all.slice(from, from + most);
    return {
      UpdateCount: updateCount ?? 0,
      ResultSet: {
        Rows: page.map((row) => ({ Data: row.map((text) => (text === null ? {} : { VarCharValue: text })) })),
        ResultSetMetadata: { ColumnInfo: kind.isWrite ? [] : columns.map(columnInfo) },
      },
      ...(from + most < all.length ? { NextToken: String(from + most) } : {}),
    };
  }

  return {
    switches,
    executions,
    handlerOf(operation) {
      const action = operations[operation];
      return action === undefined
        ? undefined
        : async (_, body) => {
            try {
              takeThrottle(switches, operation);
              return { status: 200, body: JSON.stringify(await action(JSON.parse(body.toString()) as never)) };
            } catch (error) {
              if (!(error instanceof Refusal)) throw error;
              return {
                status: error.status,
                body: JSON.stringify({ __type: error.type, Message: error.message, message: error.message }),
              };
            }
          };
    },
  };
}

function takeThrottle({ throttle }: Switches, operation: string): void {
  const left = throttle[operation as keyof typeof throttle];
  if (left === undefined || left <= 0) return;
  throttle[operation as keyof typeof throttle] = left - 1;
  throw new Refusal('Rate exceeded', 'TooManyRequestsException');
}

async function run(
  execution: Execution,
  {
    motoUrl,
    trinoUrl,
    region,
    switches,
    onTrino,
  }: { motoUrl: string; trinoUrl: string; region: string; switches: Switches; onTrino: Set<string> },
): Promise<void> {
  const { kind, sql } = execution;
  const isOver = (): boolean => execution.completedAt !== undefined;
  if (switches.queue?.match.test(sql)) {
    for (const until = Date.now() + switches.queue.ms; Date.now() < until && !isOver(); ) await sleep(20);
  }
  while (onTrino.size >= TRINO_AT_ONCE && !isOver()) await sleep(20);
  if (isOver()) return;
  execution.state = 'RUNNING';
  if (/\bexternal_location\b/i.test(sql) && kind.isTableAsSelect && execution.isEnforced) {
    return finish(
      execution,
      'FAILED',
      'the query gives an external_location in a workgroup that enforces its output location',
      { errorType: 1006, isUserError: true },
    );
  }
  onTrino.add(execution.id);
  const end = await runOnTrino(
    trinoUrl,
    toTrino(sql, kind, execution.parameters, execution.output),
    execution.database,
    (progress) => {
      execution.scannedBytes = progress.scannedBytes;
      return !isOver() && (execution.cutoff === undefined || progress.scannedBytes <= execution.cutoff);
    },
  ).finally(() => onTrino.delete(execution.id));
  while (!isOver() && switches.hold?.test(sql)) await sleep(20);
  if (isOver()) return;
  if (execution.cutoff !== undefined && execution.scannedBytes > execution.cutoff) {
    return finish(execution, 'CANCELLED', 'Bytes scanned limit was exceeded');
  }
  if (end.error !== undefined) {
    const isUserError = end.error.errorType === 'USER_ERROR';
    return finish(execution, 'FAILED', `${end.error.errorName}: ${end.error.message}`, {
      errorType: isUserError ? 1001 : 200,
      isUserError,
    });
  }
  execution.columns = end.columns;
  execution.updateCount = end.updateCount;
  execution.rows = end.rows.map((row) => row.map((value, index) => textOf(value, end.columns[index]!.typeSignature)));
  const broken = switches.failAfter;
  if (broken?.match.test(sql)) {
    broken.times -= 1;
    if (broken.times <= 0) switches.failAfter = undefined;
    return finish(execution, broken.state, broken.reason, {
      errorType: broken.errorType,
      isRetryable: broken.isRetryable,
    });
  }
  if (!kind.isWrite) await putResult(motoUrl, region, execution);
  finish(execution, 'SUCCEEDED', undefined);
}

function finish(
  execution: Execution,
  state: Execution['state'],
  reason: string | undefined,
  more: Partial<Pick<Execution, 'errorType' | 'isUserError' | 'isRetryable'>> = {},
): void {
  if (execution.completedAt !== undefined) return;
  Object.assign(execution, { state, reason, completedAt: Date.now(), ...more });
}

/** An execution as GetQueryExecution gives it; times in seconds. */
function shown(execution: Execution): object {
  const { state, reason, errorType, isUserError, isRetryable, completedAt, submittedAt } = execution;
  const spentMs = (completedAt ?? Date.now()) - submittedAt;
  return {
    QueryExecutionId: execution.id,
    Query: execution.sql,
    StatementType: execution.kind.type,
    SubstatementType: execution.kind.name,
    WorkGroup: execution.workGroup,
    ResultConfiguration: { OutputLocation: execution.output },
    QueryExecutionContext: { Database: execution.database },
    ...(execution.parameters === undefined ? {} : { ExecutionParameters: execution.parameters }),
    Status: {
      State: state,
      SubmissionDateTime: submittedAt / 1000,
      ...(completedAt === undefined ? {} : { CompletionDateTime: completedAt / 1000 }),
      ...(reason === undefined ? {} : { StateChangeReason: reason }),
      ...(state === 'FAILED'
        ? {
            AthenaError: {
              ErrorCategory: isUserError ? 2 : 1,
              ErrorType: errorType ?? 200,
              Retryable: isRetryable,
              ErrorMessage: reason,
            },
          }
        : {}),
    },
    Statistics: {
      DataScannedInBytes: execution.scannedBytes,
      TotalExecutionTimeInMillis: spentMs,
      EngineExecutionTimeInMillis: spentMs,
    },
    EngineVersion: { SelectedEngineVersion: 'AUTO', EffectiveEngineVersion: 'Athena engine version 3' },
  };
}

async function readWorkGroup(motoUrl: string, region: string, name: string): Promise<WorkGroup | undefined> {
  const answer = await fetch(motoUrl, {
    method: 'POST',
    body: JSON.stringify({ WorkGroup: name }),
    headers: {
      'x-amz-target': 'AmazonAthena.GetWorkGroup',
      'content-type': 'application/x-amz-json-1.1',
      authorization: authorization(region, 'athena'),
    },
  });
  return ((await answer.json()) as { WorkGroup?: WorkGroup }).WorkGroup ?? undefined;
}

/**
 * The result file: for a select CSV with every value quoted and nulls empty, else lines of tab-separated
 * values.
 */
async function putResult(motoUrl: string, region: string, { kind, columns, rows, output }: Execution): Promise<void> {
  const cell = (text: string | null): string => (text === null ? '' : `"${text.replaceAll('"', '""')}"`);
  const lines = kind.isSelect
    ? [columns.map(({ name }) => cell(name)).join(','), ...rows.map((row) => row.map(cell).join(','))]
    : rows.map((row) => row.join('\t'));
  const answer = await fetch(`${motoUrl}/${output.replace('s3://', '')}`, {
    method: 'PUT',
    body: lines.map((line) => `${line}\n`).join(''),
    headers: { authorization: authorization(region, 's3') },
  });
  if (!answer.ok) throw new Refusal(`cannot write the result to ${output}: ${answer.status}`);
}

/** moto looks at region and service only. */
function authorization(region: string, service: string): string {
  return `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
}

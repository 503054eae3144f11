import type { QueryExecution } from '@aws-sdk/client-athena';
import { nameOf, toJobError } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';

/** A mistake in the statement, with its place. Rights that are missing may be told with a place, too. */
const PLACED = /^(?:[A-Z_]+: )?line \d+:\d+: (?!Insufficient|.*not authorized to perform)/;
/**
 * S3, Glue or KMS answer no more requests now. Athena puts it behind the code of whatever it was doing:
 * `HIVE_CURSOR_ERROR: Please reduce your request rate`, `HIVE_CANNOT_OPEN_SPLIT: ... Status Code: 503`,
 * `HIVE_METASTORE_ERROR: Rate exceeded`.
 */
const THROTTLE =
  /Slow ?Down|reduce your request rate|Rate exceeded|Throttling|TooManyRequests|RequestLimitExceeded|Status Code: (?:429|503)\b/i;
/**
 * S3, Glue, KMS or Lake Formation refuse what the query reads or writes: IAM's words and those of Lake
 * Formation.
 */
const DENIED =
  /Access ?Denied|not authorized to perform|Insufficient (?:Lake Formation )?permission|Status Code: 403\b|PERMISSION_DENIED|(?:verify|create) output bucket/i;
/** More memory than Athena gives one query at this moment. */
const EXHAUSTED = /exhausted resources|EXCEEDED_\w*MEMORY_LIMIT|exceeded .*memory limit/i;
/** A service or the network failed, whatever Athena was doing: nothing is known of the file. */
const PASSING =
  /Status Code: 5\d\d\b|Unable to execute HTTP request|connection (?:was )?reset|timed? ?out|ExpiredToken/i;
/** What it says of a file that is not what it was when it was written, or is gone. */
const DAMAGE =
  /^(HIVE_BAD_DATA|HIVE_CURSOR_ERROR|HIVE_CANNOT_OPEN_SPLIT|HIVE_FILE_NOT_FOUND|HIVE_FILESYSTEM_ERROR|HIVE_INVALID_METADATA|PARQUET)/;
/** Athena's types of failure that mean: the time was up. */
const TIMEOUT_TYPES = new Set([206, 210]);

/**
 * Why a query did not succeed, in our words. The order counts: a file may only be called damaged where
 * nothing else explains that it could not be read.
 *
 * @returns `sql_invalid` (64), `object_damaged`, `scan_limit` (65), `engine_timeout`, `engine_exhausted`,
 *   `engine_failed` (69; retry helps), `engine_busy` (75; retry helps), `engine_denied` (77)
 * @see https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
 */
export function executionFailure({ Status, Statistics, QueryExecutionId }: QueryExecution): JobError {
  const reason = Status?.StateChangeReason ?? Status?.AthenaError?.ErrorMessage ?? 'no reason was given';
  const bytes = Statistics?.DataScannedInBytes ?? 0;
  const where = `(query ${QueryExecutionId}, ${bytes} bytes scanned)`;
  if (Status?.State === 'CANCELLED') {
    if (/bytes scanned|scan.*limit/i.test(reason)) {
      return new JobError('scan_limit', 'data', `the query scanned ${bytes} bytes, more than its workgroup allows`, {
        hint: 'filter by partition or ask a smaller question; scan_limit_gib in terraform/ is the limit',
      });
    }
    return busy(`the query was cancelled: ${reason} ${where}`);
  }
  const { ErrorCategory: category, ErrorType: type } = Status?.AthenaError ?? {};
  if (PLACED.test(reason)) return mistake(reason);
  if (THROTTLE.test(reason)) return busy(`AWS slowed the query down until it failed: ${reason} ${where}`);
  if (DENIED.test(reason)) return denied(reason, where);
  if (EXHAUSTED.test(reason)) {
    return new JobError('engine_exhausted', 'unavailable', `the query needs more memory: ${reason} ${where}`, {
      hint: 'filter by partition or ask a smaller question; at another time Athena may have more to give',
    });
  }
  if (DAMAGE.test(reason) && !PASSING.test(reason)) {
    return new JobError('object_damaged', 'data', reason, {
      hint: '`listenlake doctor --verify` says which object is damaged, `doctor --aws` whether a table was altered; both say what to do',
    });
  }
  if (TIMEOUT_TYPES.has(type ?? -1) || /timed? ?out/i.test(reason)) {
    return new JobError('engine_timeout', 'unavailable', `the query took too long: ${reason} ${where}`, {
      hint: 'run it again, or ask a smaller question',
    });
  }
  if (category === 2 && !PASSING.test(reason)) return mistake(reason);
  return new JobError('engine_failed', 'unavailable', `Athena failed: ${reason} ${where}`, {
    hint: 'nothing was published; run it again',
  });
}

/** Why a query was not taken. @returns `workgroup_missing` (78), or as above, or what `toJobError` says */
export function startFailure(error: unknown, workGroup: string): unknown {
  if (nameOf(error) === 'InvalidRequestException') {
    const { message } = error as Error;
    if (/work ?group/i.test(message)) {
      return new JobError('workgroup_missing', 'config', `Athena's workgroup ${workGroup}: ${message}`, {
        hint: 'make it with `terraform apply`; LISTENLAKE_AWS_NAME is the name that Terraform was given',
        cause: error,
      });
    }
    return !PLACED.test(message) && DENIED.test(message) ? denied(message, '', error) : mistake(message, error);
  }
  return toJobError(error, 'engine', 'start a query');
}

/** @returns `engine_busy` (75): others are at work, and it is worth coming back */
export function busy(message: string, cause?: unknown): JobError {
  return new JobError('engine_busy', 'tempfail', message, {
    hint: 'run it again later',
    ...(cause === undefined ? {} : { cause }),
  });
}

function denied(reason: string, where: string, cause?: unknown): JobError {
  return new JobError(
    'engine_denied',
    'auth',
    `AWS refuses what the query reads or writes: ${reason} ${where}`.trim(),
    {
      hint: 'the role of this job lacks the right on the object, table or key that the line names: see terraform/jobs.tf, and docs/aws.md for accounts with Lake Formation',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

/** `COLUMN_NOT_FOUND: line 3:7: Column 'x' cannot be resolved` with the place at its end. */
function mistake(reason: string, cause?: unknown): JobError {
  const [, line, column, said] = /^(?:[A-Z_]+: )?line (\d+):(\d+): ([\s\S]*)$/.exec(reason) ?? [];
  const text = said === undefined ? reason : `${said} (line ${line}, column ${column})`;
  return new JobError('sql_invalid', 'usage', text.replaceAll(/\s*\n\s*/g, ' '), cause === undefined ? {} : { cause });
}

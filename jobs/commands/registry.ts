import { CHECK } from './check.ts';
import type { Command } from './command.ts';
import { COVERAGE } from './coverage.ts';
import { DOCTOR } from './doctor.ts';
import { ENRICH } from './enrich.ts';
import { EXPORT } from './export.ts';
import { EXTRACT } from './extract.ts';
import { FORGET } from './forget.ts';
import { GC } from './gc.ts';
import { LOAD } from './load.ts';
import { LOGIN } from './login.ts';
import { MCP } from './mcp.ts';
import { PROFILE } from './profile.ts';
import { PROMOTE } from './promote.ts';
import { REPORT } from './report.ts';
import { RETENTION } from './retention.ts';
import { RUN } from './run.ts';
import { SERVE } from './serve.ts';
import { SQL } from './sql.ts';
import { STREAM } from './stream.ts';
import { TRAIN } from './train.ts';
import { TRANSFORM } from './transform.ts';

/**
 * Every command, in the order of the flow. Jobs are imported when they run: `--help` and `sql` need not wait
 * for the rest.
 */
export const COMMANDS: readonly Command[] = [
  RUN,
  LOGIN,
  EXTRACT,
  LOAD,
  STREAM,
  TRANSFORM,
  ENRICH,
  TRAIN,
  CHECK,
  PROMOTE,
  REPORT,
  COVERAGE,
  PROFILE,
  SERVE,
  SQL,
  EXPORT,
  MCP,
  GC,
  FORGET,
  RETENTION,
  DOCTOR,
];

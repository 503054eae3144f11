import type { EngineSession, Schema } from '../engine/index.ts';
import { type DataTest, errorOf, type TestResult } from './data-tests.ts';
import type { Project } from './project.ts';

const MODEL = 'data_quality';
/** Warnings that are read: each is of one source or table, and more than these say the same many times. */
const WARNINGS_MAX = 200;

/**
 * The warnings of the model `data_quality`, as results of tests that warn: what was seen and what to do, in
 * the order of checks and subjects. None where the project has no such model.
 */
export async function qualityWarnings(session: EngineSession, project: Project, schema: Schema): Promise<TestResult[]> {
  if (!project.models.has(MODEL)) return [];
  try {
    const { rows } = await session.query(
      `select check_name, subject, message, remedy from ${await session.relation(schema, MODEL)}
       where status = 'warning' order by check_name, subject limit ${WARNINGS_MAX}`,
    );
    return rows.map(([check, subject, message, remedy]) => ({
      table_name: MODEL,
      test: `${check}(${subject})`,
      severity: 'warn',
      status: 'warned',
      failing_rows: 1,
      message: `${message}; ${remedy}`,
    }));
  } catch (error) {
    const test: DataTest = { schema, table: MODEL, name: 'warnings', severity: 'fail' };
    return [errorOf(test, error)];
  }
}

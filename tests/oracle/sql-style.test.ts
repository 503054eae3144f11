import { spawnSync } from 'node:child_process';
import { WAREHOUSE_DIR } from '../../jobs/lake/contracts.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { openSqlfluff } from './python-tools.ts';

const sqlfluff = openSqlfluff();

/** What sqlfluff says of SQL: `rule: text` for each fault. */
function faultsOf(program: string, args: readonly string[], input?: string): string[] {
  const done = spawnSync(program, ['lint', '--format', 'json', ...args], {
    cwd: WAREHOUSE_DIR,
    encoding: 'utf8',
    input,
    maxBuffer: 64 * 1024 ** 2,
  });
  const files = JSON.parse(done.stdout) as { filepath: string; violations: { code: string; description: string }[] }[];
  expect(files.length).toBeGreaterThan(0);
  return files.flatMap(({ filepath, violations }) =>
    violations.map(({ code, description }) => `${filepath}: ${code} ${description}`),
  );
}

if ('missing' in sqlfluff) {
  it('the style of SQL is left out here, which is no answer under CI', () =>
    layerSkipped('sqlfluff', sqlfluff.missing, PYTHON));
} else {
  const { program } = sqlfluff;

  it('models and questions are in the style that warehouse/.sqlfluff says', () => {
    expect(faultsOf(program, ['models', 'queries'])).toEqual([]);
  });

  it('the rules see capitals, a comma at the start of a line, a column without `as`', () => {
    const text = 'SELECT\n    plays\n    , skips skipped\nfrom daily_aggregates\n';
    const codes = faultsOf(program, ['-'], text).map((fault) => fault.split(' ')[1]);
    expect(codes).toEqual(expect.arrayContaining(['CP01', 'LT04', 'AL02']));
  });
}

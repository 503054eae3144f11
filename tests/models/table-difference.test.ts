import type { ResultSet, SqlValue } from '../../jobs/engine/index.ts';
import { answerDifferences, type Side, tableDifferences } from '../fixtures/table-difference.ts';

const COLUMNS = [
  { name: 'id', type: 'varchar' },
  { name: 'n', type: 'bigint' },
  { name: 'rate', type: 'double' },
  { name: 'at', type: 'timestamp' },
];
const ROWS: SqlValue[][] = [
  ['a', 1n, 0.5, '2026-01-01 00:00:00.000'],
  ['b', 2n, null, '2026-01-02 00:00:00.001'],
];

function side(name: string, rows: SqlValue[][], columns = COLUMNS): Side {
  return { name, result: { columns, rows } as ResultSet };
}

const against = (rows: SqlValue[][], key = ['id']): string[] =>
  tableDifferences('t', key, side('one', ROWS), side('other', rows));
/** The rows with one value changed. */
const changed = (row: number, column: number, value: SqlValue): SqlValue[][] =>
  ROWS.map((values, at) => (at === row ? values.with(column, value) : values));

it('finds none in the same rows, whatever their order, and in doubles that differ by the order of a sum', () => {
  expect(against(ROWS.toReversed())).toEqual([]);
  expect(against(changed(0, 2, 0.5 + 4e-10))).toEqual([]);
  expect(against(ROWS.toReversed(), [])).toEqual([]);
});

it('names table, key and column of a value that differs', () => {
  expect(against(changed(0, 2, 0.500001))).toEqual(['t id "a": rate is 0.5 on one, 0.500001 on other']);
  expect(against(changed(1, 1, 3n))).toEqual(['t id "b": n is 2 on one, 3 on other']);
  expect(against(changed(1, 3, '2026-01-02 00:00:00.000'))).toEqual([
    't id "b": at is "2026-01-02 00:00:00.001" on one, "2026-01-02 00:00:00.000" on other',
  ]);
});

it('tells null from nothing, and one type of number from another', () => {
  expect(against(changed(1, 2, 0))).toEqual(['t id "b": rate is null on one, 0 on other']);
  expect(against(changed(0, 1, 1))).toHaveLength(1);
  const columns = COLUMNS.map((column) => (column.name === 'n' ? { ...column, type: 'integer' } : column));
  expect(tableDifferences('t', ['id'], side('one', ROWS), side('other', ROWS, columns))).toEqual([
    't: columns are (id varchar, n bigint, rate double, at timestamp) on one, (id varchar, n integer, rate double, at timestamp) on other',
  ]);
});

it('counts rows of a key on both sides', () => {
  expect(against([...ROWS, ROWS[0]!])).toEqual(['t id "a": 1 row on one, 2 rows on other']);
  expect(against(ROWS.slice(1))).toEqual(['t id "a": 1 row on one, none on other']);
  expect(against([...ROWS, ['c', 1n, null, '2026-01-01 00:00:00.000']])).toEqual([
    't id "c": none on one, 1 row on other',
  ]);
  expect(() => against(ROWS, ['nothing'])).toThrow('nothing');
});

it('is short where all is different', () => {
  const many = Array.from({ length: 50 }, (_, at): SqlValue[] => [`${at}`, 1n, null, '2026-01-01 00:00:00.000']);
  const lines = tableDifferences('t', ['id'], side('one', many), side('other', []));
  expect([lines.length, lines.at(-1)]).toEqual([9, 'and 42 more']);
});

it('of an answer the order of the rows counts, too', () => {
  expect(answerDifferences('q', side('one', ROWS), side('other', ROWS))).toEqual([]);
  expect(answerDifferences('q', side('one', ROWS), side('other', ROWS.toReversed()))[0]).toBe(
    'q row 1: id is "a" on one, "b" on other',
  );
  expect(answerDifferences('q', side('one', ROWS), side('other', ROWS.slice(1)))[0]).toBe(
    'q: 2 rows on one, 1 row on other',
  );
});

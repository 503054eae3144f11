import { type Measured, monthOf, priceTable, scenarios } from '../../bench/aws-prices.ts';

const NOTHING = { scannedBytes: [], writeRequests: 0, readRequests: 0, glueRequests: 0, writtenBytes: 0 };
const MEASURED: Measured = {
  plays: 1_000,
  playsPerUserDay: 10,
  storedBytes: 0,
  dailyRun: NOTHING,
  capture: NOTHING,
  questionBytes: 0,
};
const ONE = { name: 'one', plays: 1_000, captures: 0, questions: 0 };

it('a month is thirty days of runs, captures and questions at list price', () => {
  const nothing = { storage: 0, athena: 0, requests: 0, total: 0 };
  expect(monthOf(ONE, MEASURED)).toEqual(nothing);
  // A query of no bytes counts as 10 MB: 0.00005 US dollars.
  expect(monthOf({ ...ONE, questions: 2 }, MEASURED).athena).toBeCloseTo(30 * 2 * 0.00005, 12);
  const dailyRun = {
    scannedBytes: [1e12, 1],
    writeRequests: 1_000,
    readRequests: 1_000,
    glueRequests: 50_000,
    writtenBytes: 1e9,
  };
  const month = monthOf(ONE, { ...MEASURED, storedBytes: 70e9, dailyRun });
  expect(month.athena).toBeCloseTo(30 * (5 + 0.00005), 9);
  expect(month.storage).toBeCloseTo(100 * 0.023, 9);
  expect(month.requests).toBeCloseTo(30 * (0.005 + 0.0004) + 0.5, 9); // 500,000 requests of Glue beyond the free million
  expect(month.total).toBeCloseTo(month.athena + month.storage + month.requests, 9);
});

it('bytes grow with the plays, requests and queries do not', () => {
  const dailyRun = { ...NOTHING, scannedBytes: [1e9], writeRequests: 1_000, writtenBytes: 1e6 };
  const measured = { ...MEASURED, storedBytes: 1e9, dailyRun };
  const [small, large] = [monthOf(ONE, measured), monthOf({ ...ONE, plays: 100_000 }, measured)];
  expect(large.athena / small.athena).toBeCloseTo(100, 6);
  expect(large.storage / small.storage).toBeCloseTo(100, 6);
  expect(large.requests).toBe(small.requests);
});

it('the table has a row for each who', () => {
  const measured = { ...MEASURED, dailyRun: { ...NOTHING, scannedBytes: [1, 2] }, questionBytes: 1 };
  const table = priceTable(measured);
  for (const { name } of scenarios(measured)) expect(table).toContain(`| ${name} |`);
  expect(table).not.toMatch(/NaN|Infinity|undefined/);
});

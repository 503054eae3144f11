/**
 * What the lake costs on AWS: bytes and requests as `make bench` counts them, times list prices. The bench
 * prints the table.
 */
import { costOf } from '../jobs/engine/athena/price.ts';

/**
 * What one command did, counted at the local endpoint: the product's own calls and those of the engine behind
 * Athena.
 */
export interface Counted {
  /** Bytes that each query of Athena scanned, in order. */
  scannedBytes: number[];
  /** PUT, COPY, POST and LIST of S3. */
  writeRequests: number;
  /** GET and HEAD of S3. */
  readRequests: number;
  glueRequests: number;
  /** Bytes put into the bucket, results of queries left out: those are gone after a week. */
  writtenBytes: number;
}

export interface Measured {
  /** Plays in fct_plays. */
  plays: number;
  /** Plays a user and day of the generated event stream. */
  playsPerUserDay: number;
  /** Bytes under bronze, silver, one version of gold_dev and one of gold_prod, manifests and state. */
  storedBytes: number;
  /** A promoted run that has a day more of listening. */
  dailyRun: Counted;
  /** One file put into landing: what a capture of the Web API does. */
  capture: Counted;
  /** Mean bytes that a question of warehouse/queries scans. */
  questionBytes: number;
}

/**
 * List prices in US dollars, without free tiers but for Glue's. Regions us-east-1 and eu-west-1, as of March
 * 2026. Athena's is the product's own (jobs/engine/athena/price.ts). Look them up before you rely on them.
 */
export const PRICES = {
  /** https://aws.amazon.com/s3/pricing/, "Storage": S3 Standard, first 50 TB, a GB and month. */
  storageGbMonth: 0.023,
  /** The same page, "Requests": PUT, COPY, POST, LIST, for each. */
  writeRequest: 0.005 / 1_000,
  /** The same page: GET, SELECT and all other requests, for each. */
  readRequest: 0.0004 / 1_000,
  /**
   * https://aws.amazon.com/glue/pricing/, "Data Catalog": requests of a month beyond the first million, for
   * each.
   */
  glueRequest: 1 / 1_000_000,
  glueFreeRequests: 1_000_000,
} as const;

export interface Scenario {
  name: string;
  /** Plays in the lake. */
  plays: number;
  /** Captures of the Web API a day. */
  captures: number;
  /** Questions asked a day. */
  questions: number;
}

export interface Cost {
  storage: number;
  athena: number;
  requests: number;
  total: number;
}

const DAYS = 30;
/** One person with six years of listening; 10,000 users with a year of it. */
export function scenarios({ playsPerUserDay }: Measured): Scenario[] {
  return [
    { name: 'one person, 40,000 plays', plays: 40_000, captures: 48, questions: 10 },
    {
      name: '10,000 users, a year of plays',
      plays: Math.round(10_000 * playsPerUserDay * 365),
      captures: 0,
      questions: 100,
    },
  ];
}

/**
 * A month of 30 days with one promoted run a day, in US dollars.
 *
 * Bytes grow with the plays: stored, written and scanned bytes are what was measured times plays over
 * measured plays; a query counts at least Athena's 10 MB. Requests stay as measured: they are for each table
 * and partition that a run touches. Every version of gold that the month's runs wrote is still there at its
 * end.
 */
export function monthOf(scenario: Scenario, measured: Measured): Cost {
  const { dailyRun, capture } = measured;
  const scale = scenario.plays / measured.plays;
  const storedGb = ((measured.storedBytes + DAYS * dailyRun.writtenBytes) * scale) / 1e9;
  const runUsd = dailyRun.scannedBytes.reduce((sum, bytes) => sum + costOf(bytes * scale), 0);
  const athena = DAYS * (runUsd + scenario.questions * costOf(measured.questionBytes * scale));
  const count = (kind: 'writeRequests' | 'readRequests' | 'glueRequests'): number =>
    DAYS * (dailyRun[kind] + scenario.captures * capture[kind]);
  const requests =
    count('writeRequests') * PRICES.writeRequest +
    count('readRequests') * PRICES.readRequest +
    Math.max(0, count('glueRequests') - PRICES.glueFreeRequests) * PRICES.glueRequest;
  const storage = storedGb * PRICES.storageGbMonth;
  return { storage, athena, requests, total: storage + athena + requests };
}

/** The scenarios as a Markdown table. */
export function priceTable(measured: Measured): string {
  const usd = (value: number): string => value.toFixed(value < 0.995 ? 3 : 2);
  const rows = scenarios(measured).map((scenario) => {
    const { storage, athena, requests, total } = monthOf(scenario, measured);
    const cells = [usd(storage), usd(athena), usd(requests), usd(total / DAYS), usd(total)];
    return `| ${scenario.name} | ${cells.join(' | ')} |`;
  });
  return ['| who | storage | Athena | requests | a day | a month |', '|---|---|---|---|---|---|', ...rows].join('\n');
}

/** Runs one statement over Trino's own protocol: a chain of pages until there is no next one. */

export interface TrinoType {
  rawType: string;
  arguments: { kind: string; value: unknown }[];
}

export interface TrinoColumn {
  name: string;
  typeSignature: TrinoType;
}

export interface TrinoResult {
  columns: TrinoColumn[];
  /**
   * Values as JSON gives them, but numbers as their text: 64-bit integers and `1.0` do not survive a
   * JavaScript number.
   */
  rows: unknown[][];
  updateCount: number | undefined;
  error: { errorName: string; errorType: string; message: string } | undefined;
}

interface Page {
  nextUri?: string;
  columns?: TrinoColumn[];
  data?: unknown[][];
  updateCount?: number;
  error?: { errorName: string; errorType: string; message: string };
  stats: { physicalInputBytes?: number };
}

/** @param onProgress called with each page; false cancels the statement */
export async function runOnTrino(
  url: string,
  sql: string,
  schema: string | undefined,
  onProgress: (progress: { scannedBytes: number }) => boolean,
): Promise<TrinoResult> {
  const headers = {
    'x-trino-user': 'athena',
    'x-trino-catalog': 'awsdatacatalog',
    'x-trino-time-zone': 'UTC',
    ...(schema === undefined ? {} : { 'x-trino-schema': schema }),
  };
  const result: TrinoResult = { columns: [], rows: [], updateCount: undefined, error: undefined };
  let text = await (await fetch(`${url}/v1/statement`, { method: 'POST', body: sql, headers })).text();
  for (;;) {
    const page = JSON.parse(text) as Page;
    if (page.columns !== undefined) result.columns = page.columns;
    if (page.data !== undefined) result.rows.push(...((parseExact(text) as Page).data ?? []));
    if (page.updateCount !== undefined) result.updateCount = page.updateCount;
    if (page.error !== undefined) result.error = page.error;
    const isWanted = onProgress({ scannedBytes: page.stats.physicalInputBytes ?? 0 });
    if (page.nextUri === undefined) return result;
    if (!isWanted) {
      await fetch(page.nextUri, { method: 'DELETE', headers });
      return result;
    }
    text = await (await fetch(page.nextUri, { headers })).text();
  }
}

function parseExact(text: string): unknown {
  return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? context?.source : value,
  );
}

const BYTE_UNITS: readonly [size: number, name: string][] = [
  [1e12, 'TB'],
  [1e9, 'GB'],
  [1e6, 'MB'],
  [1e3, 'kB'],
];

/** `12,345 rows`, `1 row`. */
export function count(number: number | bigint, noun: string, plural = `${noun}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 || number === 1n ? noun : plural}`;
}

/**
 * `1.4 MB scanned, about 0.00005 USD at list price`; undefined where the engine is not paid by bytes.
 *
 * @param scanned with `costUsd` in US dollars
 */
export function scannedText(scanned: { scannedBytes?: number; costUsd?: number }): string | undefined {
  const { scannedBytes, costUsd } = scanned;
  if (scannedBytes === undefined) return undefined;
  const unit = BYTE_UNITS.find(([size]) => scannedBytes >= size) ?? [1, 'bytes'];
  const size = (scannedBytes / unit[0]).toLocaleString('en', { maximumFractionDigits: unit[0] === 1 ? 0 : 1 });
  const cost = costUsd === undefined ? '' : `, about ${costUsd.toFixed(costUsd < 0.01 ? 5 : 2)} USD at list price`;
  return `${size} ${unit[1]} scanned${cost}`;
}

/** `12,345 rows`, `1 row`. */
export function count(number: number | bigint, noun: string, plural = `${noun}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 || number === 1n ? noun : plural}`;
}

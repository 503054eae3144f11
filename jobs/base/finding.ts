/** What an inspection found about one thing. */
export interface Finding {
  /** What was looked at. */
  name: string;
  verdict: 'ok' | 'warn' | 'fail';
  /** What was seen and, unless ok, what to do. */
  text: string;
}

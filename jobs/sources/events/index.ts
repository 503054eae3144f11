import type { RowSource } from '../../bronze/rows.ts';
import { INSTANT_SQL } from '../account-export/index.ts';

/** Events of many users, one JSON object a line (or one array of them): the generator's files, and what other systems write in the same shape. */
export const LISTENING_EVENTS: RowSource = {
  table: 'listening_events',
  kind: 'listening_events',
  name: /^events?[-_.]/i,
  required: ['event_id', 'user_id', 'action', 'occurred_at'],
  typical: ['event_id', 'occurred_at', 'session_id'],
  isList: false,
  keyOf: (column) => column,
  daysSql: `select ${INSTANT_SQL('occurred_at')} as moment`,
  people: ['user_id'],
  period: 'day',
};

import type { RowSource } from '../../bronze/source.ts';

/** Days of weather, each with the place that the head of its file tells of. */
export const WEATHER_ROWS: RowSource = {
  table: 'weather_csv',
  kind: 'weather',
  name: /^open-?meteo/i,
  required: ['date'],
  typical: [],
  isList: true,
  keyOf: (column) => column,
  daysSql: 'select try_cast(date as timestamp) as moment',
  period: 'month',
};

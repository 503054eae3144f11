import type { RowSource, Source } from '../../bronze/source.ts';
import { journeysOf } from './journeys.ts';

const TIME_ZONES: RowSource = {
  table: 'time_zones_csv',
  kind: 'time_zones',
  name: /^time[-_ ]?zones/i,
  required: ['valid_from', 'time_zone'],
  typical: [],
  isList: true,
  keyOf: (column) => column,
  daysSql: 'select try_cast(valid_from as timestamp) as moment',
  period: 'month',
};

/**
 * Where a person's clock was while the country of their plays tells another zone: `time_zones.csv`, which the
 * person writes. Without it a play is in the zone of its country (dim_countries).
 */
export const TIME_ZONE_TABLES: Source = {
  name: 'time-zones',
  tables: [{ name: TIME_ZONES.table, isOwn: true }],
  csv: [
    {
      name: TIME_ZONES.kind,
      what: 'a table of time zones',
      table: TIME_ZONES.table,
      columns: ['from', 'to', 'time_zone'],
      // What people note beside a journey; it is not read.
      optional: ['country', 'region', 'city'],
      rows: { source: TIME_ZONES, recordsOf: journeysOf },
    },
  ],
};

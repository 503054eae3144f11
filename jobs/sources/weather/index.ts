import type { Source } from '../../bronze/source.ts';
import { daysOf } from './days.ts';
import { WEATHER_ROWS } from './rows.ts';

/**
 * Daily weather of places, as the archive of Open-Meteo gives it (CSV). Of nobody: a place, and no person.
 */
export const WEATHER: Source = {
  name: 'weather',
  tables: [{ name: WEATHER_ROWS.table, isOwn: false }],
  csv: [
    {
      name: WEATHER_ROWS.kind,
      what: 'weather of Open-Meteo',
      table: WEATHER_ROWS.table,
      columns: ['latitude', 'longitude', 'utc_offset_seconds', 'timezone', 'timezone_abbreviation'],
      optional: ['location_id', 'elevation'],
      rows: { source: WEATHER_ROWS, recordsOf: daysOf },
    },
  ],
};

import { DAY_MS } from '../../base/time.ts';
import { isoDate } from './calendar.ts';
import { createRandom } from './random.ts';
import type { FileSet } from './text-file.ts';

/** Where the person of the export lives (Berlin), as Open-Meteo heads its files. */
const HEAD = [
  'latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation',
  '52.52,13.41,38.0,3600,Europe/Berlin,GMT+1',
  '',
  'time,temperature_2m_mean (°C),precipitation_sum (mm),sunshine_duration (s),weather_code (wmo code)',
];
/** The archive is some days behind. */
const BEHIND_DAYS = 5;

/**
 * Writes `weather/open-meteo-52.52N13.41E38m.csv`: days of the time that the export covers, in the form of
 * Open-Meteo's archive. Temperature and sunshine follow the season, a day's weather lasts in part into the
 * next, and nobody listens more or less because of it.
 */
export async function writeWeather(seed: number, days: number, endMs: number, files: FileSet): Promise<void> {
  const random = createRandom(seed, 'weather');
  const lines = [...HEAD];
  let warmer = 0;
  for (let ms = endMs - days * DAY_MS; ms < endMs - BEHIND_DAYS * DAY_MS; ms += DAY_MS) {
    // 1 in the middle of July, -1 in the middle of January.
    const season = -Math.cos((2 * Math.PI * (ms / DAY_MS - 14)) / 365.25);
    warmer = 0.7 * warmer + 2.6 * random.normal();
    const temperature = 9.8 + 9.6 * season + warmer;
    const isWet = random.chance(0.45);
    const precipitation = isWet ? -4 * Math.log(1 - random.next()) : 0;
    const daylight = (12.2 + 4.5 * season) * 3_600;
    const sunshine = daylight * (isWet ? 0.3 : 0.8) * random.next();
    const code = isWet ? (temperature < 0.5 ? 73 : 61) : sunshine > daylight / 2 ? 1 : 3;
    lines.push(
      [isoDate(ms), temperature.toFixed(1), precipitation.toFixed(2), sunshine.toFixed(2), String(code)].join(','),
    );
  }
  if (lines.length === HEAD.length) return;
  await files.writeWhole('weather/open-meteo-52.52N13.41E38m.csv', `${lines.join('\n')}\n`);
}

import { type BronzeTable, type Source, tableOf } from '../bronze/source.ts';
import { ACCOUNT_EXPORTS } from './account-export/index.ts';
import { CHARTS } from './charts/index.ts';
import { EVENTS } from './events/index.ts';
import { LAST_FM } from './last-fm/index.ts';
import { LISTENBRAINZ } from './listenbrainz/index.ts';
import { SPOTIFY_API } from './spotify-api/index.ts';
import { SYNTHETIC } from './synthetic/source.ts';
import { TIME_ZONE_TABLES } from './time-zones/index.ts';
import { TRACKS } from './tracks/index.ts';
import { WEATHER } from './weather/index.ts';

/**
 * Every source. The order counts where two would take a file: the Web API comes last, because it takes every
 * JSON object that nobody else knows.
 */
export const SOURCES: readonly Source[] = [
  TRACKS,
  CHARTS,
  ACCOUNT_EXPORTS,
  EVENTS,
  LAST_FM,
  LISTENBRAINZ,
  WEATHER,
  TIME_ZONE_TABLES,
  SYNTHETIC,
  SPOTIFY_API,
];

/** The bronze table that has this name, or had it; undefined for one that no source writes (`refused`). */
export function bronzeTable(name: string): BronzeTable | undefined {
  return tableOf(SOURCES, name);
}

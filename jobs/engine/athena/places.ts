import type { LakeStore } from '../../lake/store.ts';
import type { Catalog } from './catalog.ts';

/** Where the tables of a lake are: its objects, and what Glue calls them. */
export interface Places {
  store: LakeStore;
  catalog: Catalog;
  /** `s3://bucket/prefix` without a slash at its end. */
  lakeUri: string;
  /** The database of a layer: `listenlake_silver`. */
  databaseOf(layer: string): string;
}

/** Places of an engine that can publish. */
export interface PublishedPlaces extends Places {
  /** Makes Glue show the newest commit, as far as the role may. */
  publishIfAllowed(): Promise<void>;
}

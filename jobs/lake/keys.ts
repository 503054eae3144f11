/**
 * Every key of the lake, and nothing else builds one:
 *
 *     landing/<sha256>/<name>                            inbox: bytes as received
 *     bronze/stream/date=YYYY-MM-DD/hour=HH/<topic>-<partition>-<20 digits>.json
 *                                                        a batch of records of a topic, named by the offset of its first record, in
 *                                                        the hour (UTC) of that record's timestamp (decision 38)
 *     bronze/stream-dead-letters/date=/hour=/<the same>  records that could not be taken, each with its reason
 *     bronze/<table>/<sha256>.<parquet|json>             immutable, named by the content of the file it came from (what a removal has
 *                                                        left of such a file, and the list of what one load
 *                                                        has refused: by
 *                                                        their own content)
 *     silver/<table>/v/[<partition>=<value>/...]<sha256>/part-0.parquet
 *                                                        immutable, named by its own content; a partition is the object that the newest
 *                                                        manifest names for it, the rest are older versions.
 *                                                        `v/` keeps them out of the
 *                                                        folders of lakes of format 1, where silver/<table>/<...>part-0.parquet lay
 *     silver/<table>/v/[<partition>=<value>/...]<64 hex digits>/<date>_<time>_<more>
 *                                                        (S3 only) the same in several objects, named as the
 *                                                        engine names what a statement writes: by its date and
 *                                                        time. The prefix is used once (decision 43)
 *     gold/<target>/<run>/<model>/part-0.parquet         one prefix a run, published by pointing at it; later
 *     versions go on naming
 *                                                        the tables whose models had nothing new to read
 *     iceberg/<run>/<model>/<attempt>/...                (S3 only) a table of prod once more, as an Iceberg table: its data and its
 *                                                        metadata (decision 35)
 *     manifests/<20 digits>.json                         the commit log: the last one is the state of the
 *     lake
 *     state/<kind>/<sha256>.json                         file lists that manifests point at, content-addressed
 *     staging/transform/<table>/<fingerprint>.json       a partition of silver that was built ahead, named by
 *     what it was built from
 *     staging/transform/objects/<sha256>.parquet         its rows; of no worth once the transform has committed
 *     staging/transform/kept/<work>/<table>/<any name>   (S3 only) what one transform keeps between statements
 *     leases/<name>.json, leases/clock                   who writes now; what time it is for the store
 *     report/report.html, report/operator.html,
 *     report/people/<label>.html                         the newest report: of one person or a way to each, of
 *                                                        everybody, of each of several people
 *     report/charts/<name>.png,
 *     report/charts/<label>/<name>.png                   its charts: of everybody, of a person
 *     report/cards/<label>/<year>.png                    pictures of a person's year, to share
 *     report/profile.html, report/profile.json           the newest profile of silver
 *     athena-results/<workgroup>/                        (S3 only) what queries answered; gone after some
 *     days
 *     lake.duckdb                                        (folder only) the catalog for readers, derived from the last manifest
 */
import { USER_LABEL } from '../base/config.ts';
import { JobError } from '../base/errors.ts';

export type Target = 'dev' | 'prod';

/**
 * Column values of one partition in the contract's order, e.g. `{ year: 2026 }`. Empty for tables without
 * partitions.
 */
export type PartitionValues = Record<string, string | number>;

const IDENTIFIER = /^[a-z][a-z0-9_]{0,62}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const CHART = /^[a-z][a-z0-9_-]{0,62}\.png$/;
const RUN_ID = /^[0-9A-Za-z][0-9A-Za-z_.-]{0,63}$/;
/**
 * Object names keep a file's own name (percent-encoded) up to this length; a longer one keeps its end, where
 * dates and endings are.
 */
const LANDING_NAME_MAX_CHARS = 180;

export const PREFIX = {
  landing: 'landing/',
  bronze: 'bronze/',
  silver: 'silver/',
  gold: 'gold/',
  iceberg: 'iceberg/',
  manifests: 'manifests/',
  state: 'state/',
  staging: 'staging/',
  leases: 'leases/',
  report: 'report/',
  queryResults: 'athena-results/',
} as const;

/**
 * Where manifests name objects, and where those are listed: gold by target, because a role may see one of
 * them only.
 */
export const LAYERS = {
  bronze: [PREFIX.bronze],
  silver: [PREFIX.silver],
  gold: [`${PREFIX.gold}dev/`, `${PREFIX.gold}prod/`],
  iceberg: [PREFIX.iceberg],
  state: [PREFIX.state],
  staging: [PREFIX.staging],
  manifests: [PREFIX.manifests],
} as const satisfies Record<string, readonly string[]>;
export type Layer = keyof typeof LAYERS;

/** What Kafka allows as a topic's name, but for a first dot or hyphen (`.` and `..` among them). */
const TOPIC = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,248}$/;
const STREAM_BATCH =
  /^(stream|stream-dead-letters)\/date=(\d{4}-\d{2}-\d{2})\/hour=(\d{2})\/([A-Za-z0-9_][A-Za-z0-9._-]{0,248})-(0|[1-9]\d{0,9})-(\d{20})\.json$/;

const OWN_KEYS: Readonly<Record<Layer, RegExp>> = {
  // Not the batches of streams: they lie there before any commit names them, so gc has no say about them.
  bronze: /^[a-z][a-z0-9_]{0,62}\/[0-9a-f]{64}\.(?:parquet|json)$/,
  // As of today, and as in lakes of format 1: what is left of those is gc's, too.
  silver:
    /^[a-z][a-z0-9_]{0,62}\/(?:v\/(?:[a-z][a-z0-9_]{0,62}=[0-9A-Za-z_-]+\/)*[0-9a-f]{64}\/(?:part-0\.parquet|\d{8}_\d{6}_[^/]+)?|(?:[a-z][a-z0-9_]{0,62}=[0-9A-Za-z_-]+\/)*part-0\.parquet)$/,
  gold: /^(?:dev|prod)\/[0-9A-Za-z][0-9A-Za-z_.-]{0,63}\/[a-z][a-z0-9_]{0,62}\/(?:part-0\.parquet|[1-9]\d{0,3}\/[^/]+)$/,
  // All that lies at an Iceberg table's place is the table's, whichever engine has put it there.
  iceberg: /^[0-9A-Za-z][0-9A-Za-z_.-]{0,63}\/[a-z][a-z0-9_]{0,62}\/[1-9]\d{0,3}\/.+$/,
  state: /^[a-z][a-z0-9_]{0,62}\/[0-9a-f]{64}\.json$/,
  staging:
    /^transform\/(?:[a-z][a-z0-9_]{0,62}\/[0-9a-f]{64}\.json|objects\/[0-9a-f]{64}\.parquet|kept\/[0-9a-f]{12}\/[a-z][a-z0-9_]{0,62}\/[^/]+)$/,
  manifests: /^\d{20}\.json$/,
};

/** True for a key of the layer that this program makes; anything else that lies there is somebody's own. */
export function isOwnKey(layer: Layer, key: string): boolean {
  return key.startsWith(PREFIX[layer]) && OWN_KEYS[layer].test(key.slice(PREFIX[layer].length));
}

/** `landing/<sha256>/<percent-encoded name>`. */
export function landingKey(sha256: string, name: string): string {
  const encoded = encodeURIComponent(name.normalize('NFC')).replaceAll('*', '%2A').replaceAll("'", '%27');
  // A cut may leave the rest of a %XX at the front: drop up to the next whole character.
  const tail =
    encoded.length <= LANDING_NAME_MAX_CHARS
      ? encoded
      : encoded.slice(-LANDING_NAME_MAX_CHARS).replace(/^[0-9A-F]{0,2}(?:%[89AB][0-9A-F])*/, '');
  return `${PREFIX.landing}${checked(sha256, SHA256)}/${tail}`;
}

/** The file's own name from its landing key. */
export function landingName(key: string): string {
  const encoded = key.slice(key.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded; // cut in the middle of a character, or put there by hand
  }
}

/** `bronze/<table>/<sha256>.<parquet|json>`; the hash is of the file as received. */
export function bronzeKey(table: string, sha256: string, format: 'parquet' | 'json'): string {
  return `${PREFIX.bronze}${checked(table, IDENTIFIER)}/${checked(sha256, SHA256)}.${format}`;
}

/** Where the batches of streams are, and where the records are that could not be taken. */
export const STREAM_PREFIX = `${PREFIX.bronze}stream/`;
export const STREAM_DEAD_LETTERS_PREFIX = `${PREFIX.bronze}stream-dead-letters/`;

/** What the name of a batch of a stream says. */
export interface StreamBatchName {
  topic: string;
  /** Counts from 0. */
  partition: number;
  /** Offset of the batch's first record. */
  firstOffset: number;
}

/**
 * `bronze/stream/date=YYYY-MM-DD/hour=HH/<topic>-<partition>-<first offset, 20 digits>.json`.
 *
 * @param recordAt timestamp of the batch's first record, Unix ms: its hour in UTC is the folder
 */
export function streamBatchKey(batch: StreamBatchName & { recordAt: number }): string {
  return `${STREAM_PREFIX}${streamBatchPath(batch)}`;
}

/** `bronze/stream-dead-letters/...`, named as the batches are, by the first record that could not be taken. */
export function streamDeadLettersKey(batch: StreamBatchName & { recordAt: number }): string {
  return `${STREAM_DEAD_LETTERS_PREFIX}${streamBatchPath(batch)}`;
}

function streamBatchPath({ topic, partition, firstOffset, recordAt }: StreamBatchName & { recordAt: number }): string {
  const at = new Date(recordAt).toISOString();
  const date = checked(at.slice(0, -14), /^\d{4}-\d{2}-\d{2}$/);
  const offset = checked(String(firstOffset), /^\d{1,16}$/).padStart(20, '0');
  const name = `${checked(topic, TOPIC)}-${checked(String(partition), /^\d{1,10}$/)}-${offset}`;
  return `date=${date}/hour=${at.slice(-13, -11)}/${name}.json`;
}

/** A key of a batch taken apart; undefined for any other key. */
export function parseStreamBatchKey(
  key: string,
): (StreamBatchName & { kind: 'batch' | 'dead-letters'; date: string; hour: number }) | undefined {
  if (!key.startsWith(PREFIX.bronze)) return undefined;
  const [, kind, date, hour, topic, partition, offset] = STREAM_BATCH.exec(key.slice(PREFIX.bronze.length)) ?? [];
  if (offset === undefined) return undefined;
  return {
    kind: kind === 'stream' ? 'batch' : 'dead-letters',
    date: date!,
    hour: Number(hour),
    topic: topic!,
    partition: Number(partition),
    firstOffset: Number(offset),
  };
}

/**
 * `silver/<table>/v/year=2026/<sha256>/part-0.parquet`: one version of one partition, named by the hash of
 * its bytes.
 */
export function silverKey(table: string, partition: PartitionValues, sha256: string): string {
  return `${silverPartitionPrefix(table, partition)}${checked(sha256, SHA256)}/part-0.parquet`;
}

/**
 * `silver/<table>/v/event_date=2026-10-05/<version>/`: one version of one partition, in as many objects as the
 * engine makes of it.
 *
 * @param version 64 hex digits that no other version has
 */
export function silverVersionPrefix(table: string, partition: PartitionValues, version: string): string {
  return `${silverPartitionPrefix(table, partition)}${checked(version, SHA256)}/`;
}

/**
 * `silver/<table>/v/year=2026/`: below it lie all versions of one partition, and of no other. Two partitions
 * are the same one exactly where their prefixes are equal.
 */
export function silverPartitionPrefix(table: string, partition: PartitionValues): string {
  const path = Object.entries(partition).map(
    ([column, value]) => `${checked(column, IDENTIFIER)}=${checked(String(value), /^[0-9A-Za-z_-]+$/)}/`,
  );
  return `${tablePrefix('silver', table)}v/${path.join('')}`;
}

/**
 * True for a key that `silverKey` or `silverVersionPrefix` makes today; false for one of a lake of format 1,
 * whose objects were replaced in place.
 */
export function isImmutableSilverKey(key: string): boolean {
  return isOwnKey('silver', key) && /^silver\/[^/]+\/v\//.test(key);
}

/**
 * A regular expression over the path of a silver object, in this layout and in that of format 1: one group
 * for each partition column. It holds the end of the path, because the lake's own folder may be called
 * `year=1999` too.
 */
export function silverPathPattern(table: string, columns: readonly string[]): string {
  const values = columns.map((column) => `${checked(column, IDENTIFIER)}=([^/]*)/`).join('');
  return `/${tablePrefix('silver', table)}(?:v/)?${values}(?:[a-z0-9_]+=[^/]*/)*(?:[0-9a-f]{64}/)?[^/]*$`;
}

/** `gold/<target>/<run>/<model>/part-0.parquet`. */
export function goldKey(target: Target, runId: string, model: string): string {
  return `${goldModelPrefix(target, runId, model)}part-0.parquet`;
}

/**
 * `gold/<target>/<run>/<model>/<attempt>/`: a table of several objects, one prefix for each attempt to write
 * it.
 */
export function goldTablePrefix(target: Target, runId: string, model: string, attempt: number): string {
  return `${goldModelPrefix(target, runId, model)}${checked(String(attempt), /^[1-9]\d{0,3}$/)}/`;
}

/** `gold/<target>/<run>/<model>/`. The run `none` has no objects: a table that points there is empty. */
export function goldModelPrefix(target: Target, runId: string, model: string): string {
  return `${goldRunPrefix(target, runId)}${checked(model, IDENTIFIER)}/`;
}

/** `gold/<target>/<run>/`: all that one run has written of a target. */
export function goldRunPrefix(target: Target, runId: string): string {
  return `${PREFIX.gold}${target}/${checked(runId, RUN_ID)}/`;
}

/** `iceberg/<run>/<model>/<attempt>/`: the place of one Iceberg table, written once. */
export function icebergTablePrefix(runId: string, model: string, attempt: number): string {
  const place = [checked(runId, RUN_ID), checked(model, IDENTIFIER), checked(String(attempt), /^[1-9]\d{0,3}$/)];
  return `${PREFIX.iceberg}${place.join('/')}/`;
}

/** `<prefix>metadata/<five digits>-<uuid>.metadata.json`: how Iceberg names the files that its readers begin with. */
export function icebergMetadataKey(prefix: string, version: number, uuid: string): string {
  return `${prefix}metadata/${String(version).padStart(5, '0')}-${checked(uuid, /^[0-9a-f-]{36}$/)}.metadata.json`;
}

/** `bronze/<table>/` or `silver/<table>/`: where the objects of a table are, all of them. */
export function tablePrefix(layer: 'bronze' | 'silver', table: string): string {
  return `${PREFIX[layer]}${checked(table, IDENTIFIER)}/`;
}

/**
 * `silver/<table>/none/`: no object is ever there, so a table without partitions that points at it is empty.
 */
export function emptySilverPrefix(table: string): string {
  return `${tablePrefix('silver', table)}none/`;
}

/** The key of an object without its last part, with the slash: what a location in a catalog says. */
export function objectFolder(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}

/** `manifests/<20 digits>.json`; `sequence` counts from 1. */
export function manifestKey(sequence: number): string {
  return `${PREFIX.manifests}${String(sequence).padStart(20, '0')}.json`;
}

/** The sequence of a manifest's key; undefined for any other key. */
export function manifestSequence(key: string): number | undefined {
  const digits = key.startsWith(PREFIX.manifests) ? /^(\d{20})\.json$/.exec(key.slice(PREFIX.manifests.length)) : null;
  return digits === null ? undefined : Number(digits[1]);
}

/** A hint to the newest manifest, so that nobody lists thousands; never the truth. */
export const LATEST_MANIFEST_HINT_KEY = `${PREFIX.manifests}latest`;

/** The catalog of a folder lake, for readers; derived from the newest manifest and replaced as a whole. */
export const CATALOG_KEY = 'lake.duckdb';

/** `state/<kind>/<sha256>.json`, content-addressed. */
export function stateKey(kind: string, sha256: string): string {
  return `${PREFIX.state}${checked(kind, IDENTIFIER)}/${checked(sha256, SHA256)}.json`;
}

/** `athena-results/<group>/`: where a workgroup's answers go. */
export function queryResultsPrefix(group: string): string {
  return `${PREFIX.queryResults}${checked(group, IDENTIFIER)}/`;
}

/** The page of the newest report. */
export const REPORT_KEY = `${PREFIX.report}report.html`;

/** `report/operator.html`: the page about everybody and about the lake itself. */
export const OPERATOR_PAGE_KEY = `${PREFIX.report}operator.html`;

/** `report/people/<label>.html`: the page of one person among several. */
export function reportPersonKey(label: string): string {
  return `${PREFIX.report}people/${checked(label, USER_LABEL)}.html`;
}

/** `report/charts/<label>/<name>`: one chart of one person; `name` ends in `.png`. */
export function reportPersonChartKey(label: string, name: string): string {
  return `${PREFIX.report}charts/${checked(label, USER_LABEL)}/${checked(name, CHART)}`;
}

/** `report/charts/<name>`: one chart of the newest report; `name` ends in `.png`. */
export function reportChartKey(name: string): string {
  return `${PREFIX.report}charts/${checked(name, CHART)}`;
}

/** `report/cards/<label>/<year>.png`: the picture of one person's year. @param year of four digits */
export function reportCardKey(label: string, year: string): string {
  return `${PREFIX.report}cards/${checked(label, USER_LABEL)}/${checked(year, /^\d{4}$/)}.png`;
}

/** `report/profile.html`, `report/profile.json`: the newest profile of silver. */
export function profileKey(name: 'profile.html' | 'profile.json'): string {
  return `${PREFIX.report}${name}`;
}

/** Where `transform` keeps partitions that were built ahead of it. */
export const STAGED_PREFIX = `${PREFIX.staging}transform/`;

/**
 * `staging/transform/<table>/<fingerprint>.json`; the fingerprint is of all that the partition depends on.
 */
export function stagedPartKey(table: string, fingerprint: string): string {
  return `${STAGED_PREFIX}${checked(table, IDENTIFIER)}/${checked(fingerprint, SHA256)}.json`;
}

/** `staging/transform/objects/<sha256>.parquet`, content-addressed. */
export function stagedObjectKey(sha256: string): string {
  return `${STAGED_PREFIX}objects/${checked(sha256, SHA256)}.parquet`;
}

/** `staging/transform/kept/<work>/`: all that one work of the engine keeps. @param work 12 hex digits */
export function workPrefix(work: string): string {
  return `${STAGED_PREFIX}kept/${checked(work, /^[0-9a-f]{12}$/)}/`;
}

/** `staging/transform/kept/<work>/<table>/`: where a table of such a work lies. */
export function workTablePrefix(work: string, table: string): string {
  return `${workPrefix(work)}${checked(table, IDENTIFIER)}/`;
}

/** Written to learn what time it is for the store; its content means nothing. */
export const LEASE_CLOCK_KEY = `${PREFIX.leases}clock`;

/** `leases/<name>.json`. */
export function leaseKey(name: string): string {
  return `${PREFIX.leases}${checked(name, IDENTIFIER)}.json`;
}

function checked(value: string, pattern: RegExp): string {
  if (!pattern.test(value))
    throw new JobError('key_invalid', 'software', `not a valid part of a key: ${JSON.stringify(value)}`);
  return value;
}

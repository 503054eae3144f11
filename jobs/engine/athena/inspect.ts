import { AthenaClient, GetWorkGroupCommand, type WorkGroup } from '@aws-sdk/client-athena';
import type { Table } from '@aws-sdk/client-glue';
import { type AwsCaller, type AwsOptions, awsCaller, clientSettings, nameOf, toJobError } from '../../base/aws.ts';
import { atMost } from '../../base/concurrency.ts';
import { JobError } from '../../base/errors.ts';
import type { Finding } from '../../base/finding.ts';
import { type Contract, readContracts } from '../../lake/contracts.ts';
import { goldModelPrefix, queryResultsPrefix, type Target } from '../../lake/keys.ts';
import { type LakeState, readSilverFiles } from '../../lake/manifest.ts';
import type { LakeStore } from '../../lake/store.ts';
import type { GoldModels } from '../index.ts';
import { type Catalog, contractTable, databasePrefix, goldTable, openCatalog } from './catalog.ts';
import { differencesOf, structureDifferences } from './differences.ts';
import { ICEBERG_DATABASE, icebergFindings } from './iceberg.ts';
import { governedFinding, isGoverned } from './lake-formation.ts';
import { TARGETS } from './publish.ts';
import { RUN_MARK } from './relations.ts';
import { silverDifferences } from './silver.ts';

export interface InspectOptions extends AwsOptions {
  /** The lake: where it lies, and what its commit says of silver. */
  store: LakeStore;
  /** `name` of terraform/. */
  name: string;
  /** Workgroup of people's queries, where it is not one of Terraform's. */
  workGroup: string | undefined;
  state: LakeState;
  models: GoldModels;
}

const APPLY = 'run `terraform apply`';
const REGISTER = 'run `listenlake transform`';
const TABLES_AT_ONCE = 8;
const WORKGROUPS = ['dev', 'prod', 'analysts'] as const;
const ENGINE = /^Athena engine version 3$/;

/**
 * Compares the contracts, the models and the commit with the tables and partitions that Glue holds, and looks
 * at the workgroups; changes nothing.
 *
 * @returns a finding for each difference, one for each database and workgroup that is well; what the role may
 *   not look at is a warning
 * @throws `catalog_unavailable`, `engine_unavailable` (69; retry helps)
 */
export async function inspectCatalog(options: InspectOptions): Promise<Finding[]> {
  const lakeUri = options.store.uri.replace(/\/+$/, '');
  const catalog = openCatalog(options);
  const athena = awsCaller(() => new AthenaClient(clientSettings(options)), options);
  try {
    const findings: Finding[] = [];
    for (const layer of ['bronze', 'silver'] as const) {
      const wanted = readContracts().filter((contract) => contract.layer === layer);
      findings.push(
        ...(await inspectDatabase(catalog, options, layer, async (known) => [
          ...(
            await atMost(TABLES_AT_ONCE, wanted, (contract) =>
              contractFindings(catalog, options, contract, known.get(contract.table)),
            )
          ).flat(),
          ...strangers(
            layer,
            known,
            wanted.map(({ table }) => table),
            lakeUri,
          ),
        ])),
      );
    }
    for (const target of TARGETS) {
      findings.push(
        ...(await inspectDatabase(catalog, options, `gold_${target}`, async (known) =>
          goldFindings(target, options.state, options.models, known, lakeUri),
        )),
      );
    }
    const { iceberg } = options.state;
    if (iceberg !== undefined)
      findings.push(
        ...(await inspectDatabase(catalog, options, ICEBERG_DATABASE, async (known) =>
          icebergFindings(iceberg, known, lakeUri),
        )),
      );
    for (const group of WORKGROUPS) {
      const wanted = `${lakeUri}/${queryResultsPrefix(group)}`;
      findings.push(await inspectWorkGroup(athena, `${options.name}-${group}`, wanted));
    }
    const { workGroup } = options;
    if (workGroup !== undefined && !WORKGROUPS.some((group) => workGroup === `${options.name}-${group}`))
      findings.push(await inspectWorkGroup(athena, workGroup, undefined));
    return findings;
  } finally {
    catalog.close();
    athena.close();
  }
}

async function inspectDatabase(
  catalog: Catalog,
  options: InspectOptions,
  layer: string,
  compare: (known: Map<string, Table>) => Promise<Finding[]>,
): Promise<Finding[]> {
  const database = `${databasePrefix(options.name)}${layer}`;
  let known: Map<string, Table>;
  let findings: Finding[];
  try {
    known = await catalog.all(database);
    findings = await compare(known);
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    if (error.code === 'catalog_denied') return [unseen(layer, error)];
    if (error.code !== 'catalog_missing') throw error;
    return [{ name: layer, verdict: 'fail', text: `there is no database ${database} in Glue: ${APPLY}` }];
  }
  const isWell = findings.every(({ verdict }) => verdict === 'ok');
  if (await isGoverned(options, database)) findings.push(governedFinding(layer, database, isWell));
  if (isWell) {
    const tables = [...known.keys()].filter((table) => !table.includes(RUN_MARK)).length;
    findings.push({ name: layer, verdict: 'ok', text: `${database}: ${tables} tables as they should be` });
  }
  return findings;
}

/** A table as its contract says, and, in silver, partitions and location as the commit says. */
async function contractFindings(
  catalog: Catalog,
  { name, state, store }: InspectOptions,
  contract: Contract,
  actual: Table | undefined,
): Promise<Finding[]> {
  const { layer, table } = contract;
  const lakeUri = store.uri.replace(/\/+$/, '');
  const wanted = contractTable(contract, lakeUri);
  if (layer === 'bronze') return tableFindings(layer, differencesOf(wanted, actual), table, APPLY);
  const faults = structureDifferences(wanted, actual);
  // Partitions of a table that is not as it should be say nothing.
  if (faults.length > 0) return tableFindings(layer, faults, table, APPLY);
  const places = { catalog, lakeUri, databaseOf: (of: string) => `${databasePrefix(name)}${of}` };
  const files = await readSilverFiles(store, state, table);
  return tableFindings(layer, await silverDifferences(places, contract, files), table, REGISTER);
}

/**
 * Tables of gold are of the version that the manifest names; where there is none yet, as the models say and
 * empty.
 */
function goldFindings(
  target: Target,
  state: LakeState,
  models: GoldModels,
  known: Map<string, Table>,
  lakeUri: string,
): Finding[] {
  const layer = `gold_${target}`;
  const version = state.gold[target];
  const isOfToday = version === undefined || version.modelsHash === models.hash;
  const findings: Finding[] = [];
  if (!isOfToday) {
    const text = `${layer} was built by other models than those of today, so its columns are not compared: run \`${rebuild(target)}\``;
    findings.push({ name: layer, verdict: 'warn', text });
  }
  const names = [...models.columns.keys()];
  const published = Object.keys(version?.tables ?? {});
  for (const name of new Set(isOfToday ? names : published)) {
    const key = version?.tables[name]?.key ?? goldModelPrefix(target, 'none', name);
    const actual = known.get(name);
    const columns = isOfToday ? (models.columns.get(name) ?? []) : undefined;
    const expected = goldTable(name, columns ?? [], `${lakeUri}/${key}`);
    if (columns === undefined) expected.StorageDescriptor!.Columns = actual?.StorageDescriptor?.Columns;
    const isMoved = actual !== undefined && actual.StorageDescriptor?.Location !== expected.StorageDescriptor?.Location;
    const back =
      version === undefined ? `run \`${rebuild(target)}\`` : 'the next `listenlake sql` or `check` points it back';
    findings.push(...tableFindings(layer, differencesOf(expected, actual), name, isMoved ? back : APPLY));
  }
  findings.push(...strangers(layer, known, [...names, ...published], lakeUri));
  return findings;
}

/** Tables that lie in the lake and that nothing makes. Views and tables of people's own are theirs. */
function strangers(layer: string, known: Map<string, Table>, wanted: readonly string[], lakeUri: string): Finding[] {
  return [...known]
    .filter(([name, table]) => {
      const isOurs = wanted.includes(name) || name.includes(RUN_MARK);
      return !isOurs && table.StorageDescriptor?.Location?.startsWith(`${lakeUri}/`) === true;
    })
    .map(([name]) => ({
      name: layer,
      verdict: 'warn' as const,
      text: `${layer}.${name} is in Glue and in no contract or model: ${APPLY}, or drop it where somebody made it by hand`,
    }));
}

function tableFindings(layer: string, differences: readonly string[], table: string, remedy: string): Finding[] {
  return differences.map((difference) => ({
    name: layer,
    verdict: 'fail',
    text: `${layer}.${table} ${difference}: ${remedy}`,
  }));
}

/** @param results where its results must go; undefined for a workgroup that is not Terraform's */
async function inspectWorkGroup(
  athena: AwsCaller<AthenaClient>,
  name: string,
  results: string | undefined,
): Promise<Finding> {
  let group: WorkGroup | undefined;
  try {
    group = (await athena.send((client) => client.send(new GetWorkGroupCommand({ WorkGroup: name })))).WorkGroup;
  } catch (error) {
    const isMissing = nameOf(error) === 'InvalidRequestException';
    const translated = isMissing ? undefined : toJobError(error, 'engine', `look at the workgroup ${name}`);
    if (translated instanceof JobError && translated.exit === 'auth') return unseen('workgroup', translated);
    if (translated !== undefined) throw translated;
  }
  if (group === undefined) return { name: 'workgroup', verdict: 'fail', text: `there is no ${name}: ${APPLY}` };
  const settings = group.Configuration ?? {};
  const location = settings.ResultConfiguration?.OutputLocation;
  const { SelectedEngineVersion = '', EffectiveEngineVersion = '' } = settings.EngineVersion ?? {};
  const faults = [
    ...(group.State === 'DISABLED' ? ['is disabled'] : []),
    ...(settings.EnforceWorkGroupConfiguration === true ? [] : ['lets the client choose where results go']),
    ...(ENGINE.test(SelectedEngineVersion) || ENGINE.test(EffectiveEngineVersion)
      ? []
      : [`runs ${SelectedEngineVersion || 'an engine that is not set'} instead of engine version 3`]),
    ...(settings.BytesScannedCutoffPerQuery === undefined ? ['has no scan limit'] : []),
    ...(results === undefined || location === results
      ? []
      : [`puts results into ${location ?? 'no place'} instead of ${results}`]),
    ...(settings.ResultConfiguration?.EncryptionConfiguration === undefined ? ['does not encrypt results'] : []),
  ];
  if (faults.length > 0)
    return { name: 'workgroup', verdict: 'fail', text: `${name} ${faults.join('; it ')}: ${APPLY}` };
  const limit = (settings.BytesScannedCutoffPerQuery ?? 0) / 1024 ** 3;
  const shownLimit = limit.toLocaleString('en', { maximumFractionDigits: 2 });
  return { name: 'workgroup', verdict: 'ok', text: `${name}: enforced, stops a query at ${shownLimit} GiB` };
}

function unseen(name: string, error: JobError): Finding {
  return { name, verdict: 'warn', text: `${error.message}: whether it is well is not known` };
}

function rebuild(target: Target): string {
  return target === 'dev' ? 'listenlake enrich' : 'listenlake promote';
}

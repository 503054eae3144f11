/**
 * A lake as `terraform apply` leaves it on the proving ground: the product's own configuration, at the local
 * endpoint.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SyntheticOptions } from '../../jobs/sources/synthetic/index.ts';
import { AWS_GROUND, layerSkipped } from '../fixtures/layers.ts';
import { copyForEndpoint, type Done, runProgram, terraformIn } from '../terraform/terraform.ts';
import { environmentOf, type LocalAws, REGION } from './local.ts';
import { Unavailable } from './moto.ts';

/**
 * The demo's data set in small: every kind of file and of planted fault. A promoted run of it takes a minute
 * or two on Trino.
 */
export const SMALL_DEMO: SyntheticOptions = {
  seed: 7,
  users: 4,
  days: 21,
  tracks: 600,
  end: '2026-11-01',
  exportPlays: 3_000,
  exportYears: 2,
  faults: true,
};

export interface AppliedLake {
  /** `s3://bucket`, as Terraform's output says. */
  uri: string;
  /**
   * What `listenlake` needs in its environment: where AWS is, and the lines of `terraform output
   * environment`.
   */
  environment: Record<string, string>;
  /** Terraform's plan, apply and output, for those who go on. */
  terraform: (...args: string[]) => Promise<Done>;
}

/**
 * Applies `terraform/` to the local endpoint. Nothing in the clone changes: configuration, state and plug-ins
 * lie in `work`.
 *
 * @param work folder that is not there yet
 * @param variables Terraform's; `name` among them
 * @throws Unavailable where there is no Terraform, or no way to its AWS provider
 */
export async function applyLake(
  local: LocalAws,
  work: string,
  variables: Record<string, unknown>,
): Promise<AppliedLake> {
  if ((await runProgram('terraform', ['version'])).code !== 0)
    throw new Unavailable('terraform is not installed: https://developer.hashicorp.com/terraform/install');
  await mkdir(work, { recursive: true });
  const folder = await copyForEndpoint(work, local.endpoint.url, REGION, variables);
  const terraform = terraformIn(folder, join(work, 'data'));
  const init = await terraform('init', '-no-color');
  if (init.code !== 0) {
    if (/Failed to query available provider packages|could not connect/i.test(init.stderr))
      throw new Unavailable('no AWS provider: neither the registry nor a mirror (TF_CLI_ARGS_init) has it');
    throw new Error(init.stderr);
  }
  // The clock of many small requests, not the processor: more of them at once.
  const apply = await terraform('apply', '-auto-approve', '-no-color', '-parallelism=20');
  if (apply.code !== 0) throw new Error(`terraform apply: ${apply.stderr.slice(-4_000)}`);
  const output = await terraform('output', '-raw', 'environment');
  const given = Object.fromEntries(
    [...output.stdout.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  const environment = { ...environmentOf(local.endpoint.url), ...given };
  return { uri: given.LISTENLAKE_LAKE ?? '', environment, terraform };
}

/** As `applyLake`; undefined where this machine lacks a part, which is then reported as left out. */
export async function applyLakeOrSkip(
  what: string,
  local: LocalAws,
  work: string,
  variables: Record<string, unknown>,
): Promise<AppliedLake | undefined> {
  try {
    return await applyLake(local, work, variables);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    layerSkipped(what, error.message, AWS_GROUND);
    return undefined;
  }
}

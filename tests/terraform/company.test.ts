/** What must hold of every file of the configuration, whoever adds one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldKey } from '../../jobs/lake/keys.ts';
import { TERRAFORM_DIR } from './terraform.ts';

const FILES = readdirSync(TERRAFORM_DIR).filter((name) => name.endsWith('.tf'));
const textOf = (name: string): string => readFileSync(join(TERRAFORM_DIR, name), 'utf8');
/** Blocks at the first level, each with its opening line. */
const blocksOf = (name: string): string[] => textOf(name).match(/^\w+ .*\{$[\s\S]*?^\}$/gm) ?? [];

describe('what a company has already', () => {
  it('its boundary is on every role', () => {
    const roles = FILES.flatMap(blocksOf).filter((block) => block.startsWith('resource "aws_iam_role" '));
    expect(roles.length).toBeGreaterThan(8);
    const free = roles.filter((block) => !/^ +permissions_boundary += var\.permissions_boundary_arn$/m.test(block));
    expect(free.map((block) => block.split('\n')[0])).toEqual([]);
  });

  it('its key, bucket and network are asked for in one place: nothing else names those that are made', () => {
    const made = /\baws_(kms_key\.lake|s3_bucket\.lake|vpc\.airflow|subnet\.airflow)\b/;
    const homes = ['airflow_network.tf', 'lake.tf', 'own.tf'];
    const naming = FILES.filter((name) => !homes.includes(name) && made.test(textOf(name)));
    expect(naming).toEqual([]);
  });
});

describe('what analysts without names may read', () => {
  it('is opened by the place that a run of gold gives a table', () => {
    const [, resource] = /\[for table in local\.shared_tables : "\$\{local\.bucket_arn\}\/(gold\S+)"\]/.exec(
      textOf('sharing.tf'),
    )!;
    const opened = new RegExp(`^${resource!.replace('${table}', 'top_tracks').replaceAll('*', '.*')}$`);
    expect(goldKey('prod', '20261121t065400-3f9a', 'top_tracks')).toMatch(opened);
    for (const [target, table] of [
      ['dev', 'top_tracks'],
      ['prod', 'fct_plays'],
    ] as const)
      expect(goldKey(target, '20261121t065400-3f9a', table)).not.toMatch(opened);
  });
});

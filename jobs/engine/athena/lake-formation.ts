import { GetDatabaseCommand, GlueClient } from '@aws-sdk/client-glue';
import { type AwsOptions, awsCaller, clientSettings, toJobError } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';
import type { Finding } from '../../base/finding.ts';

/**
 * True where AWS Lake Formation decides, beside IAM, who sees the tables of a database. An account that
 * leaves it to IAM gives each new database "all for whoever IAM allows" as the default of its tables; where
 * that was taken away, nobody gets a default.
 *
 * @returns false where the role may not look
 * @throws `catalog_unavailable` (69; retry helps)
 * @see https://docs.aws.amazon.com/lake-formation/latest/dg/change-settings.html
 */
export async function isGoverned(options: AwsOptions, database: string): Promise<boolean> {
  const glue = awsCaller(() => new GlueClient(clientSettings(options)), options);
  try {
    const { Database } = await glue.send((client) => client.send(new GetDatabaseCommand({ Name: database })));
    return Database?.CreateTableDefaultPermissions?.length === 0;
  } catch (error) {
    const translated = toJobError(error, 'catalog', `look at the database ${database}`);
    if (translated instanceof JobError && translated.exit === 'unavailable') throw translated;
    return false; // what is wrong with the database is told where its tables are compared
  } finally {
    glue.close();
  }
}

/** What a person is told of a database that Lake Formation governs. @param isWell all its tables are seen */
export function governedFinding(name: string, database: string, isWell: boolean): Finding {
  const said = `Lake Formation decides beside IAM who sees the tables of ${database}`;
  if (isWell) return { name, verdict: 'ok', text: `${said}, and lets this role` };
  return {
    name,
    verdict: 'warn',
    text: `${said}: tables that are told missing may only be hidden from this role; set lake_formation = true in terraform/ and apply`,
  };
}

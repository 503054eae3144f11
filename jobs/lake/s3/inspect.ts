import {
  GetBucketEncryptionCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { type AwsOptions, awsCaller, clientSettings, nameOf, toJobError } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';
import type { Finding } from '../../base/finding.ts';
import { parseUri } from './store.ts';

const REMEDY = 'run `terraform apply`';

/**
 * Whether the bucket protects what is in it: closed to the public, keeps versions, is encrypted.
 *
 * @returns one finding for each; what the role may not look at is a warning, not an error
 * @throws `store_unavailable` (69; retry helps)
 */
export async function inspectBucket(uri: string, options: AwsOptions & { isPathStyle: boolean }): Promise<Finding[]> {
  const { name } = parseUri(uri);
  const aws = awsCaller(
    () => new S3Client({ ...clientSettings(options), forcePathStyle: options.isPathStyle }),
    options,
  );
  const Bucket = name;
  try {
    return [
      await look(name, 'public access', 'NoSuchPublicAccessBlockConfiguration', async () => {
        const answer = await aws.send((client) => client.send(new GetPublicAccessBlockCommand({ Bucket })));
        const block = answer.PublicAccessBlockConfiguration ?? {};
        const parts = ['BlockPublicAcls', 'BlockPublicPolicy', 'IgnorePublicAcls', 'RestrictPublicBuckets'] as const;
        const open = parts.filter((part) => block[part] !== true);
        return open.length === 0 ? undefined : `is not blocked by ${open.join(', ')}`;
      }),
      await look(name, 'versions', 'none', async () => {
        const { Status } = await aws.send((client) => client.send(new GetBucketVersioningCommand({ Bucket })));
        return Status === 'Enabled' ? undefined : 'are not kept: a delete by mistake could not be taken back';
      }),
      await look(name, 'encryption', 'ServerSideEncryptionConfigurationNotFoundError', async () => {
        const answer = await aws.send((client) => client.send(new GetBucketEncryptionCommand({ Bucket })));
        const rules = answer.ServerSideEncryptionConfiguration?.Rules ?? [];
        const isOn = rules.some((rule) => rule.ApplyServerSideEncryptionByDefault?.SSEAlgorithm !== undefined);
        return isOn ? undefined : 'is off';
      }),
    ];
  } finally {
    aws.close();
  }
}

/** @param absent name of the error that says there is no such setting */
async function look(
  bucket: string,
  what: string,
  absent: string,
  action: () => Promise<string | undefined>,
): Promise<Finding> {
  const name = 'bucket';
  try {
    const fault = await action();
    return fault === undefined
      ? { name, verdict: 'ok', text: `${bucket}: ${what} as it should be` }
      : { name, verdict: 'fail', text: `${bucket}: ${what} ${fault}: ${REMEDY}` };
  } catch (error) {
    if (nameOf(error) === absent) return { name, verdict: 'fail', text: `${bucket}: ${what} is not set: ${REMEDY}` };
    const translated = toJobError(error, 'store', `look at the ${what} of ${bucket}`);
    if (!(translated instanceof JobError) || translated.exit !== 'auth') throw translated;
    return { name, verdict: 'warn', text: `${translated.message}: whether it is well is not known` };
  }
}

import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { type AwsOptions, awsCaller, clientSettings, nameOf, toJobError } from './aws.ts';
import { JobError } from './errors.ts';

/**
 * The text of a secret in AWS Secrets Manager, its current version.
 *
 * @param name name or ARN; an ARN says its region
 * @throws what `toJobError` makes of the service's answer: no rights (77), busy or away (75, 69), not there
 *   (78)
 * @see https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 */
export async function readSecret(name: string, aws: AwsOptions = {}): Promise<string> {
  const region = /^arn:[^:]+:secretsmanager:([^:]+):/.exec(name)?.[1];
  const caller = awsCaller(
    () => new SecretsManagerClient(clientSettings(region === undefined ? aws : { region, ...aws })),
    aws,
  );
  try {
    const answer = await caller.send((client) => client.send(new GetSecretValueCommand({ SecretId: name })));
    return answer.SecretString ?? '';
  } catch (error) {
    if (nameOf(error) === 'ResourceNotFoundException') {
      throw new JobError('secret_missing', 'config', 'there is no such secret, or nobody has put a value', {
        place: { file: `secret ${name}` },
        hint: 'put one with `aws secretsmanager put-secret-value`, or give the right name and region (AWS_REGION)',
        cause: error,
      });
    }
    throw toJobError(error, 'secret', `read the secret ${name}`);
  } finally {
    caller.close();
  }
}

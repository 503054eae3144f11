import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { JobError } from './errors.ts';

/** Variables of a `.env` that nobody has named which are taken, though they are not ours. */
const HARMLESS = new Set(['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']);
/** Ours that say where tokens, keys and data go. */
const REDIRECTING = new Set([
  'LISTENLAKE_ENV_FILE',
  'LISTENLAKE_OPENLINEAGE',
  'LISTENLAKE_PSEUDONYM_SECRET',
  'LISTENLAKE_RESULT_FILE',
  'LISTENLAKE_SPOTIFY_TOKEN_FILE',
  'LISTENLAKE_SPOTIFY_TOKEN_SECRET',
]);

/**
 * Reads a file of variables into the environment; those that are set already win. A file that was named is
 * taken as it is. Without one, `.env` of the current folder is read, which anybody may have left there: of it
 * only settings that send nothing anywhere are taken, never an endpoint, a proxy or a credential of AWS.
 *
 * @param environment is changed
 * @param named path of the file; undefined: none was named
 * @throws `env_file_missing`, `env_redirects` (78): the latter for a variable of ours that says where tokens,
 *   keys or data go
 */
export function readEnvFile(environment: NodeJS.ProcessEnv, named: string | undefined): void {
  const path = named ?? '.env';
  if (!existsSync(path)) {
    if (named === undefined) return;
    throw new JobError('env_file_missing', 'config', `there is no file ${JSON.stringify(named)}`, {
      hint: 'give --env-file or LISTENLAKE_ENV_FILE the right path, or leave it out',
    });
  }
  const values = Object.entries(parseEnv(readFileSync(path, 'utf8'))) as [string, string][];
  const isRedirecting = ([name, value]: [string, string]): boolean =>
    (REDIRECTING.has(name) && value !== '') || (name === 'LISTENLAKE_LAKE' && value.includes('://'));
  if (named === undefined) {
    const refused = values.filter((each) => isRedirecting(each) && environment[each[0]] === undefined);
    if (refused.length > 0) {
      throw new JobError(
        'env_redirects',
        'config',
        `.env of the current folder sets ${refused.map(([name]) => name).join(', ')}, which says where tokens, keys or data go`,
        { hint: 'if it is yours, name it: --env-file .env' },
      );
    }
  }
  for (const [name, value] of values) {
    const isTaken = named !== undefined || HARMLESS.has(name) || name.startsWith('LISTENLAKE_');
    if (isTaken && environment[name] === undefined) environment[name] = value;
  }
}

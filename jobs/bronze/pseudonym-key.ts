import { createHmac, randomBytes } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isErrno, JobError } from '../base/errors.ts';
import type { Effects } from '../effects/index.ts';
import type { BronzeFile, LakeState } from '../lake/manifest.ts';

/**
 * The key of lakes that were made before each had its own. Everybody can read it here, so what it makes is no
 * secret.
 */
const BUILT_IN_KEY = 'listenlake-default-pseudonym-key';
const BUILT_IN = 'built-in';
/**
 * In the folder of the lake, beside its objects, because a container is given this folder and nothing around
 * it. It is no object of the lake.
 */
const KEY_FILE = '.pseudonym-key';
const KEY_BYTES = 32;
const KEY_CHARS_MIN = 16;
/** Bronze tables with ids of people, as older versions wrote them without recording the key. */
const TABLES = new Set(['api_pages', 'listening_events']);

/**
 * What to do where a lake has no key yet: leave it so; make one where the lake can keep it (in a folder); the
 * same, and fail where it cannot.
 */
export type MakeKey = 'never' | 'where_possible' | 'always';

/** The key that replaces ids of people in a lake (`createPseudonyms`). */
export interface PseudonymKey {
  key: string;
  /**
   * What the state of the lake records of it (`LakeState.pseudonymKey`): enough to know the key again, and
   * not the key.
   */
  mark: string;
  from: 'given' | 'secret' | 'file' | 'built-in';
}

/**
 * Finds the key of this lake: the given one, else the one of the given secret, else the one in the lake's
 * folder. A lake whose ids were made with the built-in key of older versions keeps that one, because with
 * another one everybody in it would become two people.
 *
 * @param make whether a folder that has no key gets a random one (mode 0600)
 * @returns undefined where there is no key and none is made
 * @throws `pseudonym_key_changed`, `pseudonym_key_missing` (78); what reading the secret throws
 */
export async function findPseudonymKey(
  { config, store }: Pick<Effects, 'config' | 'store'>,
  state: LakeState,
  index: readonly BronzeFile[],
  make: MakeKey,
): Promise<PseudonymKey | undefined> {
  const recorded = state.pseudonymKey;
  const given = await givenKey(config);
  if (given !== undefined) {
    if (recorded !== undefined && recorded !== given.mark) {
      throw new JobError(
        'pseudonym_key_changed',
        'config',
        'the ids of people in this lake were made with another key',
        {
          hint: 'give that key again, or load everything into a new lake with the new one',
        },
      );
    }
    return given;
  }
  if (recorded === BUILT_IN || (recorded === undefined && index.some(({ table }) => TABLES.has(table))))
    return { key: BUILT_IN_KEY, mark: BUILT_IN, from: 'built-in' };
  const isFolder = !/^[a-z0-9]+:\/\//.test(store.uri);
  const key = isFolder ? await keyInFolder(resolve(store.uri), make !== 'never' && recorded === undefined) : undefined;
  if (key !== undefined && (recorded === undefined || recorded === markOf(key)))
    return { key, mark: markOf(key), from: 'file' };
  if (recorded === undefined && (isFolder || make !== 'always')) return undefined;
  const what =
    key === undefined
      ? 'there is no key to replace ids of people with'
      : `${KEY_FILE} of this lake's folder is not the key that the ids of people in it were made with`;
  throw new JobError(key === undefined ? 'pseudonym_key_missing' : 'pseudonym_key_changed', 'config', what, {
    hint: isFolder
      ? `bring ${KEY_FILE} of this lake's folder back, or give its key as LISTENLAKE_PSEUDONYM_KEY`
      : 'set LISTENLAKE_PSEUDONYM_SECRET to the name of a secret, or LISTENLAKE_PSEUDONYM_KEY; a lake on S3 has no key of its own',
  });
}

async function givenKey(config: Effects['config']): Promise<PseudonymKey | undefined> {
  if (config.pseudonymKey !== undefined)
    return { key: config.pseudonymKey, mark: markOf(config.pseudonymKey), from: 'given' };
  if (config.pseudonymSecret === undefined) return undefined;
  // Only here, because the SDK takes a while to load.
  const { readSecret } = await import('../base/secret.ts');
  const key = (await readSecret(config.pseudonymSecret)).trim();
  if (key.length < KEY_CHARS_MIN) {
    throw new JobError(
      'pseudonym_key_missing',
      'config',
      `the secret holds no key of ${KEY_CHARS_MIN} characters and more`,
      {
        place: { file: `secret ${config.pseudonymSecret}` },
        hint: 'put one: openssl rand -hex 32 | aws secretsmanager put-secret-value --secret-id <name> --secret-string file:///dev/stdin',
      },
    );
  }
  return { key, mark: markOf(key), from: 'secret' };
}

async function keyInFolder(root: string, isMade: boolean): Promise<string | undefined> {
  const path = join(root, KEY_FILE);
  for (;;) {
    try {
      const key = (await readFile(path, 'utf8')).trim();
      if (key.length >= KEY_CHARS_MIN) return key;
      throw new JobError('pseudonym_key_missing', 'config', 'this is no key: it is too short', {
        place: { file: path },
        hint: 'bring the right one back; where the lake is empty, delete the file',
      });
    } catch (error) {
      if (isErrno(error, 'EISDIR', 'EACCES', 'EPERM', 'EIO', 'ELOOP')) {
        throw new JobError('pseudonym_key_missing', 'config', `the key of this lake cannot be read (${error.code})`, {
          place: { file: path },
          hint: 'make it a file that you can read (mode 0600), or bring it back from a copy of the lake',
          cause: error,
        });
      }
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    if (!isMade) return undefined;
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(`${randomBytes(KEY_BYTES).toString('hex')}\n`);
      await file.sync();
      await file.close();
    } catch (error) {
      if (isErrno(error, 'EEXIST')) continue;
      throw new JobError('disk_failed', 'io', 'the key of this lake cannot be written', {
        place: { file: path },
        hint: 'the folder of the lake must be writable',
        cause: error,
      });
    }
  }
}

function markOf(key: string): string {
  return createHmac('sha256', key).update('the key of a lake').digest('hex').slice(0, 16);
}

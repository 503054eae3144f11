import { createPseudonymSql, createPseudonyms } from '../base/personal-fields.ts';
import type { Effects } from '../effects/index.ts';
import type { BronzeFile, LakeState } from '../lake/manifest.ts';
import type { Recognised } from './examine.ts';
import { findPseudonymKey, type PseudonymKey } from './pseudonym-key.ts';
import type { People } from './source.ts';

/** What replaces people in one file, and what the state of the lake records of its key. */
export interface MarkedPeople extends People {
  mark: string;
}

/**
 * Gives each file what replaces people in it; undefined for a file that names nobody. The key is looked for,
 * or made, by the first file that needs it.
 *
 * @throws what `findPseudonymKey` throws
 */
export function peopleFinder(
  effects: Pick<Effects, 'config' | 'store'>,
  state: LakeState,
  index: readonly BronzeFile[],
): (recognised: Recognised) => Promise<MarkedPeople | undefined> {
  let possible: Promise<PseudonymKey | undefined> | undefined;
  return async (recognised) => {
    const isNeeded = namesPeople(recognised);
    if (!isNeeded && !namesAccount(recognised)) return undefined;
    possible ??= findPseudonymKey(effects, state, index, 'where_possible');
    // Without a key a user name is dropped: plays of two accounts are then not told apart.
    const found = (await possible) ?? (isNeeded ? await findPseudonymKey(effects, state, index, 'always') : undefined);
    // What everybody can hash would tell everybody the name.
    if (found === undefined || (!isNeeded && found.from === 'built-in')) return undefined;
    return { pseudonym: createPseudonyms(found.key), sql: createPseudonymSql(found.key), mark: found.mark };
  };
}

function namesPeople(recognised: Recognised): boolean {
  if (recognised.form === 'documents') return recognised.source.namesPeople;
  const source = recognised.form === 'csv' ? recognised.header.shape.rows?.source : recognised.source;
  return source?.people !== undefined;
}

function namesAccount(recognised: Recognised): boolean {
  if (recognised.form === 'documents') return false;
  if (recognised.form === 'rows') {
    const key = recognised.source.account?.key;
    return key !== undefined && recognised.scan.keys.has(key);
  }
  const key = recognised.header.shape.rows?.source.account?.key;
  return key !== undefined && recognised.header.names.includes(key);
}

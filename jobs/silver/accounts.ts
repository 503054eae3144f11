import { JobError } from '../base/errors.ts';
import type { Accounts, BronzeFile } from '../lake/manifest.ts';
import type { Built } from './build.ts';

/** What became of the rows of one file that is new in silver. `read = new + duplicate + quarantined`. */
export interface FileAccounts extends Accounts {
  fileName: string;
  kind: string;
}

/**
 * Per new file: every row is the first of something, another one, or refused.
 *
 * @param refused rows by `<whether it is a refused file> <sourceKey>`
 * @throws `accounts_broken` (70)
 */
export function accountFiles(
  fresh: readonly BronzeFile[],
  built: readonly Built[],
  refused: ReadonlyMap<string, number>,
): FileAccounts[] {
  const placed = new Map<string, { newRows: number; duplicateRows: number }>();
  for (const { sourceKey, newRows, duplicateRows } of built.flatMap((each) => each.placed)) {
    const sum = placed.get(sourceKey) ?? { newRows: 0, duplicateRows: 0 };
    placed.set(sourceKey, { newRows: sum.newRows + newRows, duplicateRows: sum.duplicateRows + duplicateRows });
  }
  return fresh.map((file) => {
    const isRefused = file.table === 'refused';
    const rows = isRefused ? undefined : placed.get(file.sourceKey);
    const account: FileAccounts = {
      fileName: file.fileName,
      kind: file.kind,
      read: file.readRows,
      new: rows?.newRows ?? 0,
      duplicate: rows?.duplicateRows ?? 0,
      quarantined: refused.get(`${isRefused} ${file.sourceKey}`) ?? 0,
    };
    if (account.read !== account.new + account.duplicate + account.quarantined) {
      throw new JobError(
        'accounts_broken',
        'software',
        `read ${account.read} is not new ${account.new} + duplicate ${account.duplicate} + quarantined ${account.quarantined}`,
        {
          place: { file: file.fileName },
          hint: 'nothing was committed; please report this with the shape of the file',
        },
      );
    }
    return account;
  });
}

export function addAccounts(sum: Accounts, file: Accounts): Accounts {
  return {
    read: sum.read + file.read,
    new: sum.new + file.new,
    duplicate: sum.duplicate + file.duplicate,
    quarantined: sum.quarantined + file.quarantined,
  };
}

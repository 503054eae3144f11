import type { BronzeFile } from '../lake/manifest.ts';
import type { LoadedFile } from './loaded-file.ts';

const NAMES_MAX = 3;

type AccountFile = Pick<BronzeFile, 'accounts' | 'userId' | 'fileName'>;

/**
 * What a load says about the meaning of files, one line each: content that is stored under another person's
 * label or another name, and files of several accounts under one label.
 *
 * @param files what became of the files of this load, without those of landing that stay there
 * @param stored files that were in bronze before
 * @param added files that are new in it
 */
export function loadWarnings(
  files: readonly LoadedFile[],
  stored: readonly BronzeFile[],
  added: readonly AccountFile[],
  userId: string,
): string[] {
  const isAsked = added.some(({ accounts }) => accounts !== undefined);
  const mixed = isAsked ? accountsUnderOneLabel([...stored, ...added], userId) : undefined;
  return [...theirs(files, userId), ...renamed(files), ...(mixed === undefined ? [] : [mixed])];
}

function theirs(files: readonly LoadedFile[], userId: string): string[] {
  const byLabel = Map.groupBy(
    files.filter(({ storedUnder }) => storedUnder !== undefined),
    ({ storedUnder }) => storedUnder!,
  );
  return [...byLabel].map(([label, own]) => {
    const names = namesOf(own.map(({ fileName }) => fileName));
    return (
      `${names}: stored under the label ${label}, so nothing of it was loaded for ${userId}. To move it: ` +
      `\`listenlake forget --user ${label}\` (removes all that is stored under it), then load the files of each person with an own --user`
    );
  });
}

function renamed(files: readonly LoadedFile[]): string[] {
  return files.flatMap(({ fileName, replaces, storedAs }) => {
    if (replaces !== undefined) return [`${fileName}: was loaded as ${replaces} before; what its name says now counts`];
    if (storedAs === undefined) return [];
    return [`${fileName}: the same file as ${storedAs}, which counts; delete the one whose name is wrong`];
  });
}

/** The files by which a label has plays of several accounts, and what to do; undefined where it has not. */
export function accountsUnderOneLabel(files: readonly AccountFile[], userId: string): string | undefined {
  const first = new Map<string, string>();
  for (const file of files) {
    if (file.userId !== userId) continue;
    for (const account of file.accounts ?? []) if (!first.has(account)) first.set(account, file.fileName);
  }
  if (first.size < 2) return undefined;
  return (
    `${namesOf([...first.values()].sort())}: exports of ${first.size} Spotify accounts under the one label ${userId}; their plays are kept ` +
    `apart, but count as one person's. If they are two people: \`listenlake forget --user ${userId}\`, then load the files of each account ` +
    'with an own --user'
  );
}

function namesOf(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return `${names.slice(0, NAMES_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

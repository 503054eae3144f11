/**
 * What a power cut would leave of a lake, told from the calls that a command made (FAULT_TRACE of
 * `failing-calls.c`).
 */
import { dirname } from 'node:path';

/** A file's content, by whatever names it has. */
interface Content {
  isFlushed: boolean;
}

/** What would be lost that must not be. */
export interface Loss {
  /** The step that trusts it: a commit, the removal of a delivered file, the end of the command. */
  at: string;
  /** Objects whose bytes, or whose entry in their folder, are not on the disk. */
  objects: string[];
  /** New folders whose entry in their parent is not on the disk: all below goes with them. */
  folders: string[];
}

/**
 * Replays a trace as a disk that keeps nothing unasked: bytes last once their file is flushed, names once
 * their folder is. Whoever commits, or takes away what was delivered, trusts that everything before is on the
 * disk.
 *
 * @param lake its folder; what is staged (`.staging/`) may be lost at any time
 */
export function lossesOf(trace: string, lake: string): Loss[] {
  const contents = new Map<string, Content>();
  /** Names that were made and not flushed, by path. */
  const loose = new Set<string>();
  const folders = new Set<string>();
  const losses: Loss[] = [];
  const keyOf = (path: string): string => path.slice(lake.length + 1);
  const isLasting = (path: string): boolean => path.startsWith(`${lake}/`) && !keyOf(path).startsWith('.staging');
  const trust = (at: string): void => {
    const objects = [...contents].filter(
      ([path, content]) =>
        isLasting(path) && !keyOf(path).startsWith('leases/') && (!content.isFlushed || loose.has(path)),
    );
    const lost = [...folders].filter((path) => isLasting(path) && loose.has(path));
    if (objects.length + lost.length > 0)
      losses.push({ at, objects: objects.map(([path]) => keyOf(path)), folders: lost.map(keyOf) });
  };
  for (const line of trace.trimEnd().split('\n')) {
    const [what, path = '', to = ''] = line.split('\t');
    if (what === 'create') {
      if (!contents.has(path)) loose.add(path);
      contents.set(path, { isFlushed: false });
    } else if (what === 'WRITE' || what === 'PWRITE' || what === 'FTRUNCATE' || what === 'COPY') {
      const content = contents.get(path);
      if (content !== undefined) content.isFlushed = false;
    } else if (what === 'FSYNC' || what === 'FDATASYNC') {
      const content = contents.get(path);
      if (content !== undefined) content.isFlushed = true;
      else for (const name of loose) if (dirname(name) === path) loose.delete(name);
    } else if (what === 'MKDIR') {
      folders.add(path);
      loose.add(path);
    } else if (what === 'LINK' || what === 'RENAME') {
      const isCommit = keyOf(to).startsWith('manifests/0');
      if (isCommit) trust(`before ${keyOf(to)}`);
      const content = contents.get(path) ?? { isFlushed: true };
      contents.set(to, content);
      loose.add(to);
      if (what === 'RENAME') contents.delete(path);
    } else if (what === 'UNLINK' || what === 'RMDIR') {
      if (keyOf(path).startsWith('landing/') && what === 'UNLINK') trust(`before ${keyOf(path)} is taken away`);
      contents.delete(path);
      folders.delete(path);
      loose.delete(path);
    }
  }
  trust('at the end');
  return losses;
}

import type { JobError } from '../base/errors.ts';
import type { LakeStore } from '../lake/store.ts';
import { candidatesOf, discard } from './candidates.ts';
import { examine } from './examine.ts';
import { faultOfFile } from './file-faults.ts';
import { identify, refuseChanged } from './given.ts';
import type { HashCache } from './hash-cache.ts';
import type { Input } from './input-files.ts';
import type { Source } from './source.ts';
import { knownAs, type Stored } from './stored.ts';
import { type Candidate, type Ended, type ExaminedFile, type Given, isEnded, refused, unreadable } from './walked.ts';

/** What the steps of the line look at, and none of them changes. */
export interface Line {
  store: LakeStore;
  stored: Stored;
  hashCache: HashCache;
  sources: readonly Source[];
  /** Folder for what is unpacked and written. */
  work: string;
  /** Label of the person whose listening it is. */
  userId: string;
}

/**
 * `identify`, where a fault of the file is where its way ends.
 *
 * @throws what is not about this file: the disk, the store
 */
export async function meet(input: Input, line: Line): Promise<Given | Ended> {
  try {
    return await identify(input, line);
  } catch (error) {
    return unreadable(input.name, faultOf(error, input.name, line));
  }
}

/**
 * Unpacks what was given and examines each file in it: yields those that are to be written, and where the way
 * of the others has ended. A fault of what was given ends it; what was whole until then goes on.
 *
 * @param onTheWay SHA-256 (hex) of what was handed on in this load, to the name of its file: a copy is not
 *   written twice
 * @throws what is not about this file: the disk, the store
 */
export async function* examinedFiles(
  given: Given,
  line: Line,
  onTheWay: ReadonlyMap<string, string>,
): AsyncGenerator<ExaminedFile | Ended> {
  try {
    for await (const found of candidatesOf(given, line))
      yield isEnded(found) ? found : await examineCandidate(found, line, onTheWay);
  } catch (error) {
    yield unreadable(given.name, faultOf(error, given.name, line));
  }
}

async function examineCandidate(
  candidate: Candidate,
  line: Line,
  onTheWay: ReadonlyMap<string, string>,
): Promise<ExaminedFile | Ended> {
  let examined: ExaminedFile | Ended | undefined;
  try {
    examined = await judge(candidate, line, onTheWay);
    return examined;
  } finally {
    if (examined === undefined || isEnded(examined)) await discard(candidate);
  }
}

async function judge(
  candidate: Candidate,
  { sources, stored, userId }: Line,
  onTheWay: ReadonlyMap<string, string>,
): Promise<ExaminedFile | Ended> {
  const { given, name } = candidate;
  const examined = await examine(candidate.path, candidate.contentName, sources);
  await refuseChanged(given);
  if (examined.verdict === 'ignored') return { name, as: 'ignored', reason: examined.reason };
  const sha256 = candidate.sha256 ?? examined.sha256;
  const recognised = examined.verdict === 'recognised' ? examined.recognised : undefined;
  const before = stored.get(sha256);
  const known = knownAs({ name, sha256, recognised }, before, onTheWay.get(sha256), userId);
  if (known !== undefined) return known;
  if (examined.verdict === 'refused') return refused(name, sha256, examined.refusal);
  return { candidate, sha256, recognised: examined.recognised, ...(before && { replaces: before }) };
}

/** What an error says about the file of this name. @throws the error itself where it is not about the file */
function faultOf(error: unknown, name: string, { work }: Line): JobError {
  const fault = faultOfFile(error, name, work);
  if (fault === undefined) throw error;
  return fault;
}

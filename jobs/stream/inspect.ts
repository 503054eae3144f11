import type { Finding } from '../base/finding.ts';
import { count } from '../base/words.ts';
import type { Effects } from '../effects/index.ts';
import type { LakeState } from '../lake/manifest.ts';
import { readStreamIndex } from '../lake/stream.ts';
import { listBatches } from './take.ts';

/** What the lake holds of streams: batches in it, those that wait for `transform`, and those that are gone. */
export async function lookAtStreams(effects: Pick<Effects, 'store'>, state: LakeState): Promise<Finding[]> {
  const known = await readStreamIndex(effects.store, state);
  const lying = await listBatches(effects);
  if (known.length === 0 && lying.length === 0) return [];
  const keys = new Set(known.map(({ key }) => key));
  const there = new Set(lying.map(({ key }) => key));
  const waiting = lying.filter(({ key }) => !keys.has(key)).length;
  const gone = known.filter(({ key }) => !there.has(key));
  const records = known.filter(({ kind }) => kind === 'batch').reduce((sum, { rows }) => sum + rows, 0);
  const findings: Finding[] = [
    {
      name: 'stream',
      verdict: waiting === 0 ? 'ok' : 'warn',
      text: `${count(known.length, 'batch', 'batches')} taken, ${count(records, 'record')}${waiting === 0 ? '' : `; ${count(waiting, 'more', 'more')} wait: run \`listenlake transform\``}`,
    },
  ];
  if (gone.length > 0)
    findings.push({
      name: 'stream',
      verdict: 'fail',
      text: `${count(gone.length, 'batch is', 'batches are')} gone, the first ${gone[0]!.key}: bring them back from a copy of the lake; their events are in silver as they were taken`,
    });
  return findings;
}

import { visible } from '../base/visible.ts';
import { count } from '../base/words.ts';
import type { ForgetResult } from '../forget.ts';
import type { Proof } from '../removal/proof.ts';
import type { Hit } from '../removal/traces.ts';
import { row } from './lines.ts';

const HITS_MAX = 20;

/** What was deleted, and what the proof has found: the last lines of `forget` and `retention`. */
export function removalLines({ purged, proof, checks }: Pick<ForgetResult, 'purged' | 'proof' | 'checks'>): string[] {
  return [
    ...(purged
      ? [row('deleted', `${count(purged.objects, 'object')}, ${count(purged.oldVersions, 'old version')}`)]
      : []),
    ...(checks === 'failed' ? [row('production', 'is built anew and fails its tests: run listenlake check')] : []),
    ...(proof ? [row('proof', proofText(proof))] : []),
    ...(proof?.hits ?? []).slice(0, HITS_MAX).map((hit) => row('', hitText(hit))),
    ...unreadLines(proof),
  ];
}

/** What the proof says nothing about: for a person to see to. */
function unreadLines(proof: Proof | undefined): string[] {
  const unread = proof?.unread ?? [];
  const more = unread.length > HITS_MAX ? [row('', `and ${unread.length - HITS_MAX} more`)] : [];
  return [...unread.slice(0, HITS_MAX).map((place) => row('not read', visible(place))), ...more];
}

function proofText({ hits, objects }: { hits: readonly Hit[]; objects: number }): string {
  return `${count(hits.length, 'hit')} in ${count(objects, 'object')}`;
}

function hitText({ place, what }: Hit): string {
  const words = { label: 'holds the label', value: 'holds a value of theirs', 'old version': 'has an old version' };
  return `${place} ${words[what]}: take it away and run the same command again`;
}

import { showName, trackName } from './names.ts';
import { base62Id, createRandom } from './random.ts';

/** An episode of a podcast (perhaps with pictures) or a chapter of an audiobook. */
export interface SpokenItem {
  id: string;
  name: string;
  showId: string;
  showName: string;
  durationMs: number;
}

export interface SpokenContent {
  episodes: SpokenItem[];
  chapters: SpokenItem[];
}

/** The podcasts and audiobooks of a data set: 10 shows of 24 episodes, 3 books of 14 chapters. */
export function createSpokenContent(seed: number): SpokenContent {
  const random = createRandom(seed, 'spoken');

  function series(count: number, items: number, label: string, minutes: number): SpokenItem[] {
    return Array.from({ length: count }, (_, index) => {
      const showId = base62Id(random);
      const title =
        label === 'Chapter' ? `${trackName(random)}: A Synthetic Novel` : `${showName(random)} ${index + 1}`;
      return Array.from({ length: items }, (_, item) => ({
        id: base62Id(random),
        name: `${label} ${item + 1}: ${trackName(random)}`,
        showId,
        showName: title,
        durationMs: Math.round(minutes * 60_000 * (0.6 + 0.8 * random.next())),
      }));
    }).flat();
  }

  return { episodes: series(10, 24, 'Episode', 32), chapters: series(3, 14, 'Chapter', 24) };
}

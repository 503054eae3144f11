import { count } from '../base/words.ts';
import type { Effects } from '../effects/index.ts';
import { extractLibrary } from '../sources/spotify-api/library.ts';
import { covered, extractMetadata } from '../sources/spotify-api/metadata.ts';
import { extractPlaylists } from '../sources/spotify-api/playlists.ts';
import { extractRecentlyPlayed } from '../sources/spotify-api/recently-played.ts';
import type { CAPTURE } from '../sources/spotify-api/tables.ts';
import type { Web } from '../sources/spotify-api/transport.ts';
import type { Outcome } from './command.ts';

/** What `extract` reads from Spotify's Web API, by the word on the command line. */
export type ApiSource = (typeof CAPTURE.words)[number];

/** Runs one of them and says how it went. @throws as the job behind the word */
export async function extractFromApi(source: ApiSource, runId: string, effects: Effects, web?: Web): Promise<Outcome> {
  switch (source) {
    case 'recently-played': {
      const { items, newItems, oldestAt, newestAt, gap, calls, notices } = await extractRecentlyPlayed(
        { runId },
        effects,
        web,
      );
      const span = oldestAt === null ? '' : `, ${oldestAt.slice(0, 16)} to ${newestAt!.slice(0, 16)} UTC`;
      return outcome(`${count(items, 'play')} received${span}; ${newItems} since the last poll`, notices, items > 0, {
        ...{
          items,
          new_items: newItems,
          oldest_at: oldestAt,
          newest_at: newestAt,
          is_overflow: gap !== undefined,
          gap: gap ?? null,
          calls,
        },
      });
    }
    case 'playlists': {
      const { read, unchanged, items, refused, calls, notices } = await extractPlaylists({ runId }, effects, web);
      const text = `${count(items, 'item')} of ${count(read, 'playlist')} received; ${unchanged} unchanged today`;
      return {
        ...outcome(text, [...refused, ...notices], read > 0, {
          read,
          unchanged,
          items,
          refused: refused.length,
          calls,
        }),
        exit: refused.length > 0 ? 'data' : 'ok',
      };
    }
    case 'library': {
      const { items, unchanged, calls, notices } = await extractLibrary({ runId }, effects, web);
      const lists = Object.entries(items).map(([name, entries]) => `  ${name}: ${entries}`);
      const text =
        lists.length === 0
          ? `nothing to read; ${unchanged} lists are there already for today`
          : ['received:', ...lists].join('\n');
      return outcome(text, notices, lists.length > 0, { items, unchanged, calls });
    }
    case 'metadata': {
      const result = await extractMetadata({ runId, callBudget: effects.config.spotify.callBudget }, effects, web);
      const { lookedUp, missing, left, plays, calls, notices } = result;
      const found = lookedUp.tracks + lookedUp.albums + lookedUp.artists;
      const text = `${count(lookedUp.tracks, 'track')}, ${count(lookedUp.albums, 'album')} and ${count(lookedUp.artists, 'artist')} looked up, ${missing} not found, ${left} left; ${covered(result)} have a described track`;
      return outcome(text, notices, found > 0, {
        looked_up: lookedUp,
        missing,
        left,
        plays_total: plays.total,
        plays_covered: plays.after,
        calls,
      });
    }
  }
}

function outcome(
  text: string,
  notices: readonly string[],
  isSomething: boolean,
  json: Record<string, unknown>,
): Outcome {
  const lines = [text, ...notices.map((notice) => `note: ${notice}`), ...(isSomething ? ['next: listenlake run'] : [])];
  return { text: lines.join('\n'), json: { status: isSomething ? 'extracted' : 'nothing_new', ...json, notices } };
}

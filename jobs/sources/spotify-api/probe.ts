import { describeError, JobError } from '../../base/errors.ts';
import type { Finding } from '../../base/finding.ts';
import type { Effects } from '../../effects/index.ts';
import { closedText, ENDPOINTS, type Endpoint, statusOf } from './capabilities.ts';
import { type Capture, withCapture } from './capture.ts';
import { openWeb, type Web } from './transport.ts';

/** A track, its album and its first artist: what is played most. */
const KNOWN_IDS = `
select tracks.track_id, tracks.album_id, tracks.primary_artist_id
from silver.tracks as tracks
left join silver.plays as plays on tracks.track_id = plays.track_id
where length(tracks.track_id) = 22 and length(tracks.album_id) = 22 and length(tracks.primary_artist_id) = 22
group by tracks.track_id, tracks.album_id, tracks.primary_artist_id
order by count(plays.play_id) desc, tracks.track_id
limit 1`;

/**
 * Calls everything of the Web API that listenlake may use once, says what is open to this app and which
 * tables stay empty where it is not, and remembers it: `extract` reads it and does not try what is closed.
 * Nothing of the answers is kept.
 *
 * @returns one finding a line; what stands in the way of all calls (no app, no login, a pause, no network) is
 *   one finding that fails
 */
export async function doctorSpotify(
  input: { runId: string },
  effects: Effects,
  web: Web = openWeb(effects),
): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    await withCapture({ job: 'doctor', runId: input.runId, scopes: [] }, effects, web, async (capture) => {
      const { session, notices } = capture;
      const isEnding = session.notice !== undefined;
      findings.push({
        name: 'login',
        verdict: isEnding ? 'warn' : 'ok',
        text: isEnding ? notices.join('; ') : `valid until ${session.endsOn}`,
      });
      const ids = await knownIds(effects);
      for (const endpoint of Object.keys(ENDPOINTS) as Endpoint[]) {
        findings.push({ name: endpoint.replaceAll('_', ' '), ...(await probe(endpoint, ids, capture, web)) });
      }
    });
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    findings.push({ name: 'spotify', verdict: 'fail', text: describeError(error) });
  }
  return findings;
}

type KnownIds = Partial<Record<'track' | 'album' | 'artist', string>>;

async function probe(
  endpoint: Endpoint,
  ids: KnownIds,
  { client, session, ledger }: Capture,
  web: Web,
): Promise<Omit<Finding, 'name'>> {
  const facts = ENDPOINTS[endpoint];
  if ('scope' in facts && !session.allows(facts.scope)) {
    return {
      verdict: 'ok',
      text: 'not asked: the login does not allow it (listenlake login --allow playlists library)',
    };
  }
  const id = 'idOf' in facts ? ids[facts.idOf] : '';
  if (id === undefined) return { verdict: 'ok', text: 'not asked: the lake knows no track yet' };
  const seenAt = new Date(web.now()).toISOString();
  try {
    await client.get(facts.probe.replace('{id}', id));
    ledger.capabilities[endpoint] = { status: 200, seenAt };
    return { verdict: 'ok', text: 'open' };
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined) throw error;
    // Of one thing that is not found nothing follows for others.
    if (status === 404 && 'idOf' in facts)
      return { verdict: 'ok', text: `not known: Spotify has no such ${facts.idOf}` };
    ledger.capabilities[endpoint] = { status, seenAt };
    const text = closedText(endpoint, ledger.capabilities[endpoint]);
    return { verdict: 'warn', text: text.slice(text.indexOf(': ') + 2) };
  }
}

async function knownIds(effects: Effects): Promise<KnownIds> {
  const [row] = (await effects.engine.query(KNOWN_IDS)).rows;
  return row === undefined ? {} : { track: String(row[0]), album: String(row[1]), artist: String(row[2]) };
}

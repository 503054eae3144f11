import { ownName } from '../../bronze/own-name.ts';
import { instantSql } from '../../bronze/periods.ts';
import { writeRecords } from '../../bronze/records.ts';
import type { RowSource, Source } from '../../bronze/source.ts';
import type { JsonScan } from '../../formats/json/scanner.ts';
import { rowsOf } from '../../formats/json/values.ts';

/** Listens, taken out of their nested form. */
const LISTENS: RowSource = {
  table: 'listenbrainz_listens',
  kind: 'listenbrainz',
  name: /^listens/i,
  required: ['artist_name', 'track_name'],
  typical: [],
  isList: true,
  keyOf: (column) => column,
  daysSql: `select ${instantSql('listened_at')} as moment`,
  period: 'month',
};

/**
 * What people had ListenBrainz remember: its export, an archive with `listens/<year>/<month>.jsonl`, and
 * lists of the same listens as older exports and other tools write them
 * (https://listenbrainz.readthedocs.io/en/latest/users/json.html).
 */
export const LISTENBRAINZ: Source = {
  name: 'listenbrainz',
  tables: [{ name: LISTENS.table, isOwn: true, plays: { stage: 'stg_plays_listenbrainz', isReportedLate: false } }],
  documents: {
    fits: ({ keys, firstOtherRow }) =>
      keys.has('listened_at') && keys.has('track_metadata') && firstOtherRow === undefined,
    namesPeople: false,
    write: (staged, scan, people) => writeRecords(staged, LISTENS, listensOf(staged.path, scan), people),
  },
  reasonToIgnore,
};

/** The export's other files: who the person is, what they love or hate, what they have pinned. */
async function reasonToIgnore(fileName: string, head: () => Promise<Buffer>): Promise<string | undefined> {
  const own = ownName(fileName);
  const isUser = own === 'user.json' && /^\s*\{\s*"user_id"/.test((await head()).toString('latin1'));
  return isUser || /^(feedback|pinned_recording)\.jsonl$/.test(own)
    ? 'data of ListenBrainz without listening'
    : undefined;
}

interface Listen {
  listened_at?: unknown;
  inserted_at?: unknown;
  track_metadata?: {
    artist_name?: unknown;
    track_name?: unknown;
    release_name?: unknown;
    additional_info?: Info | null;
    /** What ListenBrainz has found in MusicBrainz; the listen itself says what its sender knew. */
    mbid_mapping?: (Ids & { artists?: { artist_credit_name?: unknown }[] | null }) | null;
  } | null;
}

interface Ids {
  recording_mbid?: unknown;
  release_mbid?: unknown;
  artist_mbids?: unknown;
}

interface Info extends Ids {
  artist_names?: unknown;
  isrc?: unknown;
  spotify_id?: unknown;
  origin_url?: unknown;
  duration_ms?: unknown;
  duration?: unknown;
  music_service?: unknown;
  submission_client?: unknown;
}

async function* listensOf(path: string, scan: JsonScan): AsyncGenerator<Record<string, unknown>> {
  for await (const text of rowsOf(path, scan)) yield listenOf(JSON.parse(text) as Listen);
}

function listenOf({ listened_at, inserted_at, track_metadata: metadata }: Listen): Record<string, unknown> {
  const info = metadata?.additional_info ?? {};
  const mapped = metadata?.mbid_mapping ?? {};
  return {
    listened_at,
    inserted_at,
    artist_name: metadata?.artist_name ?? null,
    first_artist_name: firstArtist(info.artist_names, mapped.artists),
    track_name: metadata?.track_name ?? null,
    release_name: metadata?.release_name,
    recording_mbid: info.recording_mbid ?? mapped.recording_mbid,
    release_mbid: info.release_mbid ?? mapped.release_mbid,
    artist_mbids: joined(info.artist_mbids ?? mapped.artist_mbids),
    isrc: info.isrc,
    spotify_id: info.spotify_id ?? spotifyLink(info.origin_url),
    duration_ms: info.duration_ms,
    duration: info.duration,
    music_service: info.music_service,
    submission_client: info.submission_client,
  };
}

/** Of several artists only, because the name of a single one is the credit itself, as its sender spelt it. */
function firstArtist(names: unknown, mapped: { artist_credit_name?: unknown }[] | null | undefined): unknown {
  if (Array.isArray(names)) return names[0];
  return Array.isArray(mapped) && mapped.length > 1 ? mapped[0]?.artist_credit_name : undefined;
}

function joined(ids: unknown): unknown {
  return Array.isArray(ids) ? ids.join(',') : ids;
}

function spotifyLink(url: unknown): unknown {
  return typeof url === 'string' && url.startsWith('https://open.spotify.com/') ? url : undefined;
}

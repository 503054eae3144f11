import { instantSql } from '../../bronze/periods.ts';
import type { RowSource } from '../../bronze/source.ts';

/**
 * Scrobbles, whatever file they come from: as pages and the CSV of exporters have them, one flat row each.
 */
export const SCROBBLES: RowSource = {
  table: 'lastfm_scrobbles',
  kind: 'lastfm',
  name: /^(recenttracks|scrobbles|last\.?fm)/i,
  required: ['artist', 'track'],
  typical: [],
  isList: true,
  keyOf: (column) => column,
  daysSql: `select unnest([
      ${instantSql('uts')},
      ${instantSql('played_at')},
      try_strptime(played_at, ['%d %b %Y, %H:%M', '%d %b %Y %H:%M', '%d %b %Y, %H:%M:%S', '%d %b %Y %H:%M:%S'])
    ]) as moment`,
  period: 'month',
  // Pages and exporters have the track that is just playing, without a time.
  passedOver: {
    isSql: `coalesce(trim(uts), '') = '' and coalesce(trim(played_at), '') = ''`,
    why: 'a track that was still playing is no scrobble yet',
  },
};

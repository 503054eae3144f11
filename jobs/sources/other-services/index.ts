import { JobError } from '../../base/errors.ts';
import type { Source } from '../../bronze/source.ts';
import { shownColumns } from '../../formats/csv.ts';

/** What other services write and no table takes: it is named, and refused with what to do instead. */
export const OTHER_SERVICES: Source = {
  name: 'other-services',
  tables: [],
  csv: [
    {
      name: 'lastfm',
      what: 'scrobbles of Last.fm',
      table: '',
      columns: ['uts', 'artist', 'track'],
      optional: ['utc_time'],
      remedy: 'they name neither a Spotify track nor how long it was heard: load the export of Spotify itself',
    },
  ],
  /** ListenBrainz: https://listenbrainz.readthedocs.io/en/latest/users/json.html. */
  refusalOf({ keys }) {
    if (!keys.has('listened_at') || !keys.has('track_metadata')) return undefined;
    const what = `listens of ListenBrainz, which no table is made of; its keys: ${shownColumns(keys.keys())}`;
    return new JobError('kind_unsupported', 'data', what, {
      hint: 'they do not say how long a track was heard: load the export of Spotify itself',
    });
  },
};

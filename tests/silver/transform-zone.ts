/** Prints what one transform gives as JSON: run by transform.test.ts under several time zones. */
import { extended, makeTestLake, pages, playedItem } from './transform-lake.ts';

const lake = await makeTestLake();
await lake.add(
  extended({ ts: '2024-03-31T01:30:00' }, { ts: '2024-03-10 02:30' }, { ts: '2024-05-01T10:03:00+05:45' }),
  pages({
    kind: 'recently_played',
    observed_at: '2024-05-02T00:00:00Z',
    body: { items: [playedItem('2024-05-01T23:59:59.999Z')] },
  }),
  {
    table: 'listening_events',
    rows: [{ event_id: 'e', user_id: 'u', action: 'play', occurred_at: '2024-03-10T02:30:00' }],
  },
);
await lake.transform();
const ended = await lake.rows('plays', 'cast(ended_at as varchar) as ended_at');
process.stdout.write(JSON.stringify({ ended_at: ended.map((row) => row.ended_at), hashes: await lake.hashes() }));
await lake.close();

/**
 * What a Node program with parquetjs-lite does: parse each file, append each row (awaited: otherwise rows
 * multiply), close. Its own defaults: no compression is chosen for it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const parquet = createRequire(import.meta.url)('parquetjs-lite');
const [source, target] = process.argv.slice(2) as [string, string];
const text = { type: 'UTF8', optional: true };
const flag = { type: 'BOOLEAN', optional: true };
const whole = { type: 'INT64', optional: true };
const names = [
  'platform',
  'conn_country',
  'spotify_track_uri',
  'episode_name',
  'episode_show_name',
  'spotify_episode_uri',
  'reason_start',
  'reason_end',
];
const master = ['track_name', 'album_artist_name', 'album_album_name'].map((name) => `master_metadata_${name}`);
const schema = new parquet.ParquetSchema({
  ts: { type: 'TIMESTAMP_MILLIS' },
  ms_played: whole,
  ...Object.fromEntries([...names, ...master].map((name) => [name, text])),
  ...Object.fromEntries(['shuffle', 'skipped', 'offline', 'incognito_mode'].map((name) => [name, flag])),
  offline_timestamp: whole,
});
const columns = Object.keys(schema.fields);
const writer = await parquet.ParquetWriter.openFile(schema, target);
for (const file of readdirSync(source).sort()) {
  for (const row of JSON.parse(readFileSync(`${source}/${file}`, 'utf8'))) {
    const kept = Object.fromEntries(
      columns.filter((name) => row[name] !== null && row[name] !== undefined).map((name) => [name, row[name]]),
    );
    kept.ts = new Date(row.ts);
    await writer.appendRow(kept);
  }
}
await writer.close();

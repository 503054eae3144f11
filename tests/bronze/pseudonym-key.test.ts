import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../jobs/base/config.ts';
import { createPseudonyms } from '../../jobs/base/personal-fields.ts';
import { findPseudonymKey } from '../../jobs/bronze/pseudonym-key.ts';
import { doctor } from '../../jobs/doctor.ts';
import { failureOf } from '../fixtures/failure.ts';
import { type LoadFixture, openLoadFixture } from './load-fixture.ts';

const ADDRESS = 'anna@example.com';
const event = (name: string): string =>
  JSON.stringify({ event_id: name, user_id: ADDRESS, action: 'play', occurred_at: '2026-01-01T00:00:00Z' });
const playlist = JSON.stringify({ type: 'playlist', id: 'p', name: 'x', owner: { id: 'anna' }, tracks: { items: [] } });

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const keyFile = (): string => join(lake.root, '.pseudonym-key');
const people = async (): Promise<unknown[]> =>
  (await lake.query('select distinct user_id from bronze.listening_events')).flat();
async function load(name: string, content: string, config: Partial<Config> = {}) {
  const path = join(await lake.give({ [name]: content }), name);
  return lake.load([path], { effects: { config: { ...lake.effects.config, ...config } } });
}
const seenByDoctor = async (): Promise<{ verdict: string; text: string }> =>
  (await doctor({ verify: false, aws: false }, lake.effects)).find(({ name }) => name === 'pseudonyms')!;

describe('the key that replaces ids of people', () => {
  it("S25: is made at random for each lake by the first file that names people, is its owner's alone, and stays", async () => {
    await load('plays.json', '[{"ts":"2026-01-01T00:00:00Z","ms_played":1}]');
    await expect(stat(keyFile())).rejects.toThrow('ENOENT');
    await load('a.ndjson', event('1'));
    const key = (await readFile(keyFile(), 'utf8')).trim();
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
    await load('b.ndjson', event('2'));
    await load('c.json', playlist);
    expect(await people()).toEqual([createPseudonyms(key)(ADDRESS)]);
    expect(JSON.stringify(await lake.state())).not.toContain(key);
    expect(await seenByDoctor()).toMatchObject({ verdict: 'ok', text: expect.stringContaining("this lake's own key") });
    const other = await openLoadFixture();
    await other.load([await other.give({ 'a.ndjson': event('1') })]);
    expect(await readFile(join(other.root, '.pseudonym-key'), 'utf8')).not.toContain(key);
    await other.close();
  });

  it('of a lake that was made with the built-in one stays the same, so that nobody becomes two people, and doctor warns', async () => {
    // As an older version has left it: ids made with the constant, and nothing recorded.
    const constant = 'listenlake-default-pseudonym-key';
    await load('a.ndjson', event('1'), { pseudonymKey: constant });
    const { pseudonymKey: _, ...state } = await lake.state();
    await lake.commitState(state);
    await load('b.ndjson', event('2'));
    expect(await people()).toEqual([createPseudonyms(constant)(ADDRESS)]);
    expect((await lake.state()).pseudonymKey).toBe('built-in');
    await expect(stat(keyFile())).rejects.toThrow('ENOENT');
    expect(await seenByDoctor()).toMatchObject({ verdict: 'warn', text: expect.stringMatching(/new lake/) });
    const changed = load('c.ndjson', event('3'), { pseudonymKey: 'another key, given later' });
    await expect(changed).rejects.toMatchObject({ code: 'pseudonym_key_changed', exit: 'config' });
  });

  it('is not replaced by another one: a changed or lost key stops the load', async () => {
    await load('a.ndjson', event('1'));
    const key = await readFile(keyFile(), 'utf8');
    const lost = { code: 'pseudonym_key_missing', exit: 'config' };
    await rm(keyFile());
    await expect(load('b.ndjson', event('2'))).rejects.toMatchObject(lost);
    await mkdir(keyFile());
    await expect(load('b.ndjson', event('2'))).rejects.toMatchObject(lost);
    await rm(keyFile(), { recursive: true });
    await writeFile(keyFile(), 'f'.repeat(64));
    const changed = {
      code: 'pseudonym_key_changed',
      exit: 'config',
      message: expect.stringContaining('is not the key'),
    };
    await expect(load('b.ndjson', event('2'))).rejects.toMatchObject(changed);
    expect(await seenByDoctor()).toMatchObject({ verdict: 'fail' });
    await expect(load('b.ndjson', event('2'), { pseudonymKey: key.trim() })).resolves.toMatchObject({ exit: 'ok' });
    expect(await people()).toHaveLength(1);
  });

  it('is made for the user name of an export, too; the one that everybody can read hashes none', async () => {
    const owned = (ts: string): string => JSON.stringify([{ ts, ms_played: 1, username: 'anna' }]);
    const pseudonyms = async (): Promise<unknown[]> =>
      (await lake.query('select username_pseudonym from bronze.export_extended order by ts')).flat();
    await load('a.json', owned('2026-01-01T00:00:00Z'));
    const key = (await readFile(keyFile(), 'utf8')).trim();
    expect(await pseudonyms()).toEqual([createPseudonyms(key)('anna')]);
    await rm(keyFile());
    await lake.commitState({ ...(await lake.state()), pseudonymKey: 'built-in' });
    await load('b.json', owned('2026-01-02T00:00:00Z'));
    expect(await pseudonyms()).toEqual([createPseudonyms(key)('anna'), null]);
  });

  it('of a lake on S3 is given, or there is none', async () => {
    const store = { ...lake.store, uri: 's3://bucket/lake' };
    const lakeState = { bronze: [], transformedThrough: 0, silverSequence: 0, silver: {}, gold: {}, checks: {} };
    const find = (config: Partial<Config>) =>
      findPseudonymKey({ store, config: { ...lake.effects.config, ...config } }, lakeState, [], 'always');
    expect(await failureOf(find({}))).toMatchObject({
      code: 'pseudonym_key_missing',
      hint: expect.stringContaining('LISTENLAKE_PSEUDONYM_SECRET'),
    });
    expect(await find({ pseudonymKey: 'a key of its own' })).toMatchObject({ from: 'given', key: 'a key of its own' });
    const { config } = lake.effects;
    expect(await findPseudonymKey({ store, config }, lakeState, [], 'where_possible')).toBeUndefined();
  });
});

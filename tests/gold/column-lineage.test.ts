import { columnLineage, type Depth, type ModelLineage } from '../../jobs/lineage/columns.ts';
import type { Origins } from '../../jobs/lineage/origins.ts';
import { projectOf } from '../fixtures/effects.ts';

const PROJECT = 'name: t\nmodel-paths: [models]\n';

function told(origins: Origins): Record<string, string> {
  return Object.fromEntries([...origins].sort().map(([column, hows]) => [column, [...hows].sort().join(' ')]));
}

/** Models by name to their selects. */
async function lineageOf(selects: Record<string, string>, depth: Depth = 'steps'): Promise<Map<string, ModelLineage>> {
  const models = Object.entries(selects).map(([name, sql]) => [`models/${name}.sql`, sql]);
  const lineage = await columnLineage(projectOf({ 'dbt_project.yml': PROJECT, ...Object.fromEntries(models) }), depth);
  return new Map(lineage.map((each) => [each.model, each]));
}

/** Of one select over silver: what its columns are made of, and what decides about its rows. */
async function of(select: string): Promise<{ columns: Record<string, Record<string, string>>; rows: object }> {
  const one = (await lineageOf({ one: select })).get('one')!;
  expect(one.unknown).toBeUndefined();
  return {
    columns: Object.fromEntries([...one.columns].map(([name, origins]) => [name, told(origins)])),
    rows: told(one.rows),
  };
}

const PLAYS = "{{ source('silver', 'plays') }}";
const TRACKS = "{{ source('silver', 'tracks') }}";
const ARTISTS = "{{ source('silver', 'track_artists') }}";

describe('origins of a column', () => {
  it('are found through CTEs, stars and casts', async () => {
    const { columns, rows } = await of(`
      with plays as (select * from ${PLAYS}), few as (select p.*, 1 as one from plays as p)
      select cast(user_id as varchar) as who, few.played_ms as ms, one, track_id from few`);
    expect(columns).toEqual({
      who: { 'silver.plays.user_id': 'identity' },
      ms: { 'silver.plays.played_ms': 'identity' },
      one: {},
      track_id: { 'silver.plays.track_id': 'identity' },
    });
    expect(rows).toEqual({});
  });

  it('tell values from what decides about them', async () => {
    const { columns } = await of(`
      select
        sum(case when reason_end = 'trackdone' then played_ms end) / 2 as ms,
        count(*) as n,
        sum(played_ms) filter (where is_skipped) as skipped,
        row_number() over (partition by user_id order by ended_at) as place,
        lag(track_id) over (order by ended_at) as former,
        coalesce(country, device) || 'x' as place_name
      from ${PLAYS}`);
    expect(columns).toEqual({
      ms: { 'silver.plays.played_ms': 'aggregation', 'silver.plays.reason_end': 'conditional' },
      n: {},
      skipped: { 'silver.plays.is_skipped': 'conditional', 'silver.plays.played_ms': 'aggregation' },
      place: { 'silver.plays.ended_at': 'window', 'silver.plays.user_id': 'window' },
      former: { 'silver.plays.ended_at': 'window', 'silver.plays.track_id': 'transformation' },
      place_name: { 'silver.plays.country': 'transformation', 'silver.plays.device': 'transformation' },
    });
  });

  it('in a condition stay what decides, however they are used', async () => {
    const { columns } = await of(`
      with marked as (select case when is_skipped then 1 else 0 end as mark, played_ms from ${PLAYS})
      select max(mark) as mark, max(played_ms + 1) as ms from marked`);
    expect(columns).toEqual({
      mark: { 'silver.plays.is_skipped': 'conditional' },
      ms: { 'silver.plays.played_ms': 'aggregation' },
    });
  });

  it('go by position in a union, whose second half has other names', async () => {
    const { columns, rows } = await of(`
      select play_id as id, null as name from ${PLAYS} where is_offline
      union all select track_id, track_name from ${TRACKS}`);
    expect(columns).toEqual({
      id: { 'silver.plays.play_id': 'identity', 'silver.tracks.track_id': 'identity' },
      name: { 'silver.tracks.track_name': 'identity' },
    });
    expect(rows).toEqual({ 'silver.plays.is_offline': 'filter' });
  });

  it('decide about rows in where, join, group by, having, distinct and a limit', async () => {
    const { rows } = await of(`
      with few as (select distinct user_id from ${PLAYS} where is_shuffle)
      select t.track_id, count(*) as n
      from few inner join ${TRACKS} as t on few.user_id = t.url
      where t.is_explicit group by 1 having max(t.duration_ms) > 5 order by t.track_id limit 3`);
    expect(rows).toEqual({
      'silver.plays.is_shuffle': 'filter',
      'silver.plays.user_id': 'group_by join',
      'silver.tracks.duration_ms': 'filter',
      'silver.tracks.is_explicit': 'filter',
      'silver.tracks.track_id': 'group_by sort',
      'silver.tracks.url': 'join',
    });
  });

  it('are found in subqueries that look outward, and in values', async () => {
    const { columns, rows } = await of(`
      with codes (code, name) as (values ('a', 'A'))
      select
        (select max(t.duration_ms) from ${TRACKS} as t where t.track_id = p.track_id) as longest,
        exists (select 1 from ${ARTISTS} as a where a.track_id = p.track_id) as is_known,
        codes.name
      from ${PLAYS} as p left join codes on codes.code = p.country
      where p.album_name in (select url from ${TRACKS})`);
    expect(columns).toEqual({
      longest: {
        'silver.plays.track_id': 'filter',
        'silver.tracks.duration_ms': 'aggregation',
        'silver.tracks.track_id': 'filter',
      },
      is_known: { 'silver.plays.track_id': 'filter', 'silver.track_artists.track_id': 'filter' },
      name: {},
    });
    expect(rows).toEqual({
      'silver.plays.album_name': 'filter',
      'silver.plays.country': 'join',
      'silver.tracks.url': 'filter',
    });
  });

  it('of a column that `using` has joined are those of its side', async () => {
    const { columns } = await of(`select track_id, t.url from ${PLAYS} left join ${TRACKS} as t using (track_id)`);
    expect(columns).toEqual({
      track_id: { 'silver.plays.track_id': 'identity' },
      url: { 'silver.tracks.url': 'identity' },
    });
  });

  it('are followed through models, as far as asked', async () => {
    const selects = {
      base: `select user_id, played_ms as ms from ${PLAYS} where is_offline`,
      top: "select user_id, sum(ms) as ms from {{ ref('base') }} group by user_id",
    };
    const steps = (await lineageOf(selects)).get('top')!;
    expect(told(steps.columns.get('ms')!)).toEqual({ 'base.ms': 'aggregation' });
    const sources = (await lineageOf(selects, 'sources')).get('top')!;
    expect(told(sources.columns.get('ms')!)).toEqual({ 'silver.plays.played_ms': 'aggregation' });
    expect(told(sources.rows)).toEqual({ 'silver.plays.is_offline': 'filter', 'silver.plays.user_id': 'group_by' });
    expect([steps.reads, sources.reads]).toEqual([['base'], ['base']]);
  });
});

describe('a select that does not tell', () => {
  it.each([
    [`select unnest(range(3)) as n, p.* from ${PLAYS} as p, range(3) as r`, 'a table of the kind TABLE_FUNCTION'],
    [`select * exclude (play_id) from ${PLAYS}`, 'a star with exclude'],
    [`select columns('.*_id') from ${PLAYS}`, 'a star with expr'],
    [`select list_transform([1], x -> x + played_ms) as n from ${PLAYS}`, 'an expression of the kind LAMBDA'],
    [`select nothing from ${PLAYS}`, 'nothing, which is a column of no table'],
    [`select track_id from ${PLAYS}, ${TRACKS}`, 'track_id, which may be a column of several tables'],
    [`select * from ${PLAYS} natural join ${TRACKS}`, 'a join of the kind NATURAL'],
    ['select * from elsewhere', 'the table elsewhere, of which the columns are not known'],
    [`select * from (pivot ${PLAYS} on country using count(*))`, 'is more than one'],
    [
      'with recursive n as (select 1 as i union all select i + 1 from n where i < 3) select i from n',
      'a select of the kind RECURSIVE_CTE_NODE',
    ],
  ])('says so, and names its tables: %s', async (select, reason) => {
    const { one, top } = Object.fromEntries(await lineageOf({ one: select, top: "select * from {{ ref('one') }}" }));
    expect(one!.unknown).toContain(reason);
    expect([one!.columns.size, one!.rows.size]).toEqual([0, 0]);
    expect(one!.reads).toEqual([...select.matchAll(/silver', '(\w+)/g)].map(([, name]) => `silver.${name}`).sort());
    expect(top!.reads).toEqual(['one']);
  });

  it('is refused where it is none', async () => {
    await expect(lineageOf({ one: 'select 1 as' })).rejects.toMatchObject({ code: 'sql_invalid' });
    await expect(lineageOf({ one: 'select 1 as a; select 2 as b' })).rejects.toMatchObject({ code: 'sql_invalid' });
  });
});

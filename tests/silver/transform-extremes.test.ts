/**
 * No value of a source makes a statement fail: every cast of warehouse/silver, and every text in every place.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEngine } from '../../jobs/engine/open.ts';
import { enrich } from '../../jobs/enrich.ts';
import { readContracts } from '../../jobs/lake/contracts.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { extremeFiles } from './extremes.ts';
import { makeTestLake } from './transform-lake.ts';

const SILVER = join(ROOT, 'warehouse/silver');

/** Casts of what no source has written, and what they are of. */
const OWN_VALUES: readonly [cast: RegExp, why: string][] = [
  [/^null as /, 'a missing value, typed'],
  [/ as varchar$/, 'everything is a text'],
  [/^hash\(.*\) as ubigint$/s, 'a hash'],
  [/^\w is not null as integer$/, 'a truth'],
  [
    /^(file_no|source_row|winner_file_no|winner_row|source_rank|part|placed\.part|plays|(marked\.)?(copies|occurrence)) as (integer|bigint|tinyint)$/,
    'a count or number of our own',
  ],
  [/^facts as tinyint$|^facts_of\([^)]*\) as tinyint$/, 'a count up to 8'],
  [/^(started_at|ended_at|reported_at|occurred_at) as timestamp$/, 'a timestamp already: read by parse_instant'],
  [/^(content_hash|name_hash) as ubigint$/, 'a hash'],
  [/^played_ms as bigint$/, 'read by parse_length'],
  [/^(has_uri|has_name) as (boolean|integer)$/, 'whether a text is there'],
  [/^facts \+ 9 \* \(.*\) as tinyint$/, 'a count up to 26'],
  [
    /^floor\(\(?epoch\((\w+\.)?(ended_at|started_at|reported_at|(scrobble_)?opens_at|closes_at)\)( [+-] [\d *]+\))? \/ (60|3600)\) as bigint$/,
    'minutes or hours of an instant that is possible',
  ],
  [
    /^reported_at as date$|^moment as date$|^epoch_ms\(moment\) \/\/ 86400000 as bigint$/,
    'the day of an instant that is possible',
  ],
  [/^starts_on \+ interval 1 (day|year) as date$/, 'a date up to 2999: read by parse_date'],
];

/** The text between a parenthesis and its partner. */
function inside(text: string, open: number): string {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    if (text[at] === ')') depth -= 1;
    if (depth === 0) return text.slice(open + 1, at);
  }
  throw new Error('no partner');
}

const selects = readdirSync(SILVER)
  .filter((name) => name.endsWith('.sql'))
  .map((name) => ({ name, text: readFileSync(join(SILVER, name), 'utf8').replaceAll(/--.*$/gm, '') }));

describe('readings of values', () => {
  it.each(selects)('F69: $name casts nothing that a source has written, but by try_cast', ({ text }) => {
    const casts = [...text.matchAll(/(?<![\w])cast\(/g)].map((match) =>
      inside(text, match.index + match[0].length - 1)
        .replaceAll(/\s+/g, ' ')
        .trim(),
    );
    expect(casts.filter((cast) => !OWN_VALUES.some(([own]) => own.test(cast)))).toEqual([]);
  });

  it.each(selects)('F69: $name makes no timestamp, date or number of a text in another way', ({ text }) => {
    const plain = text
      .replaceAll(/\btry\((?:[^()]|\([^()]*\))*\)/g, 'try')
      .replaceAll(/make_timestamp\(epoch_us\(try_cast\(/g, '');
    expect(
      plain.match(
        /::|\b(make_timestamp|make_date|strptime|to_timestamp|chr|json_transform_strict|error)\((?!65533\))/g,
      ),
    ).toBeNull();
  });
});

it('the bounds are the ones that docs/steps/transform.md tells', () => {
  const macros = selects.find(({ name }) => name === 'macros.sql')!.text;
  const bounds = [...macros.matchAll(/macro most_\w+\(\) as (\d+);/g)].map(([, bound]) =>
    Number(bound).toLocaleString('en'),
  );
  expect(bounds).toHaveLength(5);
  const page = readFileSync(join(ROOT, 'docs/steps/transform.md'), 'utf8');
  expect(bounds.filter((bound) => !page.includes(` ${bound} `))).toEqual([]);
});

describe('extreme values', () => {
  it('F69: in every place of every bronze table cost at most their own row: silver is made, and gold of it', async () => {
    const lake = await makeTestLake();
    try {
      const files = extremeFiles();
      await lake.add(...files);
      const run = await lake.transform();
      const { transform_failed, transform_memory, ...codes } = run.quarantined;
      expect([transform_failed, transform_memory]).toEqual([undefined, undefined]);
      expect(run.accounts.read).toBe(files.reduce((sum, file) => sum + (file.readRows ?? file.rows.length), 0));
      for (const code of [
        'time_invalid',
        'length_invalid',
        'number_invalid',
        'rank_invalid',
        'streams_invalid',
        'duration_invalid',
      ])
        expect([code, (codes[code] ?? 0) > 0]).toEqual([code, true]);

      for (const [table, column, most] of [
        ['plays', 'played_ms', 1e10],
        ['plays', 'duration_ms', 1e10],
        ['listening_events', 'played_ms', 1e10],
        ['tracks', 'duration_ms', 1e10],
        ['tracks', 'track_number', 1e7],
        ['artists', 'followers', 1e11],
        ['albums', 'total_tracks', 1e7],
        ['playlists', 'item_count', 1e7],
        ['chart_entries', 'streams', 1e12],
        ['track_features', 'loudness_db', 1e6],
      ] as const) {
        const values = (await lake.rows(table, `${column} as value`)).flatMap(({ value }) =>
          value === null ? [] : [Number(value)],
        );
        // The largest that is taken is there; nothing is beyond it.
        if (table !== 'track_features') expect([table, column, Math.max(...values)]).toEqual([table, column, most]);
        expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(most);
      }
      for (const { table, columns } of readContracts().filter(({ layer }) => layer === 'silver')) {
        for (const { name, type } of columns.filter(
          (column) => column.type === 'timestamp' || column.type === 'date',
        )) {
          const [row] = await lake
            .rows(table, `min(year(${name})) as first, max(year(${name})) as last`)
            .catch((error) => {
              throw new Error(`${table}.${name} ${type}`, { cause: error });
            });
          if (row?.first != null)
            expect([table, name, Number(row.first) >= 1000 && Number(row.last) <= 2999]).toEqual([table, name, true]);
        }
      }

      const before = await lake.content();
      await lake.transform({ rebuild: true });
      expect(await lake.content()).toEqual(before);

      const engine = await openEngine(lake.effects.store, lake.effects);
      try {
        const built = await enrich({ runId: 'extremes' }, { ...lake.effects, engine });
        expect(built.status).toBe('built');
      } finally {
        await engine.close();
      }
    } finally {
      await lake.close();
    }
  }, 600_000);
});

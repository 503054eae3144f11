import type { BronzeTable, LinkedRows } from '../../bronze/source.ts';
import { contractOf } from '../../lake/contracts.ts';
import type { Json } from './answers.ts';
import { answersOfPages, writeAnswers } from './bronze.ts';

const NAME = 'api_answers';

/** What can be captured, by the word that follows `extract`, and where the state keeps the ledger of it. */
export const CAPTURE = {
  words: ['recently-played', 'playlists', 'library', 'metadata'],
  stateKey: 'spotify',
} as const;

/**
 * The description of a track stands in the first row of the file that has it; the other rows name it by its
 * key.
 */
const DESCRIBED: LinkedRows = {
  completeSql: (relation) => `
    select answers.* replace (coalesce(answers.content, described.content) as content)
    from ${relation} as answers
    left join (
        select source_key, content_key, any_value(content) as content
        from ${relation} where content is not null group by source_key, content_key
    ) as described on answers.source_key = described.source_key and answers.content_key = described.content_key`,
  storedSql(rows) {
    const columns = contractOf('bronze', NAME).columns.map(({ name }) =>
      name === 'content' || name === 'content_bytes'
        ? `case when row_number = first_row then ${name === 'content' ? name : 'strlen(content)'} end as ${name}`
        : name,
    );
    return `
    select ${columns.join(', ')}
    from (${rows}) as rest
    left join (select content_key, min(row_number) as first_row from (${rows}) group by content_key) as firsts
        using (content_key)`;
  },
  order: ['answer', 'position'],
  isCounted: 'position > 0',
  rowGroupRows: 2048,
};

/** Answers of the Web API, a row for each answer and for each item in it. */
export const ANSWERS_TABLE: BronzeTable = {
  name: NAME,
  isOwn: true,
  plays: { stage: 'stg_plays_api', kinds: ['recently_played', 'api_mixed'], isReportedLate: false },
  linkedRows: DESCRIBED,
  formerly: {
    name: 'api_pages',
    isFormer: (key) => key.endsWith('.json'),
    async writeAnew({ engine, path, sha256, output, scratch }) {
      // Personal fields were taken out when the object was written.
      const reader = { withoutPeople: (value: Json) => value };
      await writeAnswers(engine, reader, answersOfPages(path), sha256, output, scratch);
    },
  },
};

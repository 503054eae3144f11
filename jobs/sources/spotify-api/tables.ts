import type { BronzeTable } from '../../bronze/source.ts';

/** Answers of the Web API, a row for each answer and for each item in it. */
export const ANSWERS_TABLE: BronzeTable = { name: 'api_answers', isOwn: true };

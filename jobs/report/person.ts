import type { Section } from './figure.ts';
import type { Reading } from './reading.ts';

/**
 * Questions about one person: `{person}` in a statement becomes the condition for rows that are theirs
 * (column `user_id`).
 */
export interface PersonReading extends Reading {
  userId: string;
  /** The page is for others: no times of day, no places (redact.ts). */
  isRedacted?: true;
}

/**
 * What one chapter tells; `missing` instead, where the data does not carry it: one line with how to fill it.
 */
export type Chapter = { section: Section } | { missing: string };

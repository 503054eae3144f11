import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { readContracts, WAREHOUSE_DIR } from '../lake/contracts.ts';
import type { Target } from '../lake/keys.ts';

/** What a table is, in the words that its contract or model says once. */
export interface Definition {
  /** With its schema. */
  table: string;
  description: string;
  /** What one row is. */
  grain: string;
  columns: { name: string; type: string; description: string }[];
}

/** A question of `warehouse/queries/`. */
export interface Question {
  /** The name of its file, without the ending. */
  name: string;
  /** The comment above the statement. */
  about: string;
  statement: string;
}

interface ModelFile {
  models?: {
    name: string;
    description?: string;
    config?: { meta?: { grain?: string } };
    columns?: { name: string; data_type?: string; description?: string }[];
  }[];
}

/** Every table of silver, and of gold as a target has it, by name. */
export function definitions(target: Target): Definition[] {
  const silver = readContracts()
    .filter(({ layer }) => layer === 'silver')
    .map(({ table, description, grain, columns, partition }) => ({
      ...{ table: `silver.${table}`, description, grain },
      columns: [...columns, ...partition].map(({ name, type, description: about }) => ({
        ...{ name, type, description: about },
      })),
    }));
  const gold = filesUnder(join(WAREHOUSE_DIR, 'models'), '.yml').flatMap((path) =>
    ((parse(readFileSync(path, 'utf8')) as ModelFile).models ?? []).map((model) => ({
      table: `gold_${target}.${model.name}`,
      description: oneLine(model.description),
      grain: oneLine(model.config?.meta?.grain),
      columns: (model.columns ?? []).map(({ name, data_type = '', description }) => ({
        ...{ name, type: data_type, description: oneLine(description) },
      })),
    })),
  );
  return [...gold, ...silver].toSorted((a, b) => (a.table < b.table ? -1 : 1));
}

/** The ready-made questions, by name. */
export function questions(): Question[] {
  return filesUnder(join(WAREHOUSE_DIR, 'queries'), '.sql').map((path) => {
    const statement = readFileSync(path, 'utf8');
    const comments = /^(?:--[^\n]*\n)*/.exec(statement)?.[0] ?? '';
    return { name: basename(path, '.sql'), about: oneLine(comments.replaceAll(/^-- ?/gm, '')), statement };
  });
}

function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name));
}

function oneLine(text = ''): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

/**
 * `models-by-hand.ts <lake.duckdb> <statements.json>`: each select into a table of DuckDB's memory, and no
 * more.
 */
import { readFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const [catalog = '', statements = ''] = process.argv.slice(2);
const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
const connection = await instance.connect();
await connection.run(`attach '${catalog}' as lake (read_only)`);
await connection.run(`set TimeZone = 'UTC'`);
await connection.run('set integer_division = true');
await connection.run('create schema gold');
for (const [name, select] of JSON.parse(readFileSync(statements, 'utf8')) as [string, string][])
  await connection.run(`create table gold."${name}" as ${select}`);
connection.closeSync();

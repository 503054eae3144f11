/**
 * The fastest that reading this JSON can reasonably be: DuckDB alone, types inferred, nothing checked, one
 * Parquet file.
 */
import { DuckDBInstance } from '@duckdb/node-api';

const [source, target] = process.argv.slice(2);
const connection = await (await DuckDBInstance.create(':memory:')).connect();
await connection.run(
  `copy (select * from read_json('${source}/*.json')) to '${target}' (format parquet, compression zstd)`,
);

/** DuckDB's own COPY of a view of the lake: `node bench/bare-copy.ts LAKE.duckdb VIEW FILE OPTIONS`. */
import { DuckDBInstance } from '@duckdb/node-api';

const [catalog, view, target, options] = process.argv.slice(2);
const connection = await (await DuckDBInstance.create(catalog!, { access_mode: 'READ_ONLY' })).connect();
await connection.run(`copy (select * from ${view}) to '${target}' (${options})`);

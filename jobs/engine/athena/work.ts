/**
 * Work on Athena's machines for `transform` (decision 43): bronze is read by the names of its objects, what is
 * needed twice is kept as a table of this work, and partitions of silver are written where they will be read.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { atMost } from '../../base/concurrency.ts';
import { JobError } from '../../base/errors.ts';
import { hashText } from '../../base/hash.ts';
import { type Contract, contractOf, WAREHOUSE_DIR } from '../../lake/contracts.ts';
import { emptySilverPrefix, silverVersionPrefix, tablePrefix, workPrefix, workTablePrefix } from '../../lake/keys.ts';
import { hashOf, type OutputFile, objectsOf, type SilverFile } from '../../lake/manifest.ts';
import type { ObjectInfo } from '../../lake/store.ts';
import {
  type DeclaredColumn,
  type EngineWork,
  MAX_ROWS,
  PARTS_MAX,
  type PartsRequest,
  type SqlValue,
} from '../index.ts';
import { contractPartitions, workTable } from './catalog.ts';
import type { Finished, StatementRunner } from './client.ts';
import { type Definition, expanded, type Macros, macrosOf, withDefinitions } from './macros.ts';
import type { Places } from './places.ts';
import { costOf } from './price.ts';
import { damaged, RUN_MARK, refuseAltered } from './relations.ts';
import { identifier, literal } from './sql.ts';

/** A list of objects has to fit into a statement, which may have 262,144 bytes. */
const PATHS_BYTES_MAX = 150_000;
/** Statements that fail on Athena's side are begun anew under other prefixes this often. */
const TRIES_MAX = 3;
const REQUESTS_AT_ONCE = 8;

type WorkParts = Places & { runner: StatementRunner; workGroupOf(target: 'dev'): string };

/** @throws what the calls of `EngineWork` throw; opening it does nothing yet */
export function openWork(parts: WorkParts): EngineWork {
  return new AthenaWork(parts);
}

class AthenaWork implements EngineWork {
  private readonly parts: WorkParts;
  private readonly id = randomBytes(6).toString('hex');
  private readonly database: string;
  private readonly macros: Macros = macrosOf(readFileSync(`${WAREHOUSE_DIR}silver/macros_athena.sql`, 'utf8'));
  private readonly definitions = new Map<string, string>();
  private tables = 0;
  /** Objects of a table of bronze, listed once: it only grows. */
  private readonly listed = new Map<string, ReadonlyMap<string, ObjectInfo>>();
  private statements = 0;
  private scannedBytes = 0;
  private costUsd = 0;

  constructor(parts: WorkParts) {
    this.parts = parts;
    this.database = parts.databaseOf('silver');
  }

  async bronze(table: string, files: readonly OutputFile[]): Promise<void> {
    const { lakeUri, databaseOf } = this.parts;
    const contract = contractOf('bronze', table);
    await this.refuseDamaged(contract, files);
    const names = contract.columns.map(({ name }) => identifier(name)).join(', ');
    const paths = files.map(({ key }) => `${lakeUri}/${key}`);
    const list = paths.map((path) => literal(path)).join(', ');
    let wanted = list === '' ? 'false' : `"$path" in (${list})`;
    if (Buffer.byteLength(list) > PATHS_BYTES_MAX) {
      const name = `paths_of_${table}`;
      await this.put(
        name,
        [{ name: 'path', type: 'varchar' }],
        paths.map((path) => ({ path })),
      );
      wanted = `"$path" in (select path from ${name})`;
    }
    const from = `${identifier(databaseOf('bronze'))}.${identifier(table)}`;
    this.define(`bronze_${table}`, `select ${names} from ${from} where ${wanted}`);
  }

  async put(
    name: string,
    columns: readonly DeclaredColumn[],
    rows: readonly Readonly<Record<string, SqlValue>>[],
  ): Promise<void> {
    const table = this.nextName(name);
    const prefix = workTablePrefix(this.id, table);
    const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    await this.parts.store.put(`${prefix}rows.json`, lines, { ifAbsent: true });
    await this.makeTable(table, columns, { location: prefix, format: 'json' });
    this.define(name, `select * from ${this.nameOf(table)}`);
  }

  define(name: string, select: string): void {
    this.definitions.set(name, expanded(select, this.macros));
  }

  async keep(name: string, columns: readonly DeclaredColumn[], select: string): Promise<void> {
    const table = this.nextName(name);
    await this.makeTable(table, columns, { location: workTablePrefix(this.id, table) });
    await this.run(`insert into ${this.nameOf(table)}\n${typed(columns)}\nfrom (\n${this.whole(select)}\n) as kept`, {
      isRepeatable: false,
    });
    this.define(name, `select * from ${this.nameOf(table)}`);
  }

  async query(select: string): ReturnType<EngineWork['query']> {
    return this.parts.runner.results(await this.run(this.whole(select), { isRepeatable: true }), MAX_ROWS);
  }

  async write(request: PartsRequest): Promise<SilverFile[]> {
    if (request.partitions.length > PARTS_MAX) throw new Error(`more than ${PARTS_MAX} partitions in one statement`);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.writeOnce(request);
      } catch (error) {
        const isAthenas = error instanceof JobError && /^engine_(failed|timeout)$/.test(error.code);
        if (!isAthenas || attempt >= TRIES_MAX) throw error;
      }
    }
  }

  spent(): ReturnType<EngineWork['spent']> {
    return { statements: this.statements, scannedBytes: this.scannedBytes, costUsd: this.costUsd };
  }

  async close(): Promise<void> {
    const { store } = this.parts;
    for (const { key } of await objectsOf(store, workPrefix(this.id))) await store.delete(key);
  }

  /**
   * One statement into a table of its own whose partitions are registered beforehand, each at its new prefix:
   * so the rows come to lie where the manifest will name them, and are copied nowhere.
   */
  private async writeOnce(request: PartsRequest): Promise<SilverFile[]> {
    const contract = contractOf('silver', request.table);
    const version = hashText(`${this.id} ${this.statements}`);
    const table = this.nextName(request.table);
    const { columns, partition } = contract;
    // Nothing lies at the location of the table itself, and nothing ever will.
    await this.makeTable(table, columns, { location: emptySilverPrefix(request.table), partition });
    const files = request.partitions.map((values) => ({
      ...{ key: silverVersionPrefix(request.table, values, version), rows: 0, bytes: 0, sha256: '', partition: values },
    }));
    const create = contractPartitions(contract, this.parts.lakeUri, files);
    await this.parts.catalog.register(this.database, table, { create, update: [], remove: [] }, async () => true);
    const finished = await this.run(this.insertOf(request, contract, table), { isRepeatable: false });
    const written = await this.parts.runner.rowsWritten(finished);
    return this.lookAt(request, files, { table, written });
  }

  private insertOf({ select, constants, partitions }: PartsRequest, contract: Contract, table: string): string {
    const [first] = contract.partition;
    if (first === undefined || contract.partition.length > 1)
      throw new Error(`${contract.table} is not partitioned by one column`);
    const own = new Map(
      Object.entries(constants).map(([name, value]) => [name, `create or replace macro ${name}() as ${value};`]),
    );
    const sql = expanded(select, macrosOf([...own.values()].join('\n')));
    const value = `cast(cast(${identifier(first.from)} as date) as varchar)`;
    const wanted = partitions.map((each) => literal(each[first.name]!)).join(', ');
    return `insert into ${this.nameOf(table)}\n${typed(contract.columns)}, ${value}
from (\n${this.whole(sql)}\n) as rows_of_table\nwhere ${value} in (${wanted})`;
  }

  /** What lies there after the statement, compared with what it says that it has written. */
  private async lookAt(
    { moment }: PartsRequest,
    files: readonly SilverFile[],
    { table, written }: { table: string; written: number | undefined },
  ): Promise<SilverFile[]> {
    const [name] = Object.keys(files[0]?.partition ?? {});
    if (name === undefined) return [];
    const counted = await this.query(
      `select ${identifier(name)}, count(*), to_unixtime(max(${identifier(moment)})) from ${this.nameOf(table)} group by 1`,
    );
    const found = new Map(
      counted.rows.map(([value, rows, seconds]) => [String(value), { rows: Number(rows), seconds }]),
    );
    const whole = await atMost(REQUESTS_AT_ONCE, files, async (file): Promise<SilverFile[]> => {
      const objects = await objectsOf(this.parts.store, file.key);
      const { rows = 0, seconds } = found.get(String(file.partition[name])) ?? {};
      if (objects.length === 0 && rows === 0) return [];
      const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
      const newestMs = Math.round(Number(seconds) * 1000);
      return [{ ...file, rows, bytes, sha256: hashOf(file.key, objects), newestMs }];
    });
    const there = whole.flat().filter(({ rows }) => rows > 0);
    const sum = there.reduce((total, { rows }) => total + rows, 0);
    if (sum !== written || there.some(({ bytes }) => bytes === 0))
      throw new Error(`Athena says that it has written ${written} rows of ${table}, and ${sum} are there`);
    return there;
  }

  private async refuseDamaged({ table }: Contract, files: readonly OutputFile[]): Promise<void> {
    let there = this.listed.get(table);
    if (there === undefined) {
      await refuseAltered(this.parts, contractOf('bronze', table));
      const objects = await objectsOf(this.parts.store, tablePrefix('bronze', table));
      there = new Map(objects.map((object) => [object.key, object]));
      this.listed.set(table, there);
    }
    for (const { key, bytes } of files) {
      const found = there.get(key);
      if (found === undefined) throw damaged('object_missing', key, 'the lake has lost this object');
      if (found.bytes !== bytes) throw damaged('object_damaged', key, 'its bytes are not the ones that were committed');
    }
  }

  private async makeTable(
    table: string,
    columns: readonly DeclaredColumn[],
    { location, ...more }: Parameters<typeof workTable>[2],
  ): Promise<void> {
    await this.parts.catalog.put(
      this.database,
      workTable(table, columns, { location: `${this.parts.lakeUri}/${location}`, ...more }),
    );
  }

  private async run(sql: string, { isRepeatable }: { isRepeatable: boolean }): Promise<Finished> {
    this.statements += 1;
    const finished = await this.parts.runner.run({
      sql,
      database: this.database,
      workGroup: this.parts.workGroupOf('dev'),
      identity: [this.id, this.statements],
      isRepeatable,
    });
    this.scannedBytes += finished.scannedBytes;
    this.costUsd += costOf(finished.scannedBytes);
    return finished;
  }

  /** The select with its macros written out, and what it reads in front of it. */
  private whole(select: string): string {
    const definitions = [...this.definitions].map(([name, sql]): Definition => ({ name, sql }));
    return withDefinitions(expanded(select, this.macros), definitions);
  }

  /** A table that this work has not made yet; `gc` knows by the mark that it is of a run. */
  private nextName(name: string): string {
    this.tables += 1;
    return `${name}${RUN_MARK}${this.id}_${this.tables}`;
  }

  private nameOf(table: string): string {
    return `${identifier(this.database)}.${identifier(table)}`;
  }
}

/** Columns as a table of Glue takes them. */
function typed(columns: readonly DeclaredColumn[]): string {
  const casts = columns.map(({ name, type }) => {
    const precise = type === 'timestamp' ? 'timestamp(3)' : type;
    return `cast(${identifier(name)} as ${precise}) as ${identifier(name)}`;
  });
  return `select ${casts.join(', ')}`;
}

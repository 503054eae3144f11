import type { PseudonymSql } from '../base/personal-fields.ts';
import type { Embedded } from '../engine/duckdb/database.ts';
import type { CsvEncoding, CsvHeader, CsvShape } from '../formats/csv.ts';
import type { JsonScan } from '../formats/json/scanner.ts';
import type { FileKeys, LakeState } from '../lake/manifest.ts';

/**
 * One foreign system: the files that it writes, and what bronze makes of them. `jobs/sources/index.ts` lists
 * them; where two sources would take a file, the earlier one in the list does.
 */
export interface Source {
  /** The name of its folder in `jobs/sources/`. */
  readonly name: string;
  /** Bronze tables that only this source writes; each has a contract. */
  readonly tables: readonly BronzeTable[];
  /** Kinds of JSON whose rows become rows of a table, column by column. */
  readonly rows?: readonly RowSource[];
  /** Kinds of CSV, by header. */
  readonly csv?: readonly CsvSource[];
  /** JSON that is read value by value, by code of the source. */
  readonly documents?: DocumentSource;
  /**
   * Why a file is passed over without being opened, by its name; undefined for every other file.
   *
   * @param head gives the first bytes of the file; it is only asked for where the name alone does not decide
   */
  reasonToIgnore?(fileName: string, head: () => Promise<Buffer>): Promise<string | undefined>;
  /** Why checked JSON is passed over, by its keys; undefined for every other file. */
  reasonToPassOver?(scan: JsonScan): string | undefined;
  /**
   * True for a given file that is of this source by its first bytes, whatever another source says of its
   * name.
   */
  claims?(head: Buffer): boolean;
  /** How its data is fetched over the network; absent for a source that people give as files. */
  readonly capture?: {
    /** What follows `listenlake extract` on the command line. */
    readonly words: readonly string[];
    /** Where the state of the lake keeps what earlier captures know. */
    readonly stateKey: keyof LakeState;
  };
}

/** A bronze table and what is true for every file in it. */
export interface BronzeTable {
  readonly name: string;
  /**
   * True where a file is of the person whose label it was loaded under; false for what is of nobody or of
   * many.
   */
  readonly isOwn: boolean;
  /**
   * Whether content means the same under another name, as far as names alone tell. Absent: names mean
   * nothing.
   */
  isSameName?(storedName: string, name: string): boolean;
  /** True for the name of a file whose plays are of videos. */
  isVideoName?(fileName: string): boolean;
  /** The column that names a row's person, in a table of many people's rows: `forget` removes rows by it. */
  readonly userColumn?: string;
  /** How its rows become plays; absent: they do not. */
  readonly plays?: {
    /** Select of `warehouse/silver/` that types the rows, by name. */
    readonly stage: string;
    /** Kinds of files that have plays; absent: all of them. */
    readonly kinds?: readonly string[];
    /** True where a play may be reported weeks after it ended, as one heard offline is. */
    readonly isReportedLate: boolean;
  };
  /** Absent: every row stands for itself. */
  readonly linkedRows?: LinkedRows;
  /** How older versions of `load` wrote the table. */
  readonly formerly?: FormerTable;
}

/** A table in which a row leaves out what an earlier row of the same file says. */
export interface LinkedRows {
  /** Select of all columns, in which every row says everything. @param relation rows as they are stored */
  completeSql(relation: string): string;
  /** Select of the contract's columns as they are stored. @param rows select of complete rows of one file */
  storedSql(rows: string): string;
  /** Columns by which a file's rows are ordered. */
  readonly order: readonly string[];
  /** Condition for rows that are accounted for. */
  readonly isCounted: string;
  readonly rowGroupRows: number;
}

/**
 * Objects of an older form. They stay as they are in bronze, and are written anew, aside, for who reads them.
 */
export interface FormerTable {
  /** The name of the table in the index of such objects; later ones may have today's name. */
  readonly name: string;
  /** True for the key of such an object. */
  isFormer(key: string): boolean;
  /**
   * Writes `output` in the columns of today.
   *
   * @param old `path` is the object, `sha256` the hash of its source
   */
  writeAnew(old: StagedFile): Promise<void>;
}

/** A kind of JSON file whose rows become rows of one bronze table, column by column. */
export interface RowSource {
  table: string;
  kind: string;
  /** File names of this kind, for files without rows; content decides for the others. */
  name: RegExp;
  /** Keys that rows of this kind have. */
  required: readonly string[];
  /** Keys by which a file of this kind is known even when a required one was renamed. */
  typical: readonly string[];
  /** The rows must stand in an array. */
  isList: boolean;
  /** The key in the file for a column of the contract. */
  keyOf(column: string): string;
  /** Select of `moment` (timestamp) over the table's columns: every time that decides where a row may go. */
  daysSql: string;
  /** Columns that name people as another system does; an address in them is replaced by its pseudonym. */
  people?: readonly string[];
  /**
   * The column that tells accounts apart: the pseudonym of the user name that the file has under this key. It
   * is null where there is no key to make a pseudonym with.
   */
  account?: { column: string; key: string };
  /** Columns that are made of others, as SQL over the keys of the file. */
  derived?: Readonly<Record<string, (pseudonyms: PseudonymSql) => string>>;
  /** How the silver table is partitioned. */
  period: 'month' | 'day';
  /**
   * Rows that are kept in bronze and that no later job reads: what tells them, as SQL over the table's
   * columns, and why. Absent: there are none.
   */
  passedOver?: { isSql: string; why: string };
  /** True where the name says something else than the name that the same content is stored under. */
  saysOther?(storedName: string, name: string): boolean;
}

/** What the name of a file says of every record in it. */
export interface NamedContent {
  /** Columns of the bronze table that the name fills. */
  columns: Readonly<Record<string, string | null>>;
  /** Months (`YYYY-MM`) of the records. */
  periods: readonly string[];
}

/** A kind of CSV file. Its records are stored as they are, or (with `rows`) as the rows of a kind of JSON. */
export interface CsvSource extends CsvShape {
  table: string;
  /**
   * What the file's name says of its records.
   *
   * @throws JobError (65) where the name lacks what the records need
   */
  nameSays?(fileName: string): NamedContent;
  /** The month (`YYYY-MM`) that a record belongs to, where the record itself says it. */
  periodOf?(record: Readonly<Record<string, string>>): string | undefined;
  /** Its records become rows of a kind of JSON. */
  rows?: CsvRecords | CsvOfItsOwn;
}

/** Records that are such rows: the key for a column (the same where none is given), and its value. */
interface CsvRecords {
  source: RowSource;
  keyOf: ReadonlyMap<string, string>;
  cellOf?: (key: string, text: string) => string;
}

/** A file that code of the source reads: it is checked as a whole, or is more than one table. */
interface CsvOfItsOwn {
  source: RowSource;
  /**
   * Keys of the kind to values, row by row; what a row does not have is absent.
   *
   * @throws JobError (65): the file is refused
   */
  recordsOf(path: string, encoding: CsvEncoding, header: CsvHeader): AsyncIterable<Readonly<Record<string, string>>>;
}

/** JSON that is no list of flat rows: code of the source reads each value and writes the bronze object. */
export interface DocumentSource {
  /** True for a file of this source, by its form and its keys. */
  fits(scan: JsonScan): boolean;
  /** True where its rows name people, so that a lake without a key for pseudonyms cannot take them. */
  namesPeople: boolean;
  /**
   * Writes `staged.output`, Parquet in the columns of the contract.
   *
   * @param people absent only where `namesPeople` is false
   * @throws JobError (65): the file is refused
   */
  write(staged: StagedFile, scan: JsonScan, people: People | undefined): Promise<BronzeDraft>;
}

/** A file that is about to be written as a bronze object, and where that is done. */
export interface StagedFile {
  engine: Embedded;
  /** Local path that the engine may read, without characters of a glob. */
  path: string;
  /** The name that the file was given with. */
  name: string;
  /** SHA-256 (hex) of the file as it was given: `source_key` of its rows. */
  sha256: string;
  /** Where the bronze object is to be written. */
  output: string;
  /** Path for a temporary file; the caller removes it. */
  scratch: string;
}

/** Replaces ids of people, with the key of this lake. */
export interface People {
  pseudonym(id: string): string;
  sql: PseudonymSql;
}

/** Rows of a file that no later job reads, and why. */
export interface PassedOver {
  rows: number;
  why: string;
}

/** A bronze object that is written but not yet in the lake. */
export interface BronzeDraft {
  table: string;
  kind: string;
  format: 'parquet' | 'json';
  /** Rows of the object. */
  rows: number;
  /** Things in the file that must be accounted for: plays, events, records, items of responses. */
  readRows: number;
  /** Rows that need no account, and why; absent where there are none. */
  passedOver?: PassedOver;
  periods: string[];
  /** Pseudonyms of the accounts whose rows it holds, where it says so. */
  accounts?: string[];
  /**
   * How the keys of its rows differ from the contract's; absent where they have none, or there are no rows.
   */
  keys?: FileKeys;
}

/**
 * Why a file is passed over by its name, as the first source that knows it says; undefined for every other
 * file.
 */
export async function reasonToIgnore(
  sources: readonly Source[],
  fileName: string,
  head: () => Promise<Buffer>,
): Promise<string | undefined> {
  for (const source of sources) {
    const reason = await source.reasonToIgnore?.(fileName, head);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The bronze table that has this name, or had it; undefined for one that no source writes (`refused`). */
export function tableOf(sources: readonly Source[], name: string): BronzeTable | undefined {
  for (const { tables } of sources)
    for (const table of tables) {
      if (table.name === name || table.formerly?.name === name) return table;
    }
  return undefined;
}

/** Where Athena's SQL and its results differ from Trino's, for the statements that this project sends. */
import type { TrinoColumn, TrinoType } from './trino-client.ts';

export interface StatementKind {
  type: 'DML' | 'DDL' | 'UTILITY';
  /** Athena's SubstatementType. */
  name: string;
  isSelect: boolean;
  /** Has no rows as a result. */
  isWrite: boolean;
  isTableAsSelect: boolean;
}

/** Properties of Athena's CREATE TABLE AS that Trino's connector does not know. */
const ATHENA_PROPERTIES =
  /\b(table_type|is_external|write_compression|parquet_compression)\s*=\s*('[^']*'|\w+)\s*,?\s*/gi;

export function kindOf(sql: string): StatementKind {
  const text = sql
    .replace(/--.*$/gm, ' ')
    .replace(/\/\*[\s\S]*?\*\//g, ' ')
    .trim();
  const word = /^\w*/.exec(text)?.[0].toUpperCase() ?? '';
  const isTableAsSelect = /^create\s+table\b[\s\S]*\bas\s*\(?\s*(select|with|values|table)\b/i.test(text);
  const isSelect = /^(select|with|values|table|\()/i.test(text);
  const isDml = /^(insert|delete|update|merge|unload)$/i.test(word);
  const isUtility = /^(explain|describe|show)$/i.test(word);
  return {
    type: isSelect || isDml ? 'DML' : isUtility ? 'UTILITY' : 'DDL',
    name: isSelect
      ? 'SELECT'
      : isTableAsSelect
        ? 'CREATE_TABLE_AS_SELECT'
        : isDml || isUtility
          ? word
          : text.split(/\s+/, 2).join('_').toUpperCase(),
    isSelect,
    isWrite: isDml || isTableAsSelect,
    isTableAsSelect,
  };
}

/**
 * The same statement as Trino takes it. Athena's parameters are texts of literals, in the order of the `?`.
 *
 * @param output where the rows of a CREATE TABLE AS go that names no place of its own
 */
export function toTrino(
  sql: string,
  kind: StatementKind,
  parameters: readonly string[] | undefined,
  output: string,
): string {
  let text = sql.trim().replace(/;\s*$/, '');
  const isIceberg = kind.isTableAsSelect && /\btable_type\s*=\s*'iceberg'/i.test(text);
  if (isIceberg) {
    // Athena wants both of an Iceberg table, and has one catalog for all tables.
    if (!/\blocation\s*=/i.test(text) || !/\bis_external\s*=\s*false/i.test(text))
      throw new Error('an Iceberg table needs a location and is_external = false');
    text = text
      .replace(ATHENA_PROPERTIES, '')
      .replace(/,\s*\)/, ')')
      .replace(/^create\s+table\s+/i, '$&iceberg.');
  } else if (kind.isTableAsSelect) {
    text = text.replace(ATHENA_PROPERTIES, '').replace(/,\s*\)/, ')');
    const place = /\bexternal_location\b/i.test(text) ? '' : `external_location = '${output}/'`;
    if (/^create\s+table\s+\S+\s+with\s*\(/i.test(text))
      text = text.replace(/\bwith\s*\(/i, `with (${place}${place && ', '}`);
    else text = text.replace(/\bas\b/i, `with (${place}) as`);
  }
  if (parameters === undefined || parameters.length === 0) return text;
  return `execute immediate '${text.replaceAll("'", "''")}' using ${parameters.join(', ')}`;
}

/** A value as Athena writes it: everything is text, null is null. */
export function textOf(value: unknown, type: TrinoType): string | null {
  if (value === null || value === undefined) return null;
  const inner = (at: number): TrinoType => type.arguments[at]!.value as TrinoType;
  const part = (entry: unknown, of: TrinoType): string => textOf(entry, of) ?? 'null';
  if (type.rawType === 'array') return `[${(value as unknown[]).map((entry) => part(entry, inner(0))).join(', ')}]`;
  if (type.rawType === 'map') {
    return `{${Object.entries(value as object)
      .map(([key, entry]) => `${key}=${part(entry, inner(1))}`)
      .join(', ')}}`;
  }
  if (type.rawType === 'row') {
    const fields = type.arguments.map(
      ({ value: field }) => field as { fieldName?: { name: string }; typeSignature: TrinoType },
    );
    return `{${fields.map(({ fieldName, typeSignature }, at) => `${fieldName?.name ?? `field${at}`}=${part((value as unknown[])[at], typeSignature)}`).join(', ')}}`;
  }
  if (type.rawType === 'varbinary')
    return Buffer.from(String(value), 'base64')
      .toString('hex')
      .replace(/..(?=.)/g, '$& ');
  return String(value);
}

/** A column as GetQueryResults describes it. */
export function columnInfo({ name, typeSignature }: TrinoColumn): object {
  const type = typeSignature.rawType;
  const numbers = typeSignature.arguments.map(({ value }) => Number(value));
  const [precision, scale] = precisionOf(type, numbers);
  return {
    CatalogName: 'hive',
    SchemaName: '',
    TableName: '',
    Name: name,
    Label: name,
    Type: type === 'real' ? 'float' : type,
    Precision: precision,
    Scale: scale,
    Nullable: 'UNKNOWN',
    CaseSensitive: type === 'varchar' || type === 'char',
  };
}

function precisionOf(type: string, numbers: number[]): [number, number] {
  if (type === 'decimal') return [numbers[0] ?? 38, numbers[1] ?? 0];
  if (type === 'varchar' || type === 'char') return [Math.min(numbers[0] ?? 2_147_483_647, 2_147_483_647), 0];
  const fixed: Record<string, number> = {
    tinyint: 3,
    smallint: 5,
    integer: 10,
    bigint: 19,
    real: 17,
    double: 17,
    timestamp: 3,
  };
  return [fixed[type] ?? 0, 0];
}

import type { ContractColumn } from '../lake/contracts.ts';

/** The engine's name of a contract's type. */
export function sqlType(column: ContractColumn): string {
  return column.type === 'timestamp' ? 'timestamp_ms' : column.type;
}

/**
 * Jest runs every test file in a realm of its own, so errors of Node's own modules (a reset connection) are
 * no `instanceof Error` there, and the AWS SDK packs what it does not know into an empty error. Outside Jest
 * there is one realm and nothing to do.
 */
import { types } from 'node:util';

export function joinRealms(): void {
  Object.defineProperty(Error, Symbol.hasInstance, {
    configurable: true,
    value(this: unknown, value: unknown): boolean {
      if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
      return this === Error && types.isNativeError(value);
    },
  });
}

/** Jest in ESM mode: the sources are ESM and so are yargs and others (run with --experimental-vm-modules). */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  // Far beyond what any test takes: it ends one that hangs, and never one on a busy machine.
  testTimeout: 600_000,
};

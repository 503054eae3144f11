import type { IConfiguration } from 'dependency-cruiser';

/** From the ground up. A room knows what stands before it in this list, and nothing that stands after it. */
const ROOMS = [
  'base',
  'lake',
  'engine',
  'effects',
  'formats',
  'bronze',
  'sources',
  'stream',
  'silver',
  'gold',
  'training',
  'lineage',
  'report',
  'profile',
  'serve',
  'removal',
  'serverless',
];
/** Jobs (one file per command), what reads the command line, and the entry. */
const ABOVE = ['^jobs/[a-z]+[.]ts$', '^jobs/commands/', '^jobs/(cli|lambda)[.]ts$'];

const pathOf = (room: string): string => `^jobs/${room}/`;

/** The layout of `jobs/` as rules about imports (docs/contributing.md says what lies where). */
export const IMPORT_RULES: IConfiguration = {
  forbidden: [
    { name: 'no-circle', severity: 'error' as const, from: {}, to: { circular: true } },
    ...ROOMS.map((room, index) => ({
      name: `${room}-imports-down`,
      severity: 'error' as const,
      from: { path: pathOf(room) },
      // What was removed from bronze is built anew by the jobs themselves.
      to: { path: [...ROOMS.slice(index + 1).map(pathOf), ...(room === 'removal' ? ABOVE.slice(1) : ABOVE)] },
    })),
    {
      name: 'a-job-calls-no-job',
      comment: 'but for `run`, which is all of them in order',
      severity: 'error' as const,
      from: { path: '^jobs/[a-z]+[.]ts$', pathNot: '^jobs/(run|cli|lambda)[.]ts$' },
      to: { path: ABOVE },
    },
    {
      name: 'commands-import-down',
      severity: 'error' as const,
      from: { path: '^jobs/commands/' },
      to: { path: '^jobs/(cli|lambda)[.]ts$' },
    },
    {
      name: 'jobs-know-no-test',
      severity: 'error' as const,
      from: { path: '^jobs/' },
      to: { path: '^(tests|bench)/' },
    },
    {
      name: 'in-a-room',
      severity: 'error' as const,
      from: {},
      to: { path: '^jobs/', pathNot: [...ROOMS.map(pathOf), ...ABOVE] },
    },
  ],
  // The compiler of this version has no interface for others: swc reads the types.
  options: { parser: 'swc', tsPreCompilationDeps: true, doNotFollow: { path: 'node_modules' } },
};

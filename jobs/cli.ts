import { mkdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Before any other module: half of a command's start-up is compiling what has not changed since the last one.
// Node would look for ever for a place under a temporary folder that takes no folders, so it is made here
// first.
const compiled = join(tmpdir(), 'node-compile-cache');
let isCacheThere = true;
try {
  mkdirSync(compiled);
} catch (error) {
  isCacheThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
}
if (isCacheThere) enableCompileCache(compiled);

// `listenlake sql ... | head` closes our stdout: the reader has what it wanted, and that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

// As a container's first process we get no signal that nobody listens to: until a job listens itself
// (effects.ts), a signal ends us here.
if (process.pid === 1) {
  const codes = { SIGINT: 130, SIGTERM: 143 } as const;
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => process.listenerCount(name) === 1 && process.exit(codes[name]));
}

const { main } = await import('./commands/index.ts');
process.exitCode = await main(process.argv.slice(2), process.env);

// All is done and said, and whoever reads it has it. What a failed job has left under way (a download whose
// turn never came) would hold the process for as long as its time-outs are.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
setTimeout(() => process.exit(), 1_000).unref();

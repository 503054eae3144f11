import { enableCompileCache } from 'node:module';

// Before any other module: half of a command's start-up is compiling what has not changed since the last one.
enableCompileCache();

// `listenlake sql ... | head` closes our stdout: the reader has what it wanted, and that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const { main } = await import('./commands/index.ts');
process.exitCode = await main(process.argv.slice(2), process.env);

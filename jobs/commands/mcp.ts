import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobError } from '../base/errors.ts';
import { ROOT } from '../base/installation.ts';
import type { Command } from './command.ts';
import { TARGET_OPTION, target } from './command.ts';

/** The lake for assistants. */
export const MCP: Command = {
  usage: 'mcp',
  group: 'look',
  summary: 'Serve the Model Context Protocol on stdin and stdout: an assistant asks your tables',
  reads: 'silver, gold',
  writes: '-',
  options: {
    target: { ...TARGET_OPTION.target, default: 'prod', describe: 'Which gold: prod (default) or dev' },
  },
  isWriter: false,
  async runAlone(args) {
    if (args.json === true)
      throw new JobError('usage_invalid', 'usage', 'stdout is the protocol: there is no --json', {
        hint: 'leave it out',
      });
    return undefined;
  },
  async run(args, effects) {
    const { StdioServerTransport } = await import('@modelcontextprotocol/sdk/server/stdio.js');
    const { serveTools } = await import('../mcp.ts');
    const { formatResult } = await import('../sql.ts');
    const transport = new StdioServerTransport();
    // The transport itself waits for a client that has gone.
    process.stdin.once('end', () => void transport.close());
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const show = (result: Parameters<typeof formatResult>[0]): string => formatResult(result, 'json');
    const answered = await serveTools({ target: target(args), version, transport, show }, effects);
    return { text: '', json: { answered }, isRaw: true };
  },
};

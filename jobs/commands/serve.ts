import { openInBrowser } from '../base/browser.ts';
import { JobError } from '../base/errors.ts';
import type { Command } from './command.ts';
import { TARGET_OPTION, target, whole } from './command.ts';

const PORT = '8787';
const PORT_MAX = 65_535;

/** The dashboard. */
export const SERVE: Command = {
  usage: 'serve',
  group: 'look',
  summary: 'The dashboard in a browser: filters, artists, songs, two periods side by side; until Ctrl-C',
  reads: 'gold_prod',
  writes: '-',
  options: {
    target: { ...TARGET_OPTION.target, default: 'prod', describe: 'Which gold: prod (default) or dev' },
    port: { type: 'string', requiresArg: true, default: PORT, describe: 'Port; 0 for any that is free' },
    host: {
      type: 'string',
      requiresArg: true,
      default: '127.0.0.1',
      describe: 'IP address to listen on. Any but this machine alone needs the token that is printed',
    },
    open: { type: 'boolean', default: false, describe: 'Open the dashboard in the browser' },
  },
  isWriter: false,
  examples: [
    ['listenlake serve --open', ''],
    ['listenlake serve --host 0.0.0.0', 'for other machines, with the token'],
  ],
  async run(args, effects) {
    const { serve } = await import('../serve.ts');
    const port = whole('--port', String(args.port));
    if (port > PORT_MAX)
      throw new JobError('usage_invalid', 'usage', `--port ${port} is no port`, { hint: `0 to ${PORT_MAX}` });
    const onListening = (address: string): void => {
      process.stdout.write(
        args.json === true ? `${JSON.stringify({ address })}\n` : `serve: ${address}\nCtrl-C ends it\n`,
      );
      if (args.open === true) openInBrowser(address);
    };
    await serve({ host: String(args.host), port, target: target(args), onListening }, effects);
    return { text: 'serve: ended', json: { status: 'ended' } };
  },
};

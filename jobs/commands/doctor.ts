import type { Finding } from '../base/finding.ts';
import type { Command } from './command.ts';
import { LABEL_CHARS } from './lines.ts';

/** What is wrong, and what to do about it. */
export const DOCTOR: Command = {
  usage: 'doctor',
  group: 'look',
  isPersonal: true,
  summary: 'Look at the machine, the configuration and the lake; say what to do',
  reads: 'everything',
  writes: '-',
  options: {
    verify: {
      type: 'boolean',
      default: false,
      describe: 'Also read every committed object and compare it with its manifest',
    },
    aws: {
      type: 'boolean',
      default: false,
      describe: 'Also compare the contracts and models with what the AWS account holds: bucket, tables, workgroups',
    },
    spotify: {
      type: 'boolean',
      default: false,
      describe: 'Also call each part of the Web API once: what this app may read is remembered for extract',
    },
  },
  isWriter: (args) => args.spotify === true,
  // An account is looked at before the first import, too: right after `terraform apply` its bucket is empty.
  needsLake: (args) => args.lake !== undefined && args.aws !== true,
  async run(args, effects, runId) {
    const { doctor } = await import('../doctor.ts');
    const findings = await doctor({ verify: args.verify === true, aws: args.aws === true }, effects);
    if (args.spotify === true)
      findings.push(...(await (await import('../sources/spotify-api/probe.ts')).doctorSpotify({ runId }, effects)));
    const isBroken = findings.some((finding) => finding.verdict === 'fail');
    return {
      text: findingsText(findings),
      json: { status: isBroken ? 'broken' : 'well', findings },
      exit: isBroken ? 'data' : 'ok',
    };
  },
};

/** One line for each finding of `doctor`. */
export function findingsText(findings: Finding[]): string {
  const marks = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' };
  return findings.map(({ name, verdict, text }) => `${marks[verdict]} ${name.padEnd(LABEL_CHARS)} ${text}`).join('\n');
}

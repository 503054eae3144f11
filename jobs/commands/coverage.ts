import { count } from '../base/words.ts';
import type { CoverageResult } from '../coverage.ts';
import type { Cause } from '../report/gaps.ts';
import { CAUSE_TEXTS, REMEDIES } from '../report/gaps.ts';
import type { Command } from './command.ts';
import { capped, number, row } from './lines.ts';

/** Looks at what exports and polls leave open; a schedule runs it to be told. */
export const COVERAGE: Command = {
  usage: 'coverage',
  group: 'look',
  summary: 'How much of the listening is covered by exports and polls, the open gaps and why, the newest capture',
  reads: 'gold_prod',
  writes: '-',
  options: {},
  isWriter: false,
  async run(_args, effects) {
    const { coverage } = await import('../coverage.ts');
    const result = await coverage(effects);
    const json = {
      status: result.status,
      users: result.users,
      days: result.days,
      covered_share: result.coveredShare,
      gaps: result.gaps,
      gap_hours: result.gapHours,
      newest_capture: result.newestCapture,
      newest_export: result.newestExport,
    };
    return { text: coverageText(result), json };
  },
};

/** How much of the listening is covered, and the open gaps with what to do. */
export function coverageText(result: CoverageResult): string {
  if (result.status === 'none') {
    return [
      'nothing is covered yet: gold_prod knows of no account export and no poll',
      row('next', 'listenlake run my_spotify_data.zip, or listenlake login'),
    ].join('\n');
  }
  // Never 100 % where anything is missing.
  const share = `${(Math.floor((result.coveredShare ?? 0) * 1000) / 10).toFixed(1)} % of the hours of ${count(result.days, 'day')}`;
  const whose = result.users === 1 ? '' : ` of ${count(result.users, 'user')}`;
  const time = (at: string | null): string => (at === null ? 'never' : `${at.slice(0, 16).replace('T', ' ')} UTC`);
  const gaps = result.longestGaps.flatMap(({ userId, from, to, hours, causes }) => {
    const when = from === to ? from : `${from} to ${to}`;
    const who = result.users === 1 ? '' : ` (${userId})`;
    const why = causes.map((cause) => CAUSE_TEXTS[cause]).join('; ');
    return [row('', `${when}${who}: ${duration(hours)}, ${why}`)];
  });
  const remedies = new Set(
    result.longestGaps.flatMap(({ causes }) => causes.filter(isOpen).map((cause) => REMEDIES[cause])),
  );
  return [
    row('covered', `${share}${whose}, ${result.firstDate} to ${result.lastDate}`),
    row('exports', `newest row ${time(result.newestExport)}`),
    row('polls', `newest ${time(result.newestCapture)}`),
    row('gaps', result.gaps === 0 ? 'none' : `${count(result.gaps, 'gap')}, ${duration(result.gapHours)}`),
    ...capped(gaps),
    ...[...remedies].map((text, index) => row(index === 0 ? 'next' : '', text)),
  ].join('\n');
}

function isOpen(cause: Cause): boolean {
  return cause !== 'before_first_source';
}

function duration(hours: number): string {
  if (hours < 1) return `${Math.max(1, Math.round(hours * 60))} min`;
  return hours < 48 ? `${number(Math.round(hours * 10) / 10)} h` : `${number(Math.round(hours / 2.4) / 10)} days`;
}

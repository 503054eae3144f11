import { pick, type Random } from './random.ts';
import type { Device } from './skip-model.ts';

/** `local` and `unattributed` plays carry no names and no uri. `video` is an episode with pictures. */
export type PlayKind = 'track' | 'episode' | 'chapter' | 'video' | 'local' | 'unattributed';

/** What the plays of one sitting share. */
export interface OwnSession {
  device: Device;
  /** Free text until October 2023 when faults are wanted, a coarse word after. */
  platform: string;
  country: string;
  ip: string | null;
  isShuffle: boolean;
  isIncognito: boolean;
  isOffline: boolean;
}

const COARSE_SINCE_MS = Date.UTC(2023, 9, 1);
/** The weeks for which real exports have rows without any metadata. */
const UNATTRIBUTED_WEEKS = [
  [Date.UTC(2022, 9, 10), Date.UTC(2023, 1, 6)],
  [Date.UTC(2024, 6, 1), Date.UTC(2024, 6, 29)],
] as const;

const PLATFORMS_BEFORE: Record<Device, readonly string[]> = {
  smartphone: ['iOS 14.4 (iPhone12,1)', 'Android OS 10 API 29 (synthetic, SYN-1000)', 'iOS 11.2 (iPhone8,1)'],
  desktop: [
    'Windows 10 (10.0.19042; x64; AppX)',
    'OS X 11.2.3 [x86 8]',
    'Linux [x86-64 0]',
    'web_player linux undefined;chrome 96.0.4664.45;desktop',
  ],
  tablet: ['iOS 15.1 (iPad7,5)'],
  speaker: ['Partner synthetic cast_audio Loomspeaker One;4500;synthetic_audio;0.1'],
  tv: ['Partner android_tv Synthetic;TV-4K;;tpapi'],
  car: ['Android OS 9 API 28 (synthetic, Dashboard)'],
};
const PLATFORMS_SINCE: Record<Device, readonly string[]> = {
  smartphone: ['ios', 'android'],
  desktop: ['windows', 'osx', 'linux', 'web_player'],
  tablet: ['ios'],
  speaker: ['cast'],
  tv: ['tv'],
  car: ['android'],
};

/**
 * Draws what a session's plays share. Private and offline sessions, country `ZZ` and free-text platforms are
 * planted with `faults` alone.
 */
export function createOwnSession(
  random: Random,
  plan: { device: Device; country: string; isMusic: boolean; faults: boolean; startMs: number },
): OwnSession {
  const { device, faults } = plan;
  const isFreeText = faults && plan.startMs < COARSE_SINCE_MS;
  return {
    platform: pick(random, (isFreeText ? PLATFORMS_BEFORE : PLATFORMS_SINCE)[device]),
    country: faults && random.chance(0.006) ? 'ZZ' : plan.country,
    device,
    ip: documentationAddress(random),
    isShuffle: random.chance(0.35),
    isIncognito: faults && random.chance(0.02),
    isOffline: faults && plan.isMusic && random.chance(0.03),
  };
}

/** What a session is of: mostly music. */
export function sessionKind(random: Random, faults: boolean, startMs: number): PlayKind {
  const point = random.next();
  if (faults && point < 0.01) return 'local';
  if (faults && point < 0.35 && UNATTRIBUTED_WEEKS.some(([from, to]) => startMs >= from && startMs < to))
    return 'unattributed';
  if (point > 0.94) return 'episode';
  if (point > 0.925) return 'chapter';
  return point > 0.905 ? 'video' : 'track';
}

/** An address that documentation may use (RFC 5737, RFC 3849) and nobody has; sometimes none. */
function documentationAddress(random: Random): string | null {
  if (random.chance(0.01)) return null;
  if (random.chance(0.08)) return `2001:db8::${random.int(0x1_0000).toString(16)}`;
  return `${pick(random, ['192.0.2', '198.51.100', '203.0.113'])}.${1 + random.int(254)}`;
}

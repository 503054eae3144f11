import { createHash, randomUUID } from 'node:crypto';
import { GetSecretValueCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { type AwsOptions, awsCaller, clientSettings, nameOf, toJobError } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';
import { LOCK_STALE_MS, LOCK_WAIT_MAX_MS, parseToken, type Token, type TokenStore } from './token-store.ts';
import type { Web } from './transport.ts';

/** A version of the secret: its id, and the login in it. */
interface Version {
  id: string;
  token: Token;
}

/** Holds the newest claim, so that it is not the value that others read. */
const CLAIM_STAGE = 'listenlake-claim';
const POLL_MS = 500;
/**
 * Refreshes of one version that failed, or whose process is gone. A Spotify that is down for a week of half
 * hours leaves 336.
 */
const CLAIMS_MAX = 1_000;

/**
 * A login in AWS Secrets Manager: one JSON object, the same as in the token file.
 *
 * One job at a time by what the service guarantees: a version's id can be given only once. Who wants to
 * refresh the login of version V first puts a claim whose id follows from V, and of two jobs the second is
 * refused; the login that follows V has an id that follows from V, too, so that a job that was away for long
 * cannot put a second one. A claim that was given back, or is older than `LOCK_STALE_MS`, is passed by with
 * the next claim of V. No right is needed but to read and put values.
 *
 * @param name name or ARN of the secret
 * @see https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
 *   (ClientRequestToken, VersionStages)
 */
export function secretTokenStore(
  name: string,
  web: Pick<Web, 'sleep' | 'random' | 'now'>,
  aws: AwsOptions = {},
): TokenStore {
  const region = /^arn:[^:]+:secretsmanager:([^:]+):/.exec(name)?.[1];
  const options = region === undefined ? aws : { region, ...aws };
  const caller = awsCaller(() => new SecretsManagerClient(clientSettings(options)), options);
  const place = { file: `secret ${name}` };

  /**
   * The text of a version, by its id or of the current one; undefined where the secret has no such version.
   */
  async function get(id?: string): Promise<{ id: string; text: string } | undefined> {
    const which = id === undefined ? {} : { VersionId: id };
    try {
      const answer = await caller.send((client) =>
        client.send(new GetSecretValueCommand({ SecretId: name, ...which })),
      );
      return { id: answer.VersionId ?? '', text: answer.SecretString ?? '' };
    } catch (error) {
      if (nameOf(error) === 'ResourceNotFoundException' && isOfVersion(error)) return undefined;
      throw translated(error, 'read');
    }
  }

  /**
   * Puts a version; false where one of that id is there with another text. Sent again, it is the same
   * version.
   */
  async function put(id: string, text: string, stage: string): Promise<boolean> {
    const input = { SecretId: name, ClientRequestToken: id, SecretString: text, VersionStages: [stage] };
    try {
      await caller.send((client) => client.send(new PutSecretValueCommand(input)));
      return true;
    } catch (error) {
      if (nameOf(error) === 'ResourceExistsException') return false;
      throw translated(error, 'write');
    }
  }

  function translated(error: unknown, doing: 'read' | 'write'): unknown {
    const code = nameOf(error);
    const gone = code === 'ResourceNotFoundException';
    // The service says this of a secret that waits for its deletion.
    if (gone || (code === 'InvalidRequestException' && /delet/i.test((error as Error).message))) {
      return new JobError(
        'secret_missing',
        'config',
        gone ? 'there is no such secret' : 'this secret is marked for deletion',
        {
          place,
          hint: 'make it with Terraform (secrets = ["spotify"]), or give the right name and region (LISTENLAKE_SPOTIFY_TOKEN_SECRET, AWS_REGION)',
        },
      );
    }
    if (code === 'DecryptionFailure' || code === 'EncryptionFailure') {
      return new JobError('secret_denied', 'auth', `cannot ${doing} the secret: its key refuses it (${code})`, {
        place,
        hint: 'the role of this job lacks the right to use the key of the secret; see terraform/iam.tf',
        cause: error,
      });
    }
    return toJobError(error, 'secret', `${doing} the secret ${name}`);
  }

  async function current(): Promise<Version> {
    const found = await get();
    if (found === undefined || found.text.trim() === '') {
      throw new JobError('not_logged_in', 'auth', 'the secret is there, but nobody has logged in to Spotify', {
        place,
        hint: 'run `listenlake login` with LISTENLAKE_SPOTIFY_TOKEN_SECRET set, on a machine with a browser',
      });
    }
    const token = parseToken(found.text);
    if (token !== undefined) return { id: found.id, token };
    throw new JobError('token_invalid', 'auth', 'what is in the secret is not a login that listenlake wrote', {
      place,
      hint: 'run `listenlake login` with LISTENLAKE_SPOTIFY_TOKEN_SECRET set; the old value stays as its version before',
    });
  }

  /** The id of a claim of the version that is now this job's; undefined while another job has one. */
  async function claim(versionId: string): Promise<string | undefined> {
    const text = JSON.stringify({ claim: randomUUID(), at: web.now() });
    for (let n = 1; n <= CLAIMS_MAX; n += 1) {
      const id = idFrom('claim', versionId, String(n));
      if (await put(id, text, CLAIM_STAGE)) return id;
      const other = await get(id);
      const isLive = other !== undefined && Math.abs(web.now() - claimedAt(other.text)) <= LOCK_STALE_MS;
      if (isLive && (await get(idFrom('release', id))) === undefined) return undefined;
    }
    throw busy();
  }

  /** Runs `action` once this job has claimed the current version and that still is the current one. */
  async function withClaim<T>(
    read: () => Promise<{ id: string; isWanted: boolean } | undefined>,
    action: () => Promise<T>,
    otherwise: () => T,
  ): Promise<T> {
    for (let waitedMs = 0; ; ) {
      const before = await read();
      if (before === undefined) return action();
      if (!before.isWanted) return otherwise();
      const own = await claim(before.id);
      if (own !== undefined) {
        try {
          // A new login may have come between the reading and the claim.
          if ((await read())?.id === before.id) return await action();
        } catch (error) {
          // Otherwise a Spotify that is down would keep the others waiting.
          await put(idFrom('release', own), 'released', CLAIM_STAGE);
          throw error;
        }
      }
      if (waitedMs >= LOCK_WAIT_MAX_MS) throw busy();
      const waitMs = POLL_MS * (1 + web.random());
      waitedMs += waitMs;
      await web.sleep(waitMs);
    }
  }

  function busy(): JobError {
    return new JobError('token_busy', 'tempfail', 'another job is refreshing this login', {
      place,
      hint: 'run it again later',
    });
  }

  return {
    place: `secret ${name}`,
    read: async () => (await current()).token,
    async change(isWanted, next) {
      let now: Version | undefined;
      return withClaim(
        async () => {
          now = await current();
          return { id: now.id, isWanted: isWanted(now.token) };
        },
        async () => {
          const { id, token: before } = now!;
          const { token, failure } = await next(before);
          const text = JSON.stringify(token);
          const isFirst = await put(idFrom('next', id), text, 'AWSCURRENT');
          // Another job has put what follows: a new login, or a refresh while this one was away. Where the
          // version is the current one all the same, somebody has set it back by hand.
          if (!isFirst) {
            const newest = await current();
            if (newest.id !== id) return newest.token;
            await put(randomUUID(), text, 'AWSCURRENT');
          }
          if (failure !== undefined) throw failure;
          return token;
        },
        () => now!.token,
      );
    },
    async replace(token) {
      const read = async (): Promise<{ id: string; isWanted: boolean } | undefined> => {
        const found = await get();
        return found === undefined ? undefined : { id: found.id, isWanted: true };
      };
      const store = async (): Promise<void> => void (await put(randomUUID(), JSON.stringify(token), 'AWSCURRENT'));
      await withClaim(read, store, () => undefined);
    },
    close: () => caller.close(),
  };
}

/** 64 hexadecimal digits, as long as an id of a version may be. */
function idFrom(...parts: string[]): string {
  return createHash('sha256')
    .update(['listenlake', ...parts].join(' '))
    .digest('hex');
}

/** When a claim was made, Unix ms; long ago where the text does not say. */
function claimedAt(text: string): number {
  try {
    const { at } = JSON.parse(text) as { at?: unknown };
    return typeof at === 'number' ? at : 0;
  } catch {
    return 0;
  }
}

/**
 * The service answers alike for a secret that is not there and for one without the version; only its words
 * differ.
 */
function isOfVersion(error: unknown): boolean {
  return /secret value|version/i.test((error as Error).message);
}

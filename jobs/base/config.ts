import { existsSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { JobError } from './errors.ts';
import { KAFKA_VARIABLES, type KafkaConfig, kafkaConfigOf } from './kafka-settings.ts';
import { LATENESS, type Lateness, parseLateness } from './lateness.ts';
import { type LineageRun, lineageRunOf, parentRun } from './lineage-run.ts';
import { flag, whole } from './variable-rules.ts';

/** Where KubernetesPodOperator's sidecar looks for a result; a pod without it has no such folder. */
const XCOM_FOLDER = '/airflow/xcom';

/** What `load` may call a person. */
export const USER_LABEL = /^[A-Za-z0-9_-]{1,40}$/;

/** A playlist's id, bare or at the end of its URI or link. */
const PLAYLIST = /^(?:spotify:playlist:|https:\/\/open\.spotify\.com\/playlist\/)?([0-9A-Za-z]{22})(?:\?\S*)?$/;

/** Name or ARN of a secret in AWS Secrets Manager; empty for none. */
const SECRET = /^(?:(?:arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:)?[A-Za-z0-9/_+=.@-]{1,512})?$/;
/** What Spotify's tokens look like: somebody has pasted one where a name is wanted. */
const TOKEN = /^(?:AQ|BQ)[A-Za-z0-9_-]{60,}$/;

/**
 * Every variable that listenlake reads, its rule and its default. `.env.example` and docs/configuration.md
 * are checked against this list.
 */
export const VARIABLES = {
  LISTENLAKE_LAKE: {
    rule: z.string().min(1, 'must not be empty').default('lake'),
    help: 'Where the lake lies: a folder, or s3://bucket/prefix. The flag --lake wins.',
  },
  LISTENLAKE_ENV_FILE: {
    rule: z.string().default(''),
    help: 'File of variables to read, as a whole. Empty: .env of the current folder, of which nothing is taken that says where tokens, keys or data go. The flag --env-file wins.',
  },
  LISTENLAKE_USER: {
    rule: z.string().regex(USER_LABEL, '1 to 40 letters, digits, - or _').default('me'),
    help: 'Label of the person whose files are loaded. The flag --user wins.',
  },
  LISTENLAKE_MEMORY_MB: {
    rule: whole(128, 1_048_576).default(256),
    help: 'Memory of the engine in MiB; the rest is spilled to disk.',
  },
  LISTENLAKE_THREADS: {
    rule: whole(1, 256).default(availableParallelism()),
    help: 'Threads of the engine. Default: the number of processors.',
  },
  LISTENLAKE_KEEP_LANDING: {
    rule: flag.default(false),
    help: 'true keeps files in landing after they are loaded.',
  },
  LISTENLAKE_PSEUDONYM_KEY: {
    rule: z
      .string()
      .refine((text) => text === '' || text.length >= 16, 'at least 16 characters')
      .default(''),
    help: 'Secret key of the hash that replaces ids of people (playlist owners). Empty: a lake in a folder makes its own; one on S3 has none.',
  },
  LISTENLAKE_PSEUDONYM_SECRET: {
    rule: z.string().regex(SECRET, 'the name or ARN of a secret in AWS Secrets Manager').default(''),
    help: 'Name or ARN of the secret in AWS Secrets Manager that holds this key instead; never its value. For a lake on S3.',
  },
  LISTENLAKE_SPOTIFY_CLIENT_ID: {
    rule: z
      .string()
      .regex(/^([0-9A-Za-z]{16,64})?$/, '16 to 64 letters and digits, as the dashboard shows it')
      .default(''),
    help: "Client ID of your app (developer.spotify.com, Dashboard). Needed for `login` and for `extract` from Spotify's Web API.",
  },
  LISTENLAKE_SPOTIFY_CLIENT_SECRET: {
    rule: z
      .string()
      .regex(/^([0-9A-Za-z]{16,64})?$/, '16 to 64 letters and digits, as the dashboard shows it')
      .default(''),
    help: 'Client secret of the same app. Keep it here or in .env; never on a command line.',
  },
  LISTENLAKE_SPOTIFY_TOKEN_FILE: {
    rule: z.string().default(''),
    help: 'File that keeps the login (mode 0600). Empty: spotify-<user>.json in ~/.config/listenlake.',
  },
  LISTENLAKE_SPOTIFY_TOKEN_SECRET: {
    rule: z
      .string()
      .regex(SECRET, 'the name or ARN of a secret in AWS Secrets Manager')
      .refine((text) => !TOKEN.test(text), 'this looks like a token: give the name of the secret, never its value')
      .default(''),
    help: 'Name or ARN of the secret in AWS Secrets Manager that keeps the login instead of the file; never its value. Empty: the file.',
  },
  LISTENLAKE_SPOTIFY_REDIRECT_PORT: {
    rule: whole(1024, 65_535).default(8888),
    help: 'Port of the redirect URI http://127.0.0.1:PORT/callback that `login` listens on. Register the same in the dashboard.',
  },
  LISTENLAKE_SPOTIFY_PLAYLISTS: {
    rule: z
      .string()
      .default('')
      .transform((text) => text.split(/[\s,]+/).filter((part) => part !== ''))
      .pipe(z.array(z.string().regex(PLAYLIST, 'playlist ids, URIs or links, separated by commas')))
      .transform((list) => [...new Set(list.map((part) => PLAYLIST.exec(part)![1]!))]),
    help: 'Playlists to follow besides your own: ids, URIs or links, separated by commas. The app must be allowed to read them.',
  },
  LISTENLAKE_SPOTIFY_CALL_BUDGET: {
    rule: whole(1, 100_000).default(500),
    help: 'Calls that one `extract metadata` may make. The rest of the queue waits for the next run.',
  },
  LISTENLAKE_API_RETENTION_DAYS: {
    rule: whole(0, 36_500).default(0),
    help: 'Days after which `retention` removes what came from the Web API. 0 keeps it.',
  },
  LISTENLAKE_STREAM_LATENESS: LATENESS,
  LISTENLAKE_AWS_NAME: {
    rule: z
      .string()
      .regex(/^[a-z][a-z0-9-]{1,18}[a-z0-9]$/, '3 to 20 lower-case letters, digits and hyphens')
      .default('listenlake'),
    help: "`name` that Terraform was given: Glue's databases and Athena's workgroups begin with it. For a lake on S3.",
  },
  LISTENLAKE_ATHENA_WORKGROUP: {
    rule: z
      .string()
      .regex(/^[A-Za-z0-9._-]{0,128}$/, 'letters, digits, dots, hyphens and underscores')
      .default(''),
    help: 'Workgroup of your queries. Empty: <name>-dev or <name>-prod by target.',
  },
  LISTENLAKE_ATHENA_EVENTS: {
    rule: whole(0, 1_000_000_000_000).default(50_000_000),
    help: 'Events of a lake on S3 from which on `transform` has Athena type them and find their copies, so that no container has to hold them; 0: never.',
  },
  LISTENLAKE_ICEBERG: {
    rule: z
      .enum(['', 'true', 'false'])
      .default('')
      .transform((text) => (text === '' ? undefined : text === 'true')),
    help: 'true: `promote` also writes prod as Iceberg tables, for readers beyond Athena; false: it takes them away. Empty: it keeps up what the lake has. For a lake on S3.',
  },
  ...KAFKA_VARIABLES,
  LISTENLAKE_S3_PATH_STYLE: {
    rule: flag.default(false),
    help: 'true asks for endpoint/bucket/key instead of bucket.endpoint/key, as most services that are not AWS want it.',
  },
  LISTENLAKE_NOTHING_NEW_EXIT: {
    rule: whole(0, 255).default(0),
    help: 'Exit code of a job that found nothing new. A scheduler that can show such a task as skipped gives its own code: Airflow 99.',
  },
  LISTENLAKE_FUNCTION_SECONDS: {
    rule: whole(0, 900).default(0),
    help: 'Seconds that each job may run where jobs are functions (`terraform output environment` sets it with host = lambda): `doctor --aws` says whether the lake still fits. 0: they are no functions.',
  },
  LISTENLAKE_COMMAND: {
    rule: z.string().default(''),
    help: 'How hints name this program; the launcher of a clone sets what was typed (./listenlake). Empty: listenlake.',
  },
  LISTENLAKE_RESULT_FILE: {
    rule: z.string().default(''),
    help: 'File that gets the result of each command as a line of JSON, beside the words that are printed; `-`: standard output, as its last line. Empty: /airflow/xcom/return.json where that folder is, where the sidecar of an Airflow task reads it; else none.',
  },
  LISTENLAKE_OPENLINEAGE: {
    rule: z
      .string()
      .default('')
      .refine(
        (text) => !text.includes('://') || isPlainUrl(text),
        'a path, or http(s)://host[:port][/path] without a password and a query',
      ),
    help: 'Where each job tells its run, inputs and outputs as OpenLineage events: a file of JSON lines, or the http(s) URL of a backend such as Marquez (docs/lineage.md). Empty: nowhere.',
  },
  LISTENLAKE_OPENLINEAGE_API_KEY: {
    rule: z.string().default(''),
    help: 'Key that the backend asks for; sent as `Authorization: Bearer`. Keep it here or in .env.',
  },
  LISTENLAKE_OPENLINEAGE_NAMESPACE: {
    rule: z.string().min(1, 'must not be empty').default('listenlake'),
    help: 'Namespace of the jobs in the events. Where several lakes tell one backend, each needs its own.',
  },
  OPENLINEAGE_PARENT_ID: {
    rule: parentRun,
    help: 'The run that has started this command, `namespace/name/run`: the parent in the events. Schedulers set it.',
  },
  OPENLINEAGE_ROOT_PARENT_ID: {
    rule: parentRun,
    help: 'The run at the very top, in the same form. Empty: the parent.',
  },
  LISTENLAKE_LOG_LEVEL: {
    rule: z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('warn'),
    help: 'Log lines on stderr (JSON): silent, error, warn, info or debug.',
  },
} as const satisfies Record<string, { rule: z.ZodType; help: string }>;

/** True for an address that events may be posted to. */
function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === '';
}

/** Where lineage events go. */
export interface LineageConfig {
  /** Path of a file of JSON lines, or `http(s)://...`. */
  readonly to: string;
  /** Empty: none is sent. */
  readonly apiKey: string;
  /** Of the jobs. */
  readonly namespace: string;
  /** The run that has started this command, and the one at the top; undefined: none has. */
  readonly parent: LineageRun | undefined;
  readonly root: LineageRun | undefined;
}

/** Access to Spotify's Web API. Empty id and secret: not set up. */
export interface SpotifyConfig {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly tokenFile: string;
  /** Secret that keeps the login instead of the file; undefined: the file does. */
  readonly tokenSecret: string | undefined;
  readonly redirectPort: number;
  readonly playlists: readonly string[];
  readonly callBudget: number;
}

/**
 * A lake on S3. Region, endpoint and credentials are the SDK's own business: AWS_REGION, AWS_ENDPOINT_URL,
 * AWS_PROFILE, a role, ...
 */
export interface AwsConfig {
  readonly name: string;
  /** Undefined: the one of the target. */
  readonly workGroup: string | undefined;
  readonly isPathStyle: boolean;
}

/** The configuration of one command, checked and frozen. */
export interface Config {
  readonly lakeUri: string;
  readonly userId: string;
  readonly memoryMb: number;
  readonly threads: number;
  readonly keepLanding: boolean;
  /** Undefined: see `findPseudonymKey`. */
  readonly pseudonymKey: string | undefined;
  /** Secret that holds the key; undefined: none was named. */
  readonly pseudonymSecret: string | undefined;
  readonly logLevel: string;
  /** Undefined: no lineage events. */
  readonly lineage: LineageConfig | undefined;
  /** File that gets the result of a command as one line of JSON; `-`: stdout; undefined: none does. */
  readonly resultFile: string | undefined;
  /** Exit code of a job whose result says `status: nothing_new`. */
  readonly nothingNewExit: number;
  /** What a job may take where jobs are functions, in seconds; 0 where they are none. */
  readonly functionSeconds: number;
  readonly spotify: SpotifyConfig;
  readonly aws: AwsConfig;
  readonly kafka: KafkaConfig;
  /** Whether `promote` keeps a copy of prod as Iceberg tables; undefined: where the lake has one. */
  readonly isIcebergWanted: boolean | undefined;
  /** Events from which on the lake's engine builds their table on machines of its own, where it has some; 0: never. */
  readonly engineEventsMin: number;
  /** Days that answers of the Web API may stay; 0: for ever. */
  readonly apiRetentionDays: number;
  readonly streamLateness: Lateness;
  /** For what can be made again: hashes of files, virtual environments. Outside the lake and the clone. */
  readonly cacheDir: string;
  /** What the terminal, if there is one, can do and is wanted to. */
  readonly terminal: {
    /** No colour (NO_COLOR, https://no-color.org). */
    readonly isColoured: boolean;
    /** It cannot draw over a line (`TERM=dumb`). */
    readonly isDumb: boolean;
  };
  /** Values that must not appear in any output. */
  readonly secrets: readonly string[];
}

/**
 * Reads and checks the environment; the only place that does.
 *
 * @param overrides values of flags by variable name; they win
 * @throws `config_invalid` (78) that lists every fault at once, and names every LISTENLAKE_ variable nobody
 *   reads
 */
export function readConfig(
  environment: NodeJS.ProcessEnv = process.env,
  overrides: Record<string, string | undefined> = {},
): Config {
  const given = {
    ...environment,
    ...Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined)),
  };
  const faults: string[] = [];
  for (const name of Object.keys(given)) {
    const isOurs = name.startsWith('LISTENLAKE_') && !name.startsWith('LISTENLAKE_TEST_');
    if (isOurs && !(name in VARIABLES) && !TEST_VARIABLES.has(name))
      faults.push(`${name}: nobody reads it, see .env.example`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, { rule }] of Object.entries(VARIABLES)) {
    const result = rule.safeParse(given[name]);
    if (result.success) values[name] = result.data;
    else faults.push(`${name}: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  if (faults.length > 0) {
    throw new JobError('config_invalid', 'config', faults.join(' | '), {
      hint: 'set it in the environment or in .env',
    });
  }
  const v = values as { [K in keyof typeof VARIABLES]: z.output<(typeof VARIABLES)[K]['rule']> };
  return Object.freeze({
    lakeUri: v.LISTENLAKE_LAKE,
    userId: v.LISTENLAKE_USER,
    memoryMb: v.LISTENLAKE_MEMORY_MB,
    threads: v.LISTENLAKE_THREADS,
    keepLanding: v.LISTENLAKE_KEEP_LANDING,
    pseudonymKey: v.LISTENLAKE_PSEUDONYM_KEY || undefined,
    pseudonymSecret: v.LISTENLAKE_PSEUDONYM_SECRET || undefined,
    logLevel: v.LISTENLAKE_LOG_LEVEL,
    lineage:
      v.LISTENLAKE_OPENLINEAGE === ''
        ? undefined
        : Object.freeze({
            to: v.LISTENLAKE_OPENLINEAGE,
            apiKey: v.LISTENLAKE_OPENLINEAGE_API_KEY,
            namespace: v.LISTENLAKE_OPENLINEAGE_NAMESPACE,
            parent: lineageRunOf(v.OPENLINEAGE_PARENT_ID),
            root: lineageRunOf(v.OPENLINEAGE_ROOT_PARENT_ID || v.OPENLINEAGE_PARENT_ID),
          }),
    resultFile: v.LISTENLAKE_RESULT_FILE || (existsSync(XCOM_FOLDER) ? join(XCOM_FOLDER, 'return.json') : undefined),
    nothingNewExit: v.LISTENLAKE_NOTHING_NEW_EXIT,
    functionSeconds: v.LISTENLAKE_FUNCTION_SECONDS,
    terminal: Object.freeze({ isColoured: !given.NO_COLOR && given.TERM !== 'dumb', isDumb: given.TERM === 'dumb' }),
    cacheDir: join(given.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake'),
    spotify: Object.freeze({
      clientId: v.LISTENLAKE_SPOTIFY_CLIENT_ID,
      clientSecret: v.LISTENLAKE_SPOTIFY_CLIENT_SECRET,
      tokenFile:
        v.LISTENLAKE_SPOTIFY_TOKEN_FILE ||
        join(given.XDG_CONFIG_HOME || join(homedir(), '.config'), 'listenlake', `spotify-${v.LISTENLAKE_USER}.json`),
      tokenSecret: v.LISTENLAKE_SPOTIFY_TOKEN_SECRET || undefined,
      redirectPort: v.LISTENLAKE_SPOTIFY_REDIRECT_PORT,
      playlists: Object.freeze(v.LISTENLAKE_SPOTIFY_PLAYLISTS),
      callBudget: v.LISTENLAKE_SPOTIFY_CALL_BUDGET,
    }),
    apiRetentionDays: v.LISTENLAKE_API_RETENTION_DAYS,
    streamLateness: parseLateness(v.LISTENLAKE_STREAM_LATENESS),
    aws: Object.freeze({
      name: v.LISTENLAKE_AWS_NAME,
      workGroup: v.LISTENLAKE_ATHENA_WORKGROUP || undefined,
      isPathStyle: v.LISTENLAKE_S3_PATH_STYLE,
    }),
    kafka: kafkaConfigOf(v),
    engineEventsMin: v.LISTENLAKE_ATHENA_EVENTS,
    isIcebergWanted: v.LISTENLAKE_ICEBERG,
    secrets: [
      v.LISTENLAKE_PSEUDONYM_KEY,
      v.LISTENLAKE_SPOTIFY_CLIENT_SECRET,
      v.LISTENLAKE_OPENLINEAGE_API_KEY,
      v.LISTENLAKE_KAFKA_PASSWORD,
    ].filter((secret) => secret !== ''),
  });
}

/**
 * Read by the tests, not by the product; named here so that a developer's shell does not make every command
 * fail.
 */
const TEST_VARIABLES = new Set([
  'LISTENLAKE_REAL_DATA',
  'LISTENLAKE_SKIPS',
  'LISTENLAKE_DBT_PATH',
  'LISTENLAKE_DBT_SILVER',
]);

/**
 * Where this machine's credentials for AWS come from, if something renews them: the agent of EKS Pod Identity
 * (or of ECS), a service account's token (IRSA), a file that is named by a variable. Undefined for keys in
 * the environment and for a person's own login, which nobody renews while a job waits.
 *
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
export function credentialsOfMachine(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  if (environment.AWS_ACCESS_KEY_ID) return undefined;
  const sources = {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'the agent at',
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: 'the agent at',
    AWS_WEB_IDENTITY_TOKEN_FILE: "the service account's token",
    AWS_SHARED_CREDENTIALS_FILE: 'the file',
  };
  const [name, what] = Object.entries(sources).find(([each]) => environment[each]) ?? [];
  return name === undefined ? undefined : `${what} ${environment[name]}`;
}

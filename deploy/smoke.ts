/**
 * `make aws-smoke`: a lake in a sandbox account, from nothing to nothing. Its own name, state and copy of
 * terraform/, so no other lake of the account or of this folder is touched.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { runDaily } from './airflow.ts';
import { pushImages } from './images.ts';
import { applyLake } from './lake.ts';
import { DeployError, type Environment, ROOT, run, say } from './tools.ts';

/** Questions whose answers name nobody: ids of people differ, because each lake has a key of its own. */
const QUESTIONS = [
  'activity_by_country',
  'daily_active_users',
  'listening_by_hour_and_weekday',
  'minutes_per_month',
  'most_played_artists',
  'peak_hours_by_time_zone',
  'recent_against_older_popularity',
  'skip_rate_by_genre',
  'top_tracks_of_all_time',
  'trending_new_releases',
];
/** What the DAG makes by default (airflow/dags/listenlake_daily.py). */
const GENERATED = ['--users', '25', '--days', '90', '--seed', '1'];
/** What another lake of this folder has left in it. */
const OTHERS = /^\.terraform$|\.tfstate|\.tfvars$|_override\.tf$|^backend\.hcl$/;

interface Step {
  name: string;
  seconds: number;
  /** `ok`, or what went wrong. */
  outcome: string;
}

export interface SmokeOptions {
  /** Of `terraform apply`. */
  apply?: readonly string[];
  /** The command of listenlake; default: that of this clone. */
  listenlake?: string | undefined;
}

/**
 * Applies, pushes the images, runs one day on synthetic listening, asks ten questions of prod and compares
 * the answers with those of the same listening on this machine, then destroys the lake, whatever went wrong
 * before.
 *
 * @param folder terraform/
 * @returns the report as Markdown, which is also written to aws-smoke-report.md beside the folder
 * @throws DeployError once the report is written, where a step failed or an answer differed
 */
export async function smokeTest(folder: string, options: SmokeOptions = {}): Promise<string> {
  const { listenlake = join(ROOT, 'listenlake') } = options;
  const environment = smokeEnvironment(folder);
  const local = mkdtempSync(join(tmpdir(), 'listenlake-smoke-'));
  const steps: Step[] = [];
  const step = async (name: string, work: () => void | Promise<void>): Promise<void> => {
    if (name !== 'destroy' && steps.some(({ outcome }) => outcome !== 'ok' && !outcome.startsWith('differs'))) return;
    const started = performance.now();
    const outcome = await Promise.resolve()
      .then(work)
      .then(() => 'ok')
      .catch((error: unknown) => {
        if (error instanceof DeployError) return error.message;
        throw error;
      });
    steps.push({ name, seconds: (performance.now() - started) / 1000, outcome });
    say(`${name}: ${outcome}`);
  };
  const asked = (args: readonly string[], there: boolean): string =>
    answerOf(listenlake, args, there ? { LISTENLAKE_ENV_FILE: environment.dotenv } : { LISTENLAKE_LAKE: local });
  try {
    await step('apply', () => applyLake(environment, options.apply));
    await step('images', () => pushImages(environment));
    await step('a daily run on synthetic listening', () => runDaily(environment, true));
    await step('doctor --aws', () => void asked(['doctor', '--aws'], true));
    await step('the same listening on this machine', () => {
      const source = join(local, 'source');
      asked(['extract', 'events', ...GENERATED, '--out', source], false);
      asked(['run', source, '--no-report', '--on-quarantine', 'warn'], false);
    });
    for (const question of QUESTIONS) {
      await step(`question ${question}`, () => {
        const args = ['sql', '--csv', '--quiet', '--file', join(ROOT, 'warehouse/queries', `${question}.sql`)];
        refuseDifference(asked(args, true), asked(args, false));
      });
    }
  } finally {
    const { variables } = environment;
    await step('destroy', () =>
      run('terraform', [`-chdir=${environment.folder}`, 'destroy', `-var-file=${variables}`, '-auto-approve']),
    );
    rmSync(local, { recursive: true, force: true });
  }
  const report = reportOf(steps);
  writeFileSync(join(folder, '../aws-smoke-report.md'), report);
  const bad = steps.filter(({ outcome }) => outcome !== 'ok');
  if (bad.length > 0)
    throw new DeployError(
      `${bad.map(({ name }) => name).join(', ')}: see aws-smoke-report.md. Run it again to destroy what is left`,
    );
  rmSync(environment.folder, { recursive: true, force: true });
  return report;
}

/** A copy of the configuration beside it, whose lake may be deleted with all that is in it. */
function smokeEnvironment(folder: string): Environment {
  const copy = join(folder, '../terraform-smoke');
  mkdirSync(copy, { recursive: true });
  cpSync(folder, copy, { recursive: true, filter: (path) => path === folder || !OTHERS.test(basename(path)) });
  copyFileSync(join(copy, 'disposable.tf.example'), join(copy, 'disposable_override.tf'));
  return {
    folder: copy,
    name: 'listenlake-smoke',
    variables: join(copy, 'smoke.tfvars'),
    dotenv: join(copy, '.env'),
  };
}

/** What a command prints. @throws DeployError where it fails, with its last words */
function answerOf(program: string, args: readonly string[], settings: Record<string, string>): string {
  const done = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...settings } });
  if (done.status !== 0)
    throw new DeployError(
      `listenlake ${args[0]}: ${(done.stderr || String(done.error ?? done.stdout)).trim().slice(-500)}`,
    );
  return done.stdout;
}

/** @throws DeployError with the first line that differs */
function refuseDifference(there: string, here: string): void {
  const [left, right] = [there.trimEnd().split(/\r?\n/), here.trimEnd().split(/\r?\n/)];
  const at = Array.from({ length: Math.max(left.length, right.length) }).findIndex(
    (_, row) => left[row] !== right[row],
  );
  if (at < 0) return;
  throw new DeployError(`differs in line ${at + 1}: ${left[at] ?? 'nothing'} there, ${right[at] ?? 'nothing'} here`);
}

function reportOf(steps: readonly Step[]): string {
  const cell = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|');
  return [
    '# A lake on AWS, from nothing to nothing',
    '',
    `${new Date().toISOString().slice(0, 16)}Z, ${steps.filter(({ outcome }) => outcome === 'ok').length} of ${QUESTIONS.length + 6} steps as expected.`,
    '',
    '| step | seconds | outcome |',
    '|---|---|---|',
    ...steps.map(({ name, seconds, outcome }) => `| ${name} | ${seconds.toFixed(0)} | ${cell(outcome)} |`),
    '',
    "Left in the account: the state's bucket (listenlake-smoke-state-...), and keys that wait for their deletion.",
    '',
  ].join('\n');
}

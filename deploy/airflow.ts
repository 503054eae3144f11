/** `make aws-run` and `make aws-open`: a daily run on the host, followed to its end, and Airflow's page. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, DeployError, type Deployment, type Environment, readDeployment, run, say } from './tools.ts';

const DAG = 'listenlake_daily';
/** A new host installs, mounts and pulls first. */
const UP_MS = 30 * 60_000;
/** The deadline of the DAG itself. */
const RUN_MS = 3 * 60 * 60_000;
const COMMAND_MS = 5 * 60_000;

/**
 * Switches the daily DAG on, triggers it and waits for its end.
 *
 * @param isGenerated on synthetic listening, made in this run
 * @param pause_ms between two looks
 * @throws DeployError where Airflow does not come up, or the run fails or takes more than three hours
 */
export async function runDaily(environment: Environment, isGenerated: boolean, pause_ms = 15_000): Promise<void> {
  const deployment = readDeployment(environment);
  const airflow = (command: string): Promise<string | undefined> => airflowCommand(deployment, command, pause_ms);
  say('waiting for Airflow (a new host takes some minutes) ...');
  await until(UP_MS, pause_ms, 'Airflow does not come up: aws logs tail, as terraform output airflow says', async () =>
    (await airflow(`dags unpause ${DAG} --yes`)) === undefined ? undefined : true,
  );
  const id = `by_hand_${new Date().toISOString().slice(0, 19).replaceAll(/\D/g, '')}`;
  const conf = isGenerated ? ` --conf '{"generate_events": true}'` : '';
  if ((await airflow(`dags trigger ${DAG} --run-id ${id}${conf}`)) === undefined)
    throw new DeployError(`${DAG} cannot be triggered`);
  say(`${DAG}, run ${id}:`);
  let seen = '';
  const state = await until(RUN_MS, pause_ms, `${DAG} is still at work: make aws-open shows it`, async () => {
    const tasks = (await airflow(`tasks states-for-dag-run ${DAG} ${id} --output plain`)) ?? '';
    if (tasks !== seen && tasks !== '') say(tasks);
    seen = tasks;
    const found = stateOf((await airflow(`dags state ${DAG} ${id}`)) ?? '');
    return found === 'success' || found === 'failed' ? found : undefined;
  });
  if (state === 'failed')
    throw new DeployError(`the run ${id} failed: the table above says where, make aws-open shows the logs`);
  say(
    '',
    'green',
    'next: ./listenlake sql --target prod "select * from top_tracks limit 10"',
    '      make aws-open   for Airflow itself',
  );
}

/**
 * Shows the password of admin, and forwards Airflow's page to this machine until Ctrl-C. @throws DeployError
 */
export function openAirflow(environment: Environment): void {
  const deployment = readDeployment(environment);
  const { airflow_host, instance, region } = deployment;
  say('user admin, and the password:');
  if (airflow_host === 'ec2') {
    const session = ['ssm', 'start-session', '--region', region, '--target', instance!, '--document-name'];
    run('aws', [
      ...session,
      'AWS-StartInteractiveCommand',
      '--parameters',
      'command=sudo cat /srv/listenlake/auth/passwords.json',
    ]);
    say('', 'http://localhost:8080 (Ctrl-C ends it)');
    run('aws', [...session, 'AWS-StartPortForwardingSession', '--parameters', 'portNumber=8080,localPortNumber=8080']);
    return;
  }
  if (airflow_host === 'none')
    throw new DeployError(`no host of Airflow: set airflow in ${environment.variables}, then make aws`);
  const template = 'go-template={{index .data "passwords.json" | base64decode}}';
  run('kubectl', ['get', 'secret', 'airflow-keys', '--namespace', 'airflow', '--output', template]);
  say('', 'http://localhost:8080 (Ctrl-C ends it)');
  run('kubectl', ['port-forward', 'service/airflow-api-server', '8080:8080', '--namespace', 'airflow']);
}

/** The last line's word: a run with a configuration is told as `success, {...}`. */
export function stateOf(output: string): string {
  return /^\w*/.exec(output.trim().split('\n').at(-1)!)![0];
}

/** What the command `airflow` prints on the host; undefined where it fails, or nobody answers. */
async function airflowCommand(
  { airflow_host, instance, region }: Deployment,
  command: string,
  pause_ms: number,
): Promise<string | undefined> {
  if (airflow_host === 'none')
    throw new DeployError(
      'no host of Airflow runs this lake: set host = "ec2" and airflow = { version = "..." }, then make aws',
    );
  if (airflow_host === 'eks')
    return ask('sh', ['-c', `kubectl exec deployment/airflow-scheduler --namespace airflow -- airflow ${command}`]);
  const aws = (...args: string[]): string | undefined =>
    ask('aws', ['ssm', ...args, '--region', region, '--instance-id', instance!]);
  const parameters = JSON.stringify({ commands: [`docker exec listenlake-scheduler-1 airflow ${command}`] });
  const sent = [
    'send-command',
    '--region',
    region,
    '--instance-ids',
    instance!,
    '--document-name',
    'AWS-RunShellScript',
  ];
  const id = ask('aws', [
    'ssm',
    ...sent,
    '--parameters',
    parameters,
    '--query',
    'Command.CommandId',
    '--output',
    'text',
  ]);
  if (id === undefined) return undefined;
  const status = await until(
    COMMAND_MS,
    Math.min(pause_ms, 2_000),
    `the host does not end: airflow ${command}`,
    async () => {
      const found = aws('get-command-invocation', '--command-id', id, '--query', 'Status', '--output', 'text');
      return found === undefined || ['Pending', 'InProgress', 'Delayed'].includes(found) ? undefined : found;
    },
  );
  if (status !== 'Success') return undefined;
  return aws('get-command-invocation', '--command-id', id, '--query', 'StandardOutputContent', '--output', 'text');
}

async function until<T>(
  limit_ms: number,
  pause_ms: number,
  remedy: string,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + limit_ms;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new DeployError(remedy);
    await sleep(pause_ms);
  }
}

/**
 * A namespace of its own on the cluster that KUBECONFIG names, made by the manifests of airflow/kubernetes/
 * as a user makes it.
 *
 * What the environment must say (docs/contributing.md):
 *   KUBECONFIG                     the cluster, with the rights of its administrator; never the one of ~/.kube unasked
 *   NODE_GATEWAY                   address of this machine that pods reach, for the S3, Glue and Athena of
 *   the tests
 *   LISTENLAKE_TEST_CLUSTER_LOAD   command that hands an image of the Docker Engine to the cluster; the image's name is appended
 *   LISTENLAKE_TEST_CLUSTER_UP     instead of the first two: command that starts a cluster, or waits for one,
 *   and prints
 *                                  `export KUBECONFIG=... NODE_GATEWAY=...`; whoever sets it ends the cluster
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { Unavailable } from '../aws/moto.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { layerSkipped } from '../fixtures/layers.ts';

const run = promisify(execFile);
const MANIFESTS = join(ROOT, 'airflow/kubernetes');
/** A first start of a pod on a busy machine; pulls are not part of it. */
const POD_TIMEOUT_MS = 120_000;
/** A new machine builds its cluster first. */
const UP_TIMEOUT_MS = 1_200_000;

export interface Cluster {
  namespace: string;
  /** Address of this machine that pods reach. */
  gateway: string;
  /** A kubeconfig whose only right is what airflow-access.yaml grants. */
  airflowKubeconfig: string;
  /** Runs kubectl as the administrator, in the namespace. @throws Error with its stderr */
  kubectl(args: string[], input?: string): Promise<string>;
  /** Applies an object. @throws Error with the server's words where it refuses */
  apply(object: object): Promise<void>;
  /** Hands an image of the Docker Engine to the nodes. */
  load(image: string): Promise<void>;
  /** Starts a pod and waits for its end. */
  runPod(pod: Pod): Promise<{ phase: string; exitCode: number | undefined; log: string }>;
  close(): Promise<void>;
}

export interface Pod {
  metadata: { name: string; labels?: Record<string, string> };
  spec: {
    securityContext?: Record<string, unknown>;
    containers: [Container, ...Container[]];
    [field: string]: unknown;
  };
}

interface Container {
  name: string;
  image: string;
  [field: string]: unknown;
}

/** Undefined where there is no cluster to test on, which is then reported as left out. */
export async function openClusterOrSkip(what: string): Promise<Cluster | undefined> {
  try {
    const { KUBECONFIG, NODE_GATEWAY, LISTENLAKE_TEST_CLUSTER_LOAD } = { ...(await startedCluster()), ...process.env };
    const missing = Object.entries({ KUBECONFIG, NODE_GATEWAY, LISTENLAKE_TEST_CLUSTER_LOAD })
      .filter(([, value]) => !value)
      .map(([name]) => name);
    if (missing.length > 0) throw new Unavailable(`no cluster: ${missing.join(', ')} not set (docs/contributing.md)`);
    return await open(KUBECONFIG!, NODE_GATEWAY!, LISTENLAKE_TEST_CLUSTER_LOAD!);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    layerSkipped(what, error.message, 'docs/contributing.md, "The layer that needs a cluster"');
    return undefined;
  }
}

/** What LISTENLAKE_TEST_CLUSTER_UP prints. @throws Unavailable with its last words where it fails */
async function startedCluster(): Promise<Record<string, string>> {
  const command = process.env.LISTENLAKE_TEST_CLUSTER_UP;
  if (!command || process.env.KUBECONFIG) return {};
  try {
    const { stdout } = await run('sh', ['-c', command], { timeout: UP_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 });
    const lines = stdout.split('\n').filter((line) => line.startsWith('export '));
    return Object.fromEntries(
      lines.flatMap((line) => [...line.matchAll(/(\w+)=(\S*)/g)].map(([, name = '', value = '']) => [name, value])),
    );
  } catch (error) {
    throw new Unavailable(`the cluster did not start: ${lastWords(error)}`);
  }
}

async function open(kubeconfig: string, gateway: string, loadCommand: string): Promise<Cluster> {
  const namespace = `listenlake-test-${randomBytes(3).toString('hex')}`;
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'listenlake-cluster-')));
  const kubectl = async (args: string[], input = ''): Promise<string> => {
    const options = { maxBuffer: 64 * 1024 * 1024, env: { ...process.env, KUBECONFIG: kubeconfig } };
    const running = run('kubectl', ['--namespace', namespace, ...args], options);
    // A program that ends without reading it is told of by its exit code.
    running.child.stdin?.on('error', () => {}).end(input);
    return (await running).stdout;
  };
  const close = async (): Promise<void> => {
    await kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--timeout=90s']);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await kubectl(['get', '--raw', '/readyz', '--request-timeout=20s']);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw new Unavailable(`the cluster of KUBECONFIG does not answer: ${lastWords(error)}`);
  }
  try {
    await writeFile(join(folder, 'kustomization.yaml'), overlay(namespace, relative(folder, MANIFESTS)));
    await kubectl(['apply', '-k', folder]);
    const airflowKubeconfig = join(folder, 'airflow.kubeconfig');
    await writeFile(airflowKubeconfig, await airflowConfig(kubectl), { mode: 0o600 });
    return { namespace, gateway, airflowKubeconfig, kubectl, close, ...actions(kubectl, loadCommand) };
  } catch (error) {
    await close();
    throw error;
  }
}

function actions(kubectl: Cluster['kubectl'], loadCommand: string): Pick<Cluster, 'apply' | 'load' | 'runPod'> {
  const apply = async (object: object): Promise<void> =>
    void (await kubectl(['create', '-f', '-'], JSON.stringify(object)));
  return {
    apply,
    async load(image) {
      await run('sh', ['-c', `${loadCommand} "$1"`, 'sh', image], { maxBuffer: 64 * 1024 * 1024 });
    },
    async runPod(pod) {
      const { name } = pod.metadata;
      await apply({ apiVersion: 'v1', kind: 'Pod', ...pod });
      for (const deadline = performance.now() + POD_TIMEOUT_MS; ; await sleep(300)) {
        const { status } = JSON.parse(await kubectl(['get', 'pod', name, '-o', 'json'])) as {
          status: { phase: string; containerStatuses?: { state: { terminated?: { exitCode: number } } }[] };
        };
        if (status.phase === 'Succeeded' || status.phase === 'Failed') {
          const log = await kubectl(['logs', name, '-c', pod.spec.containers[0].name]);
          return { phase: status.phase, exitCode: status.containerStatuses?.[0]?.state.terminated?.exitCode, log };
        }
        if (performance.now() > deadline)
          throw new Error(`pod ${name} is ${status.phase}: ${await kubectl(['describe', 'pod', name])}`);
      }
    },
  };
}

/** The manifests in another namespace, which is all that an overlay needs to say. */
function overlay(namespace: string, base: string): string {
  return stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace,
    resources: [base],
  });
}

/** The administrator's way to the cluster with the token of Airflow's account. */
async function airflowConfig(kubectl: Cluster['kubectl']): Promise<string> {
  const config = JSON.parse(await kubectl(['config', 'view', '--raw', '--flatten', '--minify', '-o', 'json'])) as {
    clusters: { name: string }[];
  };
  const token = (await kubectl(['create', 'token', 'listenlake-airflow', '--duration=2h'])).trim();
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: config.clusters,
    users: [{ name: 'airflow', user: { token } }],
    contexts: [{ name: 'airflow', context: { cluster: config.clusters[0]!.name, user: 'airflow' } }],
    'current-context': 'airflow',
  });
}

/** The last line of what a failed program said. */
export function lastWords(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr || message).trim().split('\n').at(-1) ?? '';
}

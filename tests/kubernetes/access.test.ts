/** The manifests on a real cluster: what its API server refuses to Airflow and to pods that are not jobs. */
import { type Cluster, lastWords, openClusterOrSkip, type Pod } from './cluster.ts';
import { buildShellImage } from './shell-image.ts';

const cluster = await openClusterOrSkip('Kubernetes');

if (cluster === undefined) {
  it('Kubernetes is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const airflow = `system:serviceaccount:${cluster.namespace}:listenlake-airflow`;
  let image: string;
  beforeAll(async () => {
    image = await buildShellImage();
    await cluster.load(image);
  }, 900_000);
  afterAll(() => cluster.close(), 900_000);

  /** A pod that Pod Security "restricted" admits, for a test to spoil. */
  const pod = (name: string, script: string): Pod => ({
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'base',
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-c', script],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  });

  const can = async (verb: string, thing: string): Promise<string> => {
    try {
      return (await cluster.kubectl(['auth', 'can-i', verb, ...thing.split(' '), '--as', airflow])).trim();
    } catch (error) {
      return ((error as { stdout?: string }).stdout ?? '').trim(); // exit 1 says no
    }
  };

  it.each([
    ['create', 'pods', 'yes'],
    ['delete', 'pods', 'yes'],
    ['get', 'pods --subresource=log', 'yes'],
    ['create', 'pods --subresource=exec', 'yes'],
    ['watch', 'events', 'yes'],
    ['get', 'secrets', 'no'],
    ['list', 'secrets', 'no'],
    ['create', 'serviceaccounts --subresource=token', 'no'],
    ['update', 'pods', 'no'],
    ['create', 'deployments.apps', 'no'],
    ['patch', 'networkpolicies.networking.k8s.io', 'no'],
    ['create', 'pods --namespace=default', 'no'],
    ['list', 'pods --all-namespaces', 'no'],
    ['get', 'nodes', 'no'],
  ])('S14: may Airflow %s %s? %s', async (verb, thing, answer) => {
    expect(await can(verb, thing)).toBe(answer);
  });

  it('S17: the namespace refuses pods that are less than restricted, and says why', async () => {
    const spoilt: [string, (spec: Pod['spec']) => void, RegExp][] = [
      ['root', (spec) => Object.assign(spec.securityContext!, { runAsNonRoot: false, runAsUser: 0 }), /runAsNonRoot/],
      ['seccomp', (spec) => Object.assign(spec.securityContext!, { seccompProfile: undefined }), /seccompProfile/],
      [
        'escalation',
        (spec) => Object.assign(spec.containers[0], { securityContext: {} }),
        /allowPrivilegeEscalation.*capabilities/,
      ],
      ['host', (spec) => Object.assign(spec, { hostNetwork: true }), /hostNetwork/],
      ['volume', (spec) => Object.assign(spec, { volumes: [{ name: 'v', hostPath: { path: '/' } }] }), /hostPath/],
    ];
    for (const [name, spoil, reason] of spoilt) {
      const bad = structuredClone(pod(name, 'true'));
      spoil(bad.spec);
      await expect(refusal(cluster, bad)).resolves.toMatch(/violates PodSecurity "restricted/);
      await expect(refusal(cluster, bad)).resolves.toMatch(reason);
    }
  });

  it('S17: a container that wants more than its limit is refused, one that says nothing gets the small default', async () => {
    const greedy = pod('greedy', 'true');
    Object.assign(greedy.spec.containers[0], { resources: { limits: { memory: '9Gi' } } });
    await expect(refusal(cluster, greedy)).resolves.toMatch(/maximum memory usage per Container is 8Gi/);
    await cluster.runPod(pod('modest', 'true'));
    const { spec } = JSON.parse(await cluster.kubectl(['get', 'pod', 'modest', '-o', 'json']));
    expect(spec.containers[0].resources.limits).toMatchObject({ cpu: '100m', memory: '64Mi' });
  });

  it('S17: no job finds a token of the Kubernetes API', async () => {
    for (const account of ['extract', 'report']) {
      const job = pod(`token-${account}`, 'ls /var/run/secrets/kubernetes.io/serviceaccount || exit 3');
      job.spec.serviceAccountName = `listenlake-${account}`;
      expect(await cluster.runPod(job)).toMatchObject({ phase: 'Failed', exitCode: 3 });
    }
  });
}

/** What the server says to a pod that it does not take. @throws Error where it takes it */
async function refusal(cluster: Cluster, pod: Pod): Promise<string> {
  try {
    await cluster.apply({ apiVersion: 'v1', kind: 'Pod', ...pod });
  } catch (error) {
    return lastWords(error);
  }
  throw new Error(`the cluster took ${pod.metadata.name}`);
}

/** airflow/kubernetes/ without a cluster: what must be in it, and nothing more. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { ROOT } from '../fixtures/command-line.ts';

const FOLDER = join(ROOT, 'airflow/kubernetes');

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  automountServiceAccountToken?: boolean;
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[];
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace: string }[];
  spec?: NetworkPolicySpec & { hard?: Record<string, string>; limits?: Record<string, unknown>[] };
}

interface NetworkPolicySpec {
  podSelector: { matchExpressions?: { key: string; operator: string; values: string[] }[] };
  policyTypes: string[];
  ingress?: unknown[];
  egress?: { to: { ipBlock?: { cidr: string; except?: string[] } }[]; ports: { protocol: string; port: number }[] }[];
}

const { resources } = parseYaml(readFileSync(join(FOLDER, 'kustomization.yaml'), 'utf8')) as { resources: string[] };
const manifests = resources.flatMap((name) =>
  parseAllDocuments(readFileSync(join(FOLDER, name), 'utf8')).map((document): Manifest => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  }),
);
const ofKind = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);
const jobs = [...readFileSync(join(ROOT, 'terraform/jobs.tf'), 'utf8').matchAll(/^ {4}([a-z]+) = \{$/gm)].map(
  (match) => match[1]!,
);

/** Jobs that run under another one's account (airflow/include/job.py). */
const guests = [
  ...(/^ACCOUNTS = \{(.*)\}$/m.exec(readFileSync(join(ROOT, 'airflow/include/job.py'), 'utf8'))?.[1] ?? '').matchAll(
    /"([a-z]+)":/g,
  ),
].map((match) => match[1]!);

describe('Kubernetes manifests', () => {
  it('are all named by the kustomization, and lie in the one namespace', () => {
    const files = readdirSync(FOLDER).filter(
      (name) => name.endsWith('.yaml') && !['kustomization.yaml', 'values.yaml'].includes(name),
    );
    expect([...resources].sort()).toEqual(files.sort());
    const [namespace, ...others] = manifests;
    expect(namespace).toMatchObject({ kind: 'Namespace', metadata: { name: 'listenlake' } });
    for (const { kind, metadata } of others) expect([kind, metadata.namespace]).toEqual([kind, 'listenlake']);
  });

  it('S17: the namespace enforces Pod Security "restricted"', () => {
    for (const mode of ['enforce', 'audit', 'warn']) {
      expect(ofKind('Namespace')[0]?.metadata.labels).toMatchObject({
        [`pod-security.kubernetes.io/${mode}`]: 'restricted',
        [`pod-security.kubernetes.io/${mode}-version`]: 'latest',
      });
    }
  });

  it('S14, S15: every job of Terraform has the account that its role trusts, and no account has a token', () => {
    expect(jobs).toEqual(expect.arrayContaining(['extract', 'report', 'forget']));
    const accounts = ofKind('ServiceAccount');
    expect(accounts.map(({ metadata }) => metadata.name).sort()).toEqual(
      ['airflow', ...jobs].map((name) => `listenlake-${name}`).sort(),
    );
    expect(accounts.filter((account) => account.automountServiceAccountToken !== false)).toEqual([]);
  });

  it('S14: Airflow may do what the operator does, in this namespace alone', () => {
    expect(manifests.filter(({ kind }) => kind.startsWith('Cluster'))).toEqual([]);
    const rights = ofKind('Role').flatMap(({ rules = [] }) =>
      rules.flatMap(({ apiGroups, resources: things, verbs }) =>
        things.flatMap((thing) => verbs.map((verb) => `${apiGroups.join('|')}/${thing} ${verb}`)),
      ),
    );
    expect(rights.sort()).toEqual(
      [
        ...['create', 'delete', 'get', 'list', 'patch'].map((verb) => `/pods ${verb}`),
        '/pods/log get',
        '/pods/exec create',
        '/pods/exec get',
        '/events list',
        '/events watch',
      ].sort(),
    );
    expect(ofKind('RoleBinding')).toEqual([
      expect.objectContaining({
        roleRef: expect.objectContaining({ kind: 'Role', name: ofKind('Role')[0]?.metadata.name }),
      }),
    ]);
    const subjects = ofKind('RoleBinding')[0]?.subjects ?? [];
    // No job is among them, and no group.
    expect(subjects.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`)).toEqual([
      'ServiceAccount listenlake/listenlake-airflow',
      'ServiceAccount airflow/airflow-scheduler',
      'ServiceAccount airflow/airflow-triggerer',
      'ServiceAccount airflow/airflow-worker',
    ]);
  });

  it('S17: nobody reaches anybody but what a job needs: names, HTTPS, its own role', () => {
    const [nobody, lake, ...others] = ofKind('NetworkPolicy').map(({ spec }) => spec!);
    expect(others).toEqual([]);
    expect(nobody).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    expect(lake).toMatchObject({ policyTypes: ['Egress'] });
    expect(lake?.ingress).toBeUndefined();
    // All jobs use the lake, so each is in the list; a pod that is none of them gets no network.
    expect(guests).toContain('coverage');
    expect(lake?.podSelector).toEqual({
      matchExpressions: [{ key: 'app.kubernetes.io/component', operator: 'In', values: [...jobs, ...guests].sort() }],
    });
    const open = (lake?.egress ?? []).flatMap(({ to, ports }) =>
      to.flatMap(({ ipBlock }) => ports.map(({ protocol, port }) => `${ipBlock?.cidr ?? 'dns'} ${protocol} ${port}`)),
    );
    expect(open).toEqual(['dns UDP 53', 'dns TCP 53', '0.0.0.0/0 TCP 443', '169.254.170.23/32 TCP 80']);
    const world = lake?.egress?.flatMap(({ to }) => to).find(({ ipBlock }) => ipBlock?.cidr === '0.0.0.0/0');
    expect(world?.ipBlock?.except).toEqual(['169.254.169.254/32']);
  });

  it('all jobs together and each container have an end', () => {
    const hard = ofKind('ResourceQuota')[0]?.spec?.hard ?? {};
    for (const name of [
      'pods',
      'requests.cpu',
      'requests.memory',
      'limits.cpu',
      'limits.memory',
      'limits.ephemeral-storage',
    ])
      expect([name, hard[name]]).toEqual([name, expect.stringMatching(/^[1-9]\d*(Gi)?$/)]);
    expect(hard).toMatchObject({ services: '0' });
    // A quota on limits refuses every container without them, so the range must give some.
    const [range] = ofKind('LimitRange')[0]?.spec?.limits ?? [];
    expect(range).toMatchObject({ type: 'Container', default: { memory: '64Mi' }, max: { memory: '8Gi' } });
  });
});

describe("the values of Airflow's chart", () => {
  interface Values {
    config: { core: { simple_auth_manager_passwords_file: string } };
    apiServer: {
      args: string[];
      extraVolumes: { name: string; secret?: unknown; emptyDir?: unknown }[];
      extraVolumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
    };
  }
  const { config, apiServer } = parseYaml(readFileSync(join(FOLDER, 'values.yaml'), 'utf8')) as Values;
  const { simple_auth_manager_passwords_file: file } = config.core;
  const mountOf = (path: string) =>
    apiServer.extraVolumeMounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`))!;
  const volumeOf = (path: string) => apiServer.extraVolumes.find(({ name }) => name === mountOf(path).name)!;

  it('give the API server a file of passwords that it can open for writing, which a Secret is not', () => {
    expect(mountOf(file).readOnly).not.toBe(true);
    expect(volumeOf(file)).toMatchObject({ emptyDir: {} });
    const source = apiServer.extraVolumeMounts.find(({ name }) => name === 'keys')!;
    expect(volumeOf(`${source.mountPath}/x`)).toMatchObject({ secret: { secretName: 'airflow-keys' } });
  });

  it('start the API server, as the chart does, once the passwords are there', () => {
    // What the container runs, in folders of this test and with a stand-in for Airflow.
    const folder = mkdtempSync(join(tmpdir(), 'listenlake-values-'));
    for (const { name } of apiServer.extraVolumeMounts) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'keys/passwords.json'), '{"admin": "x"}', { mode: 0o440 });
    writeFileSync(join(folder, 'airflow'), '#!/bin/sh\necho "started $*"\n', { mode: 0o755 });
    const [shell, ...args] = apiServer.args.map((arg) =>
      apiServer.extraVolumeMounts.reduce(
        (text, { name, mountPath }) => text.replaceAll(mountPath, join(folder, name)),
        arg,
      ),
    );
    const run = (): string =>
      execFileSync(shell!, args, { env: { PATH: `${folder}:${process.env.PATH}` }, encoding: 'utf8' }).trim();
    // A container that is started again finds what the former one has left.
    for (let start = 0; start < 2; start += 1) {
      expect(run()).toBe('started api-server');
      expect(readFileSync(join(folder, 'auth/passwords.json'), 'utf8')).toBe('{"admin": "x"}');
      expect(statSync(join(folder, 'auth/passwords.json')).mode & 0o777).toBe(0o600);
    }
    rmSync(folder, { recursive: true, force: true });
  });
});

describe("the writers' pool", () => {
  // A deferred task gives its slot back unless the pool counts it, and then a second writer starts beside its
  // pod.
  it('counts deferred tasks wherever it is made, so that it keeps writers apart where tasks wait deferred', () => {
    const places = [
      'airflow/local.ts',
      'docker-compose.yml',
      'docs/airflow.md',
      'docs/kubernetes.md',
      'terraform/airflow_ec2/compose.yaml',
      'terraform/airflow_steps.tf',
    ];
    const made = places.flatMap((place) =>
      // One line, or one that a document has broken.
      [...readFileSync(join(ROOT, place), 'utf8').matchAll(/\bpools\W{1,4}set\b[\s\S]{0,100}/g)].map(([text]) => [
        place,
        text.includes('--include-deferred'),
      ]),
    );
    expect(made).toEqual(places.map((place) => [place, true]));
  });
});

/**
 * All that the daily DAG needs around it on a cluster: the images in it, S3, Glue and Athena that pods reach,
 * and Airflow beside it.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Airflow, openAirflow, startAirflow } from '../../airflow/local.ts';
import { type AppliedLake, applyLakeOrSkip } from '../aws/applied-lake.ts';
import { type LocalAws, startLocalAwsOrSkip } from '../aws/local.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { buildImage, IMAGE } from '../fixtures/image.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { type Cluster, openClusterOrSkip, type Pod } from './cluster.ts';
import { buildShellImage, SHELL_IMAGE } from './shell-image.ts';

export interface Ground {
  cluster: Cluster;
  local: LocalAws;
  lake: AppliedLake;
  /** Folder of Airflow's programs. */
  bin: string;
  close(): Promise<void>;
}

/**
 * Everything but Airflow; undefined (and told) where this machine lacks a part. @param work folder for what
 * is only needed now
 */
export async function openGroundOrSkip(what: string, work: string): Promise<Ground | undefined> {
  const cluster = await openClusterOrSkip(what);
  if (cluster === undefined) return undefined;
  let local: LocalAws | undefined;
  const close = async (): Promise<void> => {
    await local?.close();
    await cluster.close();
  };
  try {
    const airflow = openAirflow();
    if ('missing' in airflow) layerSkipped(what, airflow.missing, PYTHON);
    else if (buildImage(what)) {
      await bringImages(cluster);
      local = await startLocalAwsOrSkip(what, { isTrinoNeeded: true, host: cluster.gateway });
      const lake = local && (await applyLakeOrSkip(what, local, join(work, 'terraform'), {}));
      if (local !== undefined && lake !== undefined) {
        await configure(cluster, lake);
        return { cluster, local, lake, bin: airflow.bin, close };
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  await close();
  return undefined;
}

async function bringImages(cluster: Cluster): Promise<void> {
  for (const image of [IMAGE, await buildShellImage()]) await cluster.load(image);
  // The bridge that pods share with this machine may only be there after the first of them.
  const first = await cluster.runPod(versionPod());
  if (first.exitCode !== 0) throw new Error(`the image does not run: ${first.log}`);
}

/**
 * What is so only here: keys, where AWS gives roles, and a way to the local AWS, which the policies of
 * airflow/kubernetes/ do not open.
 */
async function configure(cluster: Cluster, { environment }: AppliedLake): Promise<void> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_EC2_METADATA_DISABLED, LISTENLAKE_PSEUDONYM_KEY } = environment;
  const data = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_EC2_METADATA_DISABLED, LISTENLAKE_PSEUDONYM_KEY };
  await cluster.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'listenlake' }, data });
  const port = Number(new URL(environment.AWS_ENDPOINT_URL!).port);
  await cluster.apply({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'local-aws' },
    spec: {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: `${cluster.gateway}/32` } }], ports: [{ protocol: 'TCP', port }] }],
    },
  });
}

/** `listenlake --version`, as restricted as a job. */
function versionPod(): Pod {
  return {
    metadata: { name: 'version' },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'base',
          image: IMAGE,
          imagePullPolicy: 'IfNotPresent',
          args: ['--version'],
          resources: { limits: { cpu: '1', memory: '512Mi' } },
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
            readOnlyRootFilesystem: true,
          },
        },
      ],
    },
  };
}

/**
 * Airflow outside of the cluster, with the rights of its account there; jobs run as pods.
 *
 * @param work its database and logs
 * @param folders of DAGs, from the root of the project
 * @param dags those that are to be triggered; they can be when this returns
 */
export async function startAirflowOn(
  { cluster, lake, bin }: Ground,
  work: string,
  { folders, dags }: { folders: string[]; dags: string[] },
): Promise<Airflow> {
  const folderOf = (name: string): string => {
    mkdirSync(join(work, name), { recursive: true });
    return join(work, name);
  };
  const bundles = folders.map((folder, index) => ({
    name: `dags-${index}`,
    classpath: 'airflow.dag_processing.bundles.local.LocalDagBundle',
    kwargs: { path: join(ROOT, folder) },
  }));
  const airflow = await startAirflow(bin, {
    home: folderOf('airflow'),
    lake: folderOf('no-lake'),
    inbox: folderOf('no-inbox'),
    image: IMAGE,
    env: {
      ...lake.environment,
      AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST: JSON.stringify(bundles),
      // The Kubernetes client is a slow import on a busy machine.
      AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT: '120',
      // Runs begin when a test says so.
      AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE: 'false',
      KUBECONFIG: cluster.airflowKubeconfig,
      AIRFLOW_CONN_KUBERNETES_DEFAULT: JSON.stringify({
        conn_type: 'kubernetes',
        extra: { xcom_sidecar_container_image: SHELL_IMAGE },
      }),
      LISTENLAKE_JOB_RUNNER: 'kubernetes',
      LISTENLAKE_JOB_NAMESPACE: cluster.namespace,
      LISTENLAKE_JOB_INBOX: '',
      LISTENLAKE_JOB_RETRY_SECONDS: '5',
      LISTENLAKE_JOB_LATER_SECONDS: '15',
    },
  });
  try {
    for (const dag of dags) {
      const isKnown = (): Promise<boolean> =>
        airflow.call('GET', `/dags/${dag}`).then(
          () => true,
          () => false,
        );
      await until(`Airflow to know ${dag}`, isKnown, 300_000);
      await airflow.call('PATCH', `/dags/${dag}`, { is_paused: false });
    }
    return airflow;
  } catch (error) {
    await airflow.stop();
    throw error;
  }
}

/** Asks again and again, by default twice a second. @throws Error that names what did not happen in time */
export async function until(
  what: string,
  isSo: () => Promise<boolean>,
  timeoutMs: number,
  everyMs = 500,
): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; !(await isSo()); await sleep(everyMs)) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`);
  }
}

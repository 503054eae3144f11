"""
One task of a DAG is one job of listenlake, in a container or in a pod: `job("transform")` runs `listenlake transform`.

    from include.job import job

    load = job("load")                                                   # task "load"
    check = job("check", "--scope=silver", task_id="check_silver")       # task ids begin with the command
    enrich = job("enrich", "{{ '--to=' ~ params.to if params.to }}")     # templated; what renders to nothing is left out
    events = job("extract", "events", only_if="{{ params.generate_events }}")     # skipped where it renders to false or nothing

    plan = job("transform", "--plan", task_id="transform_plan", result_field="partitions")
    stages = job.partial("transform", task_id="transform_stage").expand(arguments=plan.output.map(stage_arguments))
    # one task for each list of arguments

Every default is in this file, with its reason. How an operator does it is in docker_job.py and kubernetes_job.py, what an exit code means
in outcome.py. The settings are environment variables of Airflow's (of every component), read when a DAG file is parsed; none is a secret:

    LISTENLAKE_JOB_RUNNER      docker (default) or kubernetes: where the jobs of all DAGs run
    LISTENLAKE_JOB_IMAGE       the image; by digest where it matters
    LISTENLAKE_LAKE            the lake: a folder of the machine that runs the containers, or s3://bucket/prefix
    LISTENLAKE_JOB_INBOX       a folder (docker) or a volume claim (kubernetes) with files to take in; none: only landing is loaded
    LISTENLAKE_JOB_LOGIN       the same with what `listenlake login` left, for the jobs that ask Spotify
    LISTENLAKE_JOB_POOL        a pool with one slot, so that writers queue instead of coming back later; it must exist
    LISTENLAKE_JOB_STAGE_ROWS  from how many rows of bronze a task transform is shared; none: the job's own default
    LISTENLAKE_JOB_NAMESPACE   kubernetes: where the pods run; default listenlake
    LISTENLAKE_JOB_USER        docker: uid:gid of the jobs. A folder lake belongs to the one who writes it: give its owner
    LISTENLAKE_JOB_ROLES       docker: a folder of the Docker host with one folder for each job: `credentials`, an AWS credentials file
                               of the job's role
    LISTENLAKE_JOB_SERVICE_ACCOUNT     kubernetes: one account for all jobs; empty: what the platform gives
    LISTENLAKE_JOB_NETWORK     docker: the network of the jobs that need one
    LISTENLAKE_OPENLINEAGE     where the jobs tell of their tables (docs/lineage.md); then each names its task as its parent
    LISTENLAKE_JOB_RETRY_SECONDS, LISTENLAKE_JOB_LATER_SECONDS     for tests: how long a retry waits
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset

from include.outcome import NOTHING_NEW_EXIT, retry_policy

RUNNER = os.environ.get("LISTENLAKE_JOB_RUNNER", "docker")
IMAGE = os.environ.get("LISTENLAKE_JOB_IMAGE", "listenlake:local")
LAKE = os.environ.get("LISTENLAKE_LAKE", "lake")
INBOX = os.environ.get("LISTENLAKE_JOB_INBOX", "")
LOGIN = os.environ.get("LISTENLAKE_JOB_LOGIN", "")
ROLES = os.environ.get("LISTENLAKE_JOB_ROLES", "")
POOL = os.environ.get("LISTENLAKE_JOB_POOL", "default_pool")

LINEAGE = os.environ.get("LISTENLAKE_OPENLINEAGE", "")
STAGE_ROWS = os.environ.get("LISTENLAKE_JOB_STAGE_ROWS", "")

# A killed job holds the writer's lease for up to a minute: sooner, a retry would only find it held.
RETRY_DELAY = timedelta(seconds=int(os.environ.get("LISTENLAKE_JOB_RETRY_SECONDS", "90")))
# Exit 75: the holder of the lease is at work, which takes minutes, or Spotify said to wait.
LATER_DELAY = timedelta(seconds=int(os.environ.get("LISTENLAKE_JOB_LATER_SECONDS", "600")))

# CPUs (a share of what there is, not a limit) and memory of a container. The engine takes 256 MiB and spills the rest; most seen was
# 600 MiB, for one file of 600 MiB. Beyond the limit a job is killed (137), and the next try starts where the last commit was.
CPUS = 1.0
MEMORY_MIB = 2048
# A job makes about 20 threads; this only stops what runs wild.
PIDS_MAX = 256
# SIGTERM gives the unit at hand 25 s (jobs/commands/effects.ts).
STOP_SECONDS = 30

# kubernetes: Airflow's variables that a pod gets. Their values are seen in a pod's specification and in Airflow: no secret may be here.
SETTINGS = (
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "LISTENLAKE_API_RETENTION_DAYS",
    "LISTENLAKE_ATHENA_EVENTS",
    "LISTENLAKE_ATHENA_WORKGROUP",
    "LISTENLAKE_AWS_NAME",
    "LISTENLAKE_ICEBERG",
    "LISTENLAKE_KAFKA_BROKERS",
    "LISTENLAKE_KAFKA_PLAINTEXT",
    "LISTENLAKE_KAFKA_SASL",
    "LISTENLAKE_KAFKA_TLS",
    "LISTENLAKE_KAFKA_USERNAME",
    "LISTENLAKE_KEEP_LANDING",
    "LISTENLAKE_LAKE",
    "LISTENLAKE_LOG_LEVEL",
    "LISTENLAKE_MEMORY_MB",
    "LISTENLAKE_OPENLINEAGE",
    "LISTENLAKE_OPENLINEAGE_NAMESPACE",
    "LISTENLAKE_PSEUDONYM_SECRET",
    "LISTENLAKE_S3_PATH_STYLE",
    "LISTENLAKE_SPOTIFY_CALL_BUDGET",
    "LISTENLAKE_SPOTIFY_CLIENT_ID",
    "LISTENLAKE_SPOTIFY_PLAYLISTS",
    "LISTENLAKE_SPOTIFY_TOKEN_SECRET",
    "LISTENLAKE_STREAM_LATENESS",
    "LISTENLAKE_THREADS",
    "LISTENLAKE_USER",
)

# In the job's lineage events the task is its parent; nothing where Airflow's OpenLineage provider is not installed.
PARENT = "{{{{ macros.OpenLineageProviderPlugin.{}(ti) if macros.OpenLineageProviderPlugin is defined }}}}"
PARENTS = {"OPENLINEAGE_PARENT_ID": "lineage_parent_id", "OPENLINEAGE_ROOT_PARENT_ID": "lineage_root_parent_id"}

# Set for every job. What it does not name comes from the job's own defaults (docs/reference/configuration.md).
ENVIRONMENT = {
    "LISTENLAKE_NOTHING_NEW_EXIT": str(NOTHING_NEW_EXIT),
    **{name: PARENT.format(macro) for name, macro in PARENTS.items() if LINEAGE},
}


SECRETS = {
    "doctor": ("pseudonym-key",),
    "extract": ("spotify",),
    "forget": ("pseudonym-key",),
    "load": ("pseudonym-key",),
    "stream": ("kafka", "pseudonym-key"),
    "transform": ("pseudonym-key",),
}
"""Which job gets which secret: the same table as in terraform/jobs.tf, and beside it Kafka's password, which AWS does not keep, and doctor,
which compares a given key with the lake's mark of it. On Kubernetes, the Secret `listenlake-<name>` where there is one."""

SECRET_VARIABLES = {
    "kafka": ("LISTENLAKE_KAFKA_PASSWORD",),
    "pseudonym-key": ("LISTENLAKE_PSEUDONYM_KEY",),
    "spotify": ("LISTENLAKE_SPOTIFY_CLIENT_SECRET",),
}
"""docker: the worker's variables that hold a secret. Names of secrets in Secrets Manager are none: who may read one, its role says."""

ACCOUNTS = {"coverage": "report", "doctor": "gc"}
"""Jobs without an account of their own read what another one reads; the others have that of their name (airflow/kubernetes/)."""


def job(command: str, *arguments: str, task_id: str | None = None, needs: Sequence[str] = (), **overrides: Any):
    """
    The task that runs one command of the CLI.

    :param command: the command, and by default the id of the task
    :param arguments: of the command; templated, one that renders to nothing is left out
    :param needs: what the job needs beside the lake: "spotify" (a network and the login), "kafka" (a network), "inbox" (files to take in)
    :param overrides: arguments of the operator, for the rare task that differs
    """
    operator, defaults = _runner(command, needs)
    return operator(task_id=task_id or command, arguments=[command, *arguments], **{**defaults, **overrides})


def _partial(command: str, *, task_id: str | None = None, needs: Sequence[str] = (), **overrides: Any):
    """For `.expand(arguments=...)`: one task for each list of arguments (each begins with the command)."""
    operator, defaults = _runner(command, needs)
    # Eight at once: each takes a container's memory, and the lake of one person has a few dozen partitions.
    return operator.partial(task_id=task_id or command, **{**defaults, "max_active_tis_per_dagrun": 8, **overrides})


job.partial = _partial


def asset(name: str) -> Asset:
    """What a task announces, at the address under which the jobs' own lineage events have it (docs/lineage.md)."""
    return Asset(name=name, uri=f"{LAKE.rstrip('/') if '://' in LAKE else 'file://' + os.path.abspath(LAKE)}/{name}")


PLAN = ("--plan", f"--min-rows={STAGE_ROWS}" if STAGE_ROWS else "")
"""How transform is asked into what intervals it may be shared."""


def stage_arguments(partition: dict[str, Any]) -> list[str]:
    """Of one interval of `transform --plan`: the job that builds it ahead."""
    return ["transform", "--stage", f"--from={partition['from']}", f"--to={partition['to']}"]


def _runner(command: str, needs: Sequence[str]) -> tuple[type, dict[str, Any]]:
    if RUNNER == "docker":
        from include.docker_job import DockerJob

        return DockerJob, {**_common(), **_docker(command, needs)}
    if RUNNER == "kubernetes":
        # Only here: importing the Kubernetes client takes longer than parsing all DAGs.
        from include.kubernetes_job import KubernetesJob

        return KubernetesJob, {**_common(), **_kubernetes(command, needs)}
    raise ValueError(f"LISTENLAKE_JOB_RUNNER is {RUNNER!r}: give docker or kubernetes")


def _common() -> dict[str, Any]:
    return {
        "image": IMAGE,
        # The job's result: a small object with counts, for people who look at a run and for tasks that are mapped
        # over it.
        "do_xcom_push": True,
        "skip_on_exit_code": NOTHING_NEW_EXIT,
        # A skipped job does not end the run: a former one may have died between two jobs, so each job looks for itself.
        "trigger_rule": "none_failed",
        "retries": 5,
        "retry_delay": RETRY_DELAY,
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": retry_policy(LATER_DELAY),
        # The longest job seen, silver of five million plays, took 84 s: after two hours something hangs.
        "execution_timeout": timedelta(hours=2),
        # One slot where the pool is ours: the lake has one writer at a time anyway (docs/operations.md).
        "pool": POOL,
    }


def _others_secrets(command: str) -> list[str]:
    """The variables that hold secrets which this job does not need."""
    own = SECRETS.get(command, ())
    return [name for secret, names in SECRET_VARIABLES.items() if secret not in own for name in names]


def _docker(command: str, needs: Sequence[str]) -> dict[str, Any]:
    is_folder = "://" not in LAKE
    mounts: list[dict[str, Any]] = []
    tmpfs = {"/tmp": "rw,nosuid,nodev,size=1g,mode=1777"}
    environment = {
        **ENVIRONMENT,
        "LISTENLAKE_LAKE": os.path.abspath(LAKE) if is_folder else LAKE,
        # DockerJob reads the result from the last line of stdout, below the words for a person.
        "LISTENLAKE_RESULT_FILE": "-",
    }
    if is_folder:
        # At the same path as outside: lake.duckdb names files by their paths, and is read from both sides.
        mounts.append({"source": os.path.abspath(LAKE), "target": os.path.abspath(LAKE), "type": "bind"})
    else:
        # What a job downloads and spills goes to disk then: in a tmpfs it would count as the job's memory.
        del tmpfs["/tmp"]
        mounts.append({"source": None, "target": "/tmp", "type": "volume"})
    if ROLES:
        # Its own role's credentials and no other's; the host renews them in place (terraform/airflow_ec2/roles.sh).
        source = os.path.join(ROLES, ACCOUNTS.get(command, command))
        mounts.append({"source": source, "target": "/run/aws", "type": "bind", "read_only": True})
    if "inbox" in needs and INBOX:
        mounts.append({"source": INBOX, "target": "/inbox", "type": "bind", "read_only": True})
    elif "inbox" in needs:
        tmpfs["/inbox"] = "rw,nosuid,nodev,size=1m,mode=1777"
    if "spotify" in needs and LOGIN:
        # Writable: a login is renewed by writing the new one (docs/spotify.md).
        mounts.append({"source": LOGIN, "target": "/login", "type": "bind"})
        environment["XDG_CONFIG_HOME"] = "/login"
    return {
        "environment": environment,
        # The worker's own variables reach the job when it runs, unseen: keys and secrets are among them.
        "passed_on": ("LISTENLAKE_", "AWS_"),
        # Not what is set above, nor paths that only the worker has, nor secrets of other jobs.
        "not_passed_on": ("LISTENLAKE_JOB_", *environment, "LISTENLAKE_SPOTIFY_TOKEN_FILE", *_others_secrets(command)),
        # A job on a folder talks to nobody, and cannot; but where a lineage backend is to be told.
        "network_mode": os.environ.get("LISTENLAKE_JOB_NETWORK", "bridge")
        if {"spotify", "kafka"} & set(needs) or not is_folder or "://" in LINEAGE
        else "none",
        "mounts": mounts,
        "user": os.environ.get("LISTENLAKE_JOB_USER", "65532:65532"),
        "cpus": CPUS,
        "mem_limit": f"{MEMORY_MIB}m",
        "stop_seconds": STOP_SECONDS,
        # Airflow keeps the log of the task; the engine's copy is gone with the container. Two files, because `local` packs full ones.
        "log_opts_max_size": "10m",
        "log_opts_max_file": "2",
        "host_config": {
            # Nothing of the image can be changed by what runs in it, and what breaks out has no rights.
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": PIDS_MAX,
            # Passes signals on and collects orphans.
            "init": True,
            "tmpfs": tmpfs,
        },
    }


def _kubernetes(command: str, needs: Sequence[str]) -> dict[str, Any]:
    """
    A pod that the namespace of airflow/kubernetes/ admits: Pod Security "restricted", and more. What Airflow itself can be told is not
    told here: the cluster and the sidecar's image by the connection `kubernetes_default`, deferrable mode by
    AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE.
    """
    from kubernetes.client import models as k8s

    nobody = 65532
    no_rights = k8s.V1SecurityContext(
        allow_privilege_escalation=False,
        capabilities=k8s.V1Capabilities(drop=["ALL"]),
        read_only_root_filesystem=True,
    )
    volumes = [k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="8Gi"))]
    mounts = [k8s.V1VolumeMount(name="tmp", mount_path="/tmp")]
    environment = dict(ENVIRONMENT)
    account = os.environ.get("LISTENLAKE_JOB_SERVICE_ACCOUNT", f"listenlake-{ACCOUNTS.get(command, command)}")
    if "inbox" in needs:
        volumes.append(_claim("inbox", INBOX, is_read_only=True))
        mounts.append(k8s.V1VolumeMount(name="inbox", mount_path="/inbox", read_only=True))
    if "spotify" in needs and LOGIN:
        # Writable: a login is renewed by writing the new one (docs/spotify.md).
        volumes.append(_claim("login", LOGIN))
        mounts.append(k8s.V1VolumeMount(name="login", mount_path="/login"))
        environment["XDG_CONFIG_HOME"] = "/login"
    return {
        "namespace": os.environ.get("LISTENLAKE_JOB_NAMESPACE", "listenlake"),
        "name": f"listenlake-{command}",
        # What the network policies choose pods by; the operator adds its own (dag_id, task_id, run_id, try_number).
        "labels": {
            "app.kubernetes.io/name": "listenlake",
            "app.kubernetes.io/component": command,
            "app.kubernetes.io/managed-by": "airflow",
        },
        # To move a job to another node is to run it again from its start.
        "annotations": {
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            "karpenter.sh/do-not-disrupt": "true",
        },
        # A tag that never moves, or a digest: what a node has is what it is.
        "image_pull_policy": "IfNotPresent",
        # The job's own role by IRSA or Pod Identity; nothing of the Kubernetes API. Empty: what the platform gives (Astro).
        "service_account_name": account or None,
        "automount_service_account_token": False,
        "security_context": k8s.V1PodSecurityContext(
            fs_group=nobody,
            run_as_group=nobody,
            run_as_non_root=True,
            run_as_user=nobody,
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        "container_security_context": no_rights,
        "xcom_sidecar_container_security_context": no_rights,
        # The engine keeps to LISTENLAKE_MEMORY_MB and spills the rest; Node and what is read at once come on top.
        "container_resources": k8s.V1ResourceRequirements(
            requests={"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
            limits={"cpu": "2", "memory": "2Gi", "ephemeral-storage": "10Gi"},
        ),
        # On the node's disk and not in memory: what is spilled, because memory was short, must not count as memory.
        "volumes": volumes,
        "volume_mounts": mounts,
        # Settings are Airflow's own, as with docker; secrets come by reference, so that neither a DAG nor a rendered field holds one.
        "env_vars": {**{name: os.environ[name] for name in SETTINGS if os.environ.get(name)}, **environment},
        "env_from": [
            k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name="listenlake", optional=True)),
            *(
                k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=f"listenlake-{secret}", optional=True))
                for secret in SECRETS.get(command, ())
            ),
        ],
        # A new node takes minutes to come and to pull the image.
        "schedule_timeout_seconds": 900,
        "startup_timeout_seconds": 600,
        # A job ends its unit at SIGTERM within 25 s (jobs/commands/effects.ts).
        "termination_grace_period": 30,
        # Where Airflow itself is gone for good, the pod and its sidecar end nevertheless.
        "active_deadline_seconds": 3 * 60 * 60,
        # A worker that died follows the same pod again instead of starting a second one.
        "durable": True,
        # Logs, events and the last words are in Airflow by then; failed pods that stay would only pile up.
        "on_finish_action": "delete_pod",
        "on_kill_action": "delete_pod",
        "get_logs": True,
        # In deferrable mode: how often new lines are fetched.
        "logging_interval": 60,
        "container_name_log_prefix_enabled": False,
        "log_events_on_failure": True,
        # A task's error is what the job said last, and not its pod's specification.
        "log_pod_spec_on_failure": False,
        "termination_message_policy": "FallbackToLogsOnError",
    }


def _claim(name: str, claim: str, is_read_only: bool = False):
    """A volume by its claim; empty where there is none."""
    from kubernetes.client import models as k8s

    if not claim:
        return k8s.V1Volume(name=name, empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="16Mi"))
    source = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=claim, read_only=is_read_only)
    return k8s.V1Volume(name=name, persistent_volume_claim=source)

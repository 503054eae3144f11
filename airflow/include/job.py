"""
One task of a DAG is one job of listenlake, in a container or in a pod: `job("transform")` runs `listenlake transform`.

    from include.job import job

    load = job("load")                                                      # task "load"
    check = job("check", "--scope=silver", task_id="check_silver")          # task ids begin with the command
    enrich = job("enrich", "{{ '--to=' ~ params.to if params.to else '' }}")     # templated; what renders to nothing is left out
    plan = job("transform", "--plan", task_id="transform_plan", result_field="partitions")
    stages = job.partial("transform", task_id="transform_stage").expand(arguments=plan.output.map(stage_arguments))
    # one task for each list of arguments; stage_arguments makes ["transform", "--stage", "--from=...", "--to=..."] of a partition

LISTENLAKE_JOB_RUNNER says where the jobs run, for all DAGs: `docker` (default) or `kubernetes`. Every default is in this file, with
its reason; how an operator does it is in docker_job.py and kubernetes_job.py, what an exit code means in outcome.py.

The settings are environment variables of Airflow's (all components), read when a DAG file is parsed; none of them is a secret.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from include.outcome import NOTHING_NEW_EXIT, retry_policy

RUNNER = os.environ.get("LISTENLAKE_JOB_RUNNER", "docker")
IMAGE = os.environ.get("LISTENLAKE_JOB_IMAGE", "listenlake:local")
LAKE = os.environ.get("LISTENLAKE_LAKE", "")
ROLES = os.environ.get("LISTENLAKE_JOB_ROLES", "")
"""A folder of the Docker host with one folder for each job: `credentials`, an AWS credentials file of the job's role."""

SECRETS = {
    "extract": ("spotify",),
    "load": ("kafka", "pseudonym-key"),
    "transform": ("pseudonym-key",),
}
"""Which job gets which secret: the same table as in terraform/jobs.tf. On Kubernetes, the Secret `listenlake-<name>` where there is one."""


def job(command: str, *arguments: str, task_id: str | None = None, needs_network: bool = False, **overrides: Any):
    """
    The task that runs one command of the CLI.

    :param command: the command, and by default the id of the task
    :param arguments: of the command; templated, one that renders to nothing is left out
    :param needs_network: the job talks to more than the lake (a folder lake needs no network at all)
    :param overrides: arguments of the operator, for the rare task that differs
    """
    operator, defaults = _runner(command, needs_network)
    return operator(task_id=task_id or command, arguments=[command, *arguments], **{**defaults, **overrides})


def _partial(command: str, *, task_id: str | None = None, needs_network: bool = False, **overrides: Any):
    """For `.expand(arguments=...)`: one task for each list of arguments (each begins with the command)."""
    operator, defaults = _runner(command, needs_network)
    return operator.partial(task_id=task_id or command, **{**defaults, **overrides})


job.partial = _partial


def _runner(command: str, needs_network: bool) -> tuple[type, dict[str, Any]]:
    if RUNNER == "docker":
        from include.docker_job import DockerJob

        return DockerJob, {**_common(), **_docker(command, needs_network)}
    if RUNNER == "kubernetes":
        # Only here: importing the Kubernetes client takes longer than parsing all DAGs.
        from include.kubernetes_job import KubernetesJob

        return KubernetesJob, {**_common(), **_kubernetes(command)}
    raise ValueError(f"LISTENLAKE_JOB_RUNNER is {RUNNER!r}: give docker or kubernetes")


def _common() -> dict[str, Any]:
    return {
        "image": IMAGE,
        "do_xcom_push": True,
        "skip_on_exit_code": NOTHING_NEW_EXIT,
        # A skipped job does not end the run: a former one may have died between two jobs, so each job looks for itself.
        "trigger_rule": "none_failed",
        "retries": 5,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": retry_policy(timedelta(minutes=10)),
        "execution_timeout": timedelta(hours=2),
    }


def _docker(command: str, needs_network: bool) -> dict[str, Any]:
    is_folder = "://" not in LAKE
    mounts = [{"source": LAKE, "target": LAKE, "type": "bind"}] if is_folder and LAKE else []
    if ROLES:
        # Its own role's credentials and no other's; the host renews them in place (terraform/airflow_ec2/roles.sh).
        mounts.append({"source": f"{ROLES}/{command}", "target": "/run/aws", "type": "bind", "read_only": True})
    return {
        "environment": {"LISTENLAKE_NOTHING_NEW_EXIT": str(NOTHING_NEW_EXIT)},
        "passed_on": ("LISTENLAKE_", "AWS_"),
        "not_passed_on": ("LISTENLAKE_JOB_",),
        "network_mode": "bridge" if needs_network or not is_folder else "none",
        "mem_limit": "2g",
        "mounts": mounts,
        "user": os.environ.get("LISTENLAKE_JOB_USER", "65532:65532"),
        "host_config": {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": 256,
            "init": True,
            "tmpfs": {"/tmp": "rw,nosuid,nodev,size=1g,mode=1777"},
        },
    }


def _kubernetes(command: str) -> dict[str, Any]:
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
        "service_account_name": os.environ.get("LISTENLAKE_JOB_SERVICE_ACCOUNT", f"listenlake-{command}") or None,
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
        "volumes": [k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="8Gi"))],
        "volume_mounts": [k8s.V1VolumeMount(name="tmp", mount_path="/tmp")],
        # Settings and secrets by reference: neither the DAG, nor Airflow, nor a rendered field holds one.
        "env_vars": {"LISTENLAKE_NOTHING_NEW_EXIT": str(NOTHING_NEW_EXIT)},
        "env_from": [
            k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name="listenlake")),
            *(
                k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=f"listenlake-{secret}", optional=True))
                for secret in SECRETS.get(command, ())
            ),
        ],
        # A new node takes minutes to come and to pull the image.
        "schedule_timeout_seconds": 900,
        "startup_timeout_seconds": 600,
        # A job ends its unit at SIGTERM within 25 s (jobs/effects.ts).
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

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

        return DockerJob, {**_common(), **_docker(needs_network)}
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


def _docker(needs_network: bool) -> dict[str, Any]:
    is_folder = "://" not in LAKE
    return {
        "environment": {"LISTENLAKE_NOTHING_NEW_EXIT": str(NOTHING_NEW_EXIT)},
        "passed_on": ("LISTENLAKE_", "AWS_"),
        "not_passed_on": ("LISTENLAKE_JOB_",),
        "network_mode": "bridge" if needs_network or not is_folder else "none",
        "mem_limit": "2g",
        "mounts": [{"source": LAKE, "target": LAKE, "type": "bind"}] if is_folder and LAKE else [],
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
    """Pod Security "restricted", one service account for each job, its secrets by reference."""
    return {
        "namespace": os.environ.get("LISTENLAKE_JOB_NAMESPACE", "listenlake"),
        "service_account_name": f"listenlake-{command}",
        "env_vars": {"LISTENLAKE_NOTHING_NEW_EXIT": str(NOTHING_NEW_EXIT), "LISTENLAKE_LAKE": LAKE},
    }

"""The pod that job.py asks for, field by field, as KubernetesPodOperator renders it without a cluster."""

import json

import pytest
from airflow.sdk import DAG
from kubernetes.client import ApiClient

from include import job as settings
from include.job import job

COMMANDS = ["extract", "load", "transform", "check", "enrich", "train", "promote", "report"]

NO_RIGHTS = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


@pytest.fixture(autouse=True)
def on_kubernetes(monkeypatch):
    for name in [*settings.SETTINGS, "LISTENLAKE_JOB_NAMESPACE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "RUNNER", "kubernetes")
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes"}))


def task_of(command, *arguments, **overrides):
    with DAG("pods"):
        return job(command, *arguments, **overrides)


def pod_of(command, *arguments):
    """As the API server gets it."""
    operator = task_of(command, *arguments)
    return ApiClient().sanitize_for_serialization(operator.build_pod_request_obj(dry_run=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_s17_pod_is_restricted(command):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a root file system that nobody writes to."""
    spec = pod_of(command)["spec"]
    assert spec["securityContext"] == {
        "fsGroup": 65532,
        "runAsGroup": 65532,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert [container["name"] for container in spec["containers"]] == ["base", "airflow-xcom-sidecar"]
    for container in spec["containers"]:
        assert container["securityContext"] == NO_RIGHTS
        assert "ports" not in container or container["ports"] == []
    assert not spec.get("hostNetwork")
    assert not spec.get("initContainers")
    # emptyDir is the only kind of volume: no host path, no token, no claim.
    assert {volume["name"]: sorted(volume) for volume in spec["volumes"]} == {
        "tmp": ["emptyDir", "name"],
        "xcom": ["emptyDir", "name"],
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_s15_pod_has_a_role_of_its_own_and_no_key(command):
    spec = pod_of(command)["spec"]
    assert spec["serviceAccountName"] == f"listenlake-{command}"
    assert spec["automountServiceAccountToken"] is False
    # Whatever could hold a secret is a reference.
    base = spec["containers"][0]
    assert base["env"] == [{"name": "LISTENLAKE_NOTHING_NEW_EXIT", "value": "99"}]
    assert all(set(source) <= {"configMapRef", "secretRef"} for source in base["envFrom"])


def test_s15_settings_of_airflow_reach_the_pod_and_secrets_do_not(monkeypatch):
    given = {
        "AWS_REGION": "eu-west-1",
        "LISTENLAKE_LAKE": "s3://bucket",
        "LISTENLAKE_MEMORY_MB": "512",
        "LISTENLAKE_USER": "",
        "AWS_ACCESS_KEY_ID": "a key",
        "AWS_SECRET_ACCESS_KEY": "a secret",
        "AWS_SESSION_TOKEN": "a token",
        "LISTENLAKE_PSEUDONYM_KEY": "a secret of sixteen",
        "LISTENLAKE_SPOTIFY_CLIENT_SECRET": "0123456789abcdef",
        "LISTENLAKE_JOB_POOL": "a pool",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for command in COMMANDS:
        assert {variable["name"]: variable["value"] for variable in pod_of(command)["spec"]["containers"][0]["env"]} == {
            "AWS_REGION": "eu-west-1",
            "LISTENLAKE_LAKE": "s3://bucket",
            "LISTENLAKE_MEMORY_MB": "512",
            "LISTENLAKE_NOTHING_NEW_EXIT": "99",
        }


def test_names_of_secrets_reach_the_pod_so_that_a_job_reads_them_by_its_role(monkeypatch):
    names = {"LISTENLAKE_PSEUDONYM_SECRET": "lake/pseudonym-key", "LISTENLAKE_SPOTIFY_TOKEN_SECRET": "lake/spotify"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    for command in ["extract", "load"]:
        environment = {variable["name"]: variable["value"] for variable in pod_of(command)["spec"]["containers"][0]["env"]}
        assert names.items() <= environment.items()


def test_s14_secrets_go_to_the_jobs_of_the_table():
    secrets = {
        command: [source["secretRef"] for source in pod_of(command)["spec"]["containers"][0]["envFrom"] if "secretRef" in source]
        for command in COMMANDS
    }
    assert {command: [secret["name"] for secret in given] for command, given in secrets.items() if given} == {
        "extract": ["listenlake-spotify"],
        "load": ["listenlake-pseudonym-key"],
        "transform": ["listenlake-pseudonym-key"],
    }
    assert all(secret["optional"] for given in secrets.values() for secret in given)
    assert pod_of("report")["spec"]["containers"][0]["envFrom"] == [{"configMapRef": {"name": "listenlake", "optional": True}}]


def test_pod_has_an_end():
    spec = pod_of("transform")["spec"]
    base = spec["containers"][0]
    assert base["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
        "limits": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "10Gi"},
    }
    assert spec["activeDeadlineSeconds"] == 3 * 60 * 60
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["restartPolicy"] == "Never"
    tmp = next(volume for volume in spec["volumes"] if volume["name"] == "tmp")
    assert tmp["emptyDir"] == {"sizeLimit": "8Gi"}
    assert {mount["name"]: mount["mountPath"] for mount in base["volumeMounts"]} == {"tmp": "/tmp", "xcom": "/airflow/xcom"}


def test_pod_says_what_it_is():
    pod = pod_of("check", "--scope=silver")
    assert pod["metadata"]["namespace"] == "listenlake"
    assert pod["metadata"]["name"].startswith("listenlake-check-")
    labels = pod["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "listenlake"
    assert labels["app.kubernetes.io/component"] == "check"
    assert labels["app.kubernetes.io/managed-by"] == "airflow"
    base = pod["spec"]["containers"][0]
    assert base["args"] == ["check", "--scope=silver"]
    assert not base.get("command")  # the image's entry point is the CLI
    assert base["image"] == settings.IMAGE
    assert base["imagePullPolicy"] == "IfNotPresent"
    assert base["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_result_comes_by_the_sidecar(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_KUBERNETES_DEFAULT",
        json.dumps({"conn_type": "kubernetes", "extra": {"xcom_sidecar_container_image": "registry.example/shell:1"}}),
    )
    base, sidecar = pod_of("load")["spec"]["containers"]
    assert sidecar["image"] == "registry.example/shell:1"
    assert sidecar["securityContext"] == NO_RIGHTS
    xcom = {"name": "xcom", "mountPath": "/airflow/xcom"}
    assert xcom in base["volumeMounts"]
    assert sidecar["volumeMounts"] == [xcom]


def test_operator_settings(monkeypatch):
    task = task_of("transform")
    assert task.do_xcom_push
    assert task.durable
    assert list(task.skip_on_exit_code) == [99]
    assert (task.on_finish_action, task.on_kill_action) == ("delete_pod", "delete_pod")
    assert (task.schedule_timeout_seconds, task.startup_timeout_seconds) == (900, 600)
    assert (task.get_logs, task.logging_interval, task.container_name_log_prefix_enabled) == (True, 60, False)
    assert (task.log_events_on_failure, task.log_pod_spec_on_failure) == (True, False)
    # The pod outlives the task's own end only where nobody is left to end it.
    assert task.active_deadline_seconds > task.execution_timeout.total_seconds()


def test_deferrable_is_a_choice_of_the_task_too():
    assert task_of("transform", deferrable=True).deferrable
    assert not task_of("transform").deferrable


def test_an_inbox_and_a_login_are_claims(monkeypatch):
    monkeypatch.setattr(settings, "INBOX", "exports")
    monkeypatch.setattr(settings, "LOGIN", "spotify-login")
    spec = ApiClient().sanitize_for_serialization(
        task_of("extract", "/inbox/", needs=["inbox", "spotify"]).build_pod_request_obj(dry_run=True)
    )["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["inbox"]["persistentVolumeClaim"] == {"claimName": "exports", "readOnly": True}
    assert volumes["login"]["persistentVolumeClaim"]["claimName"] == "spotify-login"
    mounts = {mount["name"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert (mounts["inbox"]["mountPath"], mounts["inbox"]["readOnly"]) == ("/inbox", True)
    assert {"name": "XDG_CONFIG_HOME", "value": "/login"} in spec["containers"][0]["env"]


def test_an_inbox_that_there_is_not_is_empty():
    spec = ApiClient().sanitize_for_serialization(task_of("extract", "/inbox/", needs=["inbox"]).build_pod_request_obj(dry_run=True))[
        "spec"
    ]
    assert next(volume for volume in spec["volumes"] if volume["name"] == "inbox") == {"name": "inbox", "emptyDir": {"sizeLimit": "16Mi"}}


def test_namespace_is_a_setting(monkeypatch):
    monkeypatch.setenv("LISTENLAKE_JOB_NAMESPACE", "elsewhere")
    assert pod_of("load")["metadata"]["namespace"] == "elsewhere"


@pytest.mark.parametrize(("account", "expected"), [(None, "listenlake-load"), ("jobs", "jobs"), ("", None)])
def test_account_is_the_jobs_own_unless_the_platform_gives_one(monkeypatch, account, expected):
    if account is not None:
        monkeypatch.setenv("LISTENLAKE_JOB_SERVICE_ACCOUNT", account)
    assert task_of("load").service_account_name == expected

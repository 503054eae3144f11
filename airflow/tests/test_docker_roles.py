"""S15: where the Docker host keeps credentials of each job's role (terraform/airflow_ec2/roles.sh), a job gets those of its own."""

import pytest
from airflow.sdk import DAG
from docker.types import Mount

from include import job as settings
from include.job import job


@pytest.fixture(autouse=True)
def on_docker(monkeypatch):
    monkeypatch.setattr(settings, "RUNNER", "docker")
    monkeypatch.setattr(settings, "LAKE", "s3://lake")


def mounts_of(command):
    with DAG("roles"):
        return [Mount(**mount) for mount in job(command).mounts if mount["target"] == "/run/aws"]


@pytest.mark.parametrize("command", ["extract", "load", "promote"])
def test_job_mounts_the_credentials_of_its_own_role_and_cannot_change_them(monkeypatch, command):
    monkeypatch.setattr(settings, "ROLES", "/run/listenlake/roles")
    [mount] = mounts_of(command)
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == (f"/run/listenlake/roles/{command}", "/run/aws", True)


def test_without_roles_nothing_is_mounted():
    assert mounts_of("load") == []

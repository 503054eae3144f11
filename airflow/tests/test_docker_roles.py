"""S15: where the Docker host keeps credentials of each job's role (terraform/airflow_ec2/roles.sh), a job gets those of its own."""

import json
import re
from pathlib import Path

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


SECRETS = {
    "LISTENLAKE_KAFKA_PASSWORD": "a word",
    "LISTENLAKE_PSEUDONYM_KEY": "a key of sixteen",
    "LISTENLAKE_SPOTIFY_CLIENT_SECRET": "0123456789abcdef",
}
SETTINGS = {"LISTENLAKE_MEMORY_MB": "512", "LISTENLAKE_PSEUDONYM_SECRET": "lake/pseudonym-key", "AWS_REGION": "eu-west-1"}


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("extract", {"LISTENLAKE_SPOTIFY_CLIENT_SECRET"}),
        ("load", {"LISTENLAKE_PSEUDONYM_KEY"}),
        ("doctor", {"LISTENLAKE_PSEUDONYM_KEY"}),
        ("forget", {"LISTENLAKE_PSEUDONYM_KEY"}),
        ("stream", {"LISTENLAKE_KAFKA_PASSWORD", "LISTENLAKE_PSEUDONYM_KEY"}),
        ("transform", {"LISTENLAKE_PSEUDONYM_KEY"}),
        *((command, set()) for command in ["check", "enrich", "train", "promote", "report", "gc", "retention", "coverage"]),
    ],
)
def test_a_container_gets_the_settings_and_the_secrets_of_its_own_job_alone(monkeypatch, command, given):
    for name, value in {**SECRETS, **SETTINGS}.items():
        monkeypatch.setenv(name, value)
    with DAG("secrets"):
        environment = job(command).environment_of_worker()
    assert {name for name in environment if name in SECRETS} == given
    assert SETTINGS.items() <= environment.items()


def test_the_table_of_secrets_is_that_of_the_roles():
    text = (Path(__file__).parents[2] / "terraform/jobs.tf").read_text()
    rows = re.findall(r"^ {4}(\w+) = \{$.*?secrets +=( \[.*?\])", text, re.MULTILINE | re.DOTALL)
    assert len(rows) > 10
    roles = {job: tuple(json.loads(secrets)) for job, secrets in rows if json.loads(secrets)}
    # AWS keeps no password of Kafka's.
    given = {job: tuple(name for name in names if name != "kafka") for job, names in settings.SECRETS.items()}
    assert {job: secrets for job, secrets in given.items() if job != "doctor"} == roles


def test_without_roles_nothing_is_mounted():
    assert mounts_of("load") == []

"""What Airflow tells of lineage fits what the jobs tell: `docs/lineage.md`."""

from __future__ import annotations

import importlib
import os

import pytest
from airflow.sdk.definitions._internal.templater import SandboxedEnvironment
from airflow.sdk.execution_time.context import MacrosAccessor
from jinja2 import StrictUndefined

import include.job


@pytest.fixture
def settings(monkeypatch):
    """The module as these variables make it; afterwards as it was."""

    def read(**variables: str):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return importlib.reload(include.job)

    yield read
    monkeypatch.undo()
    importlib.reload(include.job)


@pytest.mark.parametrize(
    ("lake", "uri"),
    [
        ("/srv/lake", "file:///srv/lake/gold_prod"),
        ("lake", f"file://{os.getcwd()}/lake/gold_prod"),
        ("s3://bucket", "s3://bucket/gold_prod"),
        ("s3://bucket/prefix/", "s3://bucket/prefix/gold_prod"),
    ],
)
def test_an_asset_has_the_address_of_the_dataset(settings, lake, uri):
    asset = settings(LISTENLAKE_LAKE=lake).asset("gold_prod")
    assert (asset.name, asset.uri) == ("gold_prod", uri)


def test_a_job_is_told_its_parent_where_somebody_asks_for_lineage(settings):
    assert set(settings().ENVIRONMENT) == {"LISTENLAKE_NOTHING_NEW_EXIT"}
    told = settings(LISTENLAKE_OPENLINEAGE="http://127.0.0.1:5000")
    environment = told.ENVIRONMENT
    assert set(environment) == {"LISTENLAKE_NOTHING_NEW_EXIT", "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"}

    class Provider:
        class OpenLineageProviderPlugin:
            lineage_parent_id = "default/{0.dag_id}.{0.task_id}/1".format
            lineage_root_parent_id = "default/{0.dag_id}/2".format

    class Task:
        dag_id = "listenlake_daily"
        task_id = "load"

    rendered = [rendered_by(environment, macros, Task) for macros in (Provider, MacrosAccessor())]
    assert rendered == [["default/listenlake_daily.load/1", "default/listenlake_daily/2"], ["", ""]]


def rendered_by(environment, macros, task) -> list[str]:
    """As Airflow renders templated fields."""
    templates = SandboxedEnvironment(undefined=StrictUndefined)
    return [templates.from_string(text).render(macros=macros, ti=task) for name, text in environment.items() if "PARENT" in name]


def test_a_job_on_a_folder_has_a_network_for_a_backend_alone(settings):
    def network(to: str) -> str:
        return settings(LISTENLAKE_LAKE="/srv/lake", LISTENLAKE_OPENLINEAGE=to)._docker("load", ())["network_mode"]

    assert [network(to) for to in ("", "/srv/lake/events.jsonl", "http://marquez:5000")] == ["none", "none", "bridge"]

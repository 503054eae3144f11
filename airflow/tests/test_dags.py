"""What must hold of every DAG, without a database or a run: `pytest` in airflow/."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

sys.path.insert(0, str(Path(__file__).parent))
from pictures import BLOCK, PAGE, with_pictures

AIRFLOW = Path(__file__).parents[1]
FILES = sorted((AIRFLOW / "dags").glob("*.py"))
COMMANDS = set(re.findall(r"^## (\w+)$", (AIRFLOW.parent / "docs/reference/commands.md").read_text(), re.MULTILINE))
LINES_MAX = 120


@pytest.fixture(scope="module")
def bag() -> DagBag:
    bag = DagBag(str(AIRFLOW / "dags"))
    for stat in bag.dagbag_stats:
        print(f"{stat.file}: {stat.duration.total_seconds():.2f} s")
    return bag


def test_every_file_is_one_dag_and_none_fails(bag):
    assert bag.import_errors == {}
    assert sorted(bag.dags) == [file.stem for file in FILES]


def test_a_file_is_a_picture_of_its_flow():
    assert {file.name: len(file.read_text().splitlines()) for file in FILES if len(file.read_text().splitlines()) >= LINES_MAX} == {}


@pytest.mark.parametrize("dag_id", [file.stem for file in FILES])
def test_every_dag_says_what_it_is_and_tells_when_it_fails(bag, dag_id):
    dag = bag.dags[dag_id]
    assert dag.tags == {"listenlake"}
    assert dag.doc_md and dag.description
    assert dag.catchup is False and dag.max_active_runs == 1
    assert dag.on_failure_callback and dag.deadline
    for task in dag.tasks:
        assert (task.owner, task.retries >= 2) == ("listenlake", True)
        assert task.trigger_rule == "none_failed"
        assert task.execution_timeout


@pytest.mark.parametrize("dag_id", [file.stem for file in FILES])
def test_every_task_is_a_command_of_the_cli(bag, dag_id):
    for task in bag.dags[dag_id].tasks:
        command = task.task_id.split("_")[0]
        assert command in COMMANDS
        if not task.is_mapped:
            assert task.arguments[0] == command


def test_scheduled_dags_have_intervals_with_a_length(bag):
    kinds = {dag_id: type(dag.timetable).__name__ for dag_id, dag in bag.dags.items()}
    assert set(kinds.values()) == {"CronDataIntervalTimetable", "NullTimetable"}
    assert [dag_id for dag_id, kind in kinds.items() if kind == "NullTimetable"] == ["listenlake_backfill"]


def test_the_pictures_in_the_docs_are_those_of_the_dags(bag):
    page = PAGE.read_text()
    assert sorted(match[2] for match in BLOCK.finditer(page)) == sorted(bag.dags)
    assert with_pictures(page, bag.dags) == page, "python tests/pictures.py writes them again"


def test_the_params_of_a_backfill_are_checked(bag):
    params = bag.dags["listenlake_backfill"].params
    for good in ("", "2026-11-01", "2026-11-01T12:00:00Z"):
        params["from"] = good
        params.validate()
    with pytest.raises(ValueError):
        params["from"] = "yesterday"
        params.validate()


def test_no_secret_stands_in_a_field_of_an_operator():
    """S2: fields are rendered, shown and stored. A job's secrets are read by the worker when it runs."""
    canary = "canary-5f2b9c7d41"
    code = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[1])
text = "".join(json.dumps(DagSerialization.to_dict(dag)) + repr([vars(task) for task in dag.tasks]) for dag in bag.dags.values())
print("FOUND" if sys.argv[2] in text else "clean", len(bag.dags))
"""
    env = {**os.environ, "PYTHONPATH": str(AIRFLOW), "LISTENLAKE_PSEUDONYM_KEY": canary, "AWS_SECRET_ACCESS_KEY": canary}
    done = subprocess.run([sys.executable, "-c", code, str(AIRFLOW / "dags"), canary], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip().splitlines()[-1] == f"clean {len(FILES)}", done.stderr


def test_parsing_imports_nothing_heavy():
    """A DAG file is parsed again and again: the Kubernetes client, pandas and the like would cost seconds each time."""
    code = """
import sys, time, importlib.util
import airflow.sdk, airflow.providers.docker.operators.docker
for file in sys.argv[1:]:
    began = time.perf_counter()
    spec = importlib.util.spec_from_file_location("dag", file)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    print(f"{file.rsplit('/', 1)[1]}: {time.perf_counter() - began:.2f} s beside Airflow's own imports")
print([name for name in ("kubernetes", "pandas", "numpy", "boto3") if name in sys.modules])
"""
    env = {**os.environ, "PYTHONPATH": str(AIRFLOW), "LISTENLAKE_JOB_RUNNER": "docker"}
    done = subprocess.run([sys.executable, "-c", code, *map(str, FILES)], env=env, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr

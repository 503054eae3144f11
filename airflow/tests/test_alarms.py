"""The alarms of terraform/alarms.tf count lines that Airflow itself writes when a run ends: here it writes them, and they are compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ALARMS = Path(__file__).parents[2] / "terraform/alarms.tf"

RUNS = """
from airflow.sdk import DAG, task

dags = {}
for name in ["listenlake_daily", "listenlake_capture", "somebody_elses"]:
    with DAG(name, params={"by": 1}) as dags[name]:
        @task
        def divide(params):
            return 1 / params["by"]
        divide()

if __name__ == "__main__":
    dags["listenlake_daily"].test()
    for dag in dags.values():
        dag.test(run_conf={"by": 0})
"""


def phrases_of(metric: str) -> list[str]:
    """CloudWatch takes a line that has all of them."""
    pattern = re.search(rf'^ +{metric} += "(.*)"$', ALARMS.read_text(), re.MULTILINE)[1]
    return re.findall(r'\\"(.+?)\\"', pattern)


@pytest.fixture(scope="module")
def ends(tmp_path_factory) -> list[str]:
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    (home / "dags/runs.py").write_text(RUNS)
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": f"{home}/dags"}
    environment |= {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db"}
    for command in (["-m", "airflow", "db", "migrate"], ["-m", "airflow", "dags", "reserialize"], ["dags/runs.py"]):
        done = subprocess.run([sys.executable, *command], cwd=home, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
    return [line for line in f"{done.stdout}\n{done.stderr}".split("\n") if "DagRun Finished" in line]


@pytest.mark.parametrize(
    ("metric", "counted"),
    [
        ("RunsSucceeded", [("listenlake_daily", "success")]),
        ("RunsFailed", [("listenlake_daily", "failed"), ("listenlake_capture", "failed")]),
    ],
)
def test_an_alarm_counts_the_lines_of_its_runs_and_no_other(ends, metric, counted):
    assert len(ends) == 4
    phrases = phrases_of(metric)
    assert len(phrases) == 2
    found = [line for line in ends if all(phrase in line for phrase in phrases)]
    assert [(re.search(r"dag_id=(\w+)", line)[1], re.search(r" state=(\w+)", line)[1]) for line in found] == counted

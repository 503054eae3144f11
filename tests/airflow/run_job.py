"""Runs one job as a task of a DAG does, on the engine of DOCKER_HOST. The last line of stdout is its result, as JSON."""

import json
from types import SimpleNamespace

from airflow.sdk import DAG

from include.job import job

with DAG("engine"):
    task = job("doctor")
instance = SimpleNamespace(dag_id="engine", run_id="run", task_id="doctor", map_index=-1)
print(json.dumps(task.execute({"ti": instance})))

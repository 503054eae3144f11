"""A DAG whose tasks do not simply succeed: what the daily flow shows on Kubernetes on bad days only."""

from datetime import timedelta

from airflow.sdk import chain

from include.flow import flow
from include.job import ENVIRONMENT, job

NOWHERE = {**ENVIRONMENT, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-west-1", "LISTENLAKE_LAKE": "s3://nowhere"}
SMALL = ["--users=1", "--days=1", "--tracks=20", "--export-plays=50", "--export-years=1"]

with flow("outcomes", doc=__doc__, deadline=timedelta(hours=1)):
    chain(
        job("load", task_id="load_nothing_new"),
        job("load", task_id="load_nothing_new_deferred", deferrable=True),
        job("extract", "events", *SMALL, task_id="extract_deferred", deferrable=True),
        job("load", task_id="load_unreachable", env_vars=NOWHERE, retries=1),
        job("load", "--no-such-flag", task_id="load_wrong", trigger_rule="all_done"),
        job("load", "--no-such-flag", task_id="load_wrong_deferred", trigger_rule="all_done", deferrable=True),
    )

with flow("killed_deferred", doc="A job that waits deferred while its pod is taken away.", deadline=timedelta(hours=1)):
    job("extract", "events", *SMALL, "--seed=2", task_id="extract_killed", deferrable=True)

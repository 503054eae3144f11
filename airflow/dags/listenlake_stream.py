"""
What streams brought, every hour: from the batches that consumers wrote into bronze to production.

A run takes whatever reached bronze since the last one, however much, and builds what it touches. Where nothing came, the tasks are shown
as skipped. Consumers are no tasks: they run beside Airflow, write without asking anybody, and go on where the lake says.
"""

from datetime import timedelta

from airflow.sdk import chain

from include.flow import flow
from include.job import asset, job

# A quarter past: `listenlake_daily` begins at the hour, and the lake has one writer.
with flow("listenlake_stream", cron="15 * * * *", doc=__doc__, deadline=timedelta(minutes=50)):
    chain(
        job("transform", "--on-quarantine=warn"),
        job("check", "--scope=silver", task_id="check_silver"),
        job("enrich", task_id="enrich_dev"),
        job("check", "--scope=gold", "--target=dev", task_id="check_dev"),
        job("promote", outlets=[asset("gold_prod")]),
    )

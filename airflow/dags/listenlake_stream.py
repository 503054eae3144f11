"""
What streams brought, every hour: from the batches that consumers wrote into bronze to production.

A run takes whatever reached bronze since the last one, however much, and builds what it touches. Where nothing came, the tasks are shown
as skipped. Consumers are no tasks: they run beside Airflow, write without asking anybody, and go on where the lake says.

`stream_lag` watches them: where an event of the topic waits for longer than `max_seconds`, it looks again a few times, and then fails and
tells. It holds up nothing else. It needs the settings of Kafka (docs/reference/configuration.md).
"""

from datetime import timedelta

from airflow.sdk import Param, chain

from include.flow import flow
from include.job import asset, job

PARAMS = {
    "topic": Param("listening-events", type="string", pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,248}$"),
    "max_seconds": Param(3_600, type="integer", minimum=1, description="stream_lag: how long an event may wait for its batch"),
}

# A quarter past: `listenlake_daily` begins at the hour, and the lake has one writer.
with flow("listenlake_stream", cron="15 * * * *", doc=__doc__, deadline=timedelta(minutes=50), params=PARAMS):
    chain(
        job("transform", "--on-quarantine=warn"),
        job("check", "--scope=silver", task_id="check_silver"),
        job("enrich", task_id="enrich_dev"),
        job("check", "--scope=gold", "--target=dev", task_id="check_dev"),
        job("promote", outlets=[asset("gold_prod")]),
    )
    job(
        "stream",
        "lag",
        "--topic={{ params.topic }}",
        "--max-seconds={{ params.max_seconds }}",
        task_id="stream_lag",
        needs=["kafka"],
        # It writes nothing, so it waits for nobody.
        pool="default_pool",
    )

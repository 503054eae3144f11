"""
From files to the report, every day at 04:00 UTC or when you ask.

Each task is one command of the CLI in a container of its own. A task that finds nothing new is shown as skipped, and the next one looks for
itself. Run it twice, kill it half-way, clear a task: the tables are the same.

**Trigger with parameters**: `tracks_csv` takes one file of the inbox instead of all that is in it; `generate_events` first makes synthetic
listening into landing (`users`, `days`, `seed`), to see the whole flow without data of your own.

**Backfill** of days (`airflow backfill create`) makes the silver of those days again from bronze.
"""

from datetime import timedelta

from airflow.sdk import Param, chain

from include.flow import flow
from include.job import PLAN, asset, job, stage_arguments

PARAMS = {
    "tracks_csv": Param("", type="string", title="File of the inbox", description="Empty: everything in the inbox."),
    "generate_events": Param(False, type="boolean", title="Generate synthetic listening first"),
    "users": Param(25, type="integer", minimum=1, maximum=10_000, description="generate_events: listeners"),
    "days": Param(90, type="integer", minimum=1, maximum=3_650, description="generate_events: days before 2026-11-01"),
    "seed": Param(1, type="integer", minimum=0, description="generate_events: same seed, same bytes"),
}

# Only a backfill is bound to its day; every other run takes up all that is new.
DAYS = [
    "{{ '--rebuild' if dag_run.run_type == 'backfill' else '' }}",
    "{{ '--from=' ~ data_interval_start.strftime('%Y-%m-%dT%H:%M:%SZ') if dag_run.run_type == 'backfill' else '' }}",
    "{{ '--to=' ~ data_interval_end.strftime('%Y-%m-%dT%H:%M:%SZ') if dag_run.run_type == 'backfill' else '' }}",
]

# Where much is new, transform is shared: it says into what intervals (none where it does not pay), a task builds each of them ahead, and
# the one transform takes what they have built. Those tasks do not write the lake: they wait for nobody.
ASIDE = {"pool": "default_pool"}
# A rebuild trusts nothing that was built ahead.
NO_BACKFILL = "{{ dag_run.run_type != 'backfill' }}"

with flow("listenlake_daily", cron="0 4 * * *", doc=__doc__, deadline=timedelta(hours=3), params=PARAMS):
    plan = job("transform", *PLAN, task_id="transform_plan", result_field="partitions", only_if=NO_BACKFILL, **ASIDE)
    chain(
        job("extract", "/inbox/{{ params.tracks_csv }}", needs=["inbox"]),
        job(
            "extract",
            "events",
            "--users={{ params.users }}",
            "--days={{ params.days }}",
            "--seed={{ params.seed }}",
            task_id="extract_events",
            only_if="{{ params.generate_events }}",
        ),
        job("load", "--on-quarantine=warn"),
        plan,
        job.partial("transform", task_id="transform_stage", **ASIDE).expand(arguments=plan.output.map(stage_arguments)),
        job("transform", "--on-quarantine=warn", *DAYS),
        job("check", "--scope=silver", task_id="check_silver"),
        job("enrich", task_id="enrich_dev"),
        job("train", "--on-refusal=skip"),
        job("check", "--scope=gold", "--target=dev", task_id="check_dev"),
        job("promote", outlets=[asset("gold_prod")]),
        job("report"),
    )

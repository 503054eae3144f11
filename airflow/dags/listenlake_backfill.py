"""
An interval again from bronze, when you ask: after a mended definition, or a partition that was damaged.

`from` (inclusive) and `to` (exclusive) are UTC dates or moments, as `listenlake transform` takes them; empty means all there is. Bronze is
never changed, so the same interval twice, or intervals in any order, end in the same tables.
"""

from datetime import timedelta

from airflow.sdk import Param, chain

from include.flow import flow
from include.job import asset, job

MOMENT = r"^$|^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$"

PARAMS = {
    "from": Param("", type="string", pattern=MOMENT, title="From (inclusive)", description="2026-11-01 or 2026-11-01T12:00:00Z"),
    "to": Param("", type="string", pattern=MOMENT, title="To (exclusive)", description="2026-11-02 or 2026-11-02T12:00:00Z"),
}

DAYS = [
    "{{ '--from=' ~ params['from'] if params['from'] else '' }}",
    "{{ '--to=' ~ params['to'] if params['to'] else '' }}",
]

with flow("listenlake_backfill", doc=__doc__, deadline=timedelta(hours=12), params=PARAMS):
    chain(
        job("transform", "--rebuild", "--on-quarantine=warn", *DAYS),
        job("check", "--scope=silver", task_id="check_silver"),
        job("enrich", task_id="enrich_dev"),
        job("train", "--on-refusal=skip"),
        job("check", "--scope=gold", "--target=dev", task_id="check_dev"),
        job("promote", outlets=[asset("gold_prod")]),
        job("report"),
    )

"""
Looks after the lake, every Sunday at 02:00 UTC.

`retention` removes what came from the Web API and is older than LISTENLAKE_API_RETENTION_DAYS (0, the default, keeps it: skipped). `gc`
collects objects that no commit names any more. `doctor --verify` then reads every committed object again and compares it with its
manifest: a disk that loses bits is noticed while bronze, or a copy of it, is still at hand. `coverage` says which days of listening no
export and no poll covers.
"""

from datetime import timedelta

from airflow.sdk import chain

from include.flow import flow
from include.job import job

# Airflow looks only into files in which it finds the words "airflow" and "dag".
with flow("listenlake_maintenance", cron="0 2 * * 0", doc=__doc__, deadline=timedelta(hours=6)):
    chain(
        job("retention"),
        job("gc"),
        job("doctor", "--verify"),
        job("coverage"),
    )

"""What all DAGs of listenlake share: `with flow("listenlake_daily", cron="0 4 * * *", doc=__doc__, deadline=...) as dag:`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, DeadlineAlert, DeadlineReference, Param, SyncCallback

from include.notice import failed, late


def flow(
    dag_id: str, *, doc: str, deadline: timedelta, cron: str | None = None, params: dict[str, Param] | None = None, **more: Any
) -> DAG:
    """
    :param doc: the DAG file's docstring, shown in the UI
    :param deadline: from queued to done; a run that takes longer is told of, not stopped
    :param cron: UTC; none: only by hand
    """
    return DAG(
        dag_id,
        doc_md=doc,
        description=doc.strip().splitlines()[0],
        # A cron text alone would make runs whose interval has no length.
        schedule=CronDataIntervalTimetable(cron, timezone="UTC") if cron else None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        # Every job takes up what is new, however old: missed runs need not be made up for.
        catchup=False,
        # The lake has one writer.
        max_active_runs=1,
        default_args={"owner": "listenlake"},
        tags=["listenlake"],
        params=params,
        on_failure_callback=failed,
        deadline=DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, deadline, SyncCallback(late)),
        **more,
    )

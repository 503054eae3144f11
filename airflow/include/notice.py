"""
Who hears of a failure: the log always, and an address if there is one.

The connection `listenlake_alerts` (type HTTP, the whole address as its host) gets `{"text": "..."}` by POST, as Slack, Mattermost, ntfy and
others take it. It is a connection and not a variable because such an address is a secret.
"""

from __future__ import annotations

import json
import logging
import urllib.request

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

CONNECTION = "listenlake_alerts"
TIMEOUT_SECONDS = 10

log = logging.getLogger(__name__)


def failed(context) -> None:
    """A run has failed, that is one of its tasks has, after its last try."""
    run = context["dag_run"]
    _tell(f"{run.dag_id} failed, run {run.run_id}: {context.get('reason') or 'see its tasks'}")


def late(context=None, **_) -> None:
    """A run is not done although its deadline has passed."""
    run = (context or {}).get("dag_run") or {}
    _tell(f"{run.get('dag_id', 'a DAG')} is late, run {run.get('dag_run_id') or run.get('run_id', 'unknown')}")


def _tell(text: str) -> None:
    log.error("%s", text)
    try:
        address = Connection.get(CONNECTION).host
    except AirflowNotFoundException:
        return
    request = urllib.request.Request(
        address, data=json.dumps({"text": f"listenlake: {text}"}).encode(), headers={"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()

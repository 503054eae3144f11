"""What a job's exit code means to Airflow: the one place that knows (jobs/base/errors.ts says what each code means to the job)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

NOTHING_NEW_EXIT = 99
"""A job ends with it where it found nothing new (LISTENLAKE_NOTHING_NEW_EXIT): the task is shown as skipped."""

RETRY_LATER_EXIT = 75
"""Another run holds the lease, or Spotify said when to come back: soon is no use."""

FINAL_EXITS = {
    64: "wrong arguments",
    65: "input was refused, or a check failed",
    77: "log in again",
    78: "wrong configuration",
}
"""Running it again, unchanged, ends the same way. Everything else (69, 70, 74, 137: killed or out of memory, ...) may not."""


class JobFailed(AirflowException):
    """The job failed in a way that may be gone at the next try."""


class JobNotNow(JobFailed):
    """The job asks to be tried again later."""


class JobFinal(JobFailed):
    """No retry will help."""


def failure(exit_code: int | None, reason: str) -> JobFailed:
    """The exception for a job that ended with this code; `reason` is its last words on stderr."""
    if exit_code == RETRY_LATER_EXIT:
        return JobNotNow(f"exit {exit_code}, not now: {reason}")
    if exit_code in FINAL_EXITS:
        return JobFinal(f"exit {exit_code}, {FINAL_EXITS[exit_code]}: {reason}")
    return JobFailed(f"exit {exit_code}: {reason}")


def retry_policy(later: timedelta) -> ExceptionRetryPolicy:
    """Which failure is tried again, and when: others by the task's own backoff, "not now" after `later`, final ones never."""
    return ExceptionRetryPolicy(
        rules=[
            RetryRule(JobNotNow, RetryAction.RETRY, retry_delay=later),
            RetryRule(JobFinal, RetryAction.FAIL),
        ]
    )


def field_of(result: Any, field: str | None) -> Any:
    """The part of a job's result that the next tasks are mapped over; the whole of it where no field is named."""
    return result if field is None or result is None else result[field]


def skip_unless(condition: Any) -> None:
    """Ends a task as skipped where its condition rendered to nothing, false or none."""
    if str(condition).strip().lower() in ("", "false", "none"):
        raise AirflowSkipException("not asked for in this run")

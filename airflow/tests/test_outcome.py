"""An exit code of a job, and what becomes of its task."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowSkipException

from include.outcome import failure, field_of, retry_policy, skip_unless

LATER = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("exit_code", "action", "delay"),
    [
        (64, RetryAction.FAIL, None),
        (65, RetryAction.FAIL, None),
        (77, RetryAction.FAIL, None),
        (78, RetryAction.FAIL, None),
        (75, RetryAction.RETRY, LATER),
        (69, RetryAction.DEFAULT, None),
        (70, RetryAction.DEFAULT, None),
        (74, RetryAction.DEFAULT, None),
        (137, RetryAction.DEFAULT, None),
        (None, RetryAction.DEFAULT, None),
    ],
)
def test_what_is_tried_again(exit_code, action, delay):
    error = failure(exit_code, "its last words")
    decision = retry_policy(LATER).evaluate(error, 1, 5)
    assert (decision.action, decision.retry_delay) == (action, delay)
    assert "its last words" in str(error)


@pytest.mark.parametrize("condition", ["", "False", "false", "None", False, None])
def test_a_task_that_is_not_asked_for_is_skipped(condition):
    with pytest.raises(AirflowSkipException):
        skip_unless(condition)


def test_a_task_that_is_asked_for_runs():
    skip_unless("True")


def test_the_field_that_tasks_are_mapped_over():
    assert field_of({"partitions": [1]}, "partitions") == [1]
    assert field_of({"rows": 1}, None) == {"rows": 1}
    assert field_of(None, "partitions") is None

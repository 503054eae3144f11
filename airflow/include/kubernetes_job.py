"""How a job runs as a pod: KubernetesPodOperator, and what a job's exit code means there. Which values, says job.py."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from include.outcome import failure, field_of, skip_unless


class KubernetesJob(KubernetesPodOperator):
    """
    Runs one command of the CLI in a pod. The entry point of the image is the CLI, so there are no `cmds`.

    :param arguments: the command and its arguments; templated. One that renders to nothing is left out.
    :param result_field: only this field of the result is kept: a list that tasks are mapped over
    :param only_if: the task is skipped where this renders to nothing, false or none
    :return: the job's result, which it writes to /airflow/xcom/return.json
    """

    template_fields: Sequence[str] = (*KubernetesPodOperator.template_fields, "only_if")

    def __init__(self, *, arguments: Sequence[str], result_field: str | None = None, only_if: str = "true", **kwargs) -> None:
        super().__init__(arguments=list(arguments), **kwargs)
        self.result_field = result_field
        self.only_if = only_if

    def execute(self, context):
        skip_unless(self.only_if)
        self.arguments = [argument for argument in self.arguments if argument != ""]
        return field_of(super().execute(context), self.result_field)

    def trigger_reentry(self, context, event):
        return field_of(super().trigger_reentry(context, event), self.result_field)

    def cleanup(self, pod, remote_pod, xcom_result=None, context=None) -> None:
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            raise failure(self._exit_code(remote_pod), str(error)) from error

    def _exit_code(self, pod) -> int | None:
        """None where the container never ended by itself: evicted, deleted, not started."""
        for status in (pod.status.container_statuses if pod and pod.status else None) or []:
            if status.name == self.base_container_name and status.state and status.state.terminated:
                return status.state.terminated.exit_code
        return None

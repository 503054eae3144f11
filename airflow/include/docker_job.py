"""How a job runs as a container: DockerOperator, and what it has no parameters for. Which values, says job.py."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException, DockerContainerFailedSkipException
from airflow.providers.docker.hooks.docker import DockerHook
from airflow.providers.docker.operators.docker import DockerOperator

from include.outcome import failure, field_of, skip_unless

XCOM_BYTES_MAX = 64 * 1024
"""A result is a small object; what is larger is a mistake, and would lie in Airflow's database for ever."""

REASON_LINES = 5

TAIL_LINES = 200
"""The engine counts the last lines of stdout and stderr together, and leaves those of the other one out only then."""

ROTATED_LOGS = ("json-file", "local")
"""The engine's log drivers that know `max-size` and `max-file`: any other one (awslogs on the EC2 host) refuses such a container."""


class DockerJob(DockerOperator):
    """
    Runs one command of the CLI in a container.

    :param arguments: the command and its arguments; templated. One that renders to nothing is left out.
    :param host_config: arguments of docker's `create_host_config` that DockerOperator does not know: read_only, cap_drop, ...
    :param passed_on: prefixes of the variables that the container gets from the worker's environment. They are read when the task
        runs and given as `private_environment`: they are in no rendered field, in no log, and not in Airflow's database.
    :param not_passed_on: prefixes of those among them that it does not get
    :param stop_seconds: how long a container may take to end when its task is stopped
    :param result_field: only this field of the result is kept: a list that tasks are mapped over
    :param only_if: the task is skipped where this renders to nothing, false or none
    :return: the last line of stdout, parsed: the job's result
    """

    template_fields: Sequence[str] = (*DockerOperator.template_fields, "only_if")

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        host_config: dict[str, Any],
        passed_on: Sequence[str] = (),
        not_passed_on: Sequence[str] = (),
        stop_seconds: int = 30,
        result_field: str | None = None,
        only_if: str = "true",
        **kwargs,
    ) -> None:
        super().__init__(command=list(arguments), mount_tmp_dir=False, auto_remove="never", **kwargs)
        self.arguments = arguments
        self.host_config = host_config
        self.passed_on = passed_on
        self.not_passed_on = not_passed_on
        self.stop_seconds = stop_seconds
        self.result_field = result_field
        self.only_if = only_if

    @cached_property
    def hook(self) -> DockerHook:
        hook = super().hook
        hook.api_client.create_host_config = partial(hook.api_client.create_host_config, **self.host_config)
        return hook

    def execute(self, context) -> Any:
        skip_unless(self.only_if)
        self.command = [argument for argument in self.command if argument != ""]
        self._private_environment = self.environment_of_worker()
        # The lease and the sweep of staging tell runs apart by host and process id: no two containers may share a host's name.
        self.hostname = uuid.uuid4().hex[:12]
        ti = context["ti"]
        self.labels = {"listenlake.task": f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"}
        if self.cli.info()["LoggingDriver"] not in ROTATED_LOGS:
            self.log_opts_max_size = self.log_opts_max_file = None
        self._stop_former_try()
        try:
            super().execute(context)
            return field_of(self._result(), self.result_field)
        except DockerContainerFailedSkipException:
            raise
        except DockerContainerFailedException as error:
            exit_code = self.cli.inspect_container(self.container["Id"])["State"]["ExitCode"]
            raise failure(exit_code, self._reason()) from error
        finally:
            # Not by the operator itself: it would be gone before its result and its exit code are read.
            if self.container is not None:
                self.cli.remove_container(self.container["Id"], force=True, v=True)

    def environment_of_worker(self) -> dict[str, str]:
        """The variables of this process that the container gets."""
        return {
            name: value
            for name, value in os.environ.items()
            if name.startswith(tuple(self.passed_on)) and not name.startswith(tuple(self.not_passed_on))
        }

    def on_kill(self) -> None:
        if self.container is not None:
            self.log.info("stopping the container; it may end its unit of work")
            self.cli.stop(self.container["Id"], timeout=self.stop_seconds)

    def _stop_former_try(self) -> None:
        """A worker that is killed leaves its container behind, at work and holding the lease: this try takes its place."""
        [label] = self.labels.items()
        for left in self.cli.containers(all=True, filters={"label": "=".join(label)}):
            self.log.warning("stopping container %s of a former try", left["Id"][:12])
            self.cli.stop(left["Id"], timeout=self.stop_seconds)
            self.cli.remove_container(left["Id"], force=True, v=True)

    def _result(self) -> dict[str, Any] | None:
        """The last line of stdout alone: DockerOperator's own result is that of stdout and stderr mixed, as text."""
        line = self._last_lines(1, stdout=True)
        if len(line) > XCOM_BYTES_MAX or not line.startswith("{"):
            return None
        return json.loads(line)

    def _reason(self) -> str:
        """What the job said last on stderr: its error, and not how far it was before."""
        lines = self._last_lines(REASON_LINES, stderr=True).split("\n")
        errors = [number for number, line in enumerate(lines) if line.startswith("listenlake: ")]
        return "\n".join(lines[errors[-1] :] if errors else lines)

    def _last_lines(self, count: int, *, stdout: bool = False, stderr: bool = False) -> str:
        text = self.cli.logs(self.container["Id"], stdout=stdout, stderr=stderr, tail=TAIL_LINES).decode(errors="replace")
        return "\n".join(text.strip().split("\n")[-count:])

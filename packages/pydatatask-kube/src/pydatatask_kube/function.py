"""Tasks whose jobs run as Python functions in pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from pydatatask_core.errors import TaskError
from pydatatask_core.task.function import FunctionBody, FunctionTask, describe_failure

from .task import KubeTask

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.repository.metadata import MetadataRepository
    from pydatatask_core.resource_manager import ResourceManager
    from pydatatask_core.task.retries import Retries
    from pydatatask_core.task.template import Template

    from .manager import PodManager

__all__ = ["KubeFunctionTask"]


class KubeFunctionTask(KubeTask):
    """A task which runs a python function on a kubernetes cluster.

    Requires a pod template which will execute a python script calling ``pydatatask.main``. This
    works by running ``python3 main.py launch [task] [job] --force --sync``. Sample usage::

        @KubeFunctionTask(
            "my_task",
            podman,
            resman,
            '''
            apiVersion: v1
            kind: Pod
            spec:
              containers:
                - name: leader
                  image: "docker.example.com/my/image"
                  command:
                    - python3
                    - {{ argv0 | tojson }}
                    - launch
                    - {{ task | tojson }}
                    - {{ job | tojson }}
                    - "--force"
                    - "--sync"
                  resources:
                    requests:
                      cpu: 100m
                      memory: 256Mi
            ''',
            repo_logs,
            repo_done,
            repo_func_done,
        )
        async def my_task(job: str, inp: MetadataRepository, out: MetadataRepository):
            await out.dump(job, await inp.info(job))


        my_task.link("inp", repo_input, is_input=True)
        my_task.link("out", repo_output, is_output=True)

    The pod opens only those resources of the session that the links and the body of this task
    need, and does not connect to the cluster. A function that raises makes its pod fail.

    :param name: the name of this task. It becomes a label.
    :param podman: a callable returning a PodManager to use to connect to the cluster.
    :param resources: a ResourceManager instance. Tasks launched will contribute to its quota and
        be denied if they would break the quota.
    :param template: YAML markup for a pod manifest template that will run ``pydatatask.main`` as
        ``python3 main.py launch [task] [job] --sync --force``, either as a string or a path to a
        file, or a ``Template``.
    :param logs: optional: a BlobRepository to dump pod logs to on completion. Linked as "logs"
        with ``inhibits_start``, ``required_for_output``, ``is_status``.
    :param kube_done: optional: a MetadataRepository in which to dump some information about the
        pod's lifetime and termination on completion. Linked as "done" with ``inhibits_start``,
        ``required_for_output``, ``is_status``.
    :param func_done: optional: a MetadataRepository in which to dump some information about the
        function's lifetime and termination on completion: ``success``, ``start_time``,
        ``end_time``, and for a failure ``exception`` and ``traceback``, or ``reason`` and
        ``missing_outputs``. Linked as "func_done" with
        ``inhibits_start``, ``required_for_output``, ``is_status``. If a pod fails before its
        function can write a record, the driver writes one with its ``reason``.
    :param env: optional: additional keys to add to the template environment. Messages do not show
        the text that they insert into a manifest.
    :param func: optional: the async function to run as the task body, if you don't want to use
        this task as a decorator.
    :param window: like the following parameters, as in :class:`KubeTask`.
    :param timeout: the maximum running time of a pod.
    :param ready: a repository from which to read task-ready status.
    :param pending_timeout: the maximum time from the creation of a pod until it runs.
    :param retries: the number of retries of a failed job before its failure is recorded.
    :param concurrency: the maximum number of jobs that run at once.
    :param disabled: whether the pipeline ignores this task.
    :param unsafe_templates: as in :class:`KubeTask`.

    It is highly recommended to provide at least one of ``kube_done``, ``func_done``, or ``logs``,
    so that at least one link is present with ``inhibits_start``.
    """

    checks_outputs_in_pod = True

    def __init__(
        self,
        name: str,
        podman: Callable[[], PodManager],
        resources: ResourceManager,
        template: str | os.PathLike[str] | Template,
        logs: BlobRepository | None = None,
        kube_done: MetadataRepository | None = None,
        func_done: MetadataRepository | None = None,
        env: Mapping[str, Any] | None = None,
        func: Callable[..., Any] | None = None,
        *,
        window: timedelta | float = timedelta(seconds=60),
        timeout: timedelta | float | None = None,
        ready: Repository | None = None,
        pending_timeout: timedelta | float | None = None,
        retries: int | Retries = 0,
        concurrency: int | None = None,
        disabled: bool = False,
        unsafe_templates: bool = False,
    ) -> None:
        super().__init__(
            name,
            podman,
            resources,
            template,
            logs,
            kube_done,
            window,
            timeout,
            env,
            ready,
            pending_timeout=pending_timeout,
            retries=retries,
            concurrency=concurrency,
            disabled=disabled,
            unsafe_templates=unsafe_templates,
        )
        self.func_done = func_done
        if func_done is not None:
            self.link_outcomes("func_done", func_done)
        self._function = FunctionBody(self)
        self.func = None if func is None else self._function.checked(func)

    def __call__(self, func: Callable[..., Any]) -> Self:
        """Set the function as the body of this task, so that the task works as a decorator."""
        self._function.check_missing(self.func, func)
        self.func = self._function.checked(func)
        return self

    async def validate(self) -> None:
        self._function.bind_links(self.func)
        await super().validate()

    async def launch(self, job: str) -> None:
        """Launch a pod that runs the function; in synchronous mode, run the function here.

        :raises TaskError: in synchronous mode, if the function has failed.
        """
        if not self.synchronous:
            return await super().launch(job)
        self.check_recordable(job)
        start = datetime.now(UTC)
        links = self._function.bind_links(self.func)
        assert self.func is not None
        scope = self._function.new_scope(job)
        failed = await self._function.run(self.func, scope, links)
        record: dict[str, Any] = {
            "success": failed is None,
            "start_time": start,
            "end_time": max(start, datetime.now(UTC)),
        }
        if failed is not None:
            record |= describe_failure(failed)
        elif outputs := self.output_check.unwritten(scope, record):
            record |= await self.output_check.verdict(job, outputs)
        if self.func_done is not None and self.metadata:
            await self.func_done.dump(job, record)
        if not record["success"]:
            problem = record["reason"] if failed is None else record["exception"]
            raise TaskError(f"{self.name}: job {job!r} has failed: {problem}") from failed
        return None

    async def settled(self, job: str, record: Mapping[str, Any]) -> None:
        """Use the record that the function wrote in its pod, or write one if there is none.

        :param job: the job.
        :param record: the record of its pod.
        """
        if self.func_done is None or not self.metadata:
            return
        success = bool(record["success"])
        if not success and not await self.func_done.contains(job):
            fields = {"success", "start_time", "end_time", "reason", "attempt"}
            kept = {key: value for key, value in record.items() if key in fields}
            await self.func_done.dump(job, kept)
        elif record["attempt"] > 1:
            record_of_function = await self.func_done.info(job)
            success = not (
                isinstance(record_of_function, dict) and record_of_function.get("success") is False
            )
        else:
            return
        self.outcome_view("func_done").record_verdict(job, success)


FunctionTask.register(KubeFunctionTask)  # it has a body, too, and one ancestor less

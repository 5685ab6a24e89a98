"""The output streams of a process task: which are captured, published, and held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.proc_manager.base import STDOUT
from pydatatask_core.proc_manager.protocol.run_directory import STDERR, STDOUT_FILE

if TYPE_CHECKING:
    from pydatatask_core.proc_manager.base import _StderrIsStdout
    from pydatatask_core.repository.blob import BlobRepository

    from .task import ProcessTask

__all__ = ["Streams"]


class Streams:
    """The configuration of the output streams of a process task.

    :param task: the task.
    :param stdout: the repository of stdout, if it is published.
    :param stderr: that of stderr, or ``STDOUT``.
    :param publish_failed: whether the output of failed jobs is published; None if tasks that
        failed jobs start decide.
    """

    def __init__(
        self,
        task: ProcessTask,
        stdout: BlobRepository | None,
        stderr: BlobRepository | _StderrIsStdout | None,
        publish_failed: bool | None,
    ) -> None:
        self._task = task
        self._publish_failed = publish_failed
        self._has_done = task.done is not None
        self.interleaves = stderr is STDOUT
        separate: Any = None if self.interleaves else stderr
        repos = {STDOUT_FILE: stdout, STDERR: separate}
        self.published: dict[str, BlobRepository] = {
            name: repo for name, repo in repos.items() if repo is not None
        }
        """The repository of each stream that is published."""
        self.stdout = stdout is not None or (self.interleaves and self._has_done)
        """Whether stdout is captured on the target while a job runs."""
        self.stderr: bool | _StderrIsStdout = separate is not None or self._has_done
        """Whether stderr is captured on the target, or ``STDOUT``."""
        if self.interleaves:
            self.stderr = STDOUT if self.stdout else False
        self.captured = [STDOUT_FILE] * self.stdout + [STDERR] * (self.stderr is True)
        """The names of the streams that are captured on the target."""

    @property
    def publishes_failed(self) -> bool:
        """True if the output of failed jobs is published as well."""
        if self._publish_failed is None:
            return bool(self._task.failed_counted_by)
        return self._publish_failed

    def publishes(self, name: str, failed: bool) -> bool:
        """Return whether a stream of an ended job is copied to a repository.

        :param name: the name of the stream.
        :param failed: whether the job has failed.
        """
        if name not in self.published:
            return False
        if not failed or self.publishes_failed:
            return True
        return name == STDERR and self._has_done  # otherwise stderr would mark it as ended

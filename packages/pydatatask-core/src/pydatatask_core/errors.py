"""Every exception that pydatatask raises deliberately.

::

    PydatataskError
    ├── RepositoryError
    │   ├── InvalidJobIdError           (ValueError, KeyError)
    │   │   └── UnrecordableJobError
    │   ├── JobNotFoundError            (FileNotFoundError, KeyError)
    │   ├── LocalFileMissingError       (FileNotFoundError)
    │   ├── AmbiguousJobError           (ValueError)
    │   ├── MalformedValueError         (ValueError)
    │   │   └── JobFunctionError        (a function of the user raised for one job)
    │   ├── UnsupportedValueError       (TypeError, ValueError)
    │   ├── ReadOnlyRepositoryError     (PermissionError)
    │   ├── RepositoryConfigurationError (ValueError)
    │   └── StoreError                  (OSError)
    │       ├── StorePermissionError    (PermissionError)
    │       ├── StoreConnectionError    (ConnectionError)
    │       └── StoreTimeoutError       (TimeoutError)
    ├── StreamClosedError               (ValueError)
    ├── NotAwaitedError                 (RuntimeError)
    ├── SessionError                    (RuntimeError)
    ├── QuantityError                   (ValueError)
    ├── TaskError
    │   ├── TaskConfigurationError      (ValueError)
    │   ├── TemplateError               (ValueError)
    │   ├── OutputConflictError
    │   ├── LaunchRefusedError          (a quota has no room; not a failure)
    │   ├── ForeignRecordError          (ValueError)
    │   └── ProcessManagerError         (OSError)
    ├── PipelineError                   (RuntimeError)
    │   ├── PipelineConfigurationError  (ValueError)
    │   ├── PipelineNotOpenError
    │   └── PipelineLockedError
    └── MissingBackendError
        ├── MissingBackendImportError   (ImportError)
        └── MissingBackendAttributeError (AttributeError)

Each class also derives from the builtin exception that a caller would expect, given in parentheses,
so ``except KeyError`` around a lookup keeps working. All of them can be pickled, because failures
in worker processes must reach the driver unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .error_text import describe as describe  # noqa: PLC0414 - exported, not a public error
from .error_text import excerpt as excerpt  # noqa: PLC0414 - exported, not a public error
from .error_text import type_name as type_name  # noqa: PLC0414 - exported, not a public error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AmbiguousJobError",
    "ForeignRecordError",
    "InvalidJobIdError",
    "JobFunctionError",
    "JobNotFoundError",
    "LaunchRefusedError",
    "LocalFileMissingError",
    "MalformedValueError",
    "MissingBackendAttributeError",
    "MissingBackendError",
    "MissingBackendImportError",
    "NotAwaitedError",
    "OutputConflictError",
    "PipelineConfigurationError",
    "PipelineError",
    "PipelineLockedError",
    "PipelineNotOpenError",
    "ProcessManagerError",
    "PydatataskError",
    "QuantityError",
    "ReadOnlyRepositoryError",
    "RepositoryConfigurationError",
    "RepositoryError",
    "SessionError",
    "StoreConnectionError",
    "StoreError",
    "StorePermissionError",
    "StoreTimeoutError",
    "StreamClosedError",
    "TaskConfigurationError",
    "TaskError",
    "TemplateError",
    "UnrecordableJobError",
    "UnsupportedValueError",
]


def _unpickle_error(
    cls: type[PydatataskError], message: str, state: dict[str, Any]
) -> PydatataskError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class PydatataskError(Exception):
    """The base class of all exceptions of pydatatask.

    :param message: the complete message, as the user reads it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        # OSError and KeyError set args and str() in their own ways.
        self.args = (message,)

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(self.__dict__)
        if isinstance(self, OSError) and self.errno is not None:
            state["errno"] = self.errno
        return _unpickle_error, (type(self), str(self), state)


class RepositoryError(PydatataskError):
    """An error of a repository."""


class InvalidJobIdError(RepositoryError, ValueError, KeyError):
    """A name that cannot be used as a job id.

    :param job: the rejected name.
    :param repository: the repository that rejected it.
    :param rule: the rule for job ids in this repository.
    """

    def __init__(self, job: object, repository: object, rule: str) -> None:
        super().__init__(
            f"{excerpt(job)} is not a valid job id for {repository!r}: {rule}. "
            "pydatatask.encode_job_id() turns any text into a job id"
        )
        self.job = job
        self.rule = rule


class JobNotFoundError(RepositoryError, FileNotFoundError, KeyError):
    """A requested value does not exist.

    :param job: the missing job.
    :param repository: the repository that was searched.
    """

    def __init__(self, job: str, repository: object) -> None:
        super().__init__(f"there is no job {job!r} in {repository!r}")
        self.job = job


class LocalFileMissingError(RepositoryError, FileNotFoundError):
    """A block did not write the local file that it should have written; nothing was published.

    :param job: the key.
    :param repository: the repository for which the file was meant.
    :param problem: the state of the path, such as "no file at '/tmp/x'".
    """

    def __init__(self, job: str, repository: object, problem: str) -> None:
        super().__init__(
            f"nothing was written for job {job!r} to {repository!r}: {problem}. Write to the path "
            "that local_file() returns, without changing it"
        )
        self.job = job


class AmbiguousJobError(RepositoryError, ValueError):
    """Two stored names stand for the same job, so neither can be trusted."""


class MalformedValueError(RepositoryError, ValueError):
    """A stored value cannot be parsed.

    :param job: the job of the value.
    :param repository: where it is stored.
    :param problem: the error, with line and column if known.
    """

    def __init__(self, job: str, repository: object, problem: str) -> None:
        super().__init__(f"the value of job {job!r} in {repository!r} does not parse: {problem}")
        self.job = job


class JobFunctionError(MalformedValueError):
    """A user's function, such as a filter, raised for one job; ``__cause__`` is its exception.

    :param job: the job.
    :param function: the kind of the function, and its name.
    :param problem: the exception.
    """

    def __init__(self, job: str, function: str, problem: BaseException) -> None:
        text = describe(problem)
        kind = type(problem).__name__
        reason = kind if text == kind else f"{kind}: {text}"
        RepositoryError.__init__(self, f"{function} raised for job {job!r}: {reason}")
        self.job = job


class UnsupportedValueError(RepositoryError, TypeError, ValueError):
    """A value was rejected before writing because it would not be read back equal.

    :param job: the job of the value.
    :param repository: the repository that rejected it.
    :param problem: the part that cannot be stored, and the reason.
    """

    def __init__(self, job: str, repository: object, problem: str) -> None:
        super().__init__(f"the value for job {job!r} cannot be stored in {repository!r}: {problem}")
        self.job = job
        self.problem = problem


class ReadOnlyRepositoryError(RepositoryError, PermissionError):
    """An attempt to change a read-only view."""


class RepositoryConfigurationError(RepositoryError, ValueError):
    """A repository cannot work as configured; raised by ``validate()``."""


class StoreError(RepositoryError, OSError):
    """The storage behind a repository failed, so the state of the job is unknown.

    :param action: the failed action, as an infinitive ("list", "read job 'a'").
    :param repository: the repository.
    :param cause: the error of the storage.
    """

    def __init__(self, action: str, repository: object, cause: object) -> None:
        super().__init__(f"could not {action} in {repository!r}: {describe(cause)}")
        if isinstance(cause, OSError):
            self.errno = cause.errno


class StorePermissionError(StoreError, PermissionError):
    """The storage denied access."""


class StoreConnectionError(StoreError, ConnectionError):
    """The storage could not be reached, or the connection broke."""


class StoreTimeoutError(StoreError, TimeoutError):
    """The storage did not respond in time."""


class StreamClosedError(PydatataskError, ValueError):
    """A stream was used after it had been closed."""


class NotAwaitedError(PydatataskError, RuntimeError):
    """A coroutine was created but never awaited, so its work was not done."""


class SessionError(PydatataskError, RuntimeError):
    """A session, or one of its resources, was misused or failed to open or close."""


class QuantityError(PydatataskError, ValueError):
    """A quantity of a resource is invalid."""


class TaskError(PydatataskError):
    """An error of a task."""


class TaskConfigurationError(TaskError, ValueError):
    """A task cannot work as configured; raised on construction or when the pipeline opens."""


class TemplateError(TaskError, ValueError):
    """A template cannot be parsed, or refers to an undefined name.

    :param summary: the problem.
    :param details: the rest of the message, such as the text of one job.
    """

    def __init__(self, summary: str, details: str = "") -> None:
        super().__init__(summary + details)
        self.summary = summary


class UnrecordableJobError(TaskError, InvalidJobIdError):
    """A job was rejected before its start because its outcome could not be recorded.

    :param task: the name of the task.
    :param job: the job.
    :param problems: for each link that cannot store the job: its name, its repository, and the
        rule for job ids there.
    """

    def __init__(self, task: str, job: str, problems: Sequence[tuple[str, object, str]]) -> None:
        rules = "; ".join(f"{name}, {repo!r}: {rule}" for name, repo, rule in problems)
        super(InvalidJobIdError, self).__init__(
            f"{task}: job {excerpt(job)} is not launched, because its outcome cannot be recorded "
            f"in {rules}. Rename the job (pydatatask.encode_job_id() turns any text into a job "
            "id), or use repositories of a class that allows this name"
        )
        self.job = job
        self.rule = rules


class OutputConflictError(TaskError):
    """A job was about to overwrite an output that another task has published.

    :param task: the name of the task whose job it is.
    :param key: the key.
    :param other: the name of the other task.
    :param repository: the repository.
    """

    def __init__(self, task: str, key: str, other: str, repository: object) -> None:
        super().__init__(
            f"{task}: {key!r} of {repository!r} was published by task {other}, and is not "
            "overwritten; write different keys, or use a separate location for each task"
        )


class LaunchRefusedError(TaskError):
    """A launch was postponed because the quota is used up; the job has not failed.

    :param task: the name of the task.
    :param job: the postponed job.
    :param resource: the exhausted resource (a ``ResourceType``).
    """

    def __init__(self, task: str, job: str, resource: object) -> None:
        super().__init__(
            f"{task}: job {job!r} has to wait, because the quota of "
            f"{getattr(resource, 'name', resource)} is used up"
        )
        self.job = job
        self.resource = resource


class ForeignRecordError(TaskError, ValueError):
    """The record of a live job names something that does not belong to the job.

    Nothing that it names is read, written, removed or killed. The job is neither watched nor
    launched until the record is deleted, or the pipeline is opened with the configuration under
    which the record was written.

    :param task: the name of the task.
    :param job: the job.
    :param repository: where the record is stored.
    :param problem: the content of the record, and the expected content.
    """

    def __init__(self, task: str, job: str, repository: object, problem: str) -> None:
        super().__init__(
            f"{task}: the record of job {job!r} in {repository!r} {problem}. Nothing that it names "
            "is touched, and the job is neither watched nor launched. If the task had another "
            "manager, `app` or path when the record was written, open the pipeline with those; "
            f"otherwise delete the record: `rm {task}.pids {job}`"
        )
        self.job = job


class ProcessManagerError(TaskError, OSError):
    """The target of a process manager is unusable or unreachable."""


class PipelineError(PydatataskError, RuntimeError):
    """An error of a pipeline."""


class PipelineConfigurationError(PipelineError, ValueError):
    """A pipeline cannot work as configured."""


class PipelineNotOpenError(PipelineError):
    """A pipeline was used before it was opened or after it was closed."""


class PipelineLockedError(PipelineError):
    """Another process is already driving this pipeline."""


class MissingBackendError(PydatataskError):
    """The backend of a requested name is not installed; the message has the install command."""


class MissingBackendImportError(MissingBackendError, ImportError):
    """The name was requested by ``import`` or ``from ... import``."""


class MissingBackendAttributeError(MissingBackendError, AttributeError):
    """The name was requested as an attribute, so ``hasattr`` and ``getattr`` defaults work.

    A separate class, because no class can derive from both ImportError and AttributeError.
    """

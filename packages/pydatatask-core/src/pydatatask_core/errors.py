"""Every exception that pydatatask raises on purpose.

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

Each class also derives from the builtin that a caller would expect, given in parentheses, so
``except KeyError`` around a look-up keeps working. All of them survive pickling, since a failure
in a worker process has to arrive whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


_MAX_SHOWN_CHARACTERS = 160


def _unpickle_error(
    cls: type[PydatataskError], message: str, state: dict[str, Any]
) -> PydatataskError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class PydatataskError(Exception):
    """The root of the tree.

    :param message: the whole sentence that a user reads.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        # OSError and KeyError have ideas of their own about args and str().
        self.args = (message,)

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(self.__dict__)
        if isinstance(self, OSError) and self.errno is not None:
            state["errno"] = self.errno
        return _unpickle_error, (type(self), str(self), state)


class RepositoryError(PydatataskError):
    """Something went wrong with a repository."""


class InvalidJobIdError(RepositoryError, ValueError, KeyError):
    """A name was given that cannot be a job id.

    :param job: what was given.
    :param repository: the repository that was asked.
    :param rule: what a job id looks like there.
    """

    def __init__(self, job: object, repository: object, rule: str) -> None:
        super().__init__(
            f"{excerpt(job)} is not a valid job id for {repository!r}: {rule}. "
            "pydatatask.encode_job_id() turns any text into a job id"
        )
        self.job = job
        self.rule = rule


class JobNotFoundError(RepositoryError, FileNotFoundError, KeyError):
    """A value was asked for that is not there.

    :param job: the absent job.
    :param repository: where it was looked for.
    """

    def __init__(self, job: str, repository: object) -> None:
        super().__init__(f"there is no job {job!r} in {repository!r}")
        self.job = job


class LocalFileMissingError(RepositoryError, FileNotFoundError):
    """A block that should have written a local file has not, so nothing was published.

    :param job: the key.
    :param repository: the repository that the file was for.
    :param problem: what there is instead.
    """

    def __init__(self, job: str, repository: object, problem: str) -> None:
        super().__init__(
            f"nothing was written for job {job!r} to {repository!r}: {problem}. Write to the path "
            "that local_file() gives, exactly"
        )
        self.job = job


class AmbiguousJobError(RepositoryError, ValueError):
    """Two stored names mean the same job, so neither can be trusted."""


class MalformedValueError(RepositoryError, ValueError):
    """A stored value does not parse.

    :param job: whose value it is.
    :param repository: where it is stored.
    :param problem: what is wrong with it, and where (line and column if known).
    """

    def __init__(self, job: str, repository: object, problem: str) -> None:
        super().__init__(f"the value of job {job!r} in {repository!r} does not parse: {problem}")
        self.job = job


class JobFunctionError(MalformedValueError):
    """A function of the user, such as a filter, raised for one job; the cause is what it raised.

    :param job: the job.
    :param function: what the function is and its name.
    :param problem: what it raised.
    """

    def __init__(self, job: str, function: str, problem: BaseException) -> None:
        text = describe(problem)
        kind = type(problem).__name__
        reason = kind if text == kind else f"{kind}: {text}"
        RepositoryError.__init__(self, f"{function} raised for job {job!r}: {reason}")
        self.job = job


class UnsupportedValueError(RepositoryError, TypeError, ValueError):
    """A value was refused before it was written, since it would not come back equal.

    :param job: whose value it is.
    :param repository: where it was to be stored.
    :param problem: which part of it, and why.
    """

    def __init__(self, job: str, repository: object, problem: str) -> None:
        super().__init__(f"the value for job {job!r} cannot be stored in {repository!r}: {problem}")
        self.job = job
        self.problem = problem


class ReadOnlyRepositoryError(RepositoryError, PermissionError):
    """A view was asked to change something that it only shows."""


class RepositoryConfigurationError(RepositoryError, ValueError):
    """A repository cannot work as it is configured; found by ``validate()``."""


class StoreError(RepositoryError, OSError):
    """The store behind a repository failed, so nothing is known about the job.

    :param action: what was attempted, as an infinitive ("list", "read job 'a'").
    :param repository: which repository.
    :param cause: what the store said.
    """

    def __init__(self, action: str, repository: object, cause: object) -> None:
        super().__init__(f"could not {action} in {repository!r}: {describe(cause)}")
        if isinstance(cause, OSError):
            self.errno = cause.errno


class StorePermissionError(StoreError, PermissionError):
    """The store refused access."""


class StoreConnectionError(StoreError, ConnectionError):
    """The store could not be reached, or the connection broke."""


class StoreTimeoutError(StoreError, TimeoutError):
    """The store did not answer in time."""


class StreamClosedError(PydatataskError, ValueError):
    """A stream was used after it was closed."""


class NotAwaitedError(PydatataskError, RuntimeError):
    """A coroutine was created and not awaited, so what it was called for did not happen."""


class SessionError(PydatataskError, RuntimeError):
    """A session, or one of its resources, was used wrongly or failed to open or close."""


class QuantityError(PydatataskError, ValueError):
    """A quantity of a resource makes no sense."""


class TaskError(PydatataskError):
    """Something went wrong with a task."""


class TaskConfigurationError(TaskError, ValueError):
    """A task cannot work as it is configured; found when it is made or when the pipeline opens."""


class TemplateError(TaskError, ValueError):
    """A template does not parse, or names something that does not exist.

    :param summary: the problem.
    :param details: the rest of the message, the text of one job for instance.
    """

    def __init__(self, summary: str, details: str = "") -> None:
        super().__init__(summary + details)
        self.summary = summary


class UnrecordableJobError(TaskError, InvalidJobIdError):
    """A job was refused before it began, because its end could not be recorded.

    :param task: the name of the task.
    :param job: the job.
    :param problems: of each link that cannot have the job its name, its repository, and the rule
        for job ids there.
    """

    def __init__(self, task: str, job: str, problems: Sequence[tuple[str, object, str]]) -> None:
        rules = "; ".join(f"{name}, {repo!r}: {rule}" for name, repo, rule in problems)
        super(InvalidJobIdError, self).__init__(
            f"{task}: job {excerpt(job)} is not launched, because its end could not be recorded in "
            f"{rules}. Rename the job (pydatatask.encode_job_id() turns any text into a job id), "
            "or give the task repositories of a class that allows it"
        )
        self.job = job
        self.rule = rules


class OutputConflictError(TaskError):
    """A job was about to overwrite what another task has published to a place that both share.

    :param task: the name of the task whose job it is.
    :param key: the key.
    :param other: the name of the other task.
    :param repository: the repository.
    """

    def __init__(self, task: str, key: str, other: str, repository: object) -> None:
        super().__init__(
            f"{task}: {key!r} of {repository!r} was published by task {other}, and is not "
            "overwritten; let the tasks write different keys, or give each a place of its own"
        )


class LaunchRefusedError(TaskError):
    """A launch was put off because a quota has no room for it; it is no failure of the job.

    :param task: the name of the task.
    :param job: the job that has to wait.
    :param resource: which resource is short (a ``ResourceType``).
    """

    def __init__(self, task: str, job: str, resource: object) -> None:
        super().__init__(
            f"{task}: job {job!r} has to wait, the quota of {getattr(resource, 'name', resource)} "
            "is used up"
        )
        self.job = job
        self.resource = resource


class ForeignRecordError(TaskError, ValueError):
    """A record of a live job names something that does not belong to the job.

    Nothing that it names is read, written, removed or killed. The job is neither watched nor
    launched before the record is deleted, or the pipeline is opened as it was when it was written.

    :param task: the name of the task.
    :param job: the job.
    :param repository: where the record is stored.
    :param problem: what the record says, and what it should say.
    """

    def __init__(self, task: str, job: str, repository: object, problem: str) -> None:
        super().__init__(
            f"{task}: the record of job {job!r} in {repository!r} {problem}. Nothing that it names "
            "is touched, and the job is neither watched nor launched. If the task has had another "
            "manager, `app` or path when the record was written, open the pipeline with these; "
            f"else delete the record: `rm {task}.pids {job}`"
        )
        self.job = job


class ProcessManagerError(TaskError, OSError):
    """The target of a process manager cannot be used, or could not be reached."""


class PipelineError(PydatataskError, RuntimeError):
    """Something went wrong with a pipeline."""


class PipelineConfigurationError(PipelineError, ValueError):
    """A pipeline cannot work as it is put together."""


class PipelineNotOpenError(PipelineError):
    """A pipeline was used before it was opened, or after it was closed."""


class PipelineLockedError(PipelineError):
    """Another process drives this pipeline already."""


class MissingBackendError(PydatataskError):
    """Something was used whose backend is not installed; the message has the command that does."""


class MissingBackendImportError(MissingBackendError, ImportError):
    """It was asked for by ``import``, or by ``from ... import``."""


class MissingBackendAttributeError(MissingBackendError, AttributeError):
    """It was asked for as an attribute, so that ``hasattr`` answers and ``getattr`` may default.

    No class can be an ImportError as well as an AttributeError.
    """


def excerpt(value: object) -> str:
    """Return the representation of a value for a message, cut if it is long.

    :param value: any value; one whose ``repr`` raises is shown as its type.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an integer of thousands of digits has no decimals
        return f"a value of type {type(value).__qualname__}"
    if len(text) > _MAX_SHOWN_CHARACTERS:
        return f"{text[:_MAX_SHOWN_CHARACTERS]}... ({len(text)} characters)"
    return text


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type, also if its metaclass overrides ``__name__``."""
    name: str = vars(type)["__name__"].__get__(type(error))
    return name


def describe(cause: object) -> str:
    """Return the text of a foreign exception, or its type where the text is empty.

    This never raises: a class may get its own ``__str__`` wrong.
    """
    if not isinstance(cause, BaseException):
        return str(cause)
    try:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, PydatataskError):
            return f"{cause.strerror}: {cause.filename!r}" if cause.filename else cause.strerror
        return str(cause) or type_name(cause)
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # noqa: BLE001 - whatever it is, the exception itself matters more
        return f"(no text: its __str__ raised {type_name(e)})"

"""Conformance suites for authors of repositories, process managers and tasks.

There is one class per kind of implementation. The tests of an implementation are a subclass and a
fixture::

    class TestFiles(BlobRepositoryContract):
        @pytest.fixture
        async def repo(self, tmp_path):
            repo = FileRepository(tmp_path / "files")
            await repo.validate()
            return repo

:class:`RepositoryHooks` documents the other fixtures and methods that a subclass can provide
(another instance over the same data, a store that fails, ...). A law that needs one of them fails
with its name if it is missing, unless a class attribute declares that the law does not apply. If a
repository deviates from a law, override the test in the subclass, call ``super()`` in it and mark
it ``xfail(reason=..., strict=True)``.

This package tests the promises of a contract through its public interface alone; each test's
docstring begins with the number of the law. Promises of a single implementation are tested beside
that implementation. No other module of the package imports this one, because it needs pytest,
pytest-asyncio and hypothesis: ``pip install 'pydatatask-core[testing]'``.
"""

from __future__ import annotations

from pydatatask_core.errors import MissingBackendImportError

try:
    import hypothesis  # noqa: F401 - imported here so that a missing package is reported once
    import pytest
    import pytest_asyncio  # noqa: F401 - as above
except ImportError as e:
    raise MissingBackendImportError(
        f"pydatatask_core.testing needs {e.name}, which is not installed; install it with "
        "pip install 'pydatatask-core[testing]'"
    ) from e

# Registered before these modules are imported, so that pytest shows the values of a failed assert.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "repositories.queries",
            "repositories.blob",
            "repositories.error_laws",
            "repositories.membership",
            "repositories.metadata",
            "processes.manager",
            "repositories.publication",
            "processes.backend",
            "processes.recovery",
            "repositories.operation",
            "tasks.contract",
        )
    )
)

from .jobs import HOSTILE_NAMES, JOBS  # noqa: E402
from .processes.manager import ProcessManagerContract  # noqa: E402
from .repositories.base import RepositoryContract  # noqa: E402
from .repositories.blob import BlobRepositoryContract  # noqa: E402 - see above
from .repositories.hooks import RepositoryHooks  # noqa: E402
from .repositories.metadata import MetadataRepositoryContract  # noqa: E402
from .repositories.values import for_all, metadata_values, same_metadata  # noqa: E402
from .tasks.contract import TaskContract  # noqa: E402
from .tasks.lab import TaskLab  # noqa: E402

__all__ = [
    "HOSTILE_NAMES",
    "JOBS",
    "BlobRepositoryContract",
    "MetadataRepositoryContract",
    "ProcessManagerContract",
    "RepositoryContract",
    "RepositoryHooks",
    "TaskContract",
    "TaskLab",
    "for_all",
    "metadata_values",
    "same_metadata",
]

"""The laws of the design as tests, for everybody who writes a repository or process manager.

One class a capability. A backend's tests are a subclass and a fixture::

    class TestFiles(BlobRepositoryContract):
        @pytest.fixture
        async def repo(self, tmp_path):
            repo = FileRepository(tmp_path / "files")
            await repo.validate()
            return repo

What else can be given (another instance over the same data, a store that fails, ...) is told by
:class:`RepositoryHooks`; a law that needs something that was not given fails and says what, unless
a class attribute says that the law has no meaning there. Where a repository deviates, override the
test in your class, call ``super()`` in it and mark it ``xfail(reason=..., strict=True)``.

Here belongs what a contract promises, stated through its public interface alone; each test's
docstring begins with the law's number. What only one implementation promises belongs into the
tests of that implementation. Nothing in the rest of the package imports this one, since it needs
pytest, pytest-asyncio and hypothesis: ``pip install 'pydatatask-core[testing]'``.
"""

from __future__ import annotations

from pydatatask_core.errors import MissingBackendImportError

try:
    import hypothesis  # noqa: F401 - only here, so that what is missing is said once and well
    import pytest
    import pytest_asyncio  # noqa: F401 - likewise
except ImportError as e:
    raise MissingBackendImportError(
        f"pydatatask_core.testing needs {e.name}, which is not installed: "
        "pip install 'pydatatask-core[testing]'"
    ) from e

# Before they are imported: pytest then shows the values in an assertion of theirs that failed.
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
            "repositories.operation",
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

__all__ = [
    "HOSTILE_NAMES",
    "JOBS",
    "BlobRepositoryContract",
    "MetadataRepositoryContract",
    "ProcessManagerContract",
    "RepositoryContract",
    "RepositoryHooks",
    "for_all",
    "metadata_values",
    "same_metadata",
]

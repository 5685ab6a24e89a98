"""Errors for documented names whose back end is not installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pydatatask_core.lazy import lazy_names, read_stub

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["documented_names"]

_DEPENDENCIES = ("pydatatask_core", "pydatatask_cli")


def documented_names(
    namespace: dict[str, Any],
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a documented module with a stub.

    The use of a name whose back end is not installed raises :class:`MissingBackendError`: of an
    attribute as an AttributeError, so that ``hasattr`` works; of an import as an ImportError.

    :param namespace: the module's ``globals()``.
    """
    load, names = lazy_names(namespace)
    # Python asks finders for the missing names of a module only if it has a path for submodules.
    namespace.setdefault("__path__", [])

    def load_or_explain(name: str) -> Any:
        try:
            return load(name)
        except ModuleNotFoundError as e:
            source = read_stub(namespace).get(name, ".").partition(".")[0]
            if not source or source in _DEPENDENCIES:
                raise
            from pydatatask_core.errors import MissingBackendAttributeError

            extra = source.removeprefix("pydatatask_")
            raise MissingBackendAttributeError(
                f"{namespace['__name__']}.{name} needs {e.name}, which is not installed: "
                f"pip install 'pydatatask[{extra}]'"
            ) from e

    return load_or_explain, names


class MissingBackendFinder:
    """The last finder, which explains why ``from pydatatask import Name`` fails.

    Python discards the AttributeError of ``pydatatask.Name``, and then looks for a module of that
    name.
    """

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        """Raise if ``fullname`` is a documented name whose back end is not installed."""
        package, _, name = fullname.rpartition(".")
        if package.partition(".")[0] != __package__:
            return
        try:
            getattr(sys.modules[package], name)
        except AttributeError as e:
            from pydatatask_core.errors import MissingBackendError, MissingBackendImportError

            if isinstance(e, MissingBackendError):
                raise MissingBackendImportError(*e.args) from e.__cause__


sys.meta_path.append(MissingBackendFinder)

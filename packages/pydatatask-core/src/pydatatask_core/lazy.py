"""Names of a module that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import MissingBackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["installed_names", "lazy_names"]


def lazy_names(
    namespace: dict[str, Any],
    sources: Mapping[str, Iterable[str]],
    modules: Iterable[str] = (),
    backends: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` for a module.

    To use a name whose backend is not installed raises :class:`MissingBackendError`.

    :param namespace: the module's ``globals()``, which keeps what was loaded.
    :param sources: which module, absolute or relative to this one's package, has which names.
    :param modules: submodules that are attributes without having been imported.
    :param backends: which of the sources may be missing, and what pip installs it.
    """
    module = namespace["__name__"]
    package = namespace["__package__"]
    homes = {name: source for source, names in sources.items() for name in names}
    submodules = frozenset(modules)
    optional = backends or {}

    def load(name: str) -> Any:
        if name in submodules:
            return importlib.import_module(f"{module}.{name}")
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(home, package), name)
        except ModuleNotFoundError as e:
            if home not in optional:
                raise
            raise MissingBackendError(
                f"{module}.{name} needs {e.name}, which is not installed: "
                f"pip install '{optional[home]}'"
            ) from e
        namespace[name] = value
        return value

    def names() -> list[str]:
        return sorted({*namespace, *homes, *submodules})

    return load, names


def installed_names(
    names: Iterable[str], sources: Mapping[str, Iterable[str]], backends: Mapping[str, str]
) -> list[str]:
    """Give the names that can be used, so that ``import *`` works without every backend.

    :param names: all names, as ``__all__`` has them.
    :param sources: which module has which names.
    :param backends: which of the sources may be missing.
    """
    from importlib.util import find_spec

    missing = {name for source in backends if find_spec(source) is None for name in sources[source]}
    return [name for name in names if name not in missing]

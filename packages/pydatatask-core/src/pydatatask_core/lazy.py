"""Names of a module that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["lazy_names"]


def lazy_names(
    namespace: dict[str, Any],
    sources: Mapping[str, Iterable[str]],
    modules: Iterable[str] = (),
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` for a module.

    :param namespace: the module's ``globals()``, which keeps what was loaded.
    :param sources: which module, absolute or relative to this one's package, has which names.
    :param modules: submodules that are attributes without having been imported.
    """
    module = namespace["__name__"]
    package = namespace["__package__"]
    homes = {name: source for source, names in sources.items() for name in names}
    submodules = frozenset(modules)

    def load(name: str) -> Any:
        if name in submodules:
            return importlib.import_module(f"{module}.{name}")
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home, package), name)
        namespace[name] = value
        return value

    def names() -> list[str]:
        return sorted({*namespace, *homes, *submodules})

    return load, names

"""Names of a module that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["gathered_names", "lazy_names"]


def lazy_names(
    namespace: dict[str, Any], sources: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` for a module that knows where each of its names is.

    :param namespace: the module's ``globals()``, which keeps what was loaded.
    :param sources: which module, absolute or relative to this one's package, has which names.
    """
    homes = {name: source for source, names in sources.items() for name in names}

    def load(name: str) -> Any:
        if name not in homes:
            raise unknown(namespace, name)
        found = importlib.import_module(homes[name], namespace["__package__"])
        value = namespace[name] = getattr(found, name)
        return value

    def names() -> list[str]:
        return sorted({*namespace, *homes})

    return load, names


def gathered_names(
    namespace: dict[str, Any], homes: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` for a module whose ``__all__`` others define.

    :param namespace: the module's ``globals()``, which keeps what was loaded.
    :param homes: the modules, absolute or relative to this one's package, in which a name is
        looked for in this order; each lists what it has in ``__all__``.
    """

    def load(name: str) -> Any:
        if name not in namespace["__all__"]:
            raise unknown(namespace, name)
        for home in homes:
            found = importlib.import_module(home, namespace["__package__"])
            if name in found.__all__:
                value = namespace[name] = getattr(found, name)
                return value
        raise unknown(namespace, name)

    def names() -> list[str]:
        return sorted({*namespace, *namespace["__all__"]})

    return load, names


def unknown(namespace: dict[str, Any], name: str) -> AttributeError:
    """Say of a module that it has no such name, in Python's own words."""
    return AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")

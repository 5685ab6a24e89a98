"""Names of a module that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["lazy_names", "reexported_names"]


def lazy_names(
    namespace: dict[str, Any], sources: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` for a module that knows where each of its names is.

    :param namespace: the module's ``globals()``, which keeps what was loaded.
    :param sources: which module, absolute or relative to this one's package, has which names.
    """
    module_of_name = {name: source for source, names in sources.items() for name in names}

    def load(name: str) -> Any:
        if name not in module_of_name:
            raise unknown_attribute(namespace, name)
        module = importlib.import_module(module_of_name[name], namespace["__package__"])
        value = namespace[name] = getattr(module, name)
        return value

    def names() -> list[str]:
        return sorted({*namespace, *module_of_name})

    return load, names


def reexported_names(
    namespace: dict[str, Any], module_names: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` for a module whose ``__all__`` others define.

    :param namespace: the module's ``globals()``, which keeps what was loaded.
    :param module_names: the modules, absolute or relative to this one's package, in which a name is
        looked for in this order; each lists what it has in ``__all__``.
    """

    def load(name: str) -> Any:
        if name not in namespace["__all__"]:
            raise unknown_attribute(namespace, name)
        for module_name in module_names:
            module = importlib.import_module(module_name, namespace["__package__"])
            if name in module.__all__:
                value = namespace[name] = getattr(module, name)
                return value
        raise unknown_attribute(namespace, name)

    def names() -> list[str]:
        return sorted({*namespace, *namespace["__all__"]})

    return load, names


def unknown_attribute(namespace: dict[str, Any], name: str) -> AttributeError:
    """Say of a module that it has no such name, in Python's own words."""
    return AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")

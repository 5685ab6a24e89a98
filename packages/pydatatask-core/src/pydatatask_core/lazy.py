"""Module attributes that are loaded on first use (PEP 562)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["lazy_names", "reexported_names"]


def lazy_names(
    namespace: dict[str, Any], sources: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a module with a table of its names.

    :param namespace: the module's ``globals()``, in which loaded names are cached.
    :param sources: for each module, absolute or relative to this one's package, its names.
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
    """Return ``__getattr__`` and ``__dir__`` for a module that re-exports names of other modules.

    :param namespace: the module's ``globals()``, in which loaded names are cached.
    :param module_names: the modules, absolute or relative to this one's package, that are searched
        for a name in this order; the ``__all__`` of each lists its names.
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
    """Return the error that Python itself raises for a missing attribute of a module."""
    return AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")

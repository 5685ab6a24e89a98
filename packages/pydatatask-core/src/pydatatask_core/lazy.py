"""Module attributes that are imported on first use (PEP 562), as listed in a stub.

Beside such a module is a ``.pyi`` file with a line ``from module import Name as Name`` for each
public name, or ``from module import *``. Type checkers read it, and this module reads it at run
time, so it is the only list of the names. A variable that the stub declares is a submodule.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["lazy_names", "read_stub"]


def lazy_names(
    namespace: dict[str, Any],
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a module with a stub; the former has ``__all__``.

    ``__all__`` has no names of packages that are not installed, so that ``import *`` works.

    :param namespace: the module's ``globals()``, in which imported names are cached.
    """
    sources = cache(lambda: read_stub(namespace))

    def load(name: str) -> Any:
        if name == "__all__":
            value: Any = _exported(sources())
        elif name.startswith("__") or name not in sources():
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        elif sources()[name] == ".":
            return importlib.import_module(f"{namespace['__name__']}.{name}")
        else:
            module = importlib.import_module(sources()[name], namespace["__package__"])
            value = getattr(module, name)
        namespace[name] = value
        return value

    def names() -> list[str]:
        special = (name for name in namespace if name.startswith("__"))
        submodules = (name for name, source in sources().items() if source == ".")
        return sorted({*special, *submodules, *_exported(sources())})

    return load, names


def read_stub(namespace: Mapping[str, Any]) -> dict[str, str]:
    """Return the module from which the stub of a module imports each name; ``.`` for a submodule.

    :param namespace: the module's ``globals()``.
    """
    import ast

    path = os.path.splitext(namespace["__file__"])[0] + ".pyi"
    try:
        stub = namespace["__spec__"].loader.get_data(path)
    except OSError as e:
        raise ImportError(
            f"{path!r}, which lists the names of {namespace['__name__']}, is missing; a program "
            "that bundles this package has to include its data files *.pyi"
        ) from e
    sources: dict[str, str] = {}
    for node in ast.parse(stub).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            sources[node.target.id] = "."
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            names = [imported.name for imported in node.names if imported.asname]
            if node.names[0].name == "*":
                names = importlib.import_module(source, namespace["__package__"]).__all__
            sources.update(dict.fromkeys(names, source))
    return sources


def _exported(sources: Mapping[str, str]) -> list[str]:
    """Return the names that are not submodules, without those of missing packages."""
    from importlib.util import find_spec

    packages = {source.partition(".")[0] for source in sources.values()}
    missing = {package for package in packages if package and find_spec(package) is None}
    return sorted(
        name
        for name, source in sources.items()
        if source != "." and source.partition(".")[0] not in missing
    )

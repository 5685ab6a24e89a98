"""Resolution of the names of this package's modules, from the core, the command line and backends.

Each name is listed once, where it is defined. Only the names of backends are listed here as well,
because a backend may not be installed.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from pydatatask_core.lazy import unknown_attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

__all__ = ["BACKENDS", "documented_names"]

# By extra: the documented names of the backend, each with the module that exports it.
BACKENDS: dict[str, dict[str, str]] = {
    "docker": {"DockerRepository": "repository"},
    "kube": {
        "KubeFunctionTask": "task",
        "KubeTask": "task",
        "LiveKubeRepository": "repository",
        "PodManager": "pod_manager",
    },
    "mongo": {"MongoMetadataRepository": "repository"},
    "s3": {
        "S3BucketInfo": "repository",
        "S3BucketRepository": "repository",
        "YamlMetadataS3Repository": "repository",
    },
    "ssh": {"SSHLinuxManager": "proc_manager"},
}


def documented_names(
    namespace: dict[str, Any],
    homes: Iterable[str],
    singles: Mapping[str, str] | None = None,
    modules: Iterable[str] = (),
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a documented module; the former has ``__all__``.

    The names of backends are added: to a module those that are documented in it, to the package
    all. The use of a name whose backend is not installed raises :class:`MissingBackendError`, as an
    ImportError for an import, otherwise as an AttributeError.

    :param namespace: the module's ``globals()``, which caches the loaded names.
    :param homes: the modules all of whose public names are documented here.
    :param singles: other names, with the module of each.
    :param modules: submodules that are attributes without having been imported.
    """
    module = namespace["__name__"]
    local_names = module.partition(".")[2]
    extras = {
        name: extra
        for extra, names in BACKENDS.items()
        for name, where in names.items()
        if local_names in ("", where)
    }
    sources = dict(singles or {})

    def load(name: str) -> Any:
        if name == "__all__":
            value: Any = public()
        elif name in modules:
            return importlib.import_module(f"{module}.{name}")
        elif name in extras:
            value = from_backend(module, name, extras[name], sys._getframe(1))
        elif name in sources:
            value = getattr(importlib.import_module(sources[name]), name)
        elif name.startswith("__"):  # such names are never defined elsewhere
            raise unknown_attribute(namespace, name)
        else:
            value = from_homes(name)
        namespace[name] = value
        return value

    def from_homes(name: str) -> Any:
        for home in map(importlib.import_module, homes):
            if name in home.__all__:
                return getattr(home, name)
        raise unknown_attribute(namespace, name)

    def public() -> list[str]:
        from importlib.util import find_spec

        # Without the names of missing backends, so that `import *` and `help` work.
        sources_of_name = {extra for extra in extras.values() if find_spec(f"pydatatask_{extra}")}
        result = {name for name, extra in extras.items() if extra in sources_of_name} | {*sources}
        for home in map(importlib.import_module, homes):
            result.update(home.__all__)
        return sorted(result.difference(modules))

    def names() -> list[str]:
        special = (name for name in namespace if name.startswith("__"))
        return sorted({*special, *public(), *modules})

    return load, names


def from_backend(module: str, name: str, extra: str, asking: FrameType) -> Any:
    """Return a name of a backend, or raise MissingBackendError with the command to install it."""
    try:
        return getattr(importlib.import_module(f"pydatatask_{extra}"), name)
    except ModuleNotFoundError as e:
        from pydatatask_core import errors

        imported = asks_by_import(asking)
        kind = errors.MissingBackendImportError if imported else errors.MissingBackendAttributeError
        raise kind(
            f"{module}.{name} needs {e.name}, which is not installed: "
            f"pip install 'pydatatask[{extra}]'"
        ) from e


def asks_by_import(asking: FrameType) -> bool:
    """Return whether a frame executes ``from module import name``.

    There, Python replaces the message of an AttributeError by its own.
    """
    import opcode

    return asking.f_code.co_code[asking.f_lasti] == opcode.opmap["IMPORT_FROM"]

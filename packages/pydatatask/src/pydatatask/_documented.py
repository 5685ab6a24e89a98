"""How the modules of this package come by their names: from the core, the command line, backends.

A name stands once where it is defined; what is listed here is only what has to be known of a
backend that is not installed.
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

# The extra that installs a backend: its documented names, and the module that has each.
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
    """Make ``__getattr__`` and ``__dir__`` for a documented module; the first gives ``__all__``.

    Backends' names are added: to a module those that are documented there, to the package all. To
    use one whose backend is not installed raises :class:`MissingBackendError`, as an ImportError
    or an AttributeError, whichever belongs to the way in which it was asked for.

    :param namespace: the module's ``globals()``, which keeps what was loaded.
    :param homes: the modules all of whose public names are documented here.
    :param singles: other names, and which module has each.
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
        elif name.startswith("__"):  # asked of every module, and of none that is behind this one
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

        # Without those of absent backends, so that `import *` works and `help` goes through.
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
    """Load a backend's name for a module, or say what installs it."""
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
    """Tell whether a frame stands at ``from module import name``.

    Python turns an AttributeError into a sentence of its own there, and ours would be lost.
    """
    import opcode

    return asking.f_code.co_code[asking.f_lasti] == opcode.opmap["IMPORT_FROM"]

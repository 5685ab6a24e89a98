"""A container image with this Python and the packages that a pipeline of functions needs."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from services.kubernetes.images import libraries, python

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["IMAGE", "function_image"]

IMAGE = "localhost/functions:1"

_PACKAGES = Path(__file__).resolve().parents[2] / "packages"
_OURS = ("pydatatask", "pydatatask-cli", "pydatatask-core", "pydatatask-kube")
_SITE = "/app/packages"
_UNUSED = {"test", "idlelib", "ensurepip", "lib2to3", "tkinter", "turtledemo", "site-packages"}


def function_image(folder: Path, script: Path) -> Path:
    """Build the image ``IMAGE``, with a script at the same path as here.

    :param folder: the folder for the archive.
    :param script: the script.
    """
    return python(folder, IMAGE, [*_interpreter(), *_packages(), (script, str(script))])


def _interpreter() -> Iterator[tuple[Path, str]]:
    """Yield the interpreter, its standard library, and the shared libraries of both."""
    program = Path(os.path.realpath(sys.executable))
    yield program, "/usr/local/bin/python3"
    library = Path(sysconfig.get_path("stdlib"))
    place = f"/usr/local/lib/{library.name}"
    for entry in library.iterdir():
        if entry.name not in _UNUSED:
            yield entry, f"{place}/{entry.name}"
    linked = set(libraries(str(program)))
    for extension in library.glob("lib-dynload/*.so"):
        linked.update(libraries(str(extension)))
    for path in linked:
        yield Path(os.path.realpath(path)), path
    yield Path("/bin/busybox"), "/bin/sh"
    for path in set(libraries("/bin/busybox")) - linked:
        yield Path(os.path.realpath(path)), path


def _packages() -> Iterator[tuple[Path, str]]:
    """Yield our packages from their sources, and their dependencies as they are installed."""
    for name in _OURS:
        (source,) = (path for path in (_PACKAGES / name / "src").iterdir() if path.is_dir())
        yield source, f"{_SITE}/{source.name}"
    seen: set[str] = set()
    waiting = [distribution(name) for name in _OURS]
    while waiting:
        found = waiting.pop()
        for name in _required(found):
            if name in seen:
                continue
            seen.add(name)
            if name not in _OURS:
                waiting.append(distribution(name))
                yield from _files(waiting[-1])


def _required(found: Distribution) -> Iterator[str]:
    from packaging.requirements import Requirement

    for text in found.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield re.sub(r"[-_.]+", "-", requirement.name).lower()


def _files(found: Distribution) -> Iterator[tuple[Path, str]]:
    """Yield the top-level files and folders of a distribution."""
    tops = {
        file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")
    }
    for top in sorted(tops):
        yield Path(str(found.locate_file(top))), f"{_SITE}/{top}"

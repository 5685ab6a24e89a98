"""Errors for users without an installed backend."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pydatatask

WITHOUT = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

if {missing!r} == "pydatatask_s3":
    sys.path[:] = [path for path in sys.path if not path.endswith("/pydatatask-s3/src")]
else:
    sys.meta_path.insert(0, Nothing())
import pydatatask
"""
COMMAND = "which is not installed: pip install 'pydatatask[s3]'"


def run(missing: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing) + code],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("missing", ["pydatatask_s3", "botocore"])
@pytest.mark.parametrize("name", ["S3BucketRepository", "repository.YamlMetadataS3Repository"])
@pytest.mark.parametrize("way", ["attribute", "import"])
def test_the_error_names_the_missing_package_and_the_command_that_installs_it(
    missing: str, name: str, way: str
) -> None:
    module, _, last = f"pydatatask.{name}".rpartition(".")
    asks = f"pydatatask.{name}" if way == "attribute" else f"from {module} import {last}"
    kind = "AttributeError" if way == "attribute" else "ImportError"

    result = run(missing, asks)

    said = result.stderr.splitlines()[-1]
    assert said.startswith(f"pydatatask_core.errors.MissingBackend{kind}: pydatatask.{name} needs ")
    assert said.endswith(COMMAND)
    code = f"""
try:
    {asks}
except pydatatask.MissingBackendError as e:
    assert isinstance(e, {kind})
    print("caught")
"""
    assert run(missing, code).stdout == "caught\n"


@pytest.mark.parametrize("missing", ["pydatatask_s3", "botocore"])
def test_hasattr_returns_false_and_getattr_its_default(missing: str) -> None:
    code = """
for place in (pydatatask, pydatatask.repository):
    print(hasattr(place, "S3BucketRepository"), getattr(place, "S3BucketRepository", "default"))
"""

    result = run(missing, code)

    assert result.stdout == "False default\n" * 2, result.stderr


def test_an_unknown_name_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="S4BucketRepository"):
        pydatatask.S4BucketRepository  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'S4BucketRepository'"):
        from pydatatask import (  # type: ignore[attr-defined]
            S4BucketRepository,  # noqa: F401
        )


def test_all_other_names_are_imported_by_star_and_shown_by_dir_and_help() -> None:
    code = """
from pydatatask import *
from pydatatask.repository import *
print(FileRepository.__name__, "S3BucketRepository" in globals(), end=" ")

import pydoc
for place in (pydatatask, pydatatask.repository):
    page = pydoc.plain(pydoc.render_doc(place))
    print("class FileRepository" in page, "S3BucketRepository" in dir(place), end=" ")
"""

    result = run("pydatatask_s3", code)

    assert result.stdout == "FileRepository False True False True False ", result.stderr

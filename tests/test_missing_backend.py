"""What somebody sees who has not installed a backend."""

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


def run(missing: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing) + code],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("missing", ["pydatatask_s3", "botocore"])
@pytest.mark.parametrize("name", ["S3BucketRepository", "repository.YamlMetadataS3Repository"])
def test_the_sentence_names_what_is_missing_and_the_command_that_installs_it(
    missing: str, name: str
) -> None:
    code = f"""
try:
    pydatatask.{name}
except ImportError as e:
    assert type(e) is pydatatask.MissingBackendError
    print(e)
"""
    result = run(missing, code)
    name = f"pydatatask.{name}"
    assert result.stdout.startswith(f"{name} needs "), result.stdout + result.stderr
    assert result.stdout.endswith("which is not installed: pip install 'pydatatask[s3]'\n")


def test_a_name_that_there_never_was_is_another_mistake() -> None:
    with pytest.raises(AttributeError, match="S4BucketRepository"):
        pydatatask.S4BucketRepository  # type: ignore[attr-defined]  # noqa: B018


def test_everything_else_is_imported_by_star() -> None:
    code = """
from pydatatask import *
from pydatatask.repository import *
print(FileRepository.__name__, "S3BucketRepository" in globals())
"""

    result = run("pydatatask_s3", code)
    assert result.stdout == "FileRepository False\n", result.stderr

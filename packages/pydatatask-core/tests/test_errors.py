"""Errors: the documented hierarchy, and pickling between processes."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from pydatatask_core import ResourceType, errors

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "InvalidJobIdError": ("../x", "repo", "a job id has letters"),
    "JobNotFoundError": ("a", "repo"),
    "ForeignRecordError": ("t", "a", "repo", "it names another directory"),
    "LocalFileMissingError": ("a", "repo", "'a.txt' was not created"),
    "MalformedValueError": ("a", "repo", "line 3"),
    "JobFunctionError": ("a", "the filter f", KeyError("weight")),
    "UnsupportedValueError": ("a", "repo", "value is a set"),
    "StoreError": ("list", "repo", OSError(28, "No space left on device", "/x")),
    "StorePermissionError": ("list", "repo", PermissionError(13, "Permission denied")),
    "StoreConnectionError": ("list", "repo", ConnectionError("refused")),
    "StoreTimeoutError": ("list", "repo", TimeoutError()),
    "UnrecordableJobError": ("t", "a.b", [("done", "repo", "a job id has letters")]),
    "OutputConflictError": ("t", "a", "other", "repo"),
    "LaunchRefusedError": ("t", "a", ResourceType.CPU),
}
KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling_and_copying(kind: Any) -> None:
    error = kind(*ARGUMENTS.get(kind.__name__, ("a whole sentence",)))

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert again.args == error.args
        assert vars(again) == vars(error)
        assert getattr(again, "errno", None) == getattr(error, "errno", None)
        assert errors.describe(again) == str(error)


def test_the_hierarchy_is_as_documented() -> None:
    tree = errors.__doc__.split("::")[1].split("Each class")[0]
    drawn = re.findall(r"^    ([│ ├└─]*)(\w+Error)\b(?: +\(([\w, ]+)\))?", tree, re.MULTILINE)
    above: dict[int, Any] = {}
    for indent, name, builtins in drawn:
        kind, depth = getattr(errors, name), len(indent) // 4
        above[depth] = kind
        if depth:
            assert issubclass(kind, above[depth - 1])
        for builtin in re.findall(r"\b[A-Z]\w+Error\b", builtins):
            assert issubclass(kind, __builtins__[builtin])  # type: ignore[index]
    assert {name for _, name, _ in drawn} == set(errors.__all__)


def test_an_overlong_name_is_truncated_in_the_message() -> None:
    assert len(str(errors.InvalidJobIdError("x" * 10_000, "repo", "a rule"))) < 500

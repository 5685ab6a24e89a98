"""The tests that the security policy and the documentation name as evidence exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
POLICY = ROOT / ".github" / "SECURITY.md"
RECOVERY = ROOT / "docs" / "recovery.md"
REFERENCE = re.compile(r"`((?:packages/[\w-]+/)?(?:tests|src)/[\w/]+\.py)(?:::(\w+))?`")
BORDERS = {
    "Job to driver",
    "Store to driver",
    "Values to scripts and manifests",
    "Neighbours",
    "Terminal",
    "Secrets",
    "Supply chain",
}


def _borders() -> dict[str, str]:
    """Return the text of each border by its heading."""
    text = POLICY.read_text().partition("\n## Borders\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _promises() -> list[str]:
    return [
        " ".join(promise.split())
        for text in _borders().values()
        for promise in re.findall(r"^- (.*?)(?=^- |^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    ]


def test_every_border_has_its_place() -> None:
    assert _borders().keys() == BORDERS


@pytest.mark.parametrize("promise", _promises())
def test_every_promise_names_tests_that_exist(promise: str) -> None:
    named = REFERENCE.findall(promise)

    assert named, f"no test is named for: {promise}"
    for path, name in named:
        assert _exists(path, name), (path, name)


@pytest.mark.parametrize(("path", "name"), REFERENCE.findall(RECOVERY.read_text()))
def test_the_page_on_recovery_names_tests_that_exist(path: str, name: str) -> None:
    assert _exists(path, name)


def _exists(path: str, name: str) -> bool:
    """Check that a file exists and defines a function, of a module or a class, if one is named."""
    file = ROOT / path
    return file.is_file() and (
        not name
        or re.search(rf"^ *(?:async )?def {name}\(", file.read_text(), re.MULTILINE) is not None
    )

"""The commands and code of the documentation work as shown.

With ``PYDATATASK_REWRITE_DOCS=1`` the output is written into the pages.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .following import Reader
from .pages import EXECUTED, blocks

DOCS = Path(__file__).parents[2] / "docs"
ELSEWHERE = {"command-line.md"}
"""Pages that the tests of their packages execute."""

SERVED = {
    "howto/docker.md",
    "howto/kubernetes.md",
    "howto/mixed.md",
    "howto/mongodb.md",
    "howto/s3.md",
    "howto/ssh.md",
}
"""Pages that need a server; see test_pages_with_servers.py."""

PAGES = sorted(
    name
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts
    and (name := path.relative_to(DOCS).as_posix()) not in ELSEWHERE | SERVED
    and any(block.language in EXECUTED for block in blocks(path))
)

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_as_shown(name: str, tmp_path: Path) -> None:
    Reader(DOCS / name, tmp_path).follow()


def test_the_command_that_the_page_about_the_command_line_adds_works(tmp_path: Path) -> None:
    fragment = next(
        block.text
        for block in blocks(DOCS / "command-line.md")
        if block.language == "python" and "instrument" in block.text
    )
    support = DOCS.parent / "packages" / "pydatatask-cli" / "tests" / "support"
    shutil.copy(support / "words.py", tmp_path)
    (tmp_path / "main.py").write_text(
        f"import pydatatask\nfrom words import pipeline\n\n{fragment}", encoding="utf-8"
    )
    page = tmp_path / "page.md"
    page.write_text(
        """```console
$ echo one two | python main.py inject count.texts a
$ python main.py run
launched: count 1, re-port 1 (0.1 s)
$ python main.py recount a
$ python main.py ls count.texts - count.done
a
```
"""
    )

    Reader(page, tmp_path).follow()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path, name in re.findall(r"`((?:packages|tests)/\S+?\.py)(?:::(\w+))?`", text):
        source = (DOCS.parent / path).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in source, f"{page.name}: {path} has no {name}"

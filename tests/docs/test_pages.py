"""What the documentation says works as it stands there.

With ``PYDATATASK_REWRITE_DOCS=1`` what is printed is written into the pages.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .following import Reader
from .pages import EXECUTED, blocks

if TYPE_CHECKING:
    from services.mongodb import MongoServer
    from services.s3 import S3Server

DOCS = Path(__file__).parents[2] / "docs"
ELSEWHERE = {"command-line.md"}
"""Tested by the package whose page it is."""

SERVED = {"howto/mixed.md", "howto/mongodb.md", "howto/s3.md"}
"""Those with tests of their own below, since they need a server."""

OF_ITS_OWN = f"pydatatask-test-{uuid.uuid4().hex[:12]}"
"""A name for what pages make on a server that others may use as well."""

PAGES = sorted(
    name
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts
    and (name := path.relative_to(DOCS).as_posix()) not in ELSEWHERE | SERVED
    and any(block.language in EXECUTED for block in blocks(path))
)

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_happens(name: str, tmp_path: Path) -> None:
    Reader(DOCS / name, tmp_path).follow()


def test_the_page_about_s3_shows_what_happens(s3_real: S3Server, tmp_path: Path) -> None:
    environ = {
        "BUCKET_ENDPOINT": s3_real.endpoint,
        "BUCKET_USERNAME": s3_real.user,
        "BUCKET_PASSWORD": s3_real.password,
        "HOWTO_NAME": OF_ITS_OWN,
    }
    Reader(DOCS / "howto" / "s3.md", tmp_path, environ).follow()


def test_the_page_about_mongodb_shows_what_happens(mongodb: MongoServer, tmp_path: Path) -> None:
    environ = {"MONGODB_URL": mongodb.url, "HOWTO_NAME": OF_ITS_OWN}
    Reader(DOCS / "howto" / "mongodb.md", tmp_path, environ).follow()


def test_the_page_about_several_back_ends_shows_what_happens(
    s3_real: S3Server, mongodb: MongoServer, tmp_path: Path
) -> None:
    environ = {
        "BUCKET_ENDPOINT": s3_real.endpoint,
        "BUCKET_USERNAME": s3_real.user,
        "BUCKET_PASSWORD": s3_real.password,
        "MONGODB_URL": mongodb.url,
        "EXAMPLE_NAME": OF_ITS_OWN,
    }
    Reader(DOCS / "howto" / "mixed.md", tmp_path, environ).follow()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path, name in re.findall(r"`((?:packages|tests)/\S+?\.py)(?:::(\w+))?`", text):
        source = (DOCS.parent / path).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in source, f"{page.name}: {path} has no {name}"

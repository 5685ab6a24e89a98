"""The walk along a path, and the directories and links on it that are checked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.utils.ownership import MAX_LINKS, PathWalk, parent_problem

if TYPE_CHECKING:
    from pathlib import Path


def walk(path: str, links: dict[str, str]) -> tuple[list[str], str]:
    """Return the steps along a path among such links, and the path that it leads to."""
    steps = []
    way = PathWalk(path)
    while (step := way.next_step()) is not None:
        steps.append(step)
        if step in links:
            way.follow(links[step])
        else:
            way.enter(step)
    return steps, way.directory


def test_a_cycle_of_links_ends_after_the_limit_of_the_kernel() -> None:
    steps, _ = walk("/a/b", {"/a": "/a"})
    assert steps == ["/a"] * (MAX_LINKS + 1)


def test_a_link_to_a_relative_path_continues_in_its_own_directory() -> None:
    steps, end = walk("/a/link/c", {"/a/link": "../b"})
    assert steps == ["/a", "/a/link", "/a/..", "/b", "/b/c"]
    assert end == "/b/c"


def test_a_link_to_an_absolute_path_continues_at_the_root() -> None:
    assert walk("/a/./link//c", {"/a/link": "/b"})[1] == "/b/c"


def test_two_dots_lead_to_the_parent_of_the_target_of_a_link() -> None:
    """Not to the directory that contains the link, as in ``os.path.normpath``."""
    assert walk("/link/../c", {"/link": "/x/y"})[1] == "/x/c"
    assert walk("/../..", {})[1] == "/"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files away; run it as root")
def test_a_directory_that_is_left_again_by_two_dots_is_checked_too(tmp_path: Path) -> None:
    """Its owner could replace it by a link."""
    other = tmp_path / "other"
    other.mkdir()
    os.chown(other, 54321, 54321)
    problem = parent_problem(f"{other}/../mine/file")
    assert problem is not None
    assert repr(str(other)) in problem

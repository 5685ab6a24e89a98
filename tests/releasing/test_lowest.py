"""Tests of packages with the lowest core that they declare, if there are releases of the core."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from .conftest import PROGRAMS

if TYPE_CHECKING:
    from .conftest import Checkout

pytest.importorskip("packaging", reason="it is part of the development environment")
pytestmark = pytest.mark.timeout(300)  # wheels are built and installed
TEST = """
import pydatatask_core

def test_which_core_this_is():
    assert pydatatask_core.NUMBER == {number}
"""


@pytest.fixture
def checkout(checkout: Checkout) -> Checkout:
    """Return a checkout with two releases of the core, and an unreleased third one."""
    tools = '["pytest>=9,<10", "pytest-xdist>=3.8,<4"]'
    checkout.write("hatch.toml", f"[envs.core]\ndependencies = {tools}\n")
    (checkout.folder / ".ci").mkdir()
    shutil.copy(PROGRAMS / "test_alone.py", checkout.folder / ".ci")
    for number, version in enumerate(("1.0.0", "1.1.0", "1.2.0"), 1):
        checkout.package("pydatatask-core", "", version)
        source = "packages/pydatatask-core/src/pydatatask_core/__init__.py"
        checkout.write(source, f"NUMBER = {number}\n")
        if version != "1.2.0":
            checkout.git("tag", f"pydatatask-core-v{version}")
    return checkout


def declare(checkout: Checkout, needed: str, number: int) -> None:
    """Declare the cores that a package needs, and the one that its tests expect."""
    checkout.package("pydatatask-s3", f'"pydatatask-core{needed}"')
    checkout.write("packages/pydatatask-s3/tests/test_core.py", TEST.format(number=number))


def test_the_oldest_release_within_the_range_is_used(checkout: Checkout) -> None:
    declare(checkout, ">=1.1,<2", 2)

    ran = checkout.run("lowest.py", "--released", "s3")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "pydatatask-s3 1.0.0 beside pydatatask_core-1.1.0-py3-none-any.whl" in ran.stdout
    assert "1 passed" in ran.stdout


def test_a_package_that_needs_more_than_it_declares_fails(checkout: Checkout) -> None:
    declare(checkout, ">=1.0,<2", 3)

    ran = checkout.run("lowest.py", "s3")

    assert ran.returncode == 1
    assert "assert 1 == 3" in ran.stdout
    assert ran.stdout.endswith("with the lowest declared core: pydatatask-s3\n")


def test_before_a_matching_release_the_core_of_the_checkout_is_used(checkout: Checkout) -> None:
    declare(checkout, ">=1.2,<2", 3)

    ran = checkout.run("lowest.py")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "beside pydatatask_core-1.2.0-py3-none-any.whl" in ran.stdout
    ran = checkout.run("lowest.py", "--released")
    assert ran.stdout == "pydatatask-s3: the lowest declared core is that of this checkout\n"


def test_a_range_without_a_matching_core_is_reported(checkout: Checkout) -> None:
    declare(checkout, ">=1.3,<2", 1)

    ran = checkout.run("lowest.py", "s3")

    assert ran.returncode == 1
    assert "no such core was released, and the core of this checkout" in ran.stderr

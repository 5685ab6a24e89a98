"""Releasing one package with one command, in temporary repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from .conftest import Checkout

pytest.importorskip("packaging", reason="it is part of the development environment")
pytestmark = pytest.mark.timeout(300)  # building distributions is slow


def refused(checkout: Checkout, package: str, version: str) -> str:
    """Check that a release fails and changes nothing, and return the error message."""
    before = checkout.state()
    ran = checkout.run("release.py", package, version)
    assert ran.returncode == 1
    assert checkout.state() == before
    assert ran.stderr.startswith("release: ")
    return ran.stderr


def test_without_a_fragment_nothing_is_released(checkout: Checkout) -> None:
    assert "packages/pydatatask-s3/changes has no fragment" in refused(
        checkout, "pydatatask-s3", "minor"
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("README.md", "x", "is not a valid fragment"),
        ("7.improved.md", "x", "is not a valid fragment"),
        ("7.fixed.md", " ", "is empty"),
    ],
)
def test_an_invalid_fragment_is_named(checkout: Checkout, name: str, text: str, said: str) -> None:
    checkout.fragment("pydatatask-s3", name, text)

    assert f"packages/pydatatask-s3/changes/{name} {said}" in refused(
        checkout, "pydatatask-s3", "minor"
    )


def test_uncommitted_changes_prevent_a_release(checkout: Checkout) -> None:
    checkout.fragment("pydatatask-s3", "7.fixed.md")
    (checkout.folder / "stray").write_text("")

    assert "?? stray" in refused(checkout, "pydatatask-s3", "patch")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("newest", "'newest' is not a version, nor one of major, minor, patch"),
        ("1.0.0", "the tag pydatatask-s3-v1.0.0 exists already"),
        ("0.9.0", "0.9.0 is too low after 1.0.0"),
        ("patch", "packages/pydatatask-s3/changes/7.added.md requires a minor release, 1.1.0"),
        ("1.0.7", "packages/pydatatask-s3/changes/7.added.md requires a minor release, 1.1.0"),
        ("v1.1.0", "write the version v1.1.0 as 1.1.0"),
    ],
)
def test_a_version_that_tags_or_fragments_forbid_is_rejected(
    checkout: Checkout, version: str, said: str
) -> None:
    checkout.git("tag", "pydatatask-s3-v1.0.0")
    checkout.fragment("pydatatask-s3", "7.added.md")

    assert said in refused(checkout, "pydatatask-s3", version)


def test_a_version_that_a_sibling_does_not_allow_is_rejected(checkout: Checkout) -> None:
    checkout.fragment("pydatatask-core", "7.breaking.md")

    said = refused(checkout, "pydatatask-core", "major")

    assert "pydatatask-core<2,>=1.0, which excludes 2.0.0" in said
    assert "packages/pydatatask/pyproject.toml" in said


def test_a_package_that_does_not_allow_a_sibling_is_rejected(checkout: Checkout) -> None:
    checkout.package("pydatatask-s3", '"pydatatask-core>=1.4,<2"')
    checkout.fragment("pydatatask-s3", "7.added.md")

    assert "pydatatask-core has 1.0.0" in refused(checkout, "pydatatask-s3", "minor")


def test_a_package_that_cannot_be_built_changes_nothing(checkout: Checkout) -> None:
    checkout.fragment("pydatatask-s3", "7.added.md")
    metadata = "packages/pydatatask-s3/pyproject.toml"
    broken = checkout.read(metadata).replace("[project]", '[project]\nreadme = "README.md"')
    checkout.write(metadata, broken)

    assert "pydatatask-s3 does not build" in refused(checkout, "pydatatask-s3", "minor")
    assert "7.added.md" in checkout.git("ls-files")


def test_a_wheel_without_its_package_is_not_released(checkout: Checkout) -> None:
    checkout.fragment("pydatatask-s3", "7.added.md")
    checkout.git("rm", "-r", "--quiet", "packages/pydatatask-s3/src")
    checkout.git("commit", "--quiet", "--message", "Lose the sources")

    assert "does not contain pydatatask_s3/__init__.py" in refused(
        checkout, "pydatatask-s3", "minor"
    )


def test_a_release_that_cannot_be_tagged_is_not_committed_either(checkout: Checkout) -> None:
    checkout.fragment("pydatatask-s3", "7.added.md")
    (checkout.folder / ".git/refs/tags/pydatatask-s3-v1.1.0.lock").write_text("")

    assert "git tag failed" in refused(checkout, "pydatatask-s3", "minor")


def test_a_tag_without_a_version_is_reported(checkout: Checkout) -> None:
    checkout.fragment("pydatatask-s3", "7.added.md")
    checkout.git("tag", "pydatatask-s3-very-old")
    checkout.git("tag", "pydatatask-s3-vault")

    assert "the tag pydatatask-s3-vault has no valid version" in refused(
        checkout, "pydatatask-s3", "minor"
    )


def test_an_unreleased_section_is_not_mixed_with_fragments(checkout: Checkout) -> None:
    checkout.fragment("pydatatask-s3", "7.added.md")
    checkout.write("packages/pydatatask-s3/CHANGELOG.md", "# Changes\n\n## 1.0.0 (unreleased)\n")

    assert "move it into fragments" in refused(checkout, "pydatatask-s3", "minor")


def files(checkout: Checkout, folder: str) -> list[str]:
    """Return the names of the distributions in a folder."""
    return sorted(path.name for path in (checkout.folder / folder).glob("pydatatask*"))


def test_one_command_bumps_writes_builds_commits_and_tags_only_one_package(
    checkout: Checkout,
) -> None:
    checkout.write(
        "packages/pydatatask-s3/CHANGELOG.md",
        "# Changes of pydatatask-s3\n\n## 1.0.0 (2026-01-01)\n\n- First.\n",
    )
    for package in ("pydatatask-core", "pydatatask-s3"):
        checkout.git("tag", f"{package}-v1.0.0")
    checkout.fragment("pydatatask-s3", "7.fixed.md", "Nothing is lost.")
    checkout.fragment("pydatatask-s3", "12.added.md", "Streams,\nin two lines.")
    checkout.fragment("pydatatask-s3", "12.2.internal.md", "Tidied.")
    checkout.fragment("pydatatask-core", "9.added.md", "Of another package.")
    before = checkout.git("rev-parse", "HEAD")

    ran = checkout.run("release.py", "pydatatask-s3", "minor")

    assert ran.returncode == 0, ran.stderr
    assert "git push --atomic origin main pydatatask-s3-v1.1.0" in ran.stdout
    assert 'version = "1.1.0"' in checkout.read("packages/pydatatask-s3/pyproject.toml")
    title, new, old = checkout.read("packages/pydatatask-s3/CHANGELOG.md").split("\n## ")
    assert title == "# Changes of pydatatask-s3\n"
    assert new.startswith("1.1.0 (2")
    assert new.endswith(
        ")\n\n### Added\n\n- Streams,\n  in two lines.\n\n### Fixed\n\n- Nothing is lost.\n"
    )
    assert old == "1.0.0 (2026-01-01)\n\n- First.\n"
    changed = checkout.git("diff", "--name-only", before, "pydatatask-s3-v1.1.0").split()
    assert {name.split("/")[1] for name in changed} == {"pydatatask-s3"}
    assert checkout.git("ls-files", "packages/pydatatask-s3/changes") == ""
    assert "### Added" in checkout.git("tag", "-l", "-n99", "pydatatask-s3-v1.1.0")
    assert checkout.git("cat-file", "-t", "pydatatask-s3-v1.1.0") == "tag"
    assert checkout.git("status", "--porcelain") == ""
    built = ["pydatatask_s3-1.1.0-py3-none-any.whl", "pydatatask_s3-1.1.0.tar.gz"]
    assert files(checkout, "dist") == built
    assert checkout.run("build_tag.py", "pydatatask-s3-v1.1.0", "published").returncode == 0
    assert files(checkout, "published") == built


def test_the_first_release_keeps_its_version_and_names_the_packages_to_publish_first(
    checkout: Checkout,
) -> None:
    checkout.fragment("pydatatask-s3", "7.added.md")

    ran = checkout.run("release.py", "packages/pydatatask-s3", "1.0.0")

    assert ran.returncode == 0, ran.stderr
    assert "no pydatatask-core<2,>=1.0 was released yet; publish pydatatask-core" in ran.stdout
    assert checkout.git("tag") == "pydatatask-s3-v1.0.0"


def check(checkout: Checkout) -> subprocess.CompletedProcess[str]:
    return checkout.run("check_changes.py")


def test_a_package_that_was_never_released_must_have_a_fragment(checkout: Checkout) -> None:
    for package in ("pydatatask", "pydatatask-core"):
        checkout.fragment(package, "7.added.md")

    ran = check(checkout)

    assert ran.returncode == 1
    assert ran.stdout.startswith("pydatatask-s3 was never released and has no fragment")


def test_unreleased_changes_are_described_in_fragments_only(checkout: Checkout) -> None:
    for package in ("pydatatask", "pydatatask-core", "pydatatask-s3"):
        checkout.fragment(package, "7.added.md")
    checkout.write("packages/pydatatask-s3/CHANGELOG.md", "# Changes\n\n## 1.0.0 (unreleased)\n")

    assert check(checkout).stdout.startswith("pydatatask-s3 has an unreleased section in its")


def test_code_that_changed_since_its_tag_must_have_a_fragment(checkout: Checkout) -> None:
    for package in ("pydatatask", "pydatatask-core", "pydatatask-s3"):
        checkout.git("tag", f"{package}-v1.0.0")
    checkout.write("packages/pydatatask-s3/tests/test_it.py", "")
    assert check(checkout).returncode == 0  # tests are not in the package
    source = "packages/pydatatask-core/src/pydatatask_core/new.py"

    (checkout.folder / source).write_text("")
    assert f"pydatatask-core changed since 1.0.0 ({source})" in check(checkout).stdout
    checkout.write(source, "A = 1\n")
    ran = check(checkout)
    assert ran.returncode == 1
    assert len(ran.stdout.splitlines()) == 1
    assert f"pydatatask-core changed since 1.0.0 ({source})" in ran.stdout

    checkout.fragment("pydatatask-core", "7.internal.md")
    assert check(checkout).returncode == 0


def test_after_a_release_no_fragment_is_missing(checkout: Checkout) -> None:
    for package in ("pydatatask", "pydatatask-core", "pydatatask-s3"):
        checkout.fragment(package, "7.added.md")
    assert checkout.run("release.py", "pydatatask-core", "1.0.0").returncode == 0

    assert check(checkout).returncode == 0


def test_a_tag_that_does_not_match_the_checkout_is_not_published(checkout: Checkout) -> None:
    ran = checkout.run("build_tag.py", "pydatatask-s3-v1.1.0", "published")
    assert "pydatatask-s3-v1.1.0 is not the version of any package here" in ran.stderr

    ran = checkout.run("build_tag.py", "pydatatask-s3-v1.0.0", "published")
    assert "CHANGELOG.md has no section for 1.0.0" in ran.stderr

    checkout.fragment("pydatatask-s3", "7.added.md")
    ran = checkout.run("build_tag.py", "pydatatask-s3-v1.0.0", "published")
    assert "changes/7.added.md is not in the changelog yet" in ran.stderr
    assert files(checkout, "published") == []

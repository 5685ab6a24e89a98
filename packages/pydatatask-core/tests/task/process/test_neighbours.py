"""Other users of a machine can neither read nor change the jobs of a user, nor prevent them.

The tests that need other users run only as root.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import pytest

from pydatatask_core import LocalLinuxManager
from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.local import root_folder
from pydatatask_core.utils import ownership
from pydatatask_core.utils.ownership import is_own_folder, parent_problem, state_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files to other users")
NEIGHBOUR = 12345
PRIVATE = f"app-{os.geteuid()}"


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Redirect the default directory and the home directory into a private place of the test."""
    shared, home = tmp_path / "shared", tmp_path / "home"
    shared.mkdir()
    os.chmod(shared, 0o1777)
    home.mkdir()
    root = shared / "pydatatask"
    monkeypatch.setattr(root_folder, "DEFAULT_ROOT", str(root))
    monkeypatch.setattr("pydatatask_core.proc_manager.local.manager.DEFAULT_ROOT", str(root))

    def at_home(name: str) -> str:
        return str(home / ".local" / "state" / name)

    monkeypatch.setattr(root_folder, "state_folder", at_home)
    return root


def by_number(root: Path) -> Path:
    return root.with_name(f"{root.name}-{os.geteuid()}")


def directory(path: Path) -> None:
    path.mkdir()
    os.chown(path, NEIGHBOUR, NEIGHBOUR)
    path.chmod(0o777)


def file(path: Path) -> None:
    path.write_text("")
    os.chown(path, NEIGHBOUR, NEIGHBOUR)


def link(path: Path) -> None:
    elsewhere = path.with_name(f"elsewhere-{path.name}")
    elsewhere.mkdir(exist_ok=True)
    path.symlink_to(elsewhere)
    os.lchown(path, NEIGHBOUR, NEIGHBOUR)


def taken_inside(path: Path) -> None:
    path.mkdir()
    path.chmod(0o1777)
    directory(path / PRIVATE)


def not_sticky(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


TAKEN = pytest.mark.parametrize("take", [directory, file, link, taken_inside, not_sticky])


async def used(root: Path) -> Path:
    manager = LocalLinuxManager("app", root)
    await manager.validate()
    assert stat.S_IMODE(manager.basedir.stat().st_mode) == 0o700
    assert manager.basedir == manager.local_path / PRIVATE
    return manager.local_path


async def test_the_default_directory_is_used_if_no_other_user_owns_it(default: Path) -> None:
    assert await used(default) == default
    assert stat.S_IMODE(os.stat(default).st_mode) == 0o1777


@ROOT
@TAKEN
async def test_a_default_directory_of_another_user_is_replaced_also_for_the_next_driver(
    default: Path, take: Callable[[Path], None]
) -> None:
    take(default)

    assert await used(default) == by_number(default)
    assert stat.S_IMODE(os.stat(by_number(default)).st_mode) == 0o700
    assert LocalLinuxManager("app", default).local_path == by_number(default)


@ROOT
@TAKEN
async def test_the_home_directory_is_used_if_both_default_names_are_taken(
    default: Path, tmp_path: Path, take: Callable[[Path], None]
) -> None:
    take(default)
    take(by_number(default))

    found = await used(default)

    assert found.is_relative_to(tmp_path / "home")
    assert LocalLinuxManager("app", default).local_path == found


@ROOT
async def test_abandoning_a_name_moves_no_job(default: Path) -> None:
    directory(default)
    await used(default)
    os.rmdir(default)

    assert await used(default) == by_number(default)

    directory(default)
    assert await used(default) == by_number(default)


@ROOT
async def test_a_directory_that_may_contain_jobs_is_never_abandoned(default: Path) -> None:
    await used(default)
    await used(by_number(default))

    assert await used(default) == default


@ROOT
async def test_a_name_taken_by_another_user_after_the_choice_is_replaced(default: Path) -> None:
    manager = LocalLinuxManager("app", default)
    assert manager.local_path == default
    directory(default)

    await manager.validate()

    assert manager.local_path == by_number(default)


@ROOT
async def test_if_every_name_is_taken_the_error_names_them_all(
    default: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory(default)
    link(by_number(default))
    (tmp_path / "home" / ".local").write_text("")
    os.chown(tmp_path / "home", NEIGHBOUR, NEIGHBOUR)

    with pytest.raises(ProcessManagerError) as error:
        await LocalLinuxManager("app", default).validate()

    for place in (default, by_number(default), tmp_path / "home"):
        assert str(place) in str(error.value)
    assert f"belongs to user {NEIGHBOUR}" in str(error.value)
    assert "Set `local_path`" in str(error.value)

    monkeypatch.setattr(root_folder, "state_folder", lambda name: None)
    with pytest.raises(ProcessManagerError, match="there is no safe folder"):
        await LocalLinuxManager("app", default).validate()


@ROOT
@TAKEN
async def test_an_unsafe_directory_chosen_by_the_user_is_rejected_and_not_replaced(
    tmp_path: Path, take: Callable[[Path], None]
) -> None:
    take(tmp_path / "chosen")
    before = sorted(os.listdir(tmp_path))

    with pytest.raises(ProcessManagerError, match="chosen"):
        await LocalLinuxManager("app", tmp_path / "chosen").validate()

    assert sorted(os.listdir(tmp_path)) == before


# -- parent directories ----------------------------------------------------------------------------


async def refused(root: Path, *parts: str) -> None:
    with pytest.raises(ProcessManagerError) as error:
        await LocalLinuxManager("app", root).validate()
    for part in parts:
        assert part in str(error.value)


async def test_a_parent_writable_by_others_is_rejected(tmp_path: Path) -> None:
    for mode in (0o777, 0o772):
        (tmp_path / "open").mkdir(exist_ok=True)
        os.chmod(tmp_path / "open", mode)
        for root in (tmp_path / "open" / "root", tmp_path / "open" / "between" / "root"):
            owner = os.geteuid()
            shown = f"mode {mode:04o}, owner {owner}"
            await refused(root, repr(str(tmp_path / "open")), shown, "`chmod +t`")
    assert list((tmp_path / "open").iterdir()) == []

    os.chmod(tmp_path / "open", 0o1777)
    await LocalLinuxManager("app", tmp_path / "open" / "root").validate()


@ROOT
async def test_a_parent_of_another_user_is_rejected(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "ours").mkdir(parents=True)
    os.chown(theirs, NEIGHBOUR, NEIGHBOUR)

    await refused(theirs / "ours" / "root", repr(str(theirs)), f"mode 0755, owner {NEIGHBOUR}")


@ROOT
async def test_a_link_of_another_user_in_the_path_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").symlink_to("ours")
    os.lchown(tmp_path / "theirs", NEIGHBOUR, NEIGHBOUR)

    await refused(tmp_path / "theirs" / "root", "a symbolic link of another user")


@ROOT
async def test_the_target_path_of_an_own_link_is_checked(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "ours").mkdir(parents=True)
    os.chown(theirs, NEIGHBOUR, NEIGHBOUR)
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(theirs / "ours")

    await refused(tmp_path / "first", repr(str(theirs)))
    await refused(tmp_path / "first" / "root", repr(str(theirs)))
    await refused(tmp_path / "missing" / ".." / "first" / "root", repr(str(theirs)))


async def test_parents_are_created_with_safe_permissions_for_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await LocalLinuxManager("app", tmp_path / "a" / "b" / "root").validate()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o755


def test_a_private_group_does_not_count_as_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import grp
    import pwd

    (tmp_path / "work").mkdir()
    os.chmod(tmp_path / "work", 0o775)
    status = os.stat(tmp_path / "work")
    members: list[str] = []
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    monkeypatch.setattr(
        pwd, "getpwuid", lambda uid: pwd.struct_passwd(("ann", "", uid, 1000, "", "/", ""))
    )
    monkeypatch.setattr(
        grp, "getgrgid", lambda gid: grp.struct_group(("ann", "", gid, list(members)))
    )
    own = os.stat_result((status.st_mode, 1, 1, 1, os.geteuid(), 1000, 0, 0, 0, 0))
    other = os.stat_result((status.st_mode, 1, 1, 1, os.geteuid(), 1001, 0, 0, 0, 0))

    assert not ownership.writable_by_others(own)
    assert ownership.writable_by_others(other)
    members.append("bob")
    assert ownership.writable_by_others(own)


def test_a_user_outside_the_namespace_is_recognized_by_the_id_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "UID_MAP", str(tmp_path / "map"))
    (tmp_path / "map").write_text("         0       1000          1\n")
    assert ownership._is_unmapped(65534)
    assert not ownership._is_unmapped(NEIGHBOUR)
    (tmp_path / "map").write_text("         0          0 4294967295\n")
    assert not ownership._is_unmapped(65534)


def test_a_loop_of_links_ends_the_check(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    assert parent_problem(str(tmp_path / "loop" / "root")) is None
    assert not is_own_folder(str(tmp_path / "loop"))


def test_the_directory_at_home_depends_only_on_user_and_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pwd

    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    home = str(tmp_path)
    monkeypatch.setattr(
        pwd, "getpwuid", lambda uid: pwd.struct_passwd(("ann", "", uid, 1, "", home, ""))
    )
    found = state_folder("processes")
    assert found is not None
    assert re.fullmatch(rf"{re.escape(home)}/\.local/state/pydatatask/[^/]+/processes", found)

    home = "/nowhere"
    assert state_folder("processes") is None

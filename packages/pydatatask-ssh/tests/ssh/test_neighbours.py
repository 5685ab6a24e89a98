"""Other users of the remote machine can neither replace nor take the directories of a user."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import ProcessManagerError
from pydatatask_ssh import SSHLinuxManager, manager
from pydatatask_ssh import private_folder as folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from services.users import User

    from pydatatask_ssh import SSHConnection

NEIGHBOUR = 12345


@pytest.fixture
def default(root: Path, user: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put the default directory into a directory of the test that all users may write to."""
    shared = root.with_name(f"shared-{root.name}")
    shared.mkdir()
    shared.chmod(0o1777)
    for module in (folder, manager):
        monkeypatch.setattr(module, "DEFAULT_ROOT", str(shared / "pydatatask"))
    yield shared / "pydatatask"
    shutil.rmtree(shared)
    shutil.rmtree(user.home / ".local", ignore_errors=True)


def by_number(default: Path, user: User) -> Path:
    return default.with_name(f"{default.name}-{user.uid}")


def take(path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to("/tmp")
    elif kind == "file":
        path.write_text("")
    else:
        path.mkdir(mode=0o777)
    os.lchown(path, NEIGHBOUR, NEIGHBOUR)


async def used(connection: SSHConnection, default: Path) -> Path:
    found = SSHLinuxManager("app", lambda: connection, default)
    await found.validate()
    assert found.basedir.parent == found.remote_path
    assert os.stat(found.basedir).st_mode & 0o777 == 0o700
    return found.remote_path


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
async def test_a_default_directory_that_is_taken_is_replaced_and_the_new_one_found_again(
    of_user: SSHConnection, user: User, default: Path, kind: str
) -> None:
    take(default, kind)
    assert await used(of_user, default) == by_number(default, user)

    (os.rmdir if kind == "directory" else os.unlink)(default)
    assert await used(of_user, default) == by_number(default, user)


async def test_the_home_directory_is_used_if_both_default_names_are_taken(
    of_user: SSHConnection, user: User, default: Path
) -> None:
    take(default, "directory")
    take(by_number(default, user), "link")

    assert (await used(of_user, default)).is_relative_to(user.home)


async def test_the_default_directory_is_used_if_no_other_user_owns_it(
    of_user: SSHConnection, default: Path
) -> None:
    assert await used(of_user, default) == default
    assert os.stat(default).st_mode & 0o7777 == 0o1777


async def test_a_path_that_another_user_could_change_is_rejected(
    of_user: SSHConnection, user: User, root: Path
) -> None:
    theirs = root.with_name(f"theirs-{root.name}")
    theirs.mkdir()
    os.chown(theirs, NEIGHBOUR, NEIGHBOUR)
    (theirs / "ours").mkdir()
    link = root.with_name(f"link-{root.name}")
    link.symlink_to(theirs / "ours")
    os.lchown(link, user.uid, user.uid)
    for place in (theirs / "ours" / "root", link, link / "root"):
        with pytest.raises(ProcessManagerError, match=f"owner {NEIGHBOUR}") as error:
            await SSHLinuxManager("app", lambda: of_user, place).validate()
        assert repr(str(theirs)) in str(error.value)

    os.chown(theirs, 0, 0)
    os.chmod(theirs, 0o777)
    with pytest.raises(ProcessManagerError, match=r"mode 0777, owner 0.*chmod \+t"):
        await SSHLinuxManager("app", lambda: of_user, link).validate()

"""Removal from a remote machine: files that stay, and paths that no record can name."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core import Retries
from pydatatask_core.errors import ForeignRecordError
from pydatatask_core.proc_manager import LaunchSpec
from pydatatask_core.testing.processes.backend import finished, new_run
from pydatatask_ssh import SSHLinuxManager

from .labs import connect, new_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processes.lab import Lab
    from services.sshd import SSHServer
    from services.users import User

    from pydatatask_ssh import SSHConnection

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files to other users")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


async def emptied(lab: Lab) -> None:
    """Wait until the removal of everything in the trash was attempted."""
    manager: Any = lab.manager
    trash = (await manager.session.remote()).trash

    async def is_idle() -> bool:
        return not trash.names and (trash._emptying is None or trash._emptying.done())

    await until(is_idle)


def thaw(folder: Path) -> None:
    subprocess.run(["chattr", "-R", "-f", "-i", str(folder)], check=False)


def give(user: int, *paths: Path) -> None:
    """Give directories to another user, as a container can."""
    for path in paths:
        os.chown(path, user, user)
        os.chmod(path, 0o755)


def thrown_away(lab: Lab) -> list[Path]:
    return sorted((lab.root / "processes").glob("*/.rubbish/*"))


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
@pytest.mark.parametrize("name", ["mnt", "with space", "back\\slash"])
async def test_a_file_system_mounted_in_a_run_directory_is_not_removed(
    sshd: SSHServer,
    tmp_path: Path,
    bind: Callable[[Path, Path], None],
    shell: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setattr(SSHLinuxManager, "posix_shell", shell)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("years of work")
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path / "a lab", lambda: connection)
        await lab.add("a", "b")
        await lab.run(
            lab.task(
                f"[ {{{{ job }}}} = b ] || {{ mkdir '{name}'; mount --bind {precious} '{name}'; }}"
            )
        )
        assert {r["success"] for r in (await lab.done.info_all()).values()} == {True}
        assert lab.empty()
        await emptied(lab)
        assert (precious / "file").read_text() == "years of work"
        (left,) = thrown_away(lab)
        assert (left / name / "file").exists()
    (warning,) = warnings(caplog)
    assert "1 directories of jobs that are over cannot be removed" in warning
    assert f"for example {left}: a file system is mounted there" in warning
    assert repr(str(left / name)) in warning


async def test_a_run_directory_that_is_a_mount_point_stays_and_its_job_finishes(
    sshd: SSHServer,
    tmp_path: Path,
    bind: Callable[[Path, Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    for name in (".begun", "file"):
        (precious / name).write_text("")
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a")
        await lab.run(lab.task(f'mount --bind {precious} "$PWD"'))
        assert await lab.pids.keys() == set()
        assert await lab.done.keys() == {"a"}
    assert (precious / "file").exists()
    (place,) = lab.directories()
    assert f"is left as {place}: a file system is mounted there" in caplog.text


async def test_many_jobs_finish_although_their_directories_cannot_be_removed(
    sshd: SSHServer,
    tmp_path: Path,
    freeze: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = [f"j{number}" for number in range(70)]
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add(*jobs)
        await lab.run(lab.task("touch f; chattr +i f"))
        assert await lab.done.keys() == set(jobs)
        assert lab.empty()
        await emptied(lab)
    assert len(thrown_away(lab)) == 70
    (warning,) = warnings(caplog)
    assert "cannot be removed" in warning
    assert "Operation not permitted" in warning
    caplog.clear()
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.manager.backend.validate()
        await emptied(lab)
    (warning,) = warnings(caplog)
    assert "70 directories of jobs that are over cannot be removed" in warning
    thaw(tmp_path)
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.manager.backend.validate()
        await emptied(lab)
    assert thrown_away(lab) == []


@needs_root
async def test_a_directory_that_a_container_gave_to_another_user_is_moved_aside(
    of_user: SSHConnection, root: Path, user: User
) -> None:
    """Only its owner may move it to another directory, so it is renamed in place."""
    manager = SSHLinuxManager("app", lambda: of_user, root)
    await manager.validate()
    backend, run = manager.backend, new_run(manager)
    await finished(backend, run, LaunchSpec(b"mkdir theirs; touch theirs/file", {}))
    place = Path(run.directory)
    give(0, place / "theirs", place)
    left = await backend.remove(run)
    assert left is not None
    assert left.path.startswith(f"{place},")
    assert left.reason == "Permission denied"
    assert await backend.list_directories(place.parent) == set()
    (still,) = await backend.remove_leftovers(place.parent)
    assert still.path == left.path
    assert "Permission denied" in still.reason
    await finished(backend, new_run(manager), LaunchSpec(b"exit 0", {}))
    give(user.uid, Path(left.path), Path(left.path) / "theirs")
    assert await backend.remove_leftovers(place.parent) == []
    assert left.path not in map(str, place.parent.iterdir())


async def test_a_job_whose_directory_cannot_be_removed_is_not_retried(
    sshd: SSHServer, tmp_path: Path, freeze: Callable[[Path], None]
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a")
        template = "echo ran >>LOG; chattr +i .; exit 3"
        await lab.run(lab.task(template, retries=Retries(3, delay=0.01)))
        record = await lab.done.info("a")
        assert (record["return_code"], record["attempt"]) == (3, 1)
        assert "not retried" in record["reason"]
        assert lab.lines() == ["ran"]
        assert await lab.pids.keys() == set()


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that no record may cause to be killed."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def thesis(tmp_path: Path, victim: subprocess.Popen[bytes]) -> Path:
    """Return a directory of the user that looks like the run directory of that process."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    stat = Path(f"/proc/{victim.pid}/stat").read_text()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    (folder / ".status").write_text(f"{' ' * 7}\n{boot}{stat}")
    (folder / ".begun").touch()
    (folder / "chapter1.tex").touch()
    return folder


async def test_a_record_that_names_a_foreign_path_touches_nothing(
    sshd: SSHServer, tmp_path: Path, thesis: Path, victim: subprocess.Popen[bytes]
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a", "b")
        await lab.pids.validate()
        await lab.pids.dump("a", {"handle": str(thesis)})
        task = lab.task("true", timeout=0.1)
        async with lab.pipeline(task) as pipeline:
            with pytest.raises(ForeignRecordError, match=str(thesis)):
                await task.kill("a", grace=0.0)
            summary = await pipeline.run(poll=0.05)
    assert summary.given_up == {"task": ["a"]}
    assert await lab.done.keys() == {"b"}
    assert await lab.pids.keys() == {"a"}
    assert sorted(os.listdir(thesis)) == [".begun", ".status", "chapter1.tex"]
    assert victim.poll() is None


async def test_a_directory_without_the_files_of_a_run_directory_is_not_removed(
    sshd: SSHServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        task = lab.task("true")
        await task.runs.load_namespace()
        await lab.manager.backend.validate()
        place = task.runs.path("runs", "a")
        os.makedirs(place)
        (place / "chapter1.tex").touch()
        async with lab.pipeline(task):
            assert "chapter1.tex" in os.listdir(place)
    assert "not contain any file of a run directory" in caplog.text


async def test_a_link_in_place_of_a_run_directory_is_not_followed(
    sshd: SSHServer, tmp_path: Path, thesis: Path, victim: subprocess.Popen[bytes]
) -> None:
    (thesis / ".stdout").write_text("secret")
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        task = lab.task("true", stdout=lab.out, timeout=0.1)
        await task.runs.load_namespace()
        await lab.manager.backend.validate()
        place = task.runs.path("runs", "a")
        os.makedirs(place.parent)
        place.symlink_to(thesis)
        await lab.add("a")
        await lab.pids.validate()
        await lab.pids.dump("a", {"handle": str(place)})
        await lab.run(task)
        await emptied(lab)
        assert (await lab.done.info("a"))["lost"] is True
        assert await lab.out.keys() == set()
        assert lab.empty()
    assert victim.poll() is None
    assert sorted(os.listdir(thesis)) == [".begun", ".status", ".stdout", "chapter1.tex"]

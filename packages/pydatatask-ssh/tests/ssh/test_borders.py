"""Files in a run directory are untrusted data: never followed, waited for or believed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.process import MAX_INLINE_BYTES, TAIL_BYTES
from pydatatask_ssh import SSHConnection, SSHLinuxManager

from .labs import connect, journal_of, new_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.sshd import SSHServer
    from services.users import User

SECRET = "TOP-SECRET\n"
REFUSED = "`.stdout` is not a regular file any more"
SIZES = {
    "short": 1,
    "long": TAIL_BYTES // len(SECRET) + 1,
    "streamed": MAX_INLINE_BYTES // len(SECRET) + 1,
}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that no job may cause to be signalled."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def forged(tmp_path: Path, victim: subprocess.Popen[bytes]) -> Path:
    """Return a status file that names that process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    stat = Path(f"/proc/{victim.pid}/stat").read_text()
    path = tmp_path / "forged"
    path.write_text(f"{' ' * 7}\n{boot}{stat}")
    return path


@pytest.fixture
def invented(tmp_path: Path, victim: subprocess.Popen[bytes]) -> Path:
    """Return a status file whose supervisor always lives and is older than any process."""
    start = " ".join(["1", *["0"] * 17, "9999999999999"])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    path = tmp_path / "invented"
    path.write_text(f"{' ' * 7}\n{boot}{victim.pid} (x) S {start} 0 0\n")
    return path


def _run(command: list[str]) -> None:
    """Run a command as another user, or as root."""
    subprocess.run(command, check=True)


def _lives(pid: str) -> bool:
    return os.path.exists(f"/proc/{pid}")


async def _refused(lab: Any, template: str, reason: str = REFUSED) -> dict[str, Any]:
    """Run a job that modifies its run directory, beside one that does not."""
    await lab.add("a", "b")
    task = lab.task(
        f"echo fine; case {{{{ job }}}} in a) {template};; esac", stdout=lab.out, stderr=lab.err
    )
    await lab.run(task)
    record: dict[str, Any] = await lab.done.info("a")
    assert not record["success"], record
    assert reason in record["reason"], record
    assert (await lab.done.info("b"))["success"]
    assert await lab.out.keys() == {"b"}
    assert await lab.text(lab.out, "b") == "fine\n"
    assert lab.empty()
    assert SECRET.strip() not in str(record)
    return record


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("link", ["ln -s", "ln"])
@pytest.mark.parametrize("status", [0, 1])
async def test_a_link_in_place_of_an_output_publishes_nothing(
    sshd: SSHServer, tmp_path: Path, link: str, size: str, status: int
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET * SIZES[size])
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        script = f"rm .stdout; {link} {secret} .stdout; exit {status}"
        record = await _refused(lab, script, REFUSED)
        assert ("a symbolic link" if link == "ln -s" else "a hard link") in record["reason"]
        assert not lab.held()
    assert secret.read_text() == SECRET * SIZES[size]


@pytest.mark.parametrize(
    ("kind", "command"),
    {
        "a FIFO": "mkfifo .stdout",
        "a directory": "mkdir .stdout",
        "stored": "truncate -s 4T .stdout",
        "a character device": "mknod .stdout c 1 5",
        "a block device": "mknod .stdout b 7 0",
        "belongs to user 1001": "echo x >.stdout; chown 1001 .stdout",
        "a socket": "python3 -c 'import socket; socket.socket(1).bind(\".stdout\")'",
    }.items(),
)
@needs_root
async def test_only_regular_files_of_the_user_are_read(
    server: SSHServer, tmp_path: Path, kind: str, command: str
) -> None:
    async with connect(server) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        record = await _refused(lab, f"rm .stdout; {command}")
        assert kind in record["reason"]


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
async def test_the_checks_work_with_any_shell_of_the_target(
    sshd: SSHServer, tmp_path: Path, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setattr(SSHLinuxManager, "posix_shell", shell)
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await _refused(lab, "rm .stdout; ln -s /etc/passwd .stdout")


async def test_an_output_that_its_user_may_not_read_fails_its_job(
    of_user: SSHConnection, user: User, root: Path, tmp_path: Path
) -> None:
    lab = new_lab(tmp_path, lambda: of_user)
    lab.manager = SSHLinuxManager("lab", lambda: of_user, root)
    for size in (10, 10_000):
        await lab.add("a")
        script = f"head -c {size} /dev/zero; chmod 0 .stdout"
        await lab.run(lab.task(script, stdout=lab.out))
        record = await lab.done.info("a")
        assert f"{REFUSED} (its permissions deny reading it)" in record["reason"]
        await lab.done.delete("a")
    assert await lab.out.keys() == set()


async def test_the_job_of_a_missing_output_is_lost(sshd: SSHServer, tmp_path: Path) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await _refused(lab, "rm .stdout", "its run directory has lost its stdout")


@pytest.mark.parametrize("name", [".status", ".begun", ".script", ".stderr"])
@pytest.mark.parametrize("command", ["mkfifo {}", "mkdir {}", "ln -s . {}", "truncate -s 4T {}"])
async def test_jobs_beside_one_that_replaces_its_files_finish(
    sshd: SSHServer, tmp_path: Path, name: str, command: str
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a", "b", "c")
        script = f"case {{{{ job }}}} in a) rm -f {name}; {command.format(name)};; esac; echo out"
        await lab.run(lab.task(script, stdout=lab.out, stderr=lab.err))
        assert await lab.done.keys() == {"a", "b", "c"}
        assert (await lab.done.info("a"))["success"] is (name != ".stderr")
        assert await lab.out.keys() >= {"b", "c"}
        assert lab.empty()


@pytest.mark.parametrize(
    "command",
    [
        'mv "$PWD" ../gone; mkdir ../a; echo forged >../a/.stdout',
        'mv "$PWD" ../../gone; ln -s {there} "$OLDPWD"',
        'mv "$PWD" ../../gone; echo >"$OLDPWD"',
        'mv "$PWD" ../../gone',
    ],
)
async def test_a_replaced_run_directory_is_not_followed(
    sshd: SSHServer, tmp_path: Path, command: str
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / ".stdout").write_text(SECRET)
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a", "b")
        script = f"cd .; case {{{{ job }}}} in a) {command.format(there=there)};; esac"
        await lab.run(lab.task(script, stdout=lab.out))
        assert await lab.done.keys() == {"a", "b"}
        assert (await lab.done.info("b"))["success"]
        if "a" in await lab.out.keys():
            assert SECRET not in await lab.text(lab.out)
    assert (there / ".stdout").read_text() == SECRET
    assert os.listdir(there) == [".stdout"]


@pytest.mark.parametrize("how", ["kill", "timeout"])
async def test_a_forged_status_causes_no_signal_to_another_process(
    sshd: SSHServer, tmp_path: Path, forged: Path, victim: subprocess.Popen[bytes], how: str
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a")
        script = f"rm -f .status; cp {forged} .status; echo $$ >>LOG; exec sleep 600"
        task = lab.task(script, timeout=1.0 if how == "timeout" else None)
        async with lab.pipeline(task) as pipeline:
            await pipeline.update()
            await lab.logged()
            if how == "kill":
                await task.kill("a", grace=0.2)
            await pipeline.run(poll=0.05)
        record = await lab.done.info("a")
        assert record["timed_out" if how == "timeout" else "killed"], record
        assert not _lives(lab.lines()[0])
    assert victim.poll() is None


async def test_an_invented_supervisor_causes_no_signal_to_another_process(
    sshd: SSHServer, tmp_path: Path, invented: Path, victim: subprocess.Popen[bytes]
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a")
        script = f"cp {invented} .status; exec sleep 600"
        await lab.run(lab.task(script, timeout=0.5))
        assert (await lab.done.info("a"))["timed_out"]
    assert victim.poll() is None


async def test_a_directory_with_a_forged_status_and_no_journal_causes_no_signal_and_reveals_nothing(
    sshd: SSHServer, tmp_path: Path, forged: Path, victim: subprocess.Popen[bytes]
) -> None:
    """A job of an earlier release, or a user with write access to the store, may have left it."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        task = lab.task("true", stdout=lab.out, timeout=0.1)
        await task.runs.load_namespace()
        await lab.manager.backend.validate()
        place = task.runs.path("runs", "a")
        os.makedirs(place)
        shutil.copy(forged, place / ".status")
        (place / ".begun").touch()
        (place / ".stdout").symlink_to(secret)
        await lab.add("a")
        await lab.pids.validate()
        await lab.pids.dump("a", {"handle": str(place)})
        await task.kill("a", grace=0.0)
        assert victim.poll() is None
        await lab.run(task)
        assert (await lab.done.info("a"))["lost"]
        assert await lab.out.keys() == set()
    assert victim.poll() is None


async def test_a_job_of_an_earlier_release_is_found_and_can_be_terminated(
    sshd: SSHServer, tmp_path: Path
) -> None:
    """Its status is in its run directory; the kernel confirms that it was started there."""
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a")
        task = lab.task("echo $$ >>LOG; exec sleep 600")
        async with lab.pipeline(task) as pipeline:
            await pipeline.update()
            await lab.logged()
    place = task.runs.path("runs", "a")
    journal_of(place).rename(place / ".status")
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        task = lab.task("echo $$ >>LOG; exec sleep 600")
        async with lab.pipeline(task) as pipeline:
            await pipeline.update()
            assert set(task.running) == {"a"}
            await task.kill("a", grace=5.0)
            await pipeline.run(poll=0.05)
        assert (await lab.done.info("a"))["killed"]
        assert len(lab.lines()) == 1
        assert not _lives(lab.lines()[0])


async def test_an_old_journal_is_not_used_for_the_next_run(sshd: SSHServer, tmp_path: Path) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        task = lab.task("echo $$ >>LOG")
        await task.runs.load_namespace()
        await lab.manager.backend.validate()
        place = task.runs.path("runs", "a")
        (place.parent).mkdir(parents=True)
        journal = lab.manager.basedir / ".journal" / place.relative_to(lab.manager.basedir)
        journal.parent.mkdir(parents=True)
        journal.write_text("      0\nboot\n1 (x) S 1\n")
        await lab.add("a")
        await lab.run(task)
        assert (await lab.done.info("a"))["success"]
        assert len(lab.lines()) == 1

        async def removed() -> bool:
            return not journal.exists()

        await until(removed)


async def test_removing_a_directory_changes_no_file_outside(
    of_user: SSHConnection, user: User, root: Path, tmp_path: Path
) -> None:
    """Permissions of directories may be changed before the removal, those of files never are."""
    outside = user.home / f"outside-{tmp_path.name}"
    outside.write_text("x")
    outside.chmod(0o500)
    shutil.chown(outside, user.name, user.name)
    lab = new_lab(tmp_path, lambda: of_user)
    lab.manager = SSHLinuxManager("lab", lambda: of_user, root)
    await lab.add("a")
    await lab.run(lab.task(f"mkdir d; ln {outside} d/x; ln -s {outside} d/y; chmod 0 d"))

    async def emptied() -> bool:
        return outside.stat().st_nlink == 1

    await until(emptied)
    assert outside.stat().st_mode & 0o777 == 0o500


@needs_root
@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (["chmod", "777"], "other users may write to"),
        (["chown", "1002:1002"], "a directory of another user"),
    ],
)
async def test_the_parents_of_the_root_must_belong_to_root_or_the_user(
    sshd: SSHServer,
    tmp_path: Path,
    prepare: list[str],
    problem: str,
) -> None:
    parent = tmp_path / "open"
    (parent / "between").mkdir(parents=True)
    _run([*prepare, str(parent)])
    async with connect(sshd) as connection:
        for place in (parent / "root", parent / "between" / "root"):
            manager = SSHLinuxManager("app", lambda: connection, place)
            with pytest.raises(ProcessManagerError, match=problem):
                await manager.validate()


@needs_root
@pytest.mark.parametrize(
    "prepare",
    [
        "mkdir -m 777 {0}; chown 1002 {0}",
        "mkdir {0}; chmod 777 {0}",
        "ln -s elsewhere {0}; chown -h 1002 {0}",
    ],
    ids=["of an attacker", "not sticky", "a link"],
)
async def test_a_root_prepared_by_another_user_is_rejected(
    sshd: SSHServer, tmp_path: Path, prepare: str
) -> None:
    _run(["sh", "-c", prepare.format(tmp_path / "root")])
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        with pytest.raises(ProcessManagerError, match="cannot hold the folders of processes"):
            await manager.validate()
    assert not (tmp_path / "elsewhere").exists()


@needs_root
@pytest.mark.parametrize("kind", ["folder", "link"])
async def test_a_private_directory_prepared_by_another_user_is_rejected(
    sshd: SSHServer, tmp_path: Path, kind: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o1777)
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, root)
        if kind == "folder":
            manager.basedir.mkdir()
        else:
            (tmp_path / "theirs").mkdir()
            manager.basedir.symlink_to(tmp_path / "theirs")
        os.lchown(manager.basedir, 1002, 1002)
        with pytest.raises(ProcessManagerError, match="processes cannot run in"):
            await manager.validate()

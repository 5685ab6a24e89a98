"""The files of run directories on another machine, which a job may have replaced.

A file is read only if it is a regular file with one link that belongs to the user. A long file is
opened through a second link in a private folder, where a job cannot replace it after the check.
"""

from __future__ import annotations

import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncssh

from pydatatask_core.proc_manager.process import MAX_INLINE_BYTES, TAIL_BYTES, Output
from pydatatask_ssh.errors import OutputError

from .answers import parsing
from .shell_functions import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.proc_manager import ProcessRun

    from .host import RemoteHost

__all__ = [
    "DIRECTORY_PROBLEMS",
    "Content",
    "Facts",
    "directory_problem",
    "file_problem",
    "open_output",
    "parse_outputs",
    "read_output",
    "twin_of",
]

MAX_HOLE_BYTES = 1 << 30
"""The size in bytes from which a file is refused if less than a thousandth of it is stored."""

_MIN_STORED = 1000
_BLOCK_BYTES = 512
_MAX_ATTEMPTS = 3

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFDIR: "a directory",
}

DIRECTORY_PROBLEMS = {
    "l": "it is a symbolic link",
    "f": "it is a file",
    "d": "its permissions deny entering it",
}
"""The reason why a run directory cannot be used, by the letter in the answer of the shell."""

_FORBIDDEN = "its permissions deny reading it"


class Facts(NamedTuple):
    """The attributes of a file."""

    name: str
    mode: int
    links: int
    owner: int
    size: int
    stored: int

    @classmethod
    def parse(cls, fields: list[str]) -> Facts:
        """Parse the attributes of one file.

        :param fields: the fields in the answer of the shell.
        """
        name, mode, links, owner, size, blocks = fields
        numbers = int(links), int(owner), int(size), int(blocks) * _BLOCK_BYTES
        return cls(name, int(mode, 16), *numbers)

    def problem(self, user: int, links: int) -> str | None:
        """Return why the file is refused, or None if it is accepted.

        :param user: the user id of its expected owner.
        :param links: the maximum number of hard links.
        """
        if not stat.S_ISREG(self.mode):
            return f"it is {_KINDS.get(stat.S_IFMT(self.mode), 'of an unknown kind')}"
        if self.owner != user:
            return f"it belongs to user {self.owner}"
        if self.links > links:
            return f"it is a hard link: the file has {self.links} names"
        if self.size > MAX_HOLE_BYTES and self.stored < self.size // _MIN_STORED:
            return f"it has {self.size} bytes, of which {self.stored} are stored"
        return None


class Content(NamedTuple):
    """An output that can be read, or the reason why it cannot."""

    size: int = 0
    data: bytes | None = None
    """The whole output, if it is short."""
    problem: str | None = None


def directory_problem(place: str, why: str) -> str:
    """Return the message about an unusable run directory.

    :param place: the directory.
    :param why: the reason.
    """
    return f"`{place.rpartition('/')[2]}` is not its run directory any more ({why})"


def file_problem(name: str, why: str) -> str:
    """Return the message about a file that is refused.

    :param name: its name.
    :param why: the reason.
    """
    return f"`{name}` is not a regular file any more ({why})"


def twin_of(run: ProcessRun) -> str:
    """Return the directory that may contain links to the same streams.

    :param run: a run, or an archive directory, which is treated as one.
    """
    if run.held is not None:
        return str(run.held)
    kind = "failed" if run.directory.parent.name == "runs" else "runs"
    return str(run.directory.parent.parent / kind / run.directory.name)


def max_links(run: ProcessRun, *, pinned: bool, has_twin: bool) -> int:
    """Return the maximum number of hard links of a stream.

    :param run: its run, or an archive directory. An archived stream may have a second link in the
        run directory, which may be in the trash by now.
    :param pinned: whether a temporary link was created.
    :param has_twin: whether the directory of :func:`twin_of` contains the same file.
    """
    is_held = run.directory.parent.name != "runs"
    return 1 + pinned + (has_twin or is_held)


def parse_outputs(lines: Iterable[str], user: int) -> dict[str, Content]:
    """Parse the answer to ``outputs``.

    :param lines: the parts of an answer that includes it.
    :param user: the user id of the expected owner.
    """
    facts: list[Facts] = []
    data: dict[str, bytes] = {}
    names: dict[str, set[str]] = {"W": set(), "X": set()}
    for line in lines:
        kind, rest = line[:1], line[1:]
        if kind == "F":
            fields = rest.split(" ")
            facts += [Facts.parse(fields[at : at + 6]) for at in range(0, len(fields), 6)]
        elif kind == "D":
            name, content = _parse_content(rest)
            data[name] = content
        elif kind in names:
            names[kind].add(rest)
    found: dict[str, Content] = {}
    for it in facts:
        why = it.problem(user, 1 + (it.name in names["W"]))
        if why is None and it.name in names["X"]:
            why = _FORBIDDEN
        if why is not None:
            found[it.name] = Content(problem=file_problem(it.name, why))
        elif it.size > TAIL_BYTES:
            found[it.name] = Content(it.size)
        else:
            content = data[it.name] if it.size else b""
            found[it.name] = Content(len(content), content)
    return found


def _parse_content(text: str) -> tuple[str, bytes]:
    """Parse the name and the content of a file, which is preceded by its length."""
    head, _, content = text.partition(":")
    name, size = head.split(" ")
    data = content.encode("utf-8", "surrogateescape")
    if len(data) != int(size):
        raise ValueError(f"{len(data)} bytes of {name} instead of {size}")
    return name, data


async def read_output(remote: RemoteHost, run: ProcessRun, name: str) -> Output | None:
    """Read a long output.

    :param remote: the machine.
    :param run: its run.
    :param name: its name.
    :return: None if it does not exist.
    :raises ProcessManagerError: if it is not a regular file any more.
    """
    try:
        file = await open_output(remote, run, name)
    except asyncssh.SFTPNoSuchFile:
        return None
    async with file:
        size = (await file.stat()).size or 0
        if size > MAX_INLINE_BYTES:
            return Output(size, None, await file.read(TAIL_BYTES, size - TAIL_BYTES))
        data = await file.read(size, 0) if size else b""
    return Output(len(data), data, data[-TAIL_BYTES:])


async def open_output(remote: RemoteHost, run: ProcessRun, name: str) -> Any:
    """Open an output for reading through SFTP.

    :param remote: the machine.
    :param run: its run.
    :param name: its name.
    :raises SFTPNoSuchFile: if it does not exist.
    :raises ProcessManagerError: if it is not a regular file any more.
    """
    folder, directory = remote.pins, run.directory
    for attempt in range(_MAX_ATTEMPTS):
        pin = f"{folder}/{secrets.token_hex(8)}"
        request = f"pin {shell_join(directory, twin_of(run), name, pin)}"
        lines = await remote.ask(request)
        pinned = any(line.startswith("K") for line in lines)
        with parsing("pin", lines):
            _check_pin(lines, remote.user, name, run)
        if not lines:
            raise asyncssh.SFTPNoSuchFile(f"no file {str(directory / name)!r}")
        if not pinned:
            return await _open_checked(remote, f"{directory}/{name}", name)
        try:
            return await remote.sftp.open(pin, "rb")
        except asyncssh.SFTPNoSuchFile:  # another driver has just emptied the trash
            if attempt == _MAX_ATTEMPTS - 1:
                raise
        finally:
            with suppress(asyncssh.SFTPError):
                await remote.sftp.remove(pin)
    raise AssertionError


def _check_pin(lines: list[str], user: int, name: str, run: ProcessRun) -> None:
    for line in lines:
        if line[:1] in "KF":
            *_, mode, links, owner, size, blocks = line[1:].split(" ")
            facts = Facts.parse([name, mode, links, owner, size, blocks])
            most = max_links(run, pinned=line.startswith("K"), has_twin=f"W{name}" in lines)
            why = facts.problem(user, most)
            if why is None and f"X{name}" in lines:
                why = _FORBIDDEN
            if why is not None:
                raise OutputError(file_problem(name, why))


async def _open_checked(remote: RemoteHost, path: str, name: str) -> Any:
    """Open a file on a file system without hard links, and check that it was not replaced."""
    before = await remote.sftp.lstat(path)
    if not stat.S_ISREG(before.permissions or 0):
        raise OutputError(file_problem(name, "it was replaced meanwhile"))
    file = await remote.sftp.open(path, "rb")
    try:
        opened, after = await file.stat(), await remote.sftp.lstat(path)
        kept = {(it.permissions, it.uid, it.gid) for it in (before, opened, after)}
        if len(kept) > 1 or (opened.uid is not None and opened.uid != remote.user):
            raise OutputError(file_problem(name, "it was replaced meanwhile"))
    except BaseException:
        await file.close()
        raise
    return file

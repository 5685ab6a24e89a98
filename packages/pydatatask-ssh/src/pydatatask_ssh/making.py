"""Making the run directory of a job on another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import RunExistsError
from pydatatask_core.proc_manager.supervisor import SCRIPT, STDIN

from .errors import SSHConnectionError
from .script import words
from .streams import write_new

if TYPE_CHECKING:
    from pydatatask_core.proc_manager import Plan

    from .manager import SSHLinuxManager
    from .target import Target

__all__ = ["make_directory"]

_SHORT = 8192
_PLAIN = frozenset(b"\t\n" + bytes(range(32, 127)))
"""The bytes that every shell passes on as they are."""


async def make_directory(manager: SSHLinuxManager, target: Target, place: str, plan: Plan) -> None:
    """Make a run directory with all that the plan holds, or nothing.

    :param manager: whose run it is.
    :param target: the machine.
    :param place: the directory.
    :param plan: what is to be run.
    :raises RunExistsError: if there is one.
    """
    try:
        target.cork.hold()
        await target.sftp.mkdir(place, asyncssh.SFTPAttrs(permissions=0o700))
    except asyncssh.SFTPNoSuchFile:
        await _make_folder(manager, target, place)
        return await make_directory(manager, target, place, plan)
    except asyncssh.SFTPFailure:
        if await target.sftp.lexists(place):
            raise RunExistsError(
                f"there is a run directory {place!r} on {target.host} already"
            ) from None
        raise
    if (told := _as_words(plan)) is not None:
        await target.ask(f"fill {words(manager.basedir, place, *told)}")
    else:
        await _carry(manager, target, place, plan)


async def _carry(manager: SSHLinuxManager, target: Target, place: str, plan: Plan) -> None:
    """Fill the directory by SFTP, which takes anything."""
    script = f"{place}/{SCRIPT}"
    try:
        async with manager.reach.explaining(target, f"write {script!r}", script):
            await target.ask(f"fresh {words(manager.basedir, place)}")
            await write_new(target.sftp, script, plan.script or b"\n", 0o700)
            if plan.stdin is not None:
                await write_new(target.sftp, f"{place}/{STDIN}", plan.stdin)
    except SSHConnectionError:
        raise
    except ProcessManagerError:
        await target.rubbish.throw_away(place, manager.rubbish)
        raise


async def _make_folder(manager: SSHLinuxManager, target: Target, place: str) -> None:
    """Make what a run directory is to be in, anew if somebody has removed all of it."""
    await manager.prepare_folder(target)
    await target.ask(f"mkdir -p -m 700 -- {words(place.rpartition('/')[0])}")


def _as_words(plan: Plan) -> list[str] | None:
    """Give script and stdin as words, if they are short and plain text, as most are."""
    parts = [plan.script or b"\n", *([] if plan.stdin is None else [plan.stdin])]
    if sum(map(len, parts)) > _SHORT or not all(set(part) <= _PLAIN for part in parts):
        return None
    return [part.decode("ascii") for part in parts]

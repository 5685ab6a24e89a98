"""A directory with the stores of a pipeline, and a manager over SSH that runs in it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from processes.lab import Lab, until

from pydatatask_ssh import SSHConnection, SSHLinuxManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from services.sshd import SSHServer

__all__ = ["connect", "driven", "journal_of", "new_lab", "quickly", "well_ended"]

quickly: dict[str, Any] = {"keepalive": 0.5, "patience": 20.0}
"""Short times after which a connection counts as broken."""


def new_lab(root: Path, ssh: Callable[[], Any], **options: Any) -> Lab:
    """Create a lab whose processes run over SSH.

    :param root: its directory.
    :param ssh: returns the connection.
    :param options: options of the manager.
    """
    lab = Lab(root)
    lab.manager = SSHLinuxManager("lab", ssh, root / "processes", **options)
    return lab


def connect(server: SSHServer, **options: Any) -> SSHConnection:
    """Create a connection that detects failures quickly."""
    return SSHConnection(**{**server.login, **quickly, **options})


@contextlib.asynccontextmanager
async def driven(
    lab: Lab, *names: str, template: str = "echo $$ >>LOG; WAIT"
) -> AsyncIterator[Any]:
    """Run a pipeline with waiting jobs; yield once all of them run, and finish the run at exit."""
    await lab.add(*names)
    task = lab.task(template, stdout=lab.out)
    async with lab.pipeline(task) as pipeline, asyncio.TaskGroup() as group:
        run = group.create_task(pipeline.run(poll=0.05))

        async def all_run() -> bool:
            return len(lab.lines()) == len(names)

        await until(all_run)
        yield task
        await run


async def well_ended(lab: Lab, *names: str) -> None:
    """Check that each job ran once and succeeded."""
    assert set(await lab.done.keys()) == set(names)
    for name in names:
        record = await lab.done.info(name)
        assert record["success"], record
    assert len(lab.lines()) == len(names)
    assert lab.empty()


def journal_of(directory: Path) -> Path:
    """Return the journal, in which the supervisor of a run records its process and its status.

    :param directory: the run directory.
    """
    for base in directory.parents:
        if (base / ".journal").is_dir():
            return base / ".journal" / directory.relative_to(base)
    raise FileNotFoundError(directory)

"""Several machines that share the jobs of a task."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.resource_manager import Resources

from .runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from pydatatask_core.resource_manager import ResourceType
    from pydatatask_core.utils import AReadStream, AWriteStream

    from .base import AbstractProcessManager
    from .run import Leftover, Plan, Report, Run

__all__ = ["ManagerPool", "PoolRuns"]

log = logging.getLogger("pydatatask.proc_manager")

_KNOCK_AGAIN = 5.0


class _Machine:
    """One of the machines, and what the jobs take of it that it runs."""

    def __init__(self, manager: Callable[[], AbstractProcessManager], quota: Resources) -> None:
        self._manager = manager
        self.quota = quota
        self.held: dict[Run, Resources] = {}
        self._knocking: asyncio.Task[None] | None = None
        self._knocked = 0.0

    @property
    def runs(self) -> Runs:
        return self._manager().runs

    def excess(self, request: Resources) -> ResourceType | None:
        """Tell which resource is short for one more job, if any is."""
        return sum(self.held.values(), request).without_launches().excess(self.quota)

    def load(self) -> float:
        """Tell how much of the quota is in use, as a fraction."""
        used = sum(self.held.values(), Resources())
        pairs = ((used.cpu, self.quota.cpu), (used.mem, self.quota.mem))
        return max((float(part / whole) for part, whole in pairs if whole), default=0.0)

    def knock(self) -> None:
        """See beside everything else whether the machine answers again."""
        busy = self._knocking is not None and not self._knocking.done()
        if busy or time.monotonic() - self._knocked < _KNOCK_AGAIN:
            return
        self._knocked = time.monotonic()
        self._knocking = asyncio.create_task(self._knock(), name="pydatatask knock")

    async def _knock(self) -> None:
        with suppress(ProcessManagerError):  # so it does not; that has been told
            await self.runs.validate()


class ManagerPool:
    """Several machines that share the jobs of a task, each up to a quota of its own.

    Give ``lambda: pool`` to a :class:`ProcessTask` in the place of a process manager. A job runs on
    the machine that has the most room when it is launched; which one that was is in its record. A
    machine that does not answer is left out, and what it runs is looked after when it answers
    again: never before is it taken for ended, or launched elsewhere.

    :param machines: for each machine, a callable that gives its process manager, and its quota.
        Launches count for nothing in there; the task's own quota limits them.
    """

    def __init__(
        self, machines: Sequence[tuple[Callable[[], AbstractProcessManager], Resources]]
    ) -> None:
        if not machines:
            raise ProcessManagerError("a pool needs one machine at least")
        for manager, quota in machines:
            if not callable(manager) or not isinstance(quota, Resources):
                raise ProcessManagerError(
                    "a pool takes pairs of a callable that gives a process manager and of "
                    f"Resources, not {manager!r} and {quota!r}"
                )
        self._machines = [_Machine(manager, quota) for manager, quota in machines]
        self.runs = PoolRuns(self)

    def by_host(self) -> dict[str, _Machine]:
        """Give the machines by their names.

        :raises ProcessManagerError: if two have the same.
        """
        found = {machine.runs.host: machine for machine in self._machines}
        if len(found) < len(self._machines):
            raise ProcessManagerError(
                f"the machines of a pool have to have names of their own; there are {list(found)} "
                f"for {len(self._machines)} machines"
            )
        return found


class PoolRuns(Runs):
    """The runs of jobs on the machines of a pool, each on the one that its ``host`` names.

    :param pool: the pool.
    """

    def __init__(self, pool: ManagerPool) -> None:
        self._pool = pool

    @property
    def exclusive(self) -> bool:  # type: ignore[override] # of the machines there are
        return all(part.exclusive for part in self.parts)

    @property
    def host(self) -> str:
        return next(iter(self._pool.by_host()))

    @property
    def parts(self) -> list[Runs]:
        return [machine.runs for machine in self._pool.by_host().values()]

    def knows_host(self, host: str | None) -> bool:
        return host in self._pool.by_host()

    def basedir(self, host: str | None = None) -> Path:
        machines = self._pool.by_host()
        machine = machines.get(host or "") or next(iter(machines.values()))
        return machine.runs.basedir(host)

    async def validate(self) -> None:
        """Prepare the machines that answer.

        :raises ProcessManagerError: if one that answers will not do, or if none answers.
        """
        found = self.parts
        results = await asyncio.gather(*(it.validate() for it in found), return_exceptions=True)
        for runs, error in zip(found, results, strict=True):
            if isinstance(error, BaseException):
                if runs.is_up or not isinstance(error, ProcessManagerError):
                    raise error
                log.warning("%s is left out for now: %s", runs.host, error)
        if not any(runs.is_up for runs in found):
            raise ProcessManagerError(
                f"none of the machines {', '.join(runs.host for runs in found)} answers"
            )

    # -- where ------------------------------------------------------------------------------------

    def choose(self, request: Resources) -> str | ResourceType:
        machines = self._pool.by_host()
        up = {host: machine for host, machine in machines.items() if self._answers(machine)}
        if not up:
            raise ProcessManagerError(f"none of the machines {', '.join(machines)} answers")
        short = {host: machine.excess(request) for host, machine in up.items()}
        free = [host for host, resource in short.items() if resource is None]
        if free:
            return min(free, key=lambda host: up[host].load())
        return next(resource for resource in short.values() if resource is not None)

    def hold(self, run: Run, request: Resources) -> None:
        machine = self._pool.by_host().get(run.host)
        if machine is not None:
            machine.held[run] = request
            run.let_go = lambda: machine.held.pop(run, None)

    def fits(self, request: Resources) -> bool:
        machines = self._pool.by_host().values()
        return any(request.without_launches().excess(it.quota) is None for it in machines)

    @staticmethod
    def _answers(machine: _Machine) -> bool:
        if not machine.runs.is_up:
            machine.knock()
            return False
        return True

    def _of(self, run: Run) -> Runs:
        machine = self._pool.by_host().get(run.host)
        if machine is None:
            raise ProcessManagerError(
                f"{str(run.directory)!r} is on {run.host}, which is none of the machines of the "
                "pool; what became of it is known only with that machine in the pool"
            )
        if not self._answers(machine):
            raise ProcessManagerError(
                f"{run.host} does not answer, so nothing is known of {str(run.directory)!r}"
            )
        return machine.runs

    # -- by the machine ---------------------------------------------------------------------------

    async def make(self, run: Run, plan: Plan) -> None:
        await self._of(run).make(run, plan)

    async def start(self, run: Run, plan: Plan) -> None:
        await self._of(run).start(run, plan)

    def watch(self, run: Run, ended: Callable[[], None]) -> Callable[[], None] | None:
        machine = self._pool.by_host().get(run.host)
        return None if machine is None else machine.runs.watch(run, ended)

    async def poll(self, runs: Collection[Run]) -> list[Run]:
        async def ended(machine: _Machine, here: list[Run]) -> list[Run]:
            return await machine.runs.poll(here) if here and self._answers(machine) else []

        parts = await asyncio.gather(
            *(
                ended(machine, [run for run in runs if run.host == host])
                for host, machine in self._pool.by_host().items()
            )
        )
        return [run for part in parts for run in part]

    async def report(self, run: Run, outputs: Iterable[str] = (), *, claim: bool = True) -> Report:
        return await self._of(run).report(run, outputs, claim=claim)

    async def read(self, run: Run, name: str) -> AReadStream:
        return await self._of(run).read(run, name)

    async def write(self, run: Run, name: str) -> AWriteStream:
        return await self._of(run).write(run, name)

    async def stop(self, run: Run, reason: str, *, force: bool) -> bool:
        return await self._of(run).stop(run, reason, force=force)

    async def remove(self, run: Run) -> Leftover | None:
        return await self._of(run).remove(run)

    async def tail(self, run: Run, name: str, length: int) -> bytes:
        return await self._of(run).tail(run, name, length)

    async def archive(self, run: Run, names: Collection[str], place: Path) -> None:
        await self._of(run).archive(run, names, place)

    async def unarchive(self, run: Run) -> None:
        await self._of(run).unarchive(run)

    async def remember(self, run: Run, memo: str | None) -> None:
        await self._of(run).remember(run, memo)

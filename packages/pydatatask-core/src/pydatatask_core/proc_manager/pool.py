"""Several machines that share the jobs of a task."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.resource_manager import Resources

from .backend import ProcessBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from pydatatask_core.resource_manager import ResourceType
    from pydatatask_core.utils import AReadStream, AWriteStream

    from .base import AbstractProcessManager
    from .process import LaunchSpec, Leftover, ProcessRun, ProcessStatus

__all__ = ["ManagerPool", "PoolBackend"]

log = logging.getLogger("pydatatask.proc_manager")

_PROBE_INTERVAL_SECONDS = 5.0


class _Machine:
    """A machine of the pool, with the resources that its jobs have reserved."""

    def __init__(self, manager: Callable[[], AbstractProcessManager], quota: Resources) -> None:
        self._manager = manager
        self.quota = quota
        self.reserved: dict[ProcessRun, Resources] = {}
        self._probe_task: asyncio.Task[None] | None = None
        self._last_probe = 0.0

    @property
    def backend(self) -> ProcessBackend:
        return self._manager().backend

    def excess(self, request: Resources) -> ResourceType | None:
        """Return the resource that one more job would exhaust, if any."""
        return sum(self.reserved.values(), request).without_launches().excess(self.quota)

    def load(self) -> float:
        """Return the fraction of the quota that is in use."""
        used = sum(self.reserved.values(), Resources())
        pairs = ((used.cpu, self.quota.cpu), (used.mem, self.quota.mem))
        return max((float(part / limit) for part, limit in pairs if limit), default=0.0)

    def probe(self) -> None:
        """Check in the background whether the machine answers again."""
        busy = self._probe_task is not None and not self._probe_task.done()
        if busy or time.monotonic() - self._last_probe < _PROBE_INTERVAL_SECONDS:
            return
        self._last_probe = time.monotonic()
        self._probe_task = asyncio.create_task(self._probe(), name="pydatatask knock")

    async def _probe(self) -> None:
        with suppress(ProcessManagerError):  # still down, which has been reported
            await self.backend.validate()


class ManagerPool:
    """Several machines that share the jobs of a task, each up to a quota of its own.

    Pass ``lambda: pool`` to a :class:`ProcessTask` in place of a process manager. A job runs on the
    machine with the most room at the time of its launch; its record names the machine. A machine
    that does not answer gets no new jobs, and its running jobs are monitored again once it answers;
    until then they are never considered over, or launched elsewhere.

    :param machines: for each machine, a callable that returns its process manager, and its quota.
        Launches do not count in these quotas; the quota of the task limits them.
    """

    def __init__(
        self, machines: Sequence[tuple[Callable[[], AbstractProcessManager], Resources]]
    ) -> None:
        if not machines:
            raise ProcessManagerError("a pool needs at least one machine")
        for manager, quota in machines:
            if not callable(manager) or not isinstance(quota, Resources):
                raise ProcessManagerError(
                    "a pool takes pairs of a callable that returns a process manager and of "
                    f"Resources, not {manager!r} and {quota!r}"
                )
        self._machines = [_Machine(manager, quota) for manager, quota in machines]
        self.backend = PoolBackend(self)

    def machines_by_host(self) -> dict[str, _Machine]:
        """Return the machines by name.

        :raises ProcessManagerError: if two have the same name.
        """
        hosts = {machine.backend.host: machine for machine in self._machines}
        if len(hosts) < len(self._machines):
            raise ProcessManagerError(
                f"the machines of a pool must have distinct names; there are {list(hosts)} "
                f"for {len(self._machines)} machines"
            )
        return hosts


class PoolBackend(ProcessBackend):
    """The backend of a pool: each run is on the machine that its ``host`` names.

    :param pool: the pool.
    """

    def __init__(self, pool: ManagerPool) -> None:
        self._pool = pool

    @property
    def atomic_create(self) -> bool:  # type: ignore[override] # depends on the machines
        return all(part.atomic_create for part in self.hosts)

    @property
    def host(self) -> str:
        return next(iter(self._pool.machines_by_host()))

    @property
    def hosts(self) -> list[ProcessBackend]:
        return [machine.backend for machine in self._pool.machines_by_host().values()]

    def knows_host(self, host: str | None) -> bool:
        return host in self._pool.machines_by_host()

    def basedir(self, host: str | None = None) -> Path:
        machines = self._pool.machines_by_host()
        machine = machines.get(host or "") or next(iter(machines.values()))
        return machine.backend.basedir(host)

    async def validate(self) -> None:
        """Prepare the machines that answer.

        :raises ProcessManagerError: if one that answers is not usable, or if none answers.
        """
        hosts = self.hosts
        results = await asyncio.gather(*(host.validate() for host in hosts), return_exceptions=True)
        for backend, error in zip(hosts, results, strict=True):
            if isinstance(error, BaseException):
                if backend.is_up or not isinstance(error, ProcessManagerError):
                    raise error
                log.warning("%s does not answer and gets no jobs for now: %s", backend.host, error)
        if not any(backend.is_up for backend in hosts):
            raise ProcessManagerError(
                f"none of the machines {', '.join(backend.host for backend in hosts)} answers"
            )

    # -- choice of the machine --------------------------------------------------------------------

    def choose_host(self, request: Resources) -> str | ResourceType:
        machines = self._pool.machines_by_host()
        up = {host: machine for host, machine in machines.items() if self._is_up(machine)}
        if not up:
            raise ProcessManagerError(f"none of the machines {', '.join(machines)} answers")
        short = {host: machine.excess(request) for host, machine in up.items()}
        free = [host for host, resource in short.items() if resource is None]
        if free:
            return min(free, key=lambda host: up[host].load())
        return next(resource for resource in short.values() if resource is not None)

    def reserve_host(self, run: ProcessRun, request: Resources) -> None:
        machine = self._pool.machines_by_host().get(run.host)
        if machine is not None:
            machine.reserved[run] = request
            run.release_host = lambda: machine.reserved.pop(run, None)

    def fits(self, request: Resources) -> bool:
        machines = self._pool.machines_by_host().values()
        return any(request.without_launches().excess(machine.quota) is None for machine in machines)

    @staticmethod
    def _is_up(machine: _Machine) -> bool:
        if not machine.backend.is_up:
            machine.probe()
            return False
        return True

    def _backend_of(self, run: ProcessRun) -> ProcessBackend:
        machine = self._pool.machines_by_host().get(run.host)
        if machine is None:
            raise ProcessManagerError(
                f"{str(run.directory)!r} is on {run.host}, which is not a machine of the pool; add "
                "that machine to the pool to learn the state of the job"
            )
        if not self._is_up(machine):
            raise ProcessManagerError(
                f"{run.host} does not answer, so the state of {str(run.directory)!r} is unknown"
            )
        return machine.backend

    # -- operations of the run's machine ----------------------------------------------------------

    async def create(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await self._backend_of(run).create(run, spec)

    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await self._backend_of(run).start(run, spec)

    def watch(self, run: ProcessRun, on_exit: Callable[[], None]) -> Callable[[], None] | None:
        machine = self._pool.machines_by_host().get(run.host)
        return None if machine is None else machine.backend.watch(run, on_exit)

    async def exited(self, process_runs: Collection[ProcessRun]) -> list[ProcessRun]:
        async def exited_on(machine: _Machine, process_runs: list[ProcessRun]) -> list[ProcessRun]:
            return (
                await machine.backend.exited(process_runs)
                if process_runs and self._is_up(machine)
                else []
            )

        parts = await asyncio.gather(
            *(
                exited_on(machine, [run for run in process_runs if run.host == host])
                for host, machine in self._pool.machines_by_host().items()
            )
        )
        return [run for part in parts for run in part]

    async def inspect(
        self, run: ProcessRun, outputs: Iterable[str] = (), *, fence: bool = True
    ) -> ProcessStatus:
        return await self._backend_of(run).inspect(run, outputs, fence=fence)

    async def open_output(self, run: ProcessRun, name: str) -> AReadStream:
        return await self._backend_of(run).open_output(run, name)

    async def open_input(self, run: ProcessRun, name: str) -> AWriteStream:
        return await self._backend_of(run).open_input(run, name)

    async def terminate(self, run: ProcessRun, reason: str, *, force: bool) -> bool:
        return await self._backend_of(run).terminate(run, reason, force=force)

    async def remove(self, run: ProcessRun) -> Leftover | None:
        return await self._backend_of(run).remove(run)

    async def read_tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        return await self._backend_of(run).read_tail(run, name, length)

    async def archive(self, run: ProcessRun, names: Collection[str], folder: Path) -> None:
        await self._backend_of(run).archive(run, names, folder)

    async def remove_archive(self, run: ProcessRun) -> None:
        await self._backend_of(run).remove_archive(run)

    async def save_note(self, run: ProcessRun, note: str | None) -> None:
        await self._backend_of(run).save_note(run, note)

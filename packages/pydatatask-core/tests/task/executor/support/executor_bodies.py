"""Functions for executors. Workers in other processes import this module, so it is small."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pydatatask_core import FileRepository, MetadataRepository


async def copy(job: str, inp: MetadataRepository, out: MetadataRepository) -> None:
    await out.dump(job, await inp.info(job))


async def tell_where(job: str, inp: MetadataRepository, out: MetadataRepository) -> None:
    """Record the process, the thread and the loop that run the job."""
    await inp.info(job)
    loop = asyncio.get_running_loop()
    await out.dump(job, [os.getpid(), threading.get_ident(), id(loop)])


class Unpicklable(Exception):
    """An exception that can be pickled but not unpickled, a common fault of exceptions."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


async def raise_unpicklable(job: str, inp: MetadataRepository) -> NoReturn:
    raise Unpicklable(7, f"no luck with {job}")


async def raise_unprintable(job: str, inp: MetadataRepository) -> NoReturn:
    raise Unprintable


class Panic(BaseException):
    """An exception like pyo3's PanicException (a bug in a Rust extension): not an `Exception`."""


async def raise_panic(job: str, inp: MetadataRepository) -> NoReturn:
    raise Panic("unwrap() on None")


def raise_generator_exit(job: str, inp: MetadataRepository) -> NoReturn:
    raise GeneratorExit


def raise_group(job: str, inp: MetadataRepository) -> NoReturn:
    raise BaseExceptionGroup("all", [Panic("1"), SystemExit(2)])


async def cancel_itself(job: str, inp: MetadataRepository) -> None:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(0)


customer: contextvars.ContextVar[str] = contextvars.ContextVar("customer")


def keep_to_itself(job: str, inp: MetadataRepository) -> None:
    assert customer.get(None) is None
    customer.set(job)


async def keep_to_itself_too(job: str, inp: MetadataRepository) -> None:
    keep_to_itself(job, inp)


async def raise_odd_text(job: str, inp: MetadataRepository) -> NoReturn:
    raise ValueError("a lone surrogate \udc80 and a bell \x07")


async def leave(job: str, inp: MetadataRepository) -> NoReturn:
    raise SystemExit(3)


def plainly(job: str, inp: MetadataRepository, marks: FileRepository) -> str:
    """Run without a loop, and return an unused value."""
    marks.fullpath(job).write_text(str(os.getpid()))
    return job


def hold(job: str, inp: MetadataRepository, gates: FileRepository) -> None:
    """Signal the start through one named pipe, then block until released through another."""
    gate = gates.fullpath(job)
    Path(f"{gate}begun").open("w").close()
    Path(f"{gate}go").open().close()


def die(job: str, inp: MetadataRepository) -> None:
    """Kill the worker if the name of the job says so."""
    if job.startswith("bad"):
        os.kill(os.getpid(), signal.SIGKILL)


def die_once(job: str, inp: MetadataRepository, marks: FileRepository) -> None:
    """Kill the worker at the first attempt."""
    mark = marks.fullpath(job)
    if not mark.exists():
        mark.touch()
        die(job, inp)


class HomeBody:
    """A callable that can be pickled, but unpickled only in the process that created it."""

    def __init__(self, pid: int | None = None) -> None:
        if pid not in (None, os.getpid()):
            raise RuntimeError("I do not travel well")

    def __reduce__(self) -> tuple[Any, ...]:
        return HomeBody, (os.getpid(),)

    def __call__(self, job: str, inp: MetadataRepository) -> None:
        raise AssertionError


class Methods:
    @staticmethod
    async def copy(job: str, inp: MetadataRepository, out: MetadataRepository) -> None:
        await out.dump(job, await inp.info(job))


async def add(job: str, inp: MetadataRepository, out: MetadataRepository, more: int) -> None:
    await out.dump(job, await inp.info(job) + more)


async def everything(job: str, **links: Any) -> None:
    """Accept all links, and write their names."""
    await links["out"].dump(job, sorted(links))


async def with_live(job: str, inp: MetadataRepository, live: Any) -> None:
    """Take the live repository, which cannot be pickled."""


def doubled(value: int) -> int:
    return 2 * value


async def part(job: str, inp: MetadataRepository, parts: MetadataRepository) -> None:
    """Write to ``parts`` in the way given by the value of the job."""
    how = await inp.info(job)
    if how == "own":
        await parts.dump(job, 1)
    elif how == "others":
        for n in range(3):
            await parts.dump(f"{job}part{n}", n)
    elif how == "open":
        path = parts.fullpath(job)  # type: ignore[attr-defined]
        await asyncio.to_thread(path.write_text, "1")

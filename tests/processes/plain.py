"""A third-party process manager that implements only the documented methods."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from pydatatask_core.proc_manager import STDOUT, AbstractProcessManager
from pydatatask_core.utils import AReadText, AWriteText, ReadStream, WriteStream
from pydatatask_core.utils.files import remove_tree


class PlainManager(AbstractProcessManager):
    """A process manager that starts child processes, identified by their process ids.

    :param basedir: the folder for files of processes.
    """

    def __init__(self, basedir: Path) -> None:
        self._basedir = basedir
        self._live: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def basedir(self) -> Path:
        return self._basedir

    async def get_live_pids(self, hint: set[str]) -> set[str]:
        return set(self._live)

    async def spawn(
        self,
        args: list[str],
        environ: dict[str, str],
        cwd: str,
        return_code: str,
        stdin: str | None,
        stdout: str | None,
        stderr: Any,
    ) -> str:
        return await asyncio.to_thread(
            self._spawn, args, environ, cwd, return_code, stdin, stdout, stderr
        )

    def _spawn(
        self,
        args: list[str],
        environ: dict[str, str],
        cwd: str,
        return_code: str,
        stdin: str | None,
        stdout: str | None,
        stderr: Any,
    ) -> str:
        with (
            open(stdin or os.devnull, "rb") as source,
            open(stdout or os.devnull, "wb") as target,
            open(stderr if isinstance(stderr, str) else os.devnull, "wb") as errors,
        ):
            child = subprocess.Popen(
                args,
                cwd=cwd,
                env={**os.environ, **environ},
                stdin=source,
                stdout=target,
                stderr=subprocess.STDOUT if stderr is STDOUT else errors,
                start_new_session=True,
            )
        handle = str(child.pid)
        self._live[handle] = child
        threading.Thread(target=self._wait, args=(child, handle, return_code)).start()
        return handle

    def _wait(self, child: subprocess.Popen[bytes], handle: str, return_code: str) -> None:
        code = child.wait()
        if Path(return_code).parent.is_dir():
            Path(return_code).write_text(str(code))
        del self._live[handle]

    async def kill(self, pid: str) -> None:
        if pid in self._live:
            os.killpg(int(pid), signal.SIGKILL)

    async def open(self, path: Path, mode: str) -> Any:
        if "r" in mode:
            source = _Reader(await asyncio.to_thread(path.read_bytes))
            return AReadText(source) if mode == "r" else source
        target = _Writer(path)
        return AWriteText(target) if mode == "w" else target

    async def mkdir(self, path: Path) -> None:
        await asyncio.to_thread(path.mkdir, parents=True, exist_ok=True)

    async def rmtree(self, path: Path) -> None:
        await asyncio.to_thread(remove_tree, str(path))


class _Reader(ReadStream):
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, n: int | None = None) -> bytes:
        size = len(self._data) if n is None else n
        data, self._data = self._data[:size], self._data[size:]
        return data

    async def close(self) -> None:
        self._data = b""


class _Writer(WriteStream):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = bytearray()

    async def write(self, data: bytes) -> None:
        self._data += data

    async def close(self) -> None:
        await asyncio.to_thread(self._path.write_bytes, self._data)

    async def abort(self) -> None:
        self._data.clear()

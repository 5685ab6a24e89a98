"""Ctrl-C in a terminal, which signals the workers as well as the driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import asyncio, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
import pydatatask_core as pydatatask

FOLDER, KIND = sys.argv[1:]

def repository(name):
    return pydatatask.YamlMetadataFileRepository(FOLDER + "/" + name, ".yaml")

async def hold(job, inp):
    with open(FOLDER + "/begun", "w") as begun:
        begun.write("!")
    await asyncio.Event().wait()

async def main(pool):
    task = pydatatask.ExecutorTask("work", pool, repository("done"), func=hold)
    task.link("inp", repository("inp"), is_input=True)
    await repository("inp").validate()
    for n in range(10):
        await repository("inp").dump(f"job{n}", 1)
    async with pydatatask.Pipeline([task]) as pipeline:
        await pipeline.run()

if __name__ == "__main__":
    if KIND == "thread":
        pool = ThreadPoolExecutor(2)
    else:
        pool = ProcessPoolExecutor(2, mp_context=get_context(KIND))
    with pool:
        asyncio.run(main(pool))
"""


@pytest.mark.parametrize("kind", ["thread", "spawn", "fork", "forkserver"])
def test_ctrl_c_ends_driver_and_workers_and_records_no_failure(tmp_path: Path, kind: str) -> None:
    """The interrupted jobs are ready again: they neither hang nor fail."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    os.mkfifo(tmp_path / "begun")
    driver = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), kind],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        begun = os.open(tmp_path / "begun", os.O_RDWR)
        count = 0
        while count < 2:
            count += len(os.read(begun, 2))

        os.killpg(driver.pid, signal.SIGINT)

        _, told = driver.communicate()
        os.close(begun)  # not earlier: a worker that is still starting could not open it
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.communicate()
    assert "KeyboardInterrupt" in told
    assert driver.returncode not in (0, None)
    assert list((tmp_path / "done").iterdir()) == []

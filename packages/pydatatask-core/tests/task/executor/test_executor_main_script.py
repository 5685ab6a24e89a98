"""Functions that other processes cannot import: those of the main script, lambdas, closures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))  # workers import from it too

import executor_bodies as bodies
from executor_kinds import reusable
from executor_stage import in_files

from pydatatask_core.errors import TaskConfigurationError
from pydatatask_core.task.executor.serialization import BoundFunction, deserialize, serialize

if TYPE_CHECKING:
    from pydatatask_core import MetadataRepository

SCRIPT = """
import asyncio, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import pydatatask_core as pydatatask

METHOD = sys.argv[1]
POOL = None

def repository(name):
    return pydatatask.YamlMetadataFileRepository("FOLDER/" + name, ".yaml")

class Doubled:
    def __init__(self, value):
        self.value = 2 * value

def double(value):
    return Doubled(value).value

@pydatatask.ExecutorTask("work", lambda: POOL, repository("done"))
async def work(job, inp, out):
    await out.dump(job, double(await inp.info(job)))

work.link("inp", repository("inp"), is_input=True)
work.link("out", repository("out"), is_output=True)

async def main():
    await repository("inp").validate()
    await repository("inp").dump("a", 1)
    async with pydatatask.Pipeline([work]) as pipeline:
        await pipeline.run(timeout=50)
    record = await work.links["done"].repo.info("a")
    print(record.get("exception", record["success"]), await repository("out").info("a"))

def executor():
    if METHOD == "loky":
        import loky
        return loky.get_reusable_executor(1, timeout=None)
    if METHOD == "dask":
        from distributed import Client
        return Client(n_workers=1, threads_per_worker=1, dashboard_address=":0").get_executor()
    return ProcessPoolExecutor(1, mp_context=get_context(METHOD))

if __name__ == "__main__":
    with executor() as POOL:
        asyncio.run(main())
    if METHOD == "dask":
        from distributed import default_client
        default_client().shutdown()
"""


def run_script(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", *command],
        input=SCRIPT.replace("FOLDER", str(folder)),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_a_function_of_an_interactive_session_is_rejected_if_a_process_pool_cannot_import_it(
    tmp_path: Path,
) -> None:
    ended = run_script(tmp_path, "-", "spawn")

    assert ended.stdout == ""
    assert (
        "defined in the script run as `__main__`, which these workers do not load" in ended.stderr
    )


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver", "loky", "dask"])
def test_a_decorated_function_of_the_main_script_runs_in_every_kind_of_process(
    tmp_path: Path, method: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("FOLDER", str(tmp_path)))

    ended = run_script(tmp_path, str(script), method)

    # Dask warns on stderr of workers that end slowly.
    assert (ended.stdout, ended.returncode) == ("True 2\n", 0), ended.stderr


def test_a_function_of_an_interactive_session_runs_in_loky(tmp_path: Path) -> None:
    ended = run_script(tmp_path, "-", "loky")

    assert (ended.stdout, ended.stderr) == ("True 2\n", "")


async def refusal(stage: Any) -> str:
    """Open a pipeline that must not open, and return the error."""
    with pytest.raises(TaskConfigurationError) as caught:
        async with stage.pipeline():
            pass
    return str(caught.value)


async def test_a_closure_over_an_object_that_does_not_pickle_is_rejected(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:

        async def nested(job: str, inp: MetadataRepository) -> None:
            log.write(job)

        told = await refusal(in_files(tmp_path, reusable(1), nested))

    assert "nested" in told
    assert "cannot be passed to a worker in another process: it does not pickle" in told


async def test_a_lambda_is_rejected_if_cloudpickle_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = reusable(1)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    told = await refusal(in_files(tmp_path, executor, lambda job, inp: None))

    assert "it is a lambda, which no other process can find" in told


async def test_a_closure_runs_in_loky_and_a_lambda_in_a_view_of_its_input(tmp_path: Path) -> None:
    more = 3

    async def nested(job: str, inp: MetadataRepository, out: MetadataRepository) -> None:
        await out.dump(job, await inp.info(job) + more)

    stage = in_files(tmp_path, reusable(1), nested)
    stage.task.links["inp"].repo = stage.inp.map(lambda value: 10 * value)
    await stage.feed("a")

    await stage.run()

    assert await stage.out.info("a") == 13


def test_an_importable_function_is_a_reference_for_every_executor() -> None:
    payload = serialize("work", BoundFunction(bodies.copy, {}), main=False, by_value=True)

    assert deserialize(payload).func is bodies.copy
    assert len(payload) < 200  # a name, not the code

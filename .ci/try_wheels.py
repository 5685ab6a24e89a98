"""Use the built wheels as their users will: install them by name from an index, and run pipelines.

Usage: try_wheels.py FOLDER. The program follows the tutorial in an environment with only
``pydatatask[all]``, and runs a pipeline over S3 in an environment with only the core and the S3
backend.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_index import local_index

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

S3_ALONE = """
import asyncio, sys
from importlib.metadata import distributions
from pydatatask_core import InProcessMetadataRepository, InProcessSyncTask, Pipeline, Session
from pydatatask_s3 import S3BucketRepository, YamlMetadataS3Repository, s3_client

session = Session()
client = session.resource(s3_client(
    sys.argv[1], aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
))
texts = S3BucketRepository(client, "texts", suffix=".txt")
counts = YamlMetadataS3Repository(client, "counts", "")

@InProcessSyncTask("count", YamlMetadataS3Repository(client, "done", ""))
async def count(job, texts, counts):
    async with await texts.open(job, "r") as text:
        await counts.dump(job, {"words": len((await text.read()).split())})

count.link("texts", texts, is_input=True)
count.link("counts", counts, is_output=True)

async def main():
    async with session:
        await texts.validate()
        for job in ("one", "two"):
            async with await texts.open(job, "w") as text:
                await text.write("word " * len(job))
    async with Pipeline([count], session) as pipeline:
        summary = await pipeline.run()
    async with session:
        print(dict(summary.launched), sorted((await counts.info_all()).items()))

asyncio.run(main())
ours = sorted(d.name for d in distributions() if d.name.startswith("pydatatask"))
assert ours == ["pydatatask-core", "pydatatask-s3"], ours
"""


def install(folder: Path, index: str, *names: str) -> Path:
    """Install packages by name into a new environment, and return its ``bin`` folder."""
    programs = folder / "bin"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    environ = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    report = folder / "report.json"
    command = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    command += ["--quiet", "--index-url", index, "--report", str(report), *names]
    subprocess.run(command, check=True, cwd=folder, env=environ)
    for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
        origin = item["download_info"]["url"]
        if item["metadata"]["name"].startswith("pydatatask") and not origin.startswith(
            index.removesuffix("simple")
        ):
            raise RuntimeError(f"{item['metadata']['name']} came from {origin}")
    return programs


def follow_the_tutorial(index: str, folder: Path) -> None:
    """Run the commands of the tutorial, and compare their output."""
    from docs.following import Reader

    programs = install(folder / "all", index, "pydatatask[all]")
    (folder / "empty").mkdir()
    environ = {"PATH": f"{programs}{os.pathsep}{os.defpath}"}
    Reader(ROOT / "docs" / "tutorial.md", folder / "empty", environ).follow()


def run_s3_alone(index: str, folder: Path) -> None:
    """Run a pipeline whose data are in buckets, with only the core and the S3 backend."""
    from moto.server import ThreadedMotoServer

    programs = install(folder / "s3", index, "pydatatask-core", "pydatatask-s3")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        command = [str(programs / "python"), "-I", "-c", S3_ALONE, f"http://{host}:{port}"]
        printed = subprocess.run(
            command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    finally:
        server.stop()
    if printed != "{'count': 2} [('one', {'words': 3}), ('two', {'words': 3})]\n":
        raise RuntimeError(f"the pipeline over S3 printed {printed!r}")


def main() -> None:
    """Run both attempts concurrently."""
    wheels = Path(sys.argv[1]).resolve()
    attempts = {
        "pydatatask[all] and the tutorial as it is printed": follow_the_tutorial,
        "pydatatask-core and pydatatask-s3 with a pipeline over S3": run_s3_alone,
    }
    with (
        local_index(wheels) as index,
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(len(attempts)) as executor,
    ):
        began = time.monotonic()
        running = [executor.submit(each, index, Path(folder)) for each in attempts.values()]
        for what, attempt in zip(attempts, running, strict=True):
            attempt.result()
            print(f"{what}: passed after {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()

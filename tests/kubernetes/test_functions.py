"""Functions in pods of an image with this Python and our packages."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pydatatask

from .function_image import IMAGE, function_image

if TYPE_CHECKING:
    from services.kubernetes.cluster import Cluster
    from services.kubernetes.fixture import Kubernetes

SCRIPT = Path(__file__).with_name("functions.py")


@pytest.mark.timeout(240)
async def test_a_function_succeeds_and_one_raises(
    own_cluster: Cluster, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    archive = await asyncio.to_thread(function_image, tmp_path, SCRIPT)
    await asyncio.to_thread(own_cluster.load, archive)
    archive.unlink()
    data = tmp_path / "data"
    numbers = pydatatask.YamlMetadataFileRepository(data / "numbers")
    await numbers.validate()
    await numbers.dump("seven", 7)
    await numbers.dump("word", "seven")
    environment = {"DATA": str(data), "APP": f"test-{secrets.token_hex(4)}", "IMAGE": IMAGE}
    driver = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), "run"),
        env={**os.environ, **environment, "KUBECONFIG": str(kubernetes.kubeconfig)},
        stdin=asyncio.subprocess.DEVNULL,
    )
    await asyncio.wait_for(driver.wait(), 200)
    halves = await pydatatask.YamlMetadataFileRepository(data / "halves").info_all()
    pods = await pydatatask.YamlMetadataFileRepository(data / "kube_done").info_all()
    functions = await pydatatask.YamlMetadataFileRepository(data / "func_done").info_all()
    assert halves == {"seven": 3.5}
    assert {job: record["success"] for job, record in pods.items()} == {
        "seven": True,
        "word": False,
    }
    assert functions["seven"]["success"] is True
    assert functions["word"]["exception"].startswith("TypeError: unsupported operand type")
    assert "number / 2" in functions["word"]["traceback"]
    assert "halving 7 in process 1" in (data / "logs" / "seven").read_text()
    assert "TypeError" in (data / "logs" / "word").read_text()

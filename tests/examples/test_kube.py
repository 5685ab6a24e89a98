"""The example with pods, run as a user runs it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from services.kubernetes.fixture import Kubernetes

MAIN = Path(__file__).parents[2] / "examples" / "kube" / "main.py"

pytestmark = pytest.mark.timeout(300)


def example(folder: Path, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MAIN), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass(frozen=True)
class World:
    """A cluster, a folder, and the app of the pods."""

    kubernetes: Kubernetes
    folder: Path
    app: str

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environ = {"KUBE_NAMESPACE": self.kubernetes.namespace, "KUBE_IMAGE": self.kubernetes.image}
        if self.kubernetes.context:
            environ["KUBE_CONTEXT"] = self.kubernetes.context
        if self.kubernetes.kubeconfig:
            environ["KUBECONFIG"] = self.kubernetes.kubeconfig
        return example(self.folder, *arguments, "--app", self.app, **environ)

    def made(self, name: str) -> str:
        return (self.folder / "kube-output" / name).read_text()

    def record(self, name: str) -> Any:
        return yaml.safe_load(self.made(name))


@pytest.fixture
def world(kubernetes: Kubernetes, tmp_path: Path) -> World:
    return World(kubernetes, tmp_path, f"test-{secrets.token_hex(4)}")


def test_the_output_of_pods_is_processed_here_and_only_missing_results_are_computed_again(
    world: World,
) -> None:
    result = world.run()

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines() == [
        "ran: primes 3, twins 3",
        "hundred: 25 primes, 8 pairs of twins",
        "myriad: 1061 primes, 170 pairs of twins",
        "thousand: 143 primes, 27 pairs of twins",
        "primes  kube-output/primes",
        "twins   kube-output/twins",
    ]
    assert world.made("primes/hundred.txt").split()[:5] == ["2", "3", "5", "7", "11"]
    assert world.record("twins/hundred.yaml")["twins"][-1] == [71, 73]
    ended = world.record("done/hundred.yaml")
    assert ended["success"] is True
    assert ended["image"].endswith(world.kubernetes.image)
    assert "ran: nothing new\n" in world.run().stdout

    for name in ("twins/hundred.yaml", "twins-done/hundred.yaml"):
        (world.folder / "kube-output" / name).unlink()
    assert "ran: twins 1\n" in world.run().stdout


def test_a_pod_that_fails_is_reported_and_starts_no_later_task(world: World) -> None:
    ranges = world.folder / "ranges"
    ranges.mkdir()
    (ranges / "good.yaml").write_text("first: 2\nlast: 5\n")
    (ranges / "bad.yaml").write_text("first: 2\nlast: many\n")

    result = world.run(ranges)

    assert result.returncode == 1, result.stdout + result.stderr
    assert "ran: primes 2, twins 1\n" in result.stdout
    assert "1 of primes failed, see kube-output/done: bad\n" in result.stdout
    assert "seq" in world.made("primes/bad.txt")  # its error message
    assert world.record("done/bad.yaml")["return_code"] == 1
    assert world.record("twins/good.yaml") == {"primes": 3, "twins": [[3, 5]]}


@pytest.mark.parametrize("server", [None, "http://127.0.0.1:9"])
def test_an_unreachable_cluster_is_reported_in_one_sentence(
    server: str | None, tmp_path: Path
) -> None:
    configuration = tmp_path / "config"
    if server is not None:
        context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
        told = {
            "clusters": [{"name": "here", "cluster": {"server": server}}],
            "contexts": [context],
            "current-context": "here",
            "users": [{"name": "me", "user": {}}],
        }
        configuration.write_text(yaml.safe_dump(told))

    result = example(
        tmp_path, KUBECONFIG=str(configuration), KUBE_CONTEXT="", KUBE_NAMESPACE="nowhere"
    )

    assert result.returncode == 2, result.stdout + result.stderr
    assert "in namespace 'nowhere'" in result.stderr
    assert (server or f"there is no kubectl configuration at '{configuration}'") in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout

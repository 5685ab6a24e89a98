"""Servers for the cases, started for one case at a time."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.peers import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["kubernetes", "mongodb", "s3", "sshd"]

BUILD = "run python tests/services/{}/build.py once; it takes some minutes"


@contextmanager
def s3() -> Iterator[Mapping[str, str]]:
    """Run an S3 server that stores its objects in a folder, and yield variables for programs."""
    _find_tests()
    from services.finding import free_port
    from services.server import Program
    from services.versitygw.build import VERSITYGW

    program = _found("versitygw", VERSITYGW.built)
    port, user, password = free_port(), "bench", "bench-secret"
    options = [f"--port=127.0.0.1:{port}", f"--access={user}", f"--secret={password}"]
    with tempfile.TemporaryDirectory(prefix="pydatatask-bench-") as folder:
        data = Path(folder, "data")
        data.mkdir()
        command = [program, *options, "--quiet", "--keep-alive", "posix", str(data)]
        with Program(port, command, Path(folder, "log")):
            yield {
                "BENCH_S3_ENDPOINT": f"http://127.0.0.1:{port}",
                "BENCH_S3_USER": user,
                "BENCH_S3_PASSWORD": password,
            }


@contextmanager
def mongodb() -> Iterator[Mapping[str, str]]:
    """Run a server that implements MongoDB's protocol, and yield variables for programs."""
    _find_tests()
    from services.ferretdb.build import FERRETDB
    from services.finding import free_port
    from services.server import Program

    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pydatatask-bench-") as folder:
        data = Path(folder, "data")
        data.mkdir()
        if mongod := shutil.which("mongod"):
            command = [mongod, "--bind_ip=127.0.0.1", f"--port={port}", f"--dbpath={data}"]
        else:
            command = [_found("ferretdb", FERRETDB.built), f"127.0.0.1:{port}", str(data)]
        with Program(port, command, Path(folder, "log")):
            yield {"BENCH_MONGODB": f"mongodb://127.0.0.1:{port}"}


@contextmanager
def sshd() -> Iterator[Mapping[str, str]]:
    """Run OpenSSH's server with its default settings, and yield variables for programs."""
    _find_tests()
    if not (shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")):
        raise UnavailableError("sshd is not installed; install Debian's package openssh-server")
    from services.sshd import make_sshd

    with tempfile.TemporaryDirectory(prefix="pydatatask-bench-") as folder:
        # GNU parallel logs in for each job, and sshd drops some of many concurrent logins.
        found = make_sshd(Path(folder), "MaxStartups=100")
        with found.server:
            yield {
                "BENCH_SSH_PORT": str(found.port),
                "BENCH_SSH_USER": found.user,
                "BENCH_SSH_KEY": str(found.folder / "key"),
            }


@contextmanager
def kubernetes() -> Iterator[Mapping[str, str]]:
    """Run a single-node cluster, and yield variables for programs, including its audit log."""
    _find_tests()
    from services.kubernetes.build import obstacle
    from services.kubernetes.cluster import Cluster
    from services.kubernetes.images import BUSYBOX

    reason = obstacle()
    if reason is not None:
        raise UnavailableError(reason)
    with Cluster() as cluster:
        yield {
            "KUBECONFIG": str(cluster.kubeconfig),
            "BENCH_KUBE_IMAGE": BUSYBOX,
            "BENCH_KUBE_AUDIT": str(cluster.settings.audit),
        }


def _find_tests() -> None:
    """Add the folder of the tests to the import path."""
    tests = str(Path(__file__).resolve().parents[2] / "tests")
    if tests not in sys.path:
        sys.path.append(tests)


def _found(name: str, built: Path | None) -> str:
    program = shutil.which(name) or built
    if program is None:
        raise UnavailableError(f"{name} is not installed; {BUILD.format(name)}")
    return str(program)

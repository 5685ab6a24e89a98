"""A single-node cluster on loopback; ``python tests/services/kubernetes/cluster.py`` runs one.

The script requires root, and the programs that ``build.py`` builds and installs. It prints the
``KUBECONFIG`` to set. On Ctrl-C it stops the cluster and reverts all changes to the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from services.cache import cache_folder
from services.finding import free_port
from services.kubernetes.build import KUBERNETES
from services.kubernetes.images import busybox
from services.kubernetes.keys import write_keys
from services.kubernetes.remains import BRIDGE, MARK, Remains, run
from services.kubernetes.settings import GATEWAY, TOKEN, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["Cluster"]

PATIENCE = 120.0
PORTS = ("etcd", "peer", "api", "kubelet")


class Cluster:
    """A single-node cluster; a machine runs only one at a time, others wait for its end."""

    def __init__(self) -> None:
        self.folder = cache_folder() / "kubernetes-running"
        self._remains = Remains(self.folder)
        self._lock = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.settings = Settings(self.folder, {})

    @property
    def kubeconfig(self) -> Path:
        """The configuration file of clients."""
        return self.settings.kubeconfig

    def start(self) -> None:
        """Start all programs, and wait until pods can run."""
        with contextlib.ExitStack() as stack:
            lock = stack.enter_context((cache_folder() / "kubernetes-running.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._lock = stack.pop_all()
        try:
            self._remains.remove()
            self._remains.note()
            self._remains.allow_watches()
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.settings = Settings(self.folder, {name: free_port() for name in PORTS})
        self.settings.write()
        write_keys(self.folder)
        busybox(self.folder)
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        self._launch("containerd", ["containerd", f"--config={self.folder}/containerd.toml"])
        self.launch("etcd")
        self.launch("apiserver")
        self._wait("containerd", lambda: bool(self.ctr("version", check=False)))
        for archive in ("pause", "busybox"):
            self.load(self.folder / f"{archive}.tar")
        self._wait("apiserver", self._answers)
        for name in ("controller-manager", "scheduler", "kubelet"):
            self.launch(name)
        self._wait("kubelet", self._is_ready)

    def stop(self) -> None:
        """Stop all programs, and revert all changes to the machine."""
        try:
            for name in reversed(list(self._processes)):
                self.end(name)
            self._remains.remove()
        finally:
            self._lock.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # -- programs --------------------------------------------------------------------------------

    def launch(self, name: str) -> None:
        """Start one of the Kubernetes programs.

        :param name: ``etcd``, ``apiserver``, ``controller-manager``, ``scheduler`` or ``kubelet``.
        """
        self._launch(name, [str(KUBERNETES.path), name, *self.settings.commands()[name]])

    def _launch(self, name: str, command: list[str]) -> None:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        mark = {MARK: str(self.folder), "PATH": path}
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env={**os.environ, **mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self, name: str, *, force: bool = False) -> None:
        """Stop one of the programs, and wait until it has ended.

        :param name: the name of the program.
        :param force: whether to send SIGKILL instead of SIGTERM.
        """
        process = self._processes.pop(name)
        process.kill() if force else process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, name: str) -> None:
        """Start a stopped program, and wait until the node is ready again."""
        self.launch(name)
        self._wait(name, self._answers)
        self._wait(name, self._is_ready)

    def ctr(self, *arguments: str, check: bool = True) -> str:
        """Run containerd's client ``ctr`` in the kubelet's namespace, and return its output."""
        return run(
            "ctr",
            f"--address={self.settings.socket}",
            "--namespace=k8s.io",
            *arguments,
            check=check,
        )

    def load(self, archive: Path) -> None:
        """Import an image into the node.

        :param archive: the archive of the image.
        """
        self.ctr("image", "import", str(archive))

    # -- waiting ---------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """Send a GET request to the API server, and return the body of the response."""
        request = urllib.request.Request(
            self.settings.url + path, headers={"Authorization": f"Bearer {TOKEN}"}
        )
        context = ssl.create_default_context(cafile=str(self.folder / "server.crt"))
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.read()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/readyz") == b"ok")
        return False

    def _is_ready(self) -> bool:
        """Return True if the node is ready and its initial taints are removed."""
        with contextlib.suppress(OSError):
            node = json.loads(self.get("/api/v1/nodes/localhost"))
            found = {c["type"]: c["status"] for c in node["status"].get("conditions", ())}
            return found.get("Ready") == "True" and not node["spec"].get("taints")
        return False

    def _wait(self, name: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._processes[name].poll() is not None or time.monotonic() > deadline:
                log = (self.folder / "log" / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} failed to start:\n{log[-3000:]}")
            time.sleep(0.1)


def main() -> None:
    """Run a cluster until Ctrl-C."""
    began = time.monotonic()
    with Cluster() as cluster:
        took = time.monotonic() - began
        print(f"ready after {took:.1f} s; run in another shell:", file=sys.stderr)  # noqa: T201
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()

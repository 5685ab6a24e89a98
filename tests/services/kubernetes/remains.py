"""The changes that a cluster makes to a machine, and their removal, even if it was killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

__all__ = ["BRIDGE", "MARK", "Remains", "run"]

BRIDGE = "pydatatask0"

INOTIFY = "fs.inotify.max_user_instances"
"""Maximum number of inotify instances per user; containers soon exhaust the default of 128."""

SYSCTLS = (
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    INOTIFY,
)
"""Kernel settings that a kubelet changes, and one that the tests change for it."""

MARK = "PYDATATASK_TEST_CLUSTER"
"""Environment variable with the folder of the cluster, set for all its processes."""

_OUTSIDE = tuple(
    Path(name)
    for name in ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
)
_WATCHES = 4096
_NETNS = Path("/var/run/netns")


def run(*command: str, check: bool = True) -> str:
    """Run a program, and return its output."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return subprocess.run(
        command,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if check else subprocess.DEVNULL,
        text=True,
        check=check,
        timeout=120,
    ).stdout


class Remains:
    """The original state of a machine, saved before a cluster changes it.

    :param folder: the folder of the cluster.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "remains.json"

    def note(self) -> None:
        """Save the current state of the machine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        before = {
            "sysctls": {name: _setting(name).read_text().strip() for name in _settings()},
            "namespaces": _namespaces(),
            "folders": [str(folder) for folder in _strays()],
        }
        self._file.write_text(json.dumps(before))

    def allow_watches(self) -> None:
        """Raise the limit of inotify instances for containerd and kubelet."""
        setting = _setting(INOTIFY)
        if int(setting.read_text()) < _WATCHES:
            setting.write_text(str(_WATCHES))

    def remove(self) -> None:
        """Restore the saved state of the machine, at any stage of the cluster's life."""
        if not self._file.exists():
            return
        before = json.loads(self._file.read_text())
        self._kill()
        for place in reversed(self._mounts()):
            run("umount", "--lazy", place, check=False)
        run("ip", "link", "delete", BRIDGE, check=False)
        for name in set(_namespaces()) - set(before["namespaces"]):
            run("ip", "netns", "delete", name, check=False)
        for name, value in before["sysctls"].items():
            _setting(name).write_text(value)
        for folder in _strays():
            if str(folder) not in before["folders"]:
                _remove_empty(folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self) -> None:
        """Kill the processes of the cluster and of its containers."""
        deadline = time.monotonic() + 20
        while (found := self._processes()) and time.monotonic() < deadline:
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)

    def _processes(self) -> list[int]:
        """Return the processes with the mark in their environment, and all their descendants.

        Processes in containers have another environment, but are children of marked processes.
        """
        mark = f"{MARK}={self.folder}".encode()
        marked: set[int] = set()
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                process = int(entry.name)
                stat = (entry / "stat").read_text()
                parents[process] = int(stat.rpartition(")")[2].split()[1])
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    marked.add(process)
        while more := {p for p, parent in parents.items() if parent in marked} - marked:
            marked |= more
        return sorted(marked)

    def _mounts(self) -> list[str]:
        lines = Path("/proc/mounts").read_text().splitlines()
        places = [line.split()[1] for line in lines]
        return [place for place in places if place.startswith(f"{self.folder}/")]


def _strays() -> list[Path]:
    """Return the existing folders that a cluster creates outside of its own folder."""
    groups = [*Path("/sys/fs/cgroup").glob("*/k8s.io"), Path("/sys/fs/cgroup/k8s.io")]
    return [folder for folder in (*_OUTSIDE, *groups) if folder.is_dir()]


def _remove_empty(root: Path) -> None:
    """Remove a folder and its subfolders, except those that contain files."""
    (root / "device-plugins" / "kubelet.sock").unlink(missing_ok=True)
    for folder, _, _ in os.walk(root, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _namespaces() -> list[str]:
    return [p.name for p in _NETNS.iterdir()] if _NETNS.is_dir() else []


def _settings() -> list[str]:
    return [name for name in SYSCTLS if _setting(name).exists()]


def _setting(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")

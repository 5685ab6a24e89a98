"""Build Kubernetes into the cache, unless it is there.

``python tests/services/kubernetes/build.py`` prints the path of the program. As root on Debian it
installs what the program works with, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from services.golang import GoProgram

__all__ = ["KUBERNETES", "obstacle"]

KUBERNETES = GoProgram("kubernetes", Path(__file__).resolve().parent, ".", go=(1, 24))

# What is looked for, and the package of Debian that has it.
_TOOLS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/bin/busybox": "busybox-static",
}


def missing_tools() -> list[str]:
    """Name the packages of Debian that are needed and not installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return sorted({p for tool, p in _TOOLS.items() if shutil.which(tool, path=path) is None})


def obstacle() -> str | None:
    """Say why no cluster can be started here, if none can."""
    missing = missing_tools()
    if os.geteuid() == 0 and KUBERNETES.built is not None and not missing:
        return None
    return (
        "a cluster of our own takes root and what `python tests/services/kubernetes/build.py` "
        f"builds and installs, once, in some minutes{f' (missing: {missing})' if missing else ''}"
    )


def install_tools() -> None:
    """Install what is missing, where that is possible."""
    missing = missing_tools()
    if not missing:
        return
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        sys.stderr.write(f"not installed, and needed to run it: {' '.join(missing)}\n")
        return
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *missing]):
        subprocess.run(
            [apt, *wait, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=2,
            check=True,
        )


if __name__ == "__main__":
    install_tools()
    sys.stdout.write(f"{KUBERNETES.build()}\n")

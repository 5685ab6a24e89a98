"""Build Kubernetes into the cache, unless it is there.

``python tests/services/kubernetes/build.py`` prints the path of the program. As root on Debian, it
also installs the tools that the cluster needs.
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

# Each required tool, and the Debian package that contains it.
_TOOLS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/bin/busybox": "busybox-static",
}


def missing_tools() -> list[str]:
    """Return the names of the required Debian packages that are not installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return sorted({p for tool, p in _TOOLS.items() if shutil.which(tool, path=path) is None})


def obstacle() -> str | None:
    """Return the reason why no cluster can be started here, or None."""
    missing = missing_tools()
    if os.geteuid() == 0 and KUBERNETES.built is not None and not missing:
        return None
    return (
        "starting a cluster requires root; run `python tests/services/kubernetes/build.py` once as "
        f"root, which takes some minutes{f' (missing: {missing})' if missing else ''}"
    )


def install_tools() -> None:
    """Install the missing packages if apt-get and root are available, else list them."""
    missing = missing_tools()
    if not missing:
        return
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        sys.stderr.write(f"install these packages to run the cluster: {' '.join(missing)}\n")
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

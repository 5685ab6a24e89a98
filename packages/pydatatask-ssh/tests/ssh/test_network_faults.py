"""Networks that drop packets or reset connections: no job is lost or run twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from processes.chaos.points import watched_backend
from processes.lab import until
from services.proxy import Proxy

from pydatatask_ssh.backend import SSHBackend

from .labs import connect, driven, new_lab, well_ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from services.sshd import SSHServer

ADDRESSES = "10.213.97.1", "10.213.97.2"


@dataclass
class Network:
    """A server behind a network that can fail.

    :param server: the server.
    :param swallow: drops all traffic from now on.
    :param heal: forwards traffic again.
    :param where: how to connect to the server through it.
    """

    server: SSHServer
    swallow: Callable[[], object]
    heal: Callable[[], object]
    where: dict[str, Any] = field(default_factory=dict)


def ip(*arguments: str, check: bool = True) -> bool:
    """Run the `ip` command, and return True if it succeeded."""
    return not subprocess.run(["ip", *arguments], check=check, capture_output=True).returncode


@contextmanager
def namespace() -> Iterator[str]:
    """Create a network namespace with a link to it, both ends of which are named after it."""
    name = f"pdt{os.getpid()}"
    if os.geteuid() != 0 or shutil.which("ip") is None or not ip("netns", "add", name, check=False):
        pytest.skip("needs to create a network namespace; the proxy tests cover part of it")
    ours, theirs = ADDRESSES
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        ip("addr", "add", f"{ours}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", f"{theirs}/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        yield name
    finally:
        ip("link", "delete", f"{name}a", check=False)
        ip("netns", "delete", name, check=False)


@pytest.fixture
def linked(new_sshd: Callable[..., SSHServer]) -> Iterator[Network]:
    """Yield a server behind its own network link."""
    with namespace() as name:
        server = new_sshd(host=ADDRESSES[1], prefix=["ip", "netns", "exec", name])
        set_link = partial(ip, "link", "set", f"{name}a")
        yield Network(server, partial(set_link, "down"), partial(set_link, "up"))


@pytest.fixture
async def proxy(sshd: SSHServer) -> AsyncIterator[Proxy]:
    """Yield a proxy in front of a server."""
    async with Proxy(sshd.host, sshd.port) as proxy:
        yield proxy


@pytest.fixture
def proxied(sshd: SSHServer, proxy: Proxy) -> Network:
    """Return a server behind a proxy, which needs no root privileges."""
    return Network(sshd, proxy.swallow, proxy.heal, sshd.at(proxy.host, proxy.port))


@pytest.fixture(params=["linked", "proxied"])
def network(request: pytest.FixtureRequest) -> Network:
    """Return a server behind a network of each kind."""
    found: Network = request.getfixturevalue(request.param)
    return found


async def test_a_network_that_drops_all_traffic_loses_nothing(
    network: Network, tmp_path: Path
) -> None:
    async with connect(network.server, **network.where) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        names = ("a", "b", "c")
        async with driven(lab, *names):
            network.swallow()
            lab.go.touch()

            async def noticed() -> bool:
                return not connection.is_up

            await until(noticed)
            assert await lab.done.keys() == set()
            network.heal()
        await well_ended(lab, *names)


class Fault:
    """Makes the network fail briefly at one of the points that a pipeline passes."""

    def __init__(self, proxy: Proxy, fault: str, at: int) -> None:
        self.proxy = proxy
        self.fault = fault
        self.left = at

    async def pass_by(self, name: str) -> None:
        self.left -= 1
        if self.left == 0:
            if self.fault == "resets":
                self.proxy.reset()
            else:
                self.proxy.swallow(questions=False)
            asyncio.get_running_loop().call_later(0.1, self.proxy.heal)


@pytest.mark.parametrize("at", range(1, 10, 2))  # before each remote operation
@pytest.mark.parametrize("fault", ["resets", "swallows the answers"])
async def test_requests_interrupted_by_a_network_failure_are_carried_out_once(
    proxied: Network, proxy: Proxy, tmp_path: Path, fault: str, at: int
) -> None:
    async with connect(proxied.server, **proxied.where) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        backend: Any = watched_backend(SSHBackend)(lab.manager)
        backend.passage = Fault(proxy, fault, at)
        vars(lab.manager)["_backend"] = backend
        await lab.add("a")
        await lab.run(lab.task("echo $$ >>LOG; echo out", stdout=lab.out))
        assert backend.passage.left <= 0
        await well_ended(lab, "a")
        assert await lab.text(lab.out) == "out\n"

"""Helpers shared by the modules of all services."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from functools import cache
from typing import Any, NoReturn

import pytest

__all__ = ["docker", "free_port", "unavailable", "used"]

_USED: dict[str, str] = {}


def used(service: str, what: str) -> None:
    """Record the server that provides a service, for the summary of the test run.

    :param service: the name of the service.
    :param what: the server and its location.
    """
    _USED[service] = what


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the servers used by a pytest-xdist worker to the controller."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["used"] = _USED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the servers used by a pytest-xdist worker."""
    _USED.update(getattr(node, "workeroutput", {}).get("used", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the servers that were used."""
    for service, what in sorted(_USED.items()):
        terminalreporter.write_line(f"{service}: {what}")


def unavailable(service: str, reason: str) -> NoReturn:
    """Skip the test, or fail it if services are required.

    :param service: the missing service.
    :param reason: the reason why it is missing, and how to provide it.
    """
    message = f"there is no {service} to test with: {reason}"
    if os.environ.get("PYDATATASK_TEST_REQUIRE_SERVICES") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_port() -> int:
    """Return an unused port of the loopback interface."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@cache
def docker() -> str | None:
    """Return the path of ``docker`` if a Docker engine responds, else None."""
    program = shutil.which("docker")
    if program is None:
        return None
    command = [program, "info"]
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return program if answer.returncode == 0 else None

"""What the modules of all services share."""

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
    """Note what a service was taken from, for the end of the run.

    :param service: the service.
    :param what: the server, and where it is.
    """
    _USED[service] = what


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In one of several processes that run tests, send what was used to the one that tells."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["used"] = _USED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what was used from a process that ran tests."""
    _USED.update(getattr(node, "workeroutput", {}).get("used", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers were used."""
    for service, what in sorted(_USED.items()):
        terminalreporter.write_line(f"{service}: {what}")


def unavailable(service: str, reason: str) -> NoReturn:
    """Skip the test, or fail it where services are required.

    :param service: the service that is missing.
    :param reason: what was looked for.
    """
    message = f"there is no {service} to test with: {reason}"
    if os.environ.get("PYDATATASK_TEST_REQUIRE_SERVICES") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_port() -> int:
    """Find a port on the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@cache
def docker() -> str | None:
    """Give the program ``docker`` if an engine answers it."""
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

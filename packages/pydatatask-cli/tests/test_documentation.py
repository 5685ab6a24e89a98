"""The console blocks of the documentation page show the actual output of the commands.

With ``PYDATATASK_REWRITE_DOCS=1`` the tests write the page and its pictures.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from pydatatask_cli.commands import COMMANDS

if TYPE_CHECKING:
    from conftest import Program

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"
REWRITE = os.environ.get("PYDATATASK_REWRITE_DOCS") == "1"
CHANGING = (
    (re.compile(r"\(\d+\.\d s\)"), "(0.1 s)"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00"), "2026-01-02 03:04:05+00:00"),
)


def printed(program: Program, command: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command.replace("python ", f"'{sys.executable}' ")],
        cwd=program.folder,
        env=program.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=50,
    ).stdout.decode()
    for pattern, replacement in CHANGING:
        done = pattern.sub(replacement, done)
    return done


@pytest.mark.timeout(180)
def test_the_page_shows_the_actual_output_of_the_commands(program: Program) -> None:
    program.environ["COLUMNS"] = "80"

    def block(match: re.Match[str]) -> str:
        commands = re.findall(r"^\$ (.*)$", match[1], re.MULTILINE)
        shown = "".join(f"$ {command}\n{printed(program, command)}" for command in commands)
        return f"```console\n{shown}```"

    page = PAGE.read_text()
    real = re.sub(r"```console\n(.*?)```", block, page, flags=re.DOTALL)

    if REWRITE:
        PAGE.write_text(real)
    else:
        assert page == real


def test_every_command_is_on_the_page() -> None:
    page = PAGE.read_text()

    missing = [
        name for name in COMMANDS if f"main.py {name}" not in page and f"`{name}" not in page
    ]

    assert missing == []


@pytest.mark.parametrize("command", ["run", "status"])
def test_the_page_has_pictures_of_a_terminal(program: Program, command: str) -> None:
    from rich.console import Console
    from rich.text import Text

    for number in range(3):
        program.put(f"texts/book{number}.txt", "one two" if number else "")
    environ = {**program.environment, "TERM": "xterm-256color"}
    del environ["NO_COLOR"]
    running = pexpect.spawn(
        sys.executable,
        [str(program.script), command],
        cwd=str(program.folder),
        env=environ,
        encoding="utf-8",
        timeout=30,
        dimensions=(30, 80),
    )
    running.expect(pexpect.EOF)
    running.close()
    last = re.split(r"(?:\x1b\[1A\x1b\[2K|\x1b\[2K\x1b\[1A)+", str(running.before))[-1]
    console = Console(record=True, width=80, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(re.sub(r"\x1b\[\?25[hl]", "", last).replace("\r", "")))
    text = console.export_text(clear=False)

    assert "re-port" in text
    assert ("time left" if command == "run" else "re-ports") in text
    picture = PAGE.parent / "_static" / f"{command}.svg"
    if REWRITE:
        picture.write_text(console.export_svg(title=f"python main.py {command}", unique_id=command))
    assert "re-port" in picture.read_text()

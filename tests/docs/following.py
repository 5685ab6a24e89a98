"""Execution of the steps of a page in an empty folder."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from .pages import blocks, commands, same, without_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Reader"]

ROOT = Path(__file__).parents[2]
PATIENCE = 100.0
REWRITE = os.environ.get("PYDATATASK_REWRITE_DOCS") == "1"
"""Whether to write the output into the pages instead of comparing it."""


class Reader:
    """A reader that executes the steps of a page.

    :param page: the page.
    :param folder: an empty folder, the working directory.
    :param environ: additional environment variables.
    """

    def __init__(self, page: Path, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self._page = page
        self._folder = folder
        self._written: dict[int, tuple[int, str]] = {}
        programs = str(Path(sys.executable).parent)
        self.environ = {
            **os.environ,
            "COLUMNS": "80",
            "HOME": str(folder),
            "NO_COLOR": "1",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            **(environ or {}),
        }

    def follow(self) -> None:
        """Execute all steps."""
        for block in blocks(self._page):
            if block.caption:
                self._write(block.caption, block.text)
            elif block.language == "console":
                for line, command, printed in commands(block):
                    self._type(line, command, printed)
            elif block.language == "python":
                raise ValueError(f"{self._page}:{block.line}: Python without a caption is not run")
        if REWRITE:
            self._rewrite()

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _type(self, line: int, command: str, shown: str) -> None:
        if re.match(r"(python -m )?pip install ", command):
            check_installable(command)
            return
        printed = self._run(line, command, None if REWRITE else shown)
        if REWRITE and not same(shown, printed):
            self._written[line + command.count("\n")] = shown.count("\n"), printed

    def _run(self, line: int, command: str, shown: str | None) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=PATIENCE,
            text=True,
        )
        if shown is not None and not same(shown, done.stdout):
            raise AssertionError(
                f"{self._page}:{line}: {command}\nthe page shows:\n"
                f"{textwrap.indent(shown, '    ')}\nbut the output is:\n"
                f"{textwrap.indent(done.stdout, '    ')}"
            )
        return done.stdout

    def _rewrite(self) -> None:
        lines = self._page.read_text(encoding="utf-8").splitlines()
        for line, (length, printed) in sorted(self._written.items(), reverse=True):
            shown = [text.rstrip() for text in without_progress(printed).splitlines()]
            lines[line : line + length] = shown
        self._page.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def check_installable(command: str) -> None:
    """Check that the arguments of pip are packages and extras of ours, or are installed here.

    :param command: a command line of pip.
    :raises AssertionError: if one is not.
    """
    for word in command.partition("install ")[2].split():
        requirement = Requirement(word.strip("'\""))
        folder = ROOT / "packages" / requirement.name
        if not folder.is_dir():
            importlib.metadata.version(requirement.name)
            continue
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        missing = requirement.extras - project.get("optional-dependencies", {}).keys()
        assert not missing, f"{command}: {requirement.name} has no extras {missing}"

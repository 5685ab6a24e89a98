"""Help, completion, custom commands, and use from code."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pydatatask_cli
from pydatatask_cli.commands import COMMANDS
from pydatatask_cli.group import make_group

if TYPE_CHECKING:
    from conftest import Program

OWN = """
import click
import pydatatask_cli


async def jobs_of(pipeline, link, times):
    jobs = sorted(await pipeline.tasks["count"].links[link].repo.keys())
    print(*jobs * times)


def instrument(action):
    parser = action.add_parser("jobs-of", help="Print jobs in a line.")
    parser.add_argument("link")
    parser.add_argument("--times", type=int, default=1)
    parser.set_defaults(func=jobs_of)


pydatatask_cli.main(pipeline, instrument)
print("and on it goes")
"""


def test_every_command_has_help_with_an_example_and_a_short_help() -> None:
    group = make_group()
    ctx = group.make_context("it", ["status", "--help"], resilient_parsing=True)

    for name, entry in COMMANDS.items():
        command = group.get_command(ctx, name)
        assert command is not None
        assert command.name == name
        assert getattr(command, "examples", ())
        assert entry.help.startswith((command.help or "").split(".")[0].split(",")[0][:20])


def test_help_imports_no_heavy_module(program: Program) -> None:
    source = program.script.read_text()
    program.script.write_text(
        "import atexit, sys\n"
        "heavy = {'rich', 'IPython', 'networkx', 'yaml', 'jinja2', 'mfusepy', 'asyncssh'}\n"
        "atexit.register(lambda: print('loaded:', sorted(heavy & sys.modules.keys())))\n" + source
    )

    for words in (["--help"], ["status", "--help"]):
        assert program.output(*words).endswith("loaded: []\n")


def test_a_command_that_a_script_adds_with_argparse_is_available(program: Program) -> None:
    program.script.write_text(
        program.script.read_text().replace("\nif __name__", OWN + "\nif False and __name__")
    )
    program.put("texts/a.txt")
    program.put("texts/b.txt")

    assert "jobs-of" in program.output("--help")
    assert "Print jobs in a line." in program.output("--help")
    assert "--times TIMES" in program.output("jobs-of", "--help")
    assert program.output("jobs-of", "texts", "--times", "2") == "a b a b\nand on it goes\n"
    assert "invalid int value" in program.refusal("jobs-of", "texts", "--times", "x", status=2)


def test_a_click_command_can_be_added_to_the_group(program: Program) -> None:
    program.script.write_text(
        program.script.read_text().replace(
            "    pydatatask_cli.main(pipeline)",
            "    import click\n"
            "    group = pydatatask_cli.make_group(pipeline)\n"
            "    @group.command(help='Count the tasks.')\n"
            "    @pydatatask_cli.pass_app\n"
            "    def tasks(app):\n"
            "        click.echo(len(app.pipeline.tasks))\n"
            "    group()",
        )
    )

    assert program.output("tasks") == "2\n"
    assert "Count the tasks." in program.output("--help")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("st", {"status"}),
        ("launch re", {"re-port"}),
        ("cat count.t", {"count.texts"}),
        ("cat count.texts a", {"a1", "a2"}),
        ("explain count b", {"b1"}),
    ],
)
def test_a_shell_completes_commands_tasks_links_and_jobs(
    program: Program, typed: str, offered: set[str]
) -> None:
    for job in ("a1", "a2", "b1"):
        program.put(f"texts/{job}.txt")
    words = ["pydatatask", "-p", "main.py", *typed.split(" ")]
    environ = {
        **os.environ,
        "_PYDATATASK_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    start = "from pydatatask_cli.entry import console_script; console_script()"
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=program.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_is_printed_for_each_shell(program: Program, shell: str) -> None:
    assert "_PYDATATASK_COMPLETE" in program.output("completion", shell)


DOCUMENTED = {
    "main": ["pipeline", "instrument"],
    "update": ["pipeline"],
    "cat_data": ["pipeline", "data", "job"],
    "list_data": ["pipeline", "data"],
    "delete_data": ["pipeline", "data", "recursive", "job"],
    "inject_data": ["pipeline", "data", "job"],
    "print_status": ["pipeline", "all_repos"],
    "print_trace": ["pipeline", "all_repos", "job"],
    "launch": ["pipeline", "task_name", "job", "sync", "meta", "force"],
    "shell": ["pipeline"],
    "run": ["pipeline", "forever", "launch_once", "timeout"],
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_function_has_its_documented_signature(name: str) -> None:
    parameters = inspect.signature(getattr(pydatatask_cli, name)).parameters.values()

    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    assert positional == DOCUMENTED[name]
    assert name in dir(pydatatask_cli)


FUNCTIONS = """
import asyncio, pydatatask
from main import pipeline


async def work():
    async with pipeline:
        await pydatatask.update(pipeline)
        await pydatatask.print_status(pipeline, False)
        await pydatatask.main.list_data(pipeline, ["count.done"])
        await pydatatask.cat_data(pipeline, "count.counts", "a")
        await pydatatask.delete_data(pipeline, "count.done", False, ["__all__"])
        await pydatatask.launch(pipeline, "count", "a", True, True, False)
        await pydatatask.run(pipeline, False, False, None)
        await pydatatask.print_trace(pipeline, True, ["a"])


asyncio.run(work())
"""


def test_the_functions_work_from_code_on_an_open_pipeline(program: Program) -> None:
    pytest.importorskip("pydatatask")
    program.put("texts/a.txt", "one two")

    done = subprocess.run(
        [sys.executable, "-c", FUNCTIONS],
        cwd=program.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert done.returncode == 0, done.stderr
    assert "count.done 1\n" in done.stdout
    assert "a\nwords: 2\n" in done.stdout
    assert done.stdout.endswith("re-port.count_done a\n\n")


def test_the_module_main_is_callable(program: Program) -> None:
    pytest.importorskip("pydatatask")
    start = "import sys; sys.argv = ['x', 'status']; import pydatatask.main as m; "
    start += "from main import pipeline; m(pipeline); m.main(pipeline)"

    done = subprocess.run(
        [sys.executable, "-c", start], cwd=program.folder, capture_output=True, check=True
    )

    assert done.stdout.count(b"count.texts 0") == 2


def test_the_package_declares_its_dependencies() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()

    assert 'pydatatask = "pydatatask_cli.entry:console_script"' in project

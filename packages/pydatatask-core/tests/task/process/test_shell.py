"""The interpreter of scripts without a shebang, and scripts in which a command fails."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import LocalLinuxManager, YamlMetadataFileRepository
from pydatatask_core.errors import ProcessManagerError, TaskConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from processes.lab import Lab

TOOLS = ("setsid", "sh", "cat", "sleep", "grep", "head", "yes")


@pytest.fixture
def _no_bash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a PATH with a few tools but without bash."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tools))


async def record_of(lab: Lab, template: str, **options: Any) -> dict[str, Any]:
    """Run a script, and return its record."""
    await lab.add("a")
    await lab.run(lab.task(template, stdout=lab.out, **options))
    record = await lab.done.info("a")
    assert isinstance(record, dict)
    return record


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("nonexistent-program | sort | uniq -c", 127),
        ("false\necho not reached", 1),
        ("false | cat\necho not reached", 1),
        ("echo $NOT_DEFINED_ANYWHERE", 1),
        ("x=$(false); echo not reached", 1),
    ],
)
async def test_a_failing_command_fails_the_job(lab: Lab, template: str, code: int) -> None:
    record = await record_of(lab, template)
    assert (record["success"], record["return_code"]) == (False, code)
    assert await lab.out.keys() == set()


async def test_a_script_without_a_shebang_runs_in_bash(lab: Lab) -> None:
    await record_of(lab, "words=(x y); [[ ${words[1]} = y ]]; echo $-")
    assert {"e", "u"} <= set(await lab.text(lab.out))


async def test_a_command_that_is_not_found_is_the_recorded_reason(lab: Lab) -> None:
    record = await record_of(lab, "nonexistent-program | sort")
    assert record["reason"] == (
        "exit status 127 (a command was not found; the end of stderr names it)"
    )


@pytest.mark.parametrize("of", ["task", "manager", "both"])
async def test_another_shell_can_be_chosen(lab: Lab, of: str) -> None:
    if of != "task":
        lab.manager = LocalLinuxManager(
            "lab", lab.root / "processes", shell="sh" if of == "manager" else "/nonexistent"
        )
    options = {} if of == "manager" else {"shell": "sh"}
    record = await record_of(
        lab, "false | cat; false; echo $NOT_DEFINED_ANYWHERE reached", **options
    )
    assert record["success"] is True
    assert await lab.text(lab.out) == "reached\n"


async def test_a_shell_may_have_arguments(lab: Lab) -> None:
    await record_of(lab, "false | cat; echo reached; false; echo not reached", shell="bash -e")
    assert (await lab.done.info("a"))["stdout_tail"] == "reached\n"


async def test_sh_is_found_without_a_path(lab: Lab) -> None:
    await record_of(lab, "echo reached", shell="sh", environ={"PATH": "/nonexistent"})
    assert await lab.text(lab.out) == "reached\n"


async def test_bash_is_found_without_a_path(lab: Lab) -> None:
    await record_of(lab, "echo reached", environ={"PATH": "/nonexistent"})
    assert await lab.text(lab.out) == "reached\n"


async def test_a_shebang_is_used_unchanged(lab: Lab) -> None:
    record = await record_of(lab, "#!/bin/sh\nfalse | cat; false; echo reached", shell="bash -e")
    assert record["success"] is True


@pytest.mark.parametrize("shell", ["", "  ", 5, b"sh", ["sh"], "sh 'x", "''", "sh\0"])
def test_a_shell_that_is_not_a_command_line_is_rejected(lab: Lab, shell: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="task: shell must be a command line"):
        lab.task("true", shell=shell)
    with pytest.raises(ProcessManagerError, match="shell must be a command line"):
        LocalLinuxManager("lab", lab.root, shell=shell)


# -- without bash ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("_no_bash")
async def test_without_bash_a_script_runs_as_strictly_as_sh_allows(lab: Lab) -> None:
    record = await record_of(lab, "false | cat; echo reached; false; echo not reached")
    assert (record["return_code"], record["stdout_tail"]) == (1, "reached\n")


@pytest.mark.usefixtures("_no_bash")
async def test_without_bash_one_warning_names_the_undetected_failures(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    def task(name: str, template: str = "true", **options: Any) -> Any:
        repos = {
            kind: YamlMetadataFileRepository(lab.root / f"{name}-{kind}")
            for kind in ("pids", "done")
        }
        return lab.task(template, name, **repos, **options)

    async with lab.pipeline(task("first"), task("second")):
        pass
    assert caplog.text.count("has no bash") == 1
    assert 'shell="sh"' in caplog.text
    caplog.clear()
    async with lab.pipeline(task("third", "#!/bin/sh\ntrue"), task("fourth", shell="sh")):
        pass
    assert "has no bash" not in caplog.text


async def test_with_bash_no_warning_is_logged(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    async with lab.pipeline(lab.task("true")):
        pass
    assert "has no bash" not in caplog.text


# -- explanations ----------------------------------------------------------------------------------


async def test_a_pipe_closed_by_its_reader_is_explained(lab: Lab) -> None:
    record = await record_of(lab, "yes | head -n 1")
    assert record["return_code"] == 141
    assert record["reason"].startswith("killed by SIGPIPE (exit status 141): a command wrote to a")
    assert "`|| [ $? = 141 ]`" in record["reason"]


async def test_the_suggested_remedies_work(lab: Lab) -> None:
    template = (
        "yes | head -n 1 || [ $? = 141 ]; seq 9999 | sed -n 1p; { grep x /dev/null || true; }"
    )
    record = await record_of(lab, template + " | cat")
    assert record["success"] is True
    assert await lab.text(lab.out) == "y\n1\n"


async def test_a_grep_without_a_match_is_explained(lab: Lab) -> None:
    record = await record_of(lab, "grep x /dev/null | cat")
    assert record["reason"].startswith("exit status 1 (")
    assert "`grep` without a match" in record["reason"]


@pytest.mark.parametrize(("template", "shell"), [("#!/bin/sh\nexit 1", None), ("exit 1", "sh")])
async def test_nothing_is_explained_for_a_script_that_is_not_run_strictly(
    lab: Lab, template: str, shell: str | None
) -> None:
    assert (await record_of(lab, template, shell=shell))["reason"] == "exit status 1"


async def test_the_path_of_bash_may_be_relative(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bash = str(shutil.which("bash"))
    monkeypatch.chdir(os.path.dirname(os.path.dirname(bash)))
    monkeypatch.setenv("PATH", os.path.join(".", "bin") + os.pathsep + os.environ["PATH"])
    await record_of(lab, "echo reached")
    assert await lab.text(lab.out) == "reached\n"

"""The interactive shells on a terminal."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from conftest import Program

WITHOUT_IPYTHON = "import sys; sys.modules['IPython'] = None\n"
TICKING = "ticks = []"
TICKER = "exec('async def tick():\\n while True:\\n  ticks.append(1); await asyncio.sleep(0.01)')"
START = "ticker = asyncio.create_task(tick()); await asyncio.sleep(0)"


def shell(program: Program, *, plain: bool) -> pexpect.spawn[str]:
    if plain:
        program.script.write_text(WITHOUT_IPYTHON + program.script.read_text())
    else:
        pytest.importorskip("IPython")
    environ = {**program.environment, "TERM": "dumb", "IPYTHONDIR": str(program.folder / "ipython")}
    running = pexpect.spawn(
        sys.executable,
        [str(program.script), "shell"],
        cwd=str(program.folder),
        env=environ,
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 200),
    )
    running.expect_exact("`pipeline` is open")
    return running


@pytest.mark.parametrize("plain", [True, False], ids=["standard library", "IPython"])
def test_await_works_at_the_prompt_and_tasks_go_on_in_the_background(
    program: Program, plain: bool
) -> None:
    program.put("texts/a.txt", "one two")
    running = shell(program, plain=plain)

    running.sendline("await pipeline.update()")
    running.expect_exact("True")
    running.sendline("sorted(await count.links['counts'].repo.keys())")
    running.expect_exact("['a']")
    for line in (TICKING, TICKER, START):
        running.sendline(line)
    running.sendline("print('now', 'ready')")
    running.expect_exact("now ready")
    # Without input meanwhile, the loop has to run by itself.
    running.expect(pexpect.TIMEOUT, timeout=1)
    running.sendline("print('ticks:', len(ticks))")
    running.expect(re.compile(r"ticks: (\d+)"))
    assert isinstance(running.match, re.Match)
    assert int(running.match[1]) > 20
    running.sendline("ticker.cancel()")
    running.sendline("1 / 0")
    running.expect_exact("ZeroDivisionError")
    running.sendline("exit()")
    running.expect(pexpect.EOF)
    running.close()

    assert running.exitstatus == 0
    assert program.output("ls", "count.done") == "a\n"


def test_ctrl_c_cancels_the_awaited_statement_and_not_the_shell(program: Program) -> None:
    running = shell(program, plain=True)

    running.sendline("print('waits'); await asyncio.sleep(600)")
    running.expect(r"waits\r")
    running.sendintr()
    running.expect_exact("KeyboardInterrupt")
    running.sendline("print('still', 'here')")
    running.expect_exact("still here")
    running.sendline("exit()")
    running.expect(pexpect.EOF)
    running.close()

    assert running.exitstatus == 0


def test_statements_from_a_pipe_are_run_like_a_script(program: Program) -> None:
    program.put("texts/a.txt", "one two")
    script = b"""
async def counted():
    return sorted(await count.links["counts"].repo.keys())
await pipeline.update()
await counted()
for job in await counted():
    print("counted", job)
"""

    assert program.output("shell", stdin=script) == "True\n['a']\ncounted a\n"
    assert program.output("shell") == ""


@pytest.mark.parametrize("wrong", ["await fail()", "no statement"])
def test_a_pipe_ends_at_the_first_error_with_only_its_traceback(
    program: Program, wrong: str
) -> None:
    lines = ["async def fail():", " return 1 / 0", wrong, "print('too far')"]

    done = program.run("shell", stdin="\n".join(lines).encode())

    assert (done.returncode, done.stdout) == (1, "")
    assert "line 3" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(("ZeroDivisionError", "SyntaxError"))
    assert "piped_console" not in done.stderr

"""The example with jobs on other machines, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.sshd import SSHServer

MAIN = Path(__file__).parents[2] / "examples" / "ssh" / "main.py"


def run(folder: Path, login: SSHServer, *machines: SSHServer) -> str:
    names = [f"127.0.0.1:{machine.port}" for machine in machines]
    options = ["--key", login.folder / "key", "--known-hosts", folder / "known_hosts"]
    options += ["--remote-path", folder / "remote"]
    result = subprocess.run(
        [sys.executable, *map(str, [MAIN, folder, *names, *options])],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_texts_are_counted_on_two_machines_or_on_one_if_the_other_is_down(
    new_sshd: Callable[..., SSHServer], tmp_path: Path
) -> None:
    first = new_sshd()
    second = new_sshd(f"AuthorizedKeysFile={first.folder / 'authorized_keys'}")
    known = [(server.folder / "known_hosts").read_text() for server in (first, second)]
    (tmp_path / "known_hosts").write_text("".join(known))
    (tmp_path / "texts").mkdir()
    for words in range(1, 7):
        (tmp_path / "texts" / f"text{words}.txt").write_text("word " * words)

    assert "launched={'count': 6}" in run(tmp_path, first, first, second)
    counts = [path.read_text() for path in sorted((tmp_path / "counts").iterdir())]
    assert [text.splitlines()[1] for text in counts] == [f"words: {n}" for n in range(1, 7)]
    assert "launched={}" in run(tmp_path, first, first, second)

    second.server.kill()
    (tmp_path / "done" / "text3.yaml").unlink()
    assert "launched={'count': 1}" in run(tmp_path, first, first, second)

"""`inject --from` reads the files of a folder, and skips symbolic links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pydatatask_cli.byte_streams import FileInput

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Program


def test_inject_of_a_folder_skips_links_without_follow_links(program: Program) -> None:
    books = program.folder / "books"
    books.mkdir()
    (books / "a.txt").write_text("one")
    (program.folder / "secret").write_text("two")
    (books / "b.txt").symlink_to(program.folder / "secret")
    (books / "c.txt").symlink_to("nowhere")

    done = program.run("inject", "count.texts", "--from", "books")

    assert done.returncode == 0
    assert done.stderr == (
        "symbolic links were skipped: 'b.txt', 'c.txt'; --follow-links includes them\n"
        "1 value was written into count.texts\n"
    )
    assert program.output("ls", "count.texts") == "a\n"

    done = program.run("inject", "count.texts", "--from", "books", "--follow-links")

    assert (done.returncode, done.stderr) == (0, "2 values were written into count.texts\n")
    assert program.output("cat", "count.texts", "b") == "two"


def test_a_file_that_becomes_a_link_before_it_is_read_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("two")
    (tmp_path / "link").symlink_to("secret")

    with pytest.raises(OSError, match="symbolic links"):
        FileInput(tmp_path / "link", follow_links=False)


def test_follow_links_requires_a_folder(program: Program) -> None:
    error = program.refusal("inject", "--follow-links", "count.texts", "a", status=2)
    assert "--follow-links requires --from FOLDER" in error

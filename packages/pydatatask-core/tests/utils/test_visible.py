"""Displayed text cannot control the terminal."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from pydatatask_core.utils.visible import (
    VisibleDecoder,
    escape_controls,
    escape_controls_in_json,
)

COMMANDS = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")
    or unicodedata.bidirectional(character)
    in ("LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
]
KEPT = ["\t", "\n"]


def test_exactly_the_characters_that_control_a_terminal_are_escaped() -> None:
    changed = [c for c in map(chr, range(sys.maxunicode + 1)) if escape_controls(c) != c]

    assert changed == [character for character in COMMANDS if character not in KEPT]
    assert all(escape_controls(character).isascii() for character in changed)
    assert all(escape_controls(character).isprintable() for character in changed)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("50 %\r100 %\n", "50 %\\x0d100 %\n"),
        ("\x9b31m", r"\x9b31m"),
        ("user\u202egpj.exe", r"user\u202egpj.exe"),
        ("\udc9b", r"\udc9b"),
        ("\xe9\u05d0\u200f\t\\x1b", "\xe9\u05d0\u200f\t\\x1b"),
    ],
)
def test_an_escape_sequence_shows_the_character(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


def test_json_has_the_same_value_after_its_control_characters_are_escaped() -> None:
    value = {"-".join(COMMANDS): ["\\", "\xe9", "\\u009b"]}
    text = json.dumps(value, ensure_ascii=False, indent=2)

    shown = escape_controls_in_json(text)

    assert json.loads(shown) == value
    assert escape_controls(shown) == shown


def test_characters_are_decoded_whole_for_any_split_of_the_bytes() -> None:
    data = "\xe9\U0001f525\x9b\x1b".encode() + b"\x9b\xff" + "\xe9".encode()[:1]
    expected = "\xe9\U0001f525\\x9b\\x1b\\x9b\\xff\\xc3"
    for size in range(1, len(data) + 1):
        decoder = VisibleDecoder()
        parts = [decoder.decode(data[at : at + size]) for at in range(0, len(data), size)]
        parts.append(decoder.decode(b"", final=True))

        assert "".join(parts) == expected

"""Job ids: which names are valid, and how any other text becomes one.

Pure; no repository is needed to ask.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["decode_job_id", "encode_job_id", "job_id_pattern", "job_id_rule"]

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

_SHORT = {"Z": "ZZ", ".": "Zd", "_": "Zu", "-": "Zm", "/": "Zs", " ": "Zb"}
_PLAIN = frozenset(ALPHANUMERIC) - {"Z"}
_ESCAPES = re.compile(r"Z(?:([Zdumsb])|x([0-9a-f]+)Z)")
_LONG = {escape[1]: character for character, escape in _SHORT.items()}


@lru_cache(maxsize=256)
def job_id_pattern(charset: str, start_end: str, length: int) -> re.Pattern[str]:
    """Compile the pattern that a whole job id has to match.

    :param charset: the characters allowed anywhere but at the ends.
    :param start_end: the characters allowed as first and last.
    :param length: the most characters a job id may have.
    """
    inner, end = f"[{re.escape(charset)}]", f"[{re.escape(start_end)}]"
    return re.compile(f"{end}(?:{inner}{{0,{max(length - 2, 0)}}}{end})?" if length > 1 else end)


def job_id_rule(charset: str, start_end: str, length: int) -> str:
    """Say in words what :func:`job_id_pattern` tests."""

    def spoken(characters: str) -> str:
        suffix = "".join(sorted(set(characters) - set(ALPHANUMERIC)))
        if not set(ALPHANUMERIC) <= set(characters):
            return f"characters of {''.join(sorted(set(characters)))!r}"
        return "letters and digits" + (f" and {suffix!r}" if suffix else "")

    rule = f"a job id has 1 to {length} {spoken(charset)}"
    if set(start_end) != set(charset):
        rule += f", with {spoken(start_end)} at both ends"
    return rule


def encode_job_id(text: str) -> str:
    """Turn any text into a job id, so that different texts never become the same one.

    Letters and digits stand for themselves, but ``Z`` begins an escape: ``ZZ`` is a ``Z``, ``Zd``
    a dot, ``Zu`` an underscore, ``Zm`` a hyphen (minus), ``Zs`` a slash and ``Zb`` a blank; any
    other character is its code point in hexadecimal between ``Zx`` and ``Z``. So ``os/path.py``
    becomes ``osZspathZdpy``, which can still be read, and :func:`decode_job_id` gives it back.
    The result may be longer than the 128 characters that repositories allow by default; they
    then say so, and a subclass may allow more by ``MAX_JOB_ID_LENGTH``.

    :param text: any text but the empty one, a file name for instance.
    :raises ValueError: if the text is empty, since no job id is.
    """
    if not text:
        raise ValueError("an empty text cannot become a job id; give each item a name")
    return "".join(c if c in _PLAIN else _SHORT.get(c) or f"Zx{ord(c):x}Z" for c in text)


def decode_job_id(job: str) -> str:
    """Give back the text that :func:`encode_job_id` made a job id of.

    :param job: the job id.
    :raises ValueError: if no text is encoded as this job id.
    """

    def character(escape: re.Match[str]) -> str:
        short, code = escape.groups()
        return _LONG[short] if short else chr(int(code, 16))

    try:
        text = _ESCAPES.sub(character, job)
    except (ValueError, OverflowError) as e:
        raise ValueError(f"{job!r} was not made by encode_job_id()") from e
    if not text or encode_job_id(text) != job:
        raise ValueError(f"{job!r} was not made by encode_job_id()")
    return text

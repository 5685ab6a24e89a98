"""Job ids: the rules for valid ones, and the conversion of any text to a job id.

Pure functions, independent of repositories.
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
    """Return the compiled pattern that a whole job id has to match.

    :param charset: the characters allowed between the first and the last.
    :param start_end: the characters allowed as first and last.
    :param length: the maximum number of characters.
    """
    inner, end = f"[{re.escape(charset)}]", f"[{re.escape(start_end)}]"
    return re.compile(f"{end}(?:{inner}{{0,{max(length - 2, 0)}}}{end})?" if length > 1 else end)


def job_id_rule(charset: str, start_end: str, length: int) -> str:
    """Return a description of :func:`job_id_pattern` for messages."""

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
    """Convert any text to a job id; different texts result in different job ids.

    Letters and digits are kept, except that ``Z`` begins an escape: ``ZZ`` is a ``Z``, ``Zd`` a
    dot, ``Zu`` an underscore, ``Zm`` a hyphen (minus), ``Zs`` a slash and ``Zb`` a blank; any other
    character is its code point in hexadecimal between ``Zx`` and ``Z``. So ``os/path.py`` becomes
    ``osZspathZdpy``, which is still readable, and :func:`decode_job_id` converts it back. If the
    result is longer than the 128 characters that repositories allow by default, they raise an
    error; a subclass may allow more with ``MAX_JOB_ID_LENGTH``.

    :param text: any text that is not empty, such as a file name.
    :raises ValueError: if the text is empty, because job ids are not.
    """
    if not text:
        raise ValueError("an empty text cannot be converted to a job id; use a name for each item")
    return "".join(c if c in _PLAIN else _SHORT.get(c) or f"Zx{ord(c):x}Z" for c in text)


def decode_job_id(job: str) -> str:
    """Return the text that :func:`encode_job_id` converted to a job id.

    :param job: the job id.
    :raises ValueError: if it is not a result of :func:`encode_job_id`.
    """

    def character(escape: re.Match[str]) -> str:
        short, code = escape.groups()
        return _LONG[short] if short else chr(int(code, 16))

    try:
        text = _ESCAPES.sub(character, job)
    except (ValueError, OverflowError) as e:
        raise ValueError(f"{job!r} is not a result of encode_job_id()") from e
    if not text or encode_job_id(text) != job:
        raise ValueError(f"{job!r} is not a result of encode_job_id()")
    return text

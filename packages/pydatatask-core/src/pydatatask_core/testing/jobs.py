"""The names that the suites use: every job id, and names that never are one."""

from __future__ import annotations

from typing import Any

__all__ = ["ABSENT", "HOSTILE_NAMES", "JOB", "JOBS", "LONGEST", "MANY", "NEIGHBOURS", "OTHER"]

JOB = "job"
"""The job that most tests are about."""

OTHER = "another1"
"""A second one."""

ABSENT = "absent"
"""A job that no test ever adds."""

NEIGHBOURS = ("jo", "job1", "job10", "1job", "jobjob", "Job", "JOB")
"""Job ids that somebody who matches names carelessly takes for ``JOB``."""

LONGEST = "x" * 128
"""A job id as long as they may be by default."""

MANY = tuple(f"many{number:02d}" for number in range(25))
"""Enough of them to tell one request a page from one a job."""

JOBS = (JOB, OTHER, ABSENT, *NEIGHBOURS, LONGEST, *MANY)
"""Every job id that the suites use, for a repository whose keys have to be declared somewhere."""

HOSTILE_NAMES: tuple[Any, ...] = (
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "a b",
    "job\n",
    "a\nb",
    "$(x)",
    "`x`",
    "{job}",
    "*",
    "app=x,job!=y",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "\N{ARABIC-INDIC DIGIT THREE}",
    "a" * 129,
    None,
    7,
    b"job",
    ("job",),
    ["job"],
)
"""What is no job id: paths, shell text, templates, selectors, too long, not even text."""

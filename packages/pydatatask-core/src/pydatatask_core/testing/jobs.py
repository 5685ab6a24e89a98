"""Job ids used by the conformance suites, and names that are never valid job ids."""

from __future__ import annotations

from typing import Any

__all__ = ["ABSENT", "HOSTILE_NAMES", "JOB", "JOBS", "LONGEST", "MANY", "NEIGHBOURS", "OTHER"]

JOB = "job"
"""The job that most tests use."""

OTHER = "another1"
"""A second job."""

ABSENT = "absent"
"""A job that no test adds."""

NEIGHBOURS = ("jo", "job1", "job10", "1job", "jobjob", "Job", "JOB")
"""Job ids that a careless match of names confuses with ``JOB``."""

LONGEST = "x" * 128
"""A job id of the default maximum length."""

MANY = tuple(f"many{number:02d}" for number in range(25))
"""Enough job ids to distinguish one request per page from one request per job."""

JOBS = (JOB, OTHER, ABSENT, *NEIGHBOURS, LONGEST, *MANY)
"""Every job id used by the suites, for repositories whose keys have to be declared in advance."""

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
"""Invalid job ids: paths, shell text, templates, selectors, overlong names, other types."""

"""What a run did, in a few lines."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from .output import line, show_json

if TYPE_CHECKING:
    from pydatatask_core.pipeline import RunSummary

__all__ = ["print_summary"]

_MOST_JOBS = 20


def print_summary(summary: RunSummary, *, as_json: bool = False) -> None:
    """Print what a run did.

    :param summary: what ``Pipeline.run`` gave.
    :param as_json: whether to print it as JSON.
    """
    if as_json:
        show_json(asdict(summary))
        return
    launched = ", ".join(f"{name} {count}" for name, count in summary.launched.items())
    line(f"launched: {launched or 'nothing'} ({summary.seconds:.1f} s)")
    _print_jobs("failed", summary.failed)
    _print_jobs("could not be launched", summary.given_up)


def _print_jobs(what: str, found: dict[str, list[str]]) -> None:
    for task, jobs in found.items():
        rest = f" and {len(jobs) - _MOST_JOBS} more" if len(jobs) > _MOST_JOBS else ""
        line(f"{what}: {task} {len(jobs)}: {' '.join(sorted(jobs)[:_MOST_JOBS])}{rest}")

"""What a run did, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import line, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydatatask_core.pipeline import RunSummary

__all__ = ["DONE_WITHOUT_OUTPUT", "print_done_without_output", "print_summary"]

DONE_WITHOUT_OUTPUT = "done_without_output"
"""The key under which JSON has the jobs that are done and lack an output, by link."""

_MOST_JOBS = 20


def print_summary(
    summary: RunSummary,
    lacking: Mapping[str, Mapping[str, Sequence[str]]],
    *,
    as_json: bool = False,
) -> None:
    """Print what a run did.

    :param summary: what ``Pipeline.run`` gave.
    :param lacking: the jobs that are done and lack an output, by task and link.
    :param as_json: whether to print it as JSON.
    """
    if as_json:
        from dataclasses import asdict

        found = {DONE_WITHOUT_OUTPUT: lacking} if lacking else {}
        show_json(asdict(summary) | found)
        return
    launched = ", ".join(f"{name} {count}" for name, count in summary.launched.items())
    line(f"launched: {launched or 'nothing'} ({summary.seconds:.1f} s)")
    _print_jobs("failed", summary.failed)
    _print_jobs("could not be launched", summary.given_up)
    print_done_without_output(lacking)


def print_done_without_output(lacking: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Print the jobs that are recorded as successes and lack an output.

    :param lacking: the jobs by task and link.
    """
    by_link = {f"{task}.{name}": jobs for task, it in lacking.items() for name, jobs in it.items()}
    _print_jobs("done without output", by_link)


def _print_jobs(what: str, found: Mapping[str, Sequence[str]]) -> None:
    for task, repeated in found.items():
        jobs = sorted(set(repeated))  # a job that was retried during the run may fail twice
        rest = f" and {len(jobs) - _MOST_JOBS} more" if len(jobs) > _MOST_JOBS else ""
        line(f"{what}: {task} {len(jobs)}: {' '.join(jobs[:_MOST_JOBS])}{rest}")

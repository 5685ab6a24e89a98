"""The summary of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydatatask_core.pipeline import RunSummary

__all__ = ["DONE_WITHOUT_OUTPUT", "print_done_without_output", "print_summary"]

DONE_WITHOUT_OUTPUT = "done_without_output"
"""The JSON key for jobs that are done but lack an output, by link."""

_MAX_JOBS_SHOWN = 20


def print_summary(
    summary: RunSummary,
    without_output: Mapping[str, Mapping[str, Sequence[str]]],
    *,
    as_json: bool = False,
) -> None:
    """Print the summary of a run.

    :param summary: the result of ``Pipeline.run``.
    :param without_output: the jobs that are done but lack an output, by task and link.
    :param as_json: whether to print JSON.
    """
    if as_json:
        from dataclasses import asdict

        extra = {DONE_WITHOUT_OUTPUT: without_output} if without_output else {}
        print_json(asdict(summary) | extra)
        return
    launched = ", ".join(f"{name} {count}" for name, count in summary.launched.items())
    print_line(f"launched: {launched or 'nothing'} ({summary.seconds:.1f} s)")
    _print_jobs("failed", summary.failed)
    _print_jobs("could not be launched", summary.given_up)
    print_done_without_output(without_output)


def print_done_without_output(without_output: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Print the jobs that are recorded as successes but lack an output.

    :param without_output: the jobs by task and link.
    """
    by_link = {
        f"{task}.{name}": jobs
        for task, links in without_output.items()
        for name, jobs in links.items()
    }
    _print_jobs("done without output", by_link)


def _print_jobs(label: str, jobs_by_name: Mapping[str, Sequence[str]]) -> None:
    for task, failures in jobs_by_name.items():
        jobs = sorted(set(failures))  # a job that was retried during the run may fail twice
        rest = f" and {len(jobs) - _MAX_JOBS_SHOWN} more" if len(jobs) > _MAX_JOBS_SHOWN else ""
        print_line(f"{label}: {task} {len(jobs)}: {' '.join(jobs[:_MAX_JOBS_SHOWN])}{rest}")

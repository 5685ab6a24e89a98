"""``explain``: print why a job is ready or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.command import Command
from pydatatask_cli.explanation import Node, explain, find_deciding_facts
from pydatatask_cli.launch_blockers import launch_blocker
from pydatatask_cli.lookup import find_task
from pydatatask_cli.shell_completion import complete_job, complete_task

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["collect_explanation", "command", "print_explanation"]

_MEANING = {"all": "all of:", "any": "any of:", "not": "not:"}


async def collect_explanation(pipeline: Pipeline, task_name: str, job: str) -> dict[str, Any]:
    """Return why a job is ready for a task, or not, as data for JSON.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the job.
    """
    task = find_task(pipeline, task_name)
    task.ready.check_job_id(job)
    root = await explain(task, job)
    blamed, sufficient = find_deciding_facts(root)
    ready = root.is_true()
    held = await launch_blocker(task, job) if ready else None
    return {
        "task": task_name,
        "job": job,
        "ready": ready,
        "held": held,
        "blame": [_fact(leaf) for leaf in blamed],
        "one_is_enough": sufficient,
        "tree": root.as_dict(),
    }


def _fact(leaf: Node) -> str:
    if leaf.repo is None:
        return f"{leaf.label}: {'yes' if leaf.fact else 'no'}"
    verb = "has" if leaf.fact else "does not have"
    return f"{leaf.label} {verb} {leaf.job}: {leaf.repo!r}"


async def print_explanation(
    pipeline: Pipeline, task_name: str, job: str, *, as_json: bool = False
) -> None:
    """Print why a job is ready for a task, or not.

    :param pipeline: an open pipeline.
    :param task_name: the task.
    :param job: the job.
    :param as_json: whether to print JSON instead.
    """
    explanation = await collect_explanation(pipeline, task_name, job)
    if as_json:
        output.print_json(explanation)
        return
    output.print_line(
        f"job {job} is {'ready' if explanation['ready'] else 'not ready'} for {task_name}"
    )
    if explanation["held"]:
        output.print_line(f"it is not launched because {explanation['held']}")
    if not explanation["ready"]:
        _print_blame(explanation)
    for child in explanation["tree"]["children"]:
        _print_tree(child, 1)


def _print_blame(explanation: dict[str, Any]) -> None:
    if not explanation["blame"]:
        output.print_line("no change of any repository would make it ready")
        return
    several = len(explanation["blame"]) > 1
    if explanation["one_is_enough"]:
        output.print_line("because" + (" (one of these has to change)" if several else "") + ":")
    else:
        output.print_line("because (all of these have to change):")
    for fact in explanation["blame"]:
        output.print_line(f"  {fact}")
    output.print_line("in full:")


def _print_tree(node: dict[str, Any], depth: int) -> None:
    mark = "yes" if node["holds"] else "no "
    what = _MEANING.get(node["kind"], node.get("repository", ""))
    output.print_line(f"{'  ' * depth}{mark} {node['label']} {what}".rstrip())
    for child in node.get("children", ()):
        _print_tree(child, depth + 1)


@click.command(
    "explain", cls=Command, examples=("explain count book1", "explain count book1 --json")
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("task", shell_complete=complete_task)
@click.argument("job", shell_complete=complete_job)
@pass_app
def command(app: App, as_json: bool, task: str, job: str) -> None:
    """Explain why a job is ready for a task, or is not.

    The verdict comes first, then the facts that decide it, then the complete derivation: which
    repositories have the job and which do not, down to the repositories that store something. If
    a ready job is not launched because of a quota, or because its task is disabled, that is
    printed, too.

    With --json: {"task": TASK, "job": JOB, "ready": BOOL, "held": REASON or null, "blame":
    [SENTENCE], "one_is_enough": whether a change of one of them is enough, "tree":
    {"kind": "all", "any", "not" or "leaf", "label": TEXT, "holds": BOOL, "repository": TEXT,
    "job": JOB, "children": [...]}}.
    """
    app.run(lambda pipeline: print_explanation(pipeline, task, job, as_json=as_json), tasks=[task])

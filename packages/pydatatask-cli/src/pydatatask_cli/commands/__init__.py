"""The commands, a module each. What stands here is all that ``--help`` needs of them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "Entry"]


class Entry(NamedTuple):
    """Where a command is, and what it does in a line."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "update": Entry("update", "Keep the pipeline in motion: one round."),
    "run": Entry("run", "Run updates in a loop until everything is quiet."),
    "status": Entry("status", "View the pipeline's status."),
    "trace": Entry("trace", "Track a job's progress through the pipeline."),
    "rm": Entry("rm", "Delete data from the pipeline."),
    "ls": Entry("ls", "List the jobs of repositories, or of an expression of them."),
    "cat": Entry("cat", "Print data from a repository."),
    "inject": Entry("inject", "Put data into a repository."),
    "launch": Entry("launch", "Start a task for a job by hand."),
    "shell": Entry("shell", "Launch an interactive shell to interrogate the pipeline."),
    "fuse": Entry("fuse", "Mount the repositories as folders and files."),
    "explain": Entry("explain", "Say why a job is ready for a task, or is not."),
    "failed": Entry("failed", "Show which jobs failed, when, and why."),
    "retry": Entry("retry", "Have ended jobs run again."),
    "kill": Entry("kill", "End a job that is live."),
    "logs": Entry("logs", "Print what a job wrote."),
    "plan": Entry("plan", "Show what the next round would launch, and launch nothing."),
    "validate": Entry("validate", "Open the pipeline, look at all of it, and launch nothing."),
    "graph": Entry("graph", "Draw the pipeline, for Mermaid or Graphviz."),
    "export": Entry("export", "Write all values of a repository into a folder."),
    "completion": Entry("completion", "Print the script that has a shell complete commands."),
}
